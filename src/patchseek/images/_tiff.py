"""A page of a TIFF as pixels: every layout that `_layout` lets in, whatever Pillow makes of it."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from ..errors import ImageError
from . import _bands, _directories
from ._colours import Colours
from ._layout import layout_of
from ._pixels import Pixels, assembled, check_size, missing_rows, shrinking


class Tiff:
    """One page, of which only the tags have been read."""

    def __init__(self, file: BinaryIO, label: str, page: int, max_pixels: int) -> None:
        """Raises ImageError for a page that is not there, too large, or laid out in a way that is not read."""
        directory = _directories.find(file, page)
        if directory is None and page == 1:
            raise ImageError(label, "cannot be decoded: a TIFF without a directory")
        if directory is None:
            raise ImageError(label, f"has no page {page}, only {_directories.count(file)}")
        self.size = directory.value(256, 0), directory.value(257, 0)
        check_size(self.size, label, max_pixels)
        self._file, self._label, self._directory = file, label, directory
        self._layout = layout_of(directory, label)
        self.orientation = self._layout.orientation

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The pixels as stored, no side shrunk below `least`, and what is to be said of them.

        Raises ImageError where too little of it is there, OSError where it is damaged.
        """
        n_rows = self._layout.rows_in(self._directory.size)
        note = missing_rows(self._label, self._layout.height, self._layout.height - n_rows)
        return assembled(self._rgb(n_rows), self.size, shrinking(self.size, least)), note

    def _rgb(self, n_rows: int) -> Iterator[Pixels]:
        """Bands of rows in RGB, from the top."""
        if not self._layout.is_bytes:
            for image in _bands.pictures(self._file, self._layout, self._directory, n_rows):
                yield np.asarray(image.convert("RGB"))
            return
        colours = Colours(self._layout, self._directory, lambda: self._extremes(n_rows))
        for samples in _bands.bands(self._file, self._layout, n_rows):
            yield colours.rgb(samples)

    def _extremes(self, n_rows: int) -> tuple[float, float]:
        """The least and the greatest finite colour; 0 and 1 where there is none."""
        low, high = np.inf, -np.inf
        for samples in _bands.bands(self._file, self._layout, n_rows):
            colours = samples[..., : self._layout.n_colours]
            finite = colours[np.isfinite(colours)] if self._layout.kind == "f" else colours
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return (low, high) if low <= high else (0.0, 1.0)
