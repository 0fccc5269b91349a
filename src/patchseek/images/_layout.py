"""How a page of a TIFF lays out its pixels. Reads no tags and no pixels.

TIFF 6.0, its technical notes on predictor 3 and on JPEG, and BigTIFF.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
"""Values of PhotometricInterpretation that are read."""

RAW, LZW, PACKBITS, OLD_JPEG, JPEG = 1, 5, 32773, 6, 7
"""Values of Compression."""
PREDICTED = {LZW: "LZW", 8: "deflate", 32946: "deflate", 34925: "LZMA", 50000: "Zstandard"}
"""Compressions of bytes that may have been made differences before."""
BYTES = {**PREDICTED, PACKBITS: "PackBits"}
"""Compressions of bytes, whatever they mean."""
PIXELS = {2: "CCITT", 3: "fax", 4: "fax", OLD_JPEG: "old-style JPEG", JPEG: "JPEG"}
"""Compressions of pixels."""


@dataclass(frozen=True)
class Layout:
    """Where the samples of a page are and what they mean. A chunk is a strip or a tile."""

    width: int
    height: int
    photometric: int
    n_colours: int
    n_samples: int
    # colours, transparency, and what is not shown
    alpha: int | None
    # which sample is the transparency
    is_premultiplied: bool
    bits: int
    # of a sample
    kind: str
    # of a sample: "u" whole, "i" whole with a sign, "f" floating
    order: str
    # of bytes: "<" or ">"
    compression: int
    predictor: int
    # 1 none, 2 differences of whole numbers, 3 of floating ones
    is_reversed: bool
    # whether the bits of each byte are
    is_separate: bool
    # whether each sample has chunks of its own
    is_tiled: bool
    chunk_width: int
    chunk_height: int
    subsampling: tuple[int, int]
    # of the colours of YCbCr: pixels across and down that share them
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    # bytes of each chunk in the file
    orientation: int

    @property
    def is_bytes(self) -> bool:
        """Whether chunks unpack to bytes of samples; those of JPEG and fax are pictures."""
        return self.compression not in PIXELS

    @property
    def n_planes(self) -> int:
        """Sets of chunks, one after another."""
        return self.n_samples if self.is_separate else 1

    @property
    def across(self) -> int:
        """Chunks side by side."""
        return ceil(self.width / self.chunk_width)

    @property
    def down(self) -> int:
        """Chunks one below another."""
        return ceil(self.height / self.chunk_height)

    @property
    def line_bytes(self) -> int:
        """Bytes of a line of a chunk once it is unpacked; a line is a row, or the rows that share their colours."""
        if self.subsampling != (1, 1):
            x, y = self.subsampling
            return ceil(self.chunk_width / x) * (x * y + 2)
        return ceil(self.chunk_width * (1 if self.is_separate else self.n_samples) * self.bits / 8)

    def n_lines(self, n_rows: int) -> int:
        """Lines that hold so many rows."""
        return ceil(n_rows / self.subsampling[1])

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a full chunk once it is unpacked."""
        return self.line_bytes * self.n_lines(self.chunk_height)

    def rows_in(self, n_bytes: int) -> int:
        """How many rows, from the top, a file of n_bytes holds for sure; all planes count."""
        if self.compression == OLD_JPEG:
            return self.height
        n_chunks = self.n_planes * self.down * self.across
        offsets, counts = self.offsets[:n_chunks], self.counts[:n_chunks]
        is_there = np.zeros(n_chunks, bool)
        is_there[: len(offsets)] = (offsets > 0) & (counts > 0) & (counts <= n_bytes - offsets)
        rows = is_there.reshape(self.n_planes, self.down, self.across).all(axis=2).all(axis=0)
        if rows.all():
            return self.height
        gap = int(rows.argmin())
        rest = 0
        if self.compression == RAW and not self.is_tiled and self.n_planes == 1 and gap < len(offsets):
            rest = max(0, n_bytes - int(offsets[gap])) // self.line_bytes * self.subsampling[1]
        return min(self.height, gap * self.chunk_height + rest)
