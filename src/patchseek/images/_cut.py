"""Pictures whose file ends too early: how much of them is there. Nothing of Pillow's is set for the whole process.

A decoder does not say how far it came. So a file that ends too early is decoded twice, onto different grounds: the
pixels that differ are those that the file does not hold. A JPEG is continued in two ways instead, as its decoder fills
in what is missing itself.
"""

import random
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

from ._pixels import GREY, Pixels

Opener = Callable[[], ImageFile.ImageFile]
"""Reads the header of a file anew."""
Rows = NDArray[np.bool_]
"""(h,) whether a row is missing, wholly or in part."""

_BAND_PIXELS = 1 << 20
_END = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
_NOISE = b"\0" + bytes(random.Random(0).choices(range(255), k=4096))
# what no picture goes on with; it begins with 0, as a file may end within 0xFF 0x00, and holds no marker


class Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG that ends where its file does, whether or not the end is marked."""

    rest: bytes = _END
    # what is read after the end of the file
    is_cut: bool = False
    # whether any of it was

    def load_read(self, read_bytes: int) -> bytes:
        assert self.fp is not None
        content = self.fp.read(read_bytes)
        if not content and self.rest:
            content, self.rest, self.is_cut = self.rest, b"", True
        return content


def load(opener: Opener, file: BinaryIO) -> tuple[Image.Image, Rows | None, bool]:
    """A decoded picture, its missing rows (None for a whole one), and whether detail is missing in all of them.

    A damaged file, and one that ends before any of its pixels, raises whatever its decoder does.
    """
    image = opener()
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        if not _ends_too_early(file, error) or getattr(image, "_im", None) is None:
            raise
        image, other = _onto(opener(), 0), _onto(opener(), 1)
        return image, _differing(image, other), False
    if isinstance(image, Jpeg) and image.is_cut:
        return image, *_unsure(image, opener, file)
    return image, None, False


def _ends_too_early(file: BinaryIO, error: Exception) -> bool:
    """Whether a decoder came to the end of the file and wanted more, rather than did not understand what it read."""
    place = file.tell()
    return place == file.seek(0, 2) and "when reading image file" not in str(error)


def _onto(image: ImageFile.ImageFile, ground: int) -> ImageFile.ImageFile:
    """Decode as far as the file goes, onto a ground of one value."""
    prepare, tiles = image.load_prepare, list(image.tile)

    def paint() -> None:
        prepare()
        for tile in tiles:
            image.im.paste(ground, tile.extents)

    image.load_prepare = paint  # type: ignore[method-assign]
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, IndexError):
        image.tile = []  # there is nothing more to load
    return image


def _unsure(image: Jpeg, opener: Opener, file: BinaryIO) -> tuple[Rows, bool]:
    """The missing rows of a JPEG that ends too early, and whether detail is missing in all of them."""
    other = opener()
    assert isinstance(other, Jpeg)
    other.rest = _NOISE + _END
    try:
        other.load()
    except (OSError, SyntaxError, ValueError):
        other = image
    differs = _differing(image, other)
    missing = np.maximum.accumulate(differs)  # the noise ends as well: below it, both are grey
    if missing.any() and _has_outline(image, file):
        return np.zeros_like(missing), True
    return missing, False


def _has_outline(image: Jpeg, file: BinaryIO) -> bool:
    """Whether a progressive JPEG went beyond its first scans, which hold the whole picture without its detail."""
    if "progressive" not in image.info:
        return False
    file.seek(0)
    content = file.read()
    at = content.find(_START_OF_SCAN)
    while at >= 0:
        spectral = at + 5 + 2 * (content[at + 4] if at + 4 < len(content) else 0)  # ITU T.81, B.2.3
        scan = content[spectral : spectral + 3]
        if len(scan) == 3 and (scan[0] > 0 or scan[2] >> 4 > 0):
            return True
        at = content.find(_START_OF_SCAN, at + 2)
    return False


def _differing(image: Image.Image, other: Image.Image) -> Rows:
    """Which rows of two pictures of one size are not the same."""
    width, height = image.size
    step = max(1, _BAND_PIXELS // width)
    differs = np.zeros(height, bool)
    for top in range(0, height, step):
        box = (0, top, width, min(top + step, height))
        a, b = np.asarray(image.crop(box)), np.asarray(other.crop(box))
        differs[top : top + step] = (a != b).reshape(len(a), -1).any(axis=1)
    return differs


def filled(pixels: Pixels, missing: Rows) -> Pixels:
    """The pixels with every missing row made that above it, as in an interlaced picture, or grey at top and bottom."""
    there = np.flatnonzero(~missing)
    if not len(there):
        return np.full_like(pixels, GREY)
    above = np.maximum.accumulate(np.where(missing, 0, np.arange(len(missing))))
    made = pixels[above]
    made[: there[0]], made[there[-1] + 1 :] = GREY, GREY
    return made


def end_of(missing: Rows) -> str:
    """Which rows are missing, in a word: "last ", "first ", or nothing where they lie between others."""
    n = int(missing.sum())
    return "last " if missing[-n:].all() else "first " if missing[:n].all() else ""
