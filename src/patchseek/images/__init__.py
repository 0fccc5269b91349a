"""A path or bytes in, an upright RGB picture of bounded size out. Cuts nothing: `patches` does.

    _formats -> _tiff (_directories, _tags, _layout, _bands, _rebuilt, _colours), _pnm,
                or _pillow (_cut, _bmp, _jpeg2000) -> _pixels, within the room that _memory has

Whatever is wrong with a file, it comes out as one ImageError with one line; the size in the header is judged, and room
for it waited for, before a pixel is decoded. Colour profiles are not applied, as the usual vision models were trained
without them.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import SEEK_END, BytesIO
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._files import MAX_FILE_BYTES, open_regular, too_large
from ..errors import ImageError, PatchseekError, is_passing
from . import _directories
from ._formats import Undecoded, opened, shortfall
from ._late import has_late_notes
from ._memory import budget
from ._pillow import orientation_of, whole
from ._pixels import Pixels, upright

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "OVERSAMPLING",
    "Picture",
    "count_pages",
    "from_image",
    "orientation_of_file",
    "read",
    "size_of",
]

_SUFFIXES = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "bmp", "dib", "tif", "tiff", "avif", "heic", "heif"),
    *("hif", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
)
EXTENSIONS: frozenset[str] = frozenset(f".{suffix}" for suffix in _SUFFIXES)
"""Lower-case suffixes of the files worth trying. `read` itself goes by the content and ignores the name."""

MAX_PIXELS = 200_000_000
"""Largest picture read by default, what the largest phone cameras write. Reading takes about 7 bytes a pixel."""

OVERSAMPLING = 1.5
"""Whole-number shrinking stops while a picture is at least this many times the size needed; the rest is bicubic.

Against one bicubic resize from all pixels, canvases of 224 to 896 pixels from mosaics of real photographs of 2 to 48
megapixels change by 0.3 to 0.8 of 255 on average. A limit of 1.0 would be a quarter faster, and change them by up to
1.9; at 2.0 it is 0.2 to 0.8, and 12 megapixels take twice as long.
"""


_LYING = (5, 6, 7, 8)  # orientations of EXIF in which columns are rows


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture."""

    pixels: NDArray[np.uint8]
    # (h, w, 3) uint8 RGB, contiguous, read-only; maybe fewer pixels than the file holds, see `read`
    width: int
    # pixels of the whole upright picture, as its file holds it
    height: int
    # pixels of the whole upright picture, as its file holds it
    note: str | None = None
    # what a person should know of it, such as "its last 12 of 480 rows are missing"

    @property
    def is_shrunk(self) -> bool:
        """Whether there are fewer pixels than the file holds."""
        return self.pixels.shape[:2] != (self.height, self.width)

    @cached_property
    def image(self) -> Image.Image:
        """The pixels as an image of Pillow's, made once: a picture is cropped several times for one query."""
        return Image.fromarray(self.pixels)


def read(
    source: Path | bytes | str,
    *,
    need: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    page: int = 1,
) -> Picture:
    """The upright picture of a file (a path) or of its content (bytes). Safe to call from many threads.

    need: the side in pixels of the largest square that will be made of the picture, or None for every pixel. A picture
    is shrunk by a whole number as long as both sides stay at least 1.5 x need: while decoding for JPEG, after it for
    the rest. max_pixels: a picture whose header claims more is refused. name: what an error calls the picture.
    page: of a TIFF, from 1, counted as `count_pages` does. Of an animation the first frame is read; transparency is
    laid over white, as a browser or a shop shows it; 16 bits are scaled to 8, not clipped; an orientation that cannot
    be read counts as none.

    Raises ImageError, whatever goes wrong.
    """
    label = name or (f"picture of {len(source)} bytes" if isinstance(source, bytes) else str(source))
    try:
        with _stream(source, label) as file:
            return _read(file, label, ceil(OVERSAMPLING * need) if need else None, max_pixels, page)
    except (OSError, ValueError) as error:
        raise ImageError(label, _reason(error), is_passing(error)) from error


def _read(file: BinaryIO, label: str, least: int | None, max_pixels: int, page: int) -> Picture:
    """As `read`, of an open file."""
    _hush_metadata_warnings()
    try:
        picture = opened(file, label, page, max_pixels)
        with budget().reserved(picture.memory(least), label):
            pixels, note = picture.decode(least)
            width, height = picture.size[::-1] if picture.orientation in _LYING else picture.size
            return Picture(_frozen(upright(pixels, picture.orientation)), width, height, note)
    except PatchseekError:
        raise
    except Exception as error:  # a damaged file can raise anything from any depth of a decoder
        reason = _reason(error) if is_passing(error) else shortfall(file) or _reason(error)
        raise ImageError(label, reason, is_passing(error)) from error


def size_of(path: Path | str) -> tuple[int, int]:
    """Width and height in pixels of the upright picture of a file, as `read` finds them, from its header alone.

    Of a TIFF, the first page's. Pixels are decoded only where the header may not say how the picture lies: of HEIC and
    WebP, and of a PNG with notes behind its pixels. Safe to call from many threads. Raises ImageError, whatever goes
    wrong.
    """
    label = str(path)
    with _header(path, label) as (file, found):
        if found.hides_orientation or has_late_notes(file):
            picture = _read(file, label, 1, MAX_PIXELS, 1)
            return picture.width, picture.height
        return found.size[::-1] if found.orientation in _LYING else found.size


def orientation_of_file(path: Path | str) -> int:
    """How the pixels of a picture lie in its file, as EXIF numbers it, 1 to 8; 1 for what is decoded upright.

    Pixels are decoded only where `size_of` does. Raises ImageError, whatever goes wrong.
    """
    label = str(path)
    with _header(path, label) as (file, found):
        if found.hides_orientation or has_late_notes(file):
            with budget().reserved(found.memory(1), label):
                found.decode(1)
        return found.orientation


@contextmanager
def _header(path: Path | str, label: str) -> Iterator[tuple[BinaryIO, Undecoded]]:
    """A file and what its header says, for the block. Raises ImageError, whatever goes wrong in it."""
    try:
        with _stream(path, label) as file:
            _hush_metadata_warnings()
            yield file, opened(file, label, 1, MAX_PIXELS)
    except PatchseekError:
        raise
    except Exception as error:  # as in `read`
        raise ImageError(label, _reason(error), is_passing(error)) from error


def from_image(image: Image.Image, *, name: str = "image") -> Picture:
    """The upright picture that an image of Pillow's shows, made of it as `read` makes one of a file.

    Raises ImageError for one that cannot be loaded.
    """
    try:
        _hush_metadata_warnings()
        image.load()
        if image.mode in ("I", "F", "LAB", "YCbCr"):  # which only TIFF can hold
            tiff = BytesIO()
            image.save(tiff, "TIFF")
            return read(tiff.getvalue(), name=name)
        pixels = upright(whole(image, 1), orientation_of(image))
        return Picture(_frozen(pixels), pixels.shape[1], pixels.shape[0])
    except Exception as error:  # as for a file: it may well be one that has only been opened
        raise ImageError(name, _reason(error)) from error


def _stream(source: Path | bytes | str, label: str) -> BinaryIO:
    """The open file. Raises ImageError where there is nothing that could be a picture, OSError where it cannot open."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(label, "empty")
        return BytesIO(source)
    file = open_regular(source, label)
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if 0 < size <= MAX_FILE_BYTES:
        return file
    file.close()
    raise too_large(label, size) if size else ImageError(label, "empty file")


def count_pages(file: Path | bytes) -> int:
    """How many pages a TIFF (a path, or its content) has; 1 for every other file, and for what cannot be read.

    Decodes nothing.
    """
    try:
        with BytesIO(file) if isinstance(file, bytes) else open_regular(file, file) as content:
            return _directories.count(content)
    except (OSError, ValueError, ImageError):
        return 1


def _reason(error: Exception) -> str:
    """One short line of any exception."""
    if isinstance(error, OSError) and error.errno and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be decoded: {text}"[:200]


_METADATA_WARNINGS = ("ignore", None, UserWarning, re.compile(r"PIL\.\w*Image"), 0)


def _hush_metadata_warnings() -> None:
    """Silence what Pillow remarks about odd metadata in pictures that it reads well.

    warnings.catch_warnings would put back, out of turn, what other threads have set; a filter that stays is safe.
    DecompressionBombWarning is no UserWarning and stays as loud as it was for other users of Pillow.
    """
    if not warnings.filters or warnings.filters[0] != _METADATA_WARNINGS:
        warnings.filterwarnings("ignore", category=UserWarning, module=_METADATA_WARNINGS[3].pattern)


def _frozen(pixels: Pixels) -> Pixels:
    """The pixels, contiguous and read-only."""
    frozen = np.ascontiguousarray(pixels)
    frozen.flags.writeable = False
    return frozen
