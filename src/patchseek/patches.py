"""A picture in, square patches out, resized in bulk. Opens no file and knows no model.

Resizing, not decoding, is what a pyramid costs, so that `cut` resizes whole levels and slices them; see there. An
encoder on a GPU cuts for itself, which costs less still: its feed says `late`, and it is given Uncut patches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from .boxes import clip
from .errors import BoxError, PatchseekError
from .images import OVERSAMPLING, Picture
from .regions import Pyramid

Patches = NDArray[np.uint8]
"""(N, S, S, 3) uint8 RGB."""

FITS = ("squash", "center-crop", "pad")
"""How a region that is not square becomes a square patch: squeezed, its middle kept, or set on grey."""
_FILTERS = {  # antialiased: Pillow widens each filter by the scale
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
GREY = 127
"""What padding is made of, in each channel."""
LATE_BYTES = 64 << 20
"""A picture of more pixels than that (21 megapixels) is cut where it was decoded: many of them wait for the encoder."""

SHARED = 3
"""Levels up to this one are made of one decoding of a picture and of each other's canvases, each above it alone.

So a level's patches are the same whatever levels are asked for beside it."""


@dataclass(frozen=True)
class Feed:
    """How an encoder wants its patches."""

    size: int
    # S, pixels a side
    fit: str = "squash"
    # one of FITS
    interpolation: str = "bicubic"
    # bicubic, bilinear or lanczos
    keep: float = 1.0
    # center-crop alone: the share of the shorter side that is kept, in (0, 1]
    exact: bool = False
    # True: every region is cut at whole pixels and resized alone, from all pixels, as plain pipelines do; see `cut`
    late: bool = False
    # True: the encoder cuts for itself, so that `crop` and `cut` only note what of which picture; see Uncut

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise PatchseekError(f"fit must be one of {', '.join(FITS)}, found {self.fit!r}")
        if self.interpolation not in _FILTERS:
            raise PatchseekError(f"interpolation must be one of {', '.join(_FILTERS)}, found {self.interpolation!r}")

    def scaled(self, width: float, height: float) -> tuple[int, int]:
        """The size (w, h) in pixels to which a region of width x height is resized before it is made square."""
        if self.fit == "squash":
            return self.size, self.size
        side = min(width, height) if self.fit == "center-crop" else max(width, height)
        scale = self.size / side / (self.keep if self.fit == "center-crop" else 1.0)
        low = self.size if self.fit == "center-crop" else 1
        whole = (
            int if self.fit == "center-crop" else round
        )  # torchvision's centre crops, which models were given, truncate
        return max(low, whole(width * scale + 1e-6)), max(low, whole(height * scale + 1e-6))

    def square(self, pixels: Patches, out: Patches) -> None:
        """Write pixels (h, w, 3) of the size that `scaled` gave into the middle of out (S, S, 3), cut where larger."""
        h, w = pixels.shape[:2]
        top, left = round((h - self.size) / 2), round((w - self.size) / 2)
        out[max(0, -top) : max(0, -top) + h, max(0, -left) : max(0, -left) + w] = pixels[
            max(0, top) : max(0, top) + self.size, max(0, left) : max(0, left) + self.size
        ]

    def blank(self, n: int) -> Patches:
        """Room for n patches (n, S, S, 3), grey where padding will show."""
        shape = (n, self.size, self.size, 3)
        return np.full(shape, GREY, np.uint8) if self.fit == "pad" else np.empty(shape, np.uint8)


@dataclass(frozen=True, eq=False)
class Uncut:
    """Patches that are still to be cut, by an encoder whose feed says `late`. They go wherever patches go.

    Their length, shape and slices are those of the patches; nothing else of an array is there.
    """

    feed: Feed
    parts: tuple[tuple[Picture, NDArray[np.float64]] | Patches, ...]
    # pictures, each with regions (n, 4), x0 y0 x1 y1 in its pixels; or patches that are cut already

    def __len__(self) -> int:
        return sum(len(part if isinstance(part, np.ndarray) else part[1]) for part in self.parts)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, S, S, 3), as the patches will have it."""
        return len(self), self.feed.size, self.feed.size, 3

    ndim, dtype = 4, np.dtype(np.uint8)

    def __getitem__(self, chosen: slice) -> "Uncut":
        """Those from chosen.start to chosen.stop."""
        low, high, _ = chosen.indices(len(self))
        parts: list[tuple[Picture, NDArray[np.float64]] | Patches] = []
        for part in self.parts:
            rows = part if isinstance(part, np.ndarray) else part[1]
            inner = slice(max(low, 0), max(high, 0))
            if len(rows[inner]):
                parts.append(part[inner] if isinstance(part, np.ndarray) else (part[0], part[1][inner]))
            low, high = low - len(rows), high - len(rows)
        return Uncut(self.feed, tuple(parts))


def joined(patches: Sequence[Patches]) -> Patches:
    """Patches (N, S, S, 3) of several lots, at least one, in order; Uncut where any of them is."""
    lots: list[Patches | Uncut] = list(patches)
    feeds = [lot.feed for lot in lots if isinstance(lot, Uncut)]
    if not feeds:
        return np.concatenate(patches)
    parts = [part for lot in lots for part in (lot.parts if isinstance(lot, Uncut) else (lot,))]
    return cast(Patches, Uncut(feeds[0], tuple(parts)))


def crop(picture: Picture, boxes: ArrayLike, feed: Feed, gap: float = 2.0) -> Patches:
    """The patches (N, S, S, 3) uint8 of any boxes (N, 4), each made square as feed says, in the given order.

    A box is clipped to the picture and widened to one pixel where it is thinner; its edges may lie between pixels. Its
    pixels are first averaged by whole numbers to no less than gap times S, unless feed is exact; at 1.25 that is twice
    as fast as at 2, and rougher.
    Where feed is late, they are Uncut and only noted; who cuts them then takes all pixels, whatever the gap.
    Raises BoxError when boxes are not finite, inverted, or not of four numbers each.
    """
    edges = _edges(picture, boxes, feed)
    if feed.late and picture.pixels.nbytes <= LATE_BYTES:
        return cast(Patches, Uncut(feed, ((picture, edges),)))
    image = picture.image
    patches = feed.blank(len(edges))
    for i, (x0, y0, x1, y1) in enumerate(edges.tolist()):
        size = feed.scaled(x1 - x0, y1 - y0)
        if feed.exact:
            region = image.crop((int(x0), int(y0), int(x1), int(y1)))
            patch = region.resize(size, _FILTERS[feed.interpolation])
        else:
            patch = image.resize(size, _FILTERS[feed.interpolation], (x0, y0, x1, y1), reducing_gap=gap)
        feed.square(np.asarray(patch), patches[i])
    return patches


def _edges(picture: Picture, boxes: ArrayLike, feed: Feed) -> NDArray[np.float64]:
    """The regions (N, 4) in pixels that boxes (N, 4) mean, at least a pixel wide and high; see `crop`."""
    b = np.asarray(boxes, np.float64)
    if b.ndim != 2 or b.shape[1] != 4:
        raise BoxError(f"boxes must be an array of (N, 4), found {b.shape}")
    if not np.isfinite(b).all() or (b[:, 2:] < b[:, :2]).any():
        raise BoxError("boxes must be finite, with x0 <= x1 and y0 <= y1")
    size = picture.pixels.shape[1::-1]
    low, high = clip(b)[:, :2] * size, clip(b)[:, 2:] * size
    if feed.exact:
        low, high = low.round(), high.round()
    low = np.minimum(low, np.subtract(size, 1))
    high = np.maximum(high, low + 1)
    return np.hstack([low, high])


def decodings(pyramid: Pyramid) -> list[Pyramid]:
    """The parts of a pyramid that are each cut from a decoding of their own, in order; see SHARED."""
    shared = tuple(level for level in pyramid.levels if level <= SHARED)
    alone = ((level,) for level in pyramid.levels if level > SHARED)
    return [replace(pyramid, levels=levels) for levels in (shared, *alone) if levels]


def need_of(part: Pyramid, feed: Feed) -> int | None:
    """What `images.read` needs to know of a part of `decodings`: the same whichever of the shared levels it has."""
    return None if feed.exact else (max(part.levels[-1], SHARED) + 1) * feed.size


def cut(picture: Picture, pyramid: Pyramid, feed: Feed) -> Patches:
    """The patches (R, S, S, 3) uint8 of all regions, in the order of `pyramid.boxes_of`.

    What `crop` gives for those boxes; and where the picture is not long, for less: level l is one canvas of
    (l + 1) * (l + 1) patches, and its patches are slices of it. Where windows overlap, they start at the nearest whole
    pixel of the canvas. What a level's patches are does not depend on the other levels of the pyramid.

    A canvas is made from the picture, shrunk beforehand by whole numbers to no less than 1.5 times the canvas of level
    SHARED (that of the level itself above it), or, up to SHARED, from the smallest larger canvas that is still 1.5
    times the new one and was not itself enlarged. Measured on one
    core of a busy server, levels 0 to 3 at 224 pixels, in ms: 1 megapixel 35 (one resize a patch: 47), 12 megapixels 91
    (314), or 60 after `read(need=896)`, 48 megapixels 189 (1070) or 60. The mean change against one plain bicubic
    resize a patch is 0.07 of 255 over 185 photographs of 0.6 to 1 megapixel (0.2 in the worst; 0.5 and 1.4 in the 2 x 2
    level alone), and 0.5 to 0.6 for 12 to 48 megapixels. To make all levels from the largest canvas was no faster at 1
    megapixel; to average whole pixels instead was 5 ms faster, and changed the upper two levels by 1.1 and 1.4.
    """
    boxes = pyramid.boxes_of(picture.width, picture.height)
    if feed.exact or feed.late or pyramid.reshapes(picture.width, picture.height):
        return crop(picture, boxes, feed)
    w, h = feed.scaled(*picture.pixels.shape[1::-1])  # of a region: all have the picture's own shape
    canvases = _canvases(Image.fromarray(picture.pixels), (w, h), pyramid.levels, _FILTERS[feed.interpolation])
    patches = feed.blank(pyramid.n_regions)
    for i, (level, box) in enumerate(zip(pyramid.level_of.tolist(), boxes.tolist(), strict=True)):
        canvas = canvases[level]
        x, y = round(box[0] * canvas.shape[1]), round(box[1] * canvas.shape[0])
        feed.square(canvas[y : y + h, x : x + w], patches[i])
    return patches


def _canvases(
    image: Image.Image, size: tuple[int, int], levels: tuple[int, ...], resampling: Image.Resampling
) -> dict[int, Patches]:
    """The whole image resized so that every cell of a level has this size (w, h): level -> (h', w', 3) uint8."""
    shared = [level for level in levels if level <= SHARED]
    canvases = _chain(image, size, range(SHARED + 1), shared, resampling) if shared else {}
    for level in levels:
        if level > SHARED:
            canvases |= _chain(image, size, [level], [level], resampling)
    return canvases


def _chain(
    image: Image.Image,
    size: tuple[int, int],
    group: Sequence[int],
    wanted: Sequence[int],
    resampling: Image.Resampling,
) -> dict[int, Patches]:
    """The canvases of the wanted levels of a group (ascending), made as they are when all of the group are wanted."""
    sides = {level: ((level + 1) * size[0], (level + 1) * size[1]) for level in group}
    largest = sides[group[-1]]
    x, y = (max(1, int(length / (OVERSAMPLING * side))) for length, side in zip(image.size, largest, strict=True))
    source = image.reduce((x, y)) if x > 1 or y > 1 else image
    whole = (0.0, 0.0, image.width / x, image.height / y)  # a last row of less than y rows counts as what it is
    parents: dict[int, int] = {}
    for level in group:
        larger = [m for m in group if OVERSAMPLING * (level + 1) <= m + 1 and _fits(sides[m], source.size)]
        if larger:
            parents[level] = min(larger)
    needed = set(wanted)
    for level in group:  # a parent comes after its children
        if level in needed and level in parents:
            needed.add(parents[level])
    made: dict[int, Image.Image] = {}
    for level in reversed([level for level in group if level in needed]):
        if level in parents:
            made[level] = made[parents[level]].resize(sides[level], resampling)
        else:
            made[level] = source.resize(sides[level], resampling, whole)
    return {level: np.asarray(made[level]) for level in wanted}


def _fits(size: tuple[int, int], into: tuple[int, int]) -> bool:
    """Whether a canvas of this size was made without enlarging."""
    return size[0] <= into[0] and size[1] <= into[1]
