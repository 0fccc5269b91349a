"""The pictures of a collection as pixels again: as they were indexed, or not at all. Knows no features.

A box is of the picture that was indexed. What has been turned, cropped or painted over since is another picture.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from stat import S_ISREG

import numpy as np
from PIL import Image as PillowImage

from .errors import ImageChanged, ImageError
from .images import OVERSAMPLING, Picture, from_image, read
from .store import Image

_MOST = 8_000_000
# pixels of a picture that has been made finer in a part: what large files have when they are read to be refined
_GAIN = 1.25
# times as fine at least
_UNLIKE = 16.0
# mean difference, of 255: what was indexed has been replaced since, or is turned


def open_original(image: Image, *, need: int | None = None) -> Picture:
    """The pixels of a picture of a collection; need: see images.read.

    Raises ImageChanged where its file holds another picture than was indexed, ImageError where it is gone or damaged.
    """
    place = image.stored
    if place.url is not None:  # read once, and held against what was indexed, since it may come anew
        content = place.read_bytes()
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise ImageChanged(place.name)
        return read(content, page=place.page, need=need, name=place.name)
    if has_changed(image):
        raise ImageChanged(place.name)
    picture = open_today(image, need=need)
    if (picture.width, picture.height) != (image.width, image.height):  # in the same second, with the same size
        raise ImageChanged(place.name)
    return picture


def open_today(image: Image, *, need: int | None = None, name: str | None = None) -> Picture:
    """What is under the path of a picture of a collection, whether or not it is what was indexed.

    name: what an error calls it. Raises ImageError.
    """
    place = image.stored
    source, page = place.source
    return read(source, page=page, need=need, name=name or place.name)


def find_original(image: Image, *, need: int | None = None) -> Picture | None:
    """The same as `open_original`; None where there is none, whatever the reason."""
    try:
        return open_original(image, need=need)
    except ImageError:
        return None


def find_closely(image: Image, box: Sequence[float], *, need: int) -> Picture | None:
    """The same, with more pixels where a box (x0, y0, x1, y1) in shares lies, and as much around it, where they can be
    had: a museum that tells its pictures by IIIF has larger ones than were indexed.

    All the picture has as many pixels then, which beyond that part tell no more than before.
    """
    picture = find_original(image, need=need)
    if picture is None or image.stored.url is None:
        return picture
    height, width = picture.pixels.shape[:2]
    part = _surroundings(box)
    shorter = min((part[2] - part[0]) * width, (part[3] - part[1]) * height)
    scale = min(OVERSAMPLING * need / 2 / shorter, sqrt(_MOST / (width * height)))
    if scale < _GAIN:
        return picture
    found = image.stored.part(part, width * _GAIN, width * scale)
    try:
        return picture if found is None else _inlaid(picture, read(found.content), found.box)
    except ImageError:
        return picture


def _surroundings(box: Sequence[float]) -> tuple[float, float, float, float]:
    """A box with half of its sides around, within the picture."""
    (x0, y0, x1, y1), (w, h) = box, ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
    return max(x0 - w, 0.0), max(y0 - h, 0.0), min(x1 + w, 1.0), min(y1 + h, 1.0)


def _inlaid(picture: Picture, part: Picture, box: Sequence[float]) -> Picture:
    """A picture that is as fine as a part of it; the picture where that looks like another, is no finer, or has more
    pixels than were asked for."""
    before, finer = picture.image, part.image
    scale = finer.width / ((box[2] - box[0]) * before.width)
    size = round(scale * before.width), round(scale * before.height)
    if scale < _GAIN or size[0] * size[1] > 1.1 * _MOST:
        return picture
    x0, y0, x1, y1 = (round(share * size[axis % 2]) for axis, share in enumerate(box))
    enlarged = before.resize(size, PillowImage.Resampling.BICUBIC)
    small = max(1, round((x1 - x0) / scale)), max(1, round((y1 - y0) / scale))
    one, other = (
        np.asarray(each.resize(small, PillowImage.Resampling.BOX), np.float32)
        for each in (enlarged.crop((x0, y0, x1, y1)), finer)
    )
    if abs(one - other).mean() > _UNLIKE:
        return picture
    enlarged.paste(finer.resize((x1 - x0, y1 - y0), PillowImage.Resampling.BICUBIC), (x0, y0))
    return replace(from_image(enlarged), width=picture.width, height=picture.height, note=picture.note)


def has_changed(image: Image) -> bool:
    """Whether the file of a picture is there and holds other bytes than were indexed.

    Only where size or date say so is it read: a copy of a library has other dates and is the same. A member of an
    archive has the archive's dates. What was streamed has none, and has not changed. What has a URL is what was fetched
    last, as far as that is known: nothing is asked for.
    """
    place = image.stored
    try:
        if place.url is not None:
            return place.kept_sha256() not in (None, image.sha256)
        status = place.file.stat()
        if not S_ISREG(status.st_mode):
            return False
        is_as_dated = image.state.mtime_ns in (0, status.st_mtime_ns)
        if place.member is None and image.state.size != status.st_size:
            return True
        return not is_as_dated and place.sha256() != image.sha256
    except (OSError, ImageError, ValueError):  # gone, which is something else, as a pipe is; or no name of a file
        return False
