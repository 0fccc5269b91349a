"""Pictures whose file ends too early: how much of them is there. Nothing of Pillow's is set for the whole process.

A decoder does not say how far it came. So a file that ends too early is decoded twice, onto different grounds: the rows
that differ are those that the file does not hold. A JPEG is continued in two ways instead, as its decoder fills in what
is missing itself.
"""

import random
from collections.abc import Callable
from typing import BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

from ._pixels import GREY, Pixels, row_bands

Opener = Callable[[], ImageFile.ImageFile]
"""Reads the header of a file anew."""
Rows = NDArray[np.bool_]
"""(h,) whether a row is missing, wholly or in part."""

_ERRORS = (OSError, SyntaxError, ValueError, IndexError)
_END = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
_ARITHMETIC = (b"\xff\xc9", b"\xff\xca", b"\xff\xcb")  # frames that are coded so, ITU T.81, table B.1
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
    image, ends_too_early = opener(), False
    try:
        image.load()
    except _ERRORS as error:
        ends_too_early = getattr(image, "_im", None) is not None and _ends_too_early(file, error)
        if not ends_too_early:
            raise
    if ends_too_early:
        del image  # here, as the error held on to it: no more than one picture is held at a time
        sums = _sums(_onto(opener(), 0))
        other = _onto(opener(), 1)
        return other, sums != _sums(other), False
    if isinstance(image, Jpeg) and image.is_cut:
        sums, is_progressive = _sums(image), "progressive" in image.info
        del image
        missing = _unsure(sums, opener())
        is_coarse = bool(missing.any()) and is_progressive and _has_outline(file)
        image = opener()
        image.load()
        return image, np.zeros_like(missing) if is_coarse else missing, is_coarse
    return image, None, False


def _unsure(sums: NDArray[np.uint32], other: ImageFile.ImageFile) -> Rows:
    """The rows of a JPEG that are not the same when something else stands at its end."""
    assert isinstance(other, Jpeg)
    other.rest = _NOISE + _END
    try:
        other.load()
    except _ERRORS:  # the noise stands where a table should: no pixel is missing
        return np.zeros(len(sums), bool)
    return np.maximum.accumulate(sums != _sums(other))  # the noise ends as well: below it, both are grey


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
    except _ERRORS:
        image.tile = []  # there is nothing more to load
    del image.load_prepare  # which refers to the image: it would stay until somebody looks for such circles
    return image


def _has_outline(file: BinaryIO) -> bool:
    """Whether a progressive JPEG went beyond its first scans, which hold the whole picture without its detail."""
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


def _sums(image: Image.Image) -> NDArray[np.uint32]:
    """A checksum of each row of a loaded image."""
    rows = (row for band in row_bands(image) for row in np.ascontiguousarray(band))
    return np.fromiter(map(crc32, rows), np.uint32, image.height)


def most_rows(image: ImageFile.ImageFile, file: BinaryIO) -> int:
    """How many rows a file can hold at the most, going by its length: the header of an image promises anything.

    A deflated PNG is at its densest 1032 bytes in one (RFC 1951), of at most 8 pixels each; a GIF 4096 pixels in a
    code of more than a byte; a JPEG that is not coded arithmetically 64 pixels in a bit. Nothing is known of others.
    """
    (width, height), n_bytes = image.size, file.seek(0, 2)
    decoder, _, offset, args = image.tile[0] if image.tile else ("", None, 0, ())
    if decoder == "raw" and isinstance(args, tuple) and len(args) > 1 and args[1] > 0:
        return min(height, max(0, n_bytes - offset) // int(args[1]))
    file.seek(0)
    head = file.read(1 << 16)
    is_arithmetic = image.format == "JPEG" and any(marker in head for marker in _ARITHMETIC)
    densest = {"PNG": 1032 * 8, "GIF": 4096, "JPEG": 64 * 8}.get(image.format or "")
    return height if densest is None or is_arithmetic else min(height, densest * n_bytes // width)


def fill(pixels: Pixels, missing: Rows) -> None:
    """Make missing rows at the top or the bottom grey, and those between others, of an interlaced picture, as above."""
    if missing_end(missing):
        pixels[missing] = GREY
        return
    for row in np.flatnonzero(missing):
        pixels[row] = pixels[row - 1] if row else GREY


def missing_end(missing: Rows) -> str:
    """Where rows are missing, in a word: "last ", "first ", or nothing where others are between them."""
    n = int(missing.sum())
    return "last " if missing[-n:].all() else "first " if missing[:n].all() else ""
