"""The patch that a map lays out: a picture in, square patches out, upright as the query is. See patches for boxes."""

import numpy as np
from PIL import Image

from ..images import Picture
from ..patches import GREY, Feed, Patches, crop, joined
from ._maps import Maps, are_boxes, around


def cut_out(picture: Picture, maps: Maps, feed: Feed, gap: float = 2.0) -> Patches:
    """The patches (N, S, S, 3) that maps lay out in a picture, as `crop` makes those of boxes, in order.

    Those of turned maps are turned back; what of them lies outside the picture is grey. Below a gap of 2, and where the
    feed leaves it open, boxes are cut out as turned maps are: smoother patches would be taken for more alike.
    """
    upright, boxes = are_boxes(maps), around(maps)
    if gap < 2 and not feed.exact and not feed.late:
        upright[:] = False
    if upright.all():
        return crop(picture, boxes, feed, gap)
    columns = zip(maps, boxes, upright.tolist(), strict=True)
    return joined(
        [crop(picture, box[None], feed, gap) if is_box else _turned(picture, m, feed) for m, box, is_box in columns]
    )


def _turned(picture: Picture, laid: Maps, feed: Feed) -> Patches:
    """The patch (1, S, S, 3) of one map (2, 3): its surroundings, shrunk by a whole number, then mapped bicubically."""
    patches = feed.blank(1)
    height, width = picture.pixels.shape[:2]
    pixels = laid * np.array([[width], [height]])
    size = feed.scaled(*np.linalg.norm(pixels[:, :2], axis=0).clip(1.0).tolist())
    shrink = max(1, round(min(np.linalg.norm(pixels[:, :2], axis=0) / size)))
    x0, y0, x1, y1 = around(laid[None])[0] * (width, height, width, height)
    reach = 2 * shrink  # pixels around that the filter takes
    left, top = max(0, int(x0) - reach), max(0, int(y0) - reach)
    right, bottom = min(width, int(x1) + 1 + reach), min(height, int(y1) + 1 + reach)
    if right <= left or bottom <= top:
        patches[:] = GREY
        return patches
    part = picture.image.reduce(shrink, (left, top, right, bottom))
    (a, b), (c, d) = pixels[:, :2] / size / shrink
    e, f = (pixels[:, 2] - (left, top)) / shrink
    seen = part.transform(
        size, Image.Transform.AFFINE, (a, b, e, c, d, f), Image.Resampling.BICUBIC, fillcolor=(GREY, GREY, GREY)
    )
    feed.square(np.asarray(seen), patches[0])
    return patches
