"""A page of a TIFF as pixels: every layout that `_layout` lets in, whatever Pillow makes of it."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from ..errors import ImageError
from . import _bands, _directories
from ._bands import Samples
from ._colours import Colours
from ._pixels import Pixels, assembled, check_size, decoded_bytes, missing_rows, row_bands, shrinking
from ._tags import layout_of

_AT_ONCE = 1 << 20
# samples that are given their colours at once: to scale floats takes many times their room


class Tiff:
    """One page, of which only the tags have been read."""

    hides_orientation = False

    def __init__(self, file: BinaryIO, label: str, page: int, max_pixels: int) -> None:
        """Raises ImageError for a page that is not there, or not half, is too large, or of a layout not read here."""
        directory = _directories.find(file, page)
        if directory is None and page == 1:
            raise ImageError(label, "cannot be decoded: a TIFF without a directory")
        if directory is None:
            raise ImageError(label, f"has no page {page}, only {_directories.count(file)}")
        self.size = directory.value(256, 0), directory.value(257, 0)
        check_size(self.size, label, max_pixels)
        self._file, self._directory = file, directory
        self._layout = layout_of(directory, label)
        self.orientation = self._layout.orientation
        self._n_rows = self._layout.rows_in(directory.size)
        self._note = missing_rows(label, self._layout.height, self._layout.height - self._n_rows)

    def memory(self, least: int | None) -> int:
        """Bytes that `decode` takes at the most, with its result."""
        return decoded_bytes(self.size, shrinking(self.size, least), _bands.memory(self._layout, self._directory.size))

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The pixels as stored, no side shrunk below `least`, and what is to be said of them.

        Raises OSError for damaged data.
        """
        return assembled(self._rgb(), self.size, shrinking(self.size, least)), self._note

    def _rgb(self) -> Iterator[Pixels]:
        """Bands of rows in RGB, from the top."""
        if not self._layout.is_bytes:
            for picture in _bands.pictures(self._file, self._layout, self._directory, self._n_rows):
                yield from (np.asarray(band.convert("RGB")) for band in row_bands(picture))
            return
        colours = Colours(self._layout, self._directory, self._extremes)
        for samples in _bands.bands(self._file, self._layout, self._n_rows):
            yield from map(colours.rgb, _few(samples))

    def _extremes(self) -> tuple[float, float]:
        """The least and the greatest finite colour; 0 and 1 where there is none."""
        low, high = np.inf, -np.inf
        for samples in _bands.bands(self._file, self._layout, self._n_rows):
            for rows in _few(samples[..., : self._layout.n_colours]):
                is_finite = np.isfinite(rows)
                finite = rows if is_finite.all() else rows[is_finite]
                if finite.size:
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return (low, high) if low <= high else (0.0, 1.0)


def _few(samples: Samples) -> Iterator[Samples]:
    """The same samples, some rows at a time."""
    step = max(1, _AT_ONCE // samples[0].size)
    return (samples[row : row + step] for row in range(0, len(samples), step))
