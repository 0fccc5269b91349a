"""Pixels put together from rows, shrunk on the way, and turned upright. Knows no format."""

from collections.abc import Iterable, Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ImageError

Pixels = NDArray[np.uint8]
"""(h, w, 3) RGB."""

MAX_SIDE = 500_000
"""Pixels side by side; what decoders take for each row, or for a band of rows, would otherwise be without limit."""
_BAND_PIXELS = 1 << 20
_BYTES_OF_BANDS = 24
# a pixel of a band, in all the steps from what it was to RGB
GREY = 128
"""What rows are filled with that are not there."""


def check_size(size: tuple[int, int], label: str, max_pixels: int) -> None:
    """Raises ImageError for a picture of no pixels, of more than max_pixels, and for what is more line than picture."""
    if min(size) < 1:
        raise ImageError(label, f"cannot be decoded: a picture of {size[0]} x {size[1]} pixels")
    if size[0] * size[1] > max_pixels:
        raise ImageError(label, f"{size[0]} x {size[1]} pixels, more than the limit of {max_pixels}")
    if max(size) > MAX_SIDE:
        raise ImageError(label, f"{size[0]} x {size[1]} pixels, more than {MAX_SIDE} in a row or column")


def shrinking(size: tuple[int, int], least: int | None) -> int:
    """The whole number to shrink a picture by so that no side is less than `least` pixels; 1 for every pixel."""
    return max(1, min(size) // least) if least else 1


def decoded_bytes(size: tuple[int, int], factor: int, beside: int) -> int:
    """Bytes of the result of a picture (width, height) that is shrunk by a factor, and of what it is made from.

    beside: bytes that are held until the result is there. Then it may be turned, which takes a copy.
    """
    n_pixels = size[0] * size[1]
    result = 3 * n_pixels // factor**2
    return result + max(beside + min(_BAND_PIXELS, n_pixels) * _BYTES_OF_BANDS, result)


def row_bands(image: Image.Image) -> Iterator[Image.Image]:
    """A loaded image in bands of rows, as every step from one mode to another, or to an array, takes a copy."""
    step = max(1, _BAND_PIXELS // image.width)
    if step >= image.height:
        yield image  # crop() of Pillow before 13 heeds Pillow's global limit
        return
    for top in range(0, image.height, step):
        yield image.crop((0, top, image.width, min(top + step, image.height)))


def as_array(image: Image.Image) -> NDArray[np.uint8]:
    """The values of a loaded image of one byte a pixel (h, w), for less room than np.asarray takes on the way."""
    made, row = np.empty((image.height, image.width), np.uint8), 0
    for band in row_bands(image):
        made[row : row + band.height] = np.asarray(band)
        row += band.height
    return made


def assembled(bands: Iterable[Pixels], size: tuple[int, int], factor: int) -> Pixels:
    """The picture of a size (width, height) whose bands of rows come from the top, shrunk; grey below the last band."""
    width, height = size
    made = np.full((ceil(height / factor), ceil(width / factor), 3), GREY, np.uint8)
    row, left = 0, np.empty((0, width, 3), np.uint8)
    for band in bands:
        rows = np.concatenate([left, band]) if len(left) else band
        whole = len(rows) // factor * factor
        row = _put(made, row, rows[:whole], factor)
        left = rows[whole:]
    _put(made, row, left, factor)
    return made


def _put(made: Pixels, row: int, rows: Pixels, factor: int) -> int:
    """Put rows, shrunk, in their place, and say where the next ones go."""
    if not len(rows):
        return row
    small = rows if factor == 1 else np.asarray(Image.fromarray(np.ascontiguousarray(rows)).reduce(factor))
    made[row : row + len(small)] = small
    return row + len(small)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The pixels as the picture is looked at. orientation: EXIF 2.32, tag 0x0112; what is none counts as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def missing_rows(label: str, n_rows: int, n_missing: int, end: str = "last ") -> str | None:
    """What is to be said of a picture that has been cut off; None for a whole one.

    Raises ImageError where no more than half of its rows are there. end: which rows are missing.
    """
    if not n_missing:
        return None
    if 2 * n_missing >= n_rows:
        raise ImageError(label, f"cut off: only {n_rows - n_missing} of its {n_rows} rows are there")
    if n_missing == 1:
        return f"{f'the {end}of' if end else 'one of'} its {n_rows} rows is missing"
    return (
        f"its {end}{n_missing} of {n_rows} rows are missing" if end else f"{n_missing} of its {n_rows} rows are missing"
    )
