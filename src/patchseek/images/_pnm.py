"""PBM, PGM and PPM, plain and raw, as pixels. Pillow decodes most of them a sample at a time, in Python.

The formats are those of the Netpbm manual: "P" and a digit, width, height, the largest value (not for bitmaps), and
the samples from the top; # begins a comment in a header and in plain files.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ._pixels import Pixels, assembled, check_size, decoded_bytes, missing_rows, shrinking

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([1-6])" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{1,10})")
_LARGEST = re.compile(_GAP + rb"(\d{1,10})")
_COMMENT = re.compile(rb"#[^\r\n]*")
_BLOCK = re.compile(rb"(?s).{1,1048576}\d*\s*")  # some samples, none of them in part
_MAX_HEADER = 1 << 16
_BLANKS = b" \t\r\n\v\f"
_BAND_BYTES = 1 << 20

Samples = NDArray[Any]
"""(rows, width, 1 or 3), whole numbers."""


class Pnm:
    """One picture, the first of its file, of which only the header has been read."""

    orientation = 1
    hides_orientation = False

    def __init__(self, file: BinaryIO, label: str, max_pixels: int) -> None:
        """Raises ImageError for a header that makes no sense, and a picture too large, or too large for its file."""
        file.seek(0)
        head = file.read(_MAX_HEADER)
        said = _HEADER.match(head)
        if said is None:
            raise ImageError(label, "cannot be decoded: a PNM without a size")
        kind, self._start = int(said[1]), said.end()
        self.size = int(said[2]), int(said[3])
        check_size(self.size, label, max_pixels)
        self._is_bitmap, self._is_plain, self._n = kind in (1, 4), kind <= 3, 3 if kind in (3, 6) else 1
        self._top = 1
        if not self._is_bitmap:
            largest = _LARGEST.match(head, self._start)
            if largest is None or not 0 < int(largest[1]) < 65536:
                raise ImageError(label, "cannot be decoded: a PNM whose largest value is not between 1 and 65535")
            self._top, self._start = int(largest[1]), largest.end()
        self._table = ((np.arange(self._top + 1) * 510 + self._top) // (2 * self._top)).astype(np.uint8)
        self._file, self._label = file, label
        self._n_rows = self._rows_there()
        self._note = missing_rows(label, self.size[1], self.size[1] - self._n_rows)

    def memory(self, least: int | None) -> int:
        """Bytes that `decode` takes at the most, with its result."""
        n_bytes, n_samples = self._file.seek(0, 2), self.size[0] * self.size[1] * self._n
        samples = 3 * n_bytes + 4 * n_samples if self._is_plain else 0
        return decoded_bytes(self.size, shrinking(self.size, least), samples)

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The pixels, no side shrunk below `least`, and what is to be said of them.

        Raises ImageError where too little of it is there, ValueError for plain samples that are no numbers.
        """
        width, height = self.size
        note, bands = self._note, self._raw()
        if self._is_plain:
            samples = self._plain()
            n_rows = len(samples) // (width * self._n)
            note = missing_rows(self._label, height, height - n_rows)
            bands = iter([samples[: n_rows * width * self._n].reshape(n_rows, width, self._n)])
        return assembled(map(self._rgb, bands), self.size, shrinking(self.size, least)), note

    def _rows_there(self) -> int:
        """Rows that a raw file holds, and a plain one can hold at the most, at one digit and a blank a sample."""
        n_bytes = max(0, self._file.seek(0, 2) - self._start - 1)  # a blank stands after the header
        per_row = self._row_bytes
        if self._is_plain:
            per_row = self.size[0] * self._n * (1 if self._is_bitmap else 2) - 1
        return min(self.size[1], n_bytes // max(1, per_row))

    @property
    def _row_bytes(self) -> int:
        """Bytes of a raw row."""
        width = self.size[0]
        return (width + 7) // 8 if self._is_bitmap else width * self._n * (1 if self._top < 256 else 2)

    def _raw(self) -> Iterator[Samples]:
        """The samples of a raw file, some rows at a time."""
        width, step = self.size[0], max(1, _BAND_BYTES // self._row_bytes)
        self._file.seek(self._start + 1)
        for top in range(0, self._n_rows, step):
            rows = min(step, self._n_rows - top)
            content = np.frombuffer(self._file.read(rows * self._row_bytes), np.uint8).reshape(rows, -1)
            if self._is_bitmap:
                yield np.unpackbits(content, axis=1, count=width)[..., None]
            else:
                yield content.view(np.uint8 if self._top < 256 else ">u2").reshape(rows, width, self._n)

    def _plain(self) -> NDArray[np.uint16]:
        """The samples of a plain file, in their order; maybe fewer than there should be."""
        self._file.seek(self._start)
        content, n = _COMMENT.sub(b" ", self._file.read()), self.size[0] * self.size[1] * self._n
        if content.translate(None, _BLANKS + (b"01" if self._is_bitmap else b"0123456789")):
            raise ValueError("samples that are no numbers")
        if self._is_bitmap:  # whose digits need no blanks between them
            digits = np.frombuffer(content.translate(None, _BLANKS), np.uint8)[:n]
            return (digits - ord("0")).astype(np.uint16)
        found: list[NDArray[np.uint16]] = []
        place = 0
        while place < len(content) and sum(len(block) for block in found) < n:
            text = _BLOCK.match(content, place)[0]  # type: ignore[index]  # every text matches
            found.append(np.fromstring(text, np.int64, sep=" ").clip(0, 65535).astype(np.uint16))
            place += len(text)
        return np.concatenate([*found, np.empty(0, np.uint16)])[:n]

    def _rgb(self, samples: Samples) -> Pixels:
        grey = samples if self._top == 255 else self._table[np.minimum(samples, self._top)]
        return np.broadcast_to(255 - grey if self._is_bitmap else grey, (*samples.shape[:2], 3))
