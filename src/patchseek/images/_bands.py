"""The samples of a TIFF, some rows at a time. Knows no colours.

Uncompressed bytes are read as they stand. Compressed ones are handed to libtiff, through Pillow, as the pixels of a
grey picture: the compression is all that it undoes. What the bytes mean is decided here, so that every layout is read.
Only where a compression is one of pixels, such as JPEG, does libtiff make the picture.
"""

from collections.abc import Iterator
from math import lcm
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ._directories import Directory
from ._layout import BLACK_IS_ZERO, OLD_JPEG, RAW, Layout
from ._pixels import as_array
from ._rebuilt import in_place, rebuilt

BAND_BYTES = 4 << 20
"""Unpacked bytes that are held at once, where the chunks of a file are not larger."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# tags of JPEG and fax that are handed on: their options and tables, and how YCbCr is meant
_HANDED_ON = (266, 292, 293, 347, 529, 530, 531, 532)

Samples = NDArray[Any]
"""(rows, width, samples), whole or floating numbers in the byte order of this machine."""


def bands(file: BinaryIO, layout: Layout, n_rows: int) -> Iterator[Samples]:
    """The samples of the first n_rows rows, from the top. Raises OSError for damaged data."""
    for first, last in _steps(layout, n_rows):
        planes = [_plane(file, layout, plane, first, last) for plane in range(layout.n_planes)]
        samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        yield samples[: n_rows - first * layout.chunk_height]


def pictures(file: BinaryIO, layout: Layout, directory: Directory, n_rows: int) -> Iterator[Image.Image]:
    """The first n_rows rows as pictures, from the top, where libtiff makes the pixels. Raises OSError for damage."""
    if layout.compression == OLD_JPEG:  # whose tables and strips may stand anywhere
        file.seek(0)
        image = in_place(file.read(), directory.order, directory.place)
        if image.size != (layout.width, layout.height):
            raise OSError("its tags and its JPEG differ in size")
        yield image
        return
    handed_on = {tag: values for tag in _HANDED_ON if len(values := directory.values(tag))}
    for first, last in _steps(layout, n_rows):
        starts = [(plane * layout.down + first) * layout.across for plane in range(layout.n_planes)]
        n_chunks = (last - first) * layout.across
        chunks = [chunk for start in starts for chunk in _packed(file, layout, start, start + n_chunks)]
        height = min(last * layout.chunk_height, layout.height) - first * layout.chunk_height
        image = rebuilt(
            {
                **handed_on,
                256: layout.width,
                257: height,
                258: np.full(layout.n_samples, layout.bits, np.uint16),
                259: layout.compression,
                262: layout.photometric,
                277: layout.n_samples,
                284: 2 if layout.is_separate else 1,
            },
            chunks,
            (layout.chunk_width, layout.chunk_height) if layout.is_tiled else layout.chunk_height,
        )
        n_left = n_rows - first * layout.chunk_height
        yield image if n_left >= image.height else image.crop((0, 0, image.width, n_left))


def memory(layout: Layout, n_file: int) -> int:
    """Bytes that a band takes at the most, on its way from a file of n_file bytes to samples or pictures."""
    if layout.compression == OLD_JPEG:
        return 3 * n_file + 8 * layout.width * layout.height
    chunk_row = layout.chunk_bytes * layout.across * layout.n_planes
    n_bytes = min(max(BAND_BYTES, chunk_row), chunk_row * layout.down)
    packed = 0 if layout.compression == RAW else int(layout.counts.clip(0).max()) * layout.across * layout.n_planes
    n_samples = n_bytes * 8 // layout.bits
    if not layout.is_bytes:  # four bytes a pixel of a picture, and a row of chunks beside it
        return 2 * n_bytes + 4 * n_samples // (layout.n_samples if layout.bits == 8 else 1) + 3 * packed
    return 3 * n_bytes + 3 * packed + (12 * n_samples if layout.bits % 8 else 0)


def _steps(layout: Layout, n_rows: int) -> Iterator[tuple[int, int]]:
    """Which rows of chunks (first, last, exclusive) are read at once."""
    at_once = max(1, BAND_BYTES // (layout.chunk_bytes * layout.across * layout.n_planes))
    n_chunks = -(-n_rows // layout.chunk_height)
    for first in range(0, n_chunks, at_once):
        yield first, min(first + at_once, n_chunks)


def _plane(file: BinaryIO, layout: Layout, plane: int, first: int, last: int) -> Samples:
    """The samples (rows, width, n) of a plane, of its chunks from the first row of them up to the last, exclusive."""
    start = (plane * layout.down + first) * layout.across
    lines = _unpacked(file, layout, start, start + (last - first) * layout.across)
    chunks = _subsampled(lines, layout) if layout.subsampling != (1, 1) else _samples(lines, layout)
    n = chunks.shape[-1]
    grid = chunks[:, : layout.chunk_height].reshape(last - first, layout.across, layout.chunk_height, -1, n)
    return grid.swapaxes(1, 2).reshape(-1, grid.shape[3] * layout.across, n)[:, : layout.width]


def _unpacked(file: BinaryIO, layout: Layout, start: int, stop: int) -> NDArray[np.uint8]:
    """The bytes (chunks, lines, line_bytes) of some chunks; the last strip of a picture may end in lines of zeros."""
    chunks, n_lines = stop - start, layout.n_lines(layout.chunk_height)
    packed = _packed(file, layout, start, stop)
    if layout.compression == RAW:
        flat = np.frombuffer(b"".join(packed), np.uint8)
    else:
        height = chunks * n_lines
        if not layout.is_tiled and stop % layout.down == 0:
            height -= n_lines - layout.n_lines(layout.height - (layout.down - 1) * layout.chunk_height)
        tags = {256: layout.line_bytes, 257: height, 258: 8, 259: layout.compression, 262: BLACK_IS_ZERO, 277: 1}
        flat = as_array(rebuilt(tags, packed, n_lines)).reshape(-1)
    n_missing = chunks * n_lines * layout.line_bytes - flat.size
    whole = np.concatenate([flat, np.zeros(n_missing, np.uint8)]) if n_missing else flat
    return whole.reshape(chunks, n_lines, layout.line_bytes)


def _packed(file: BinaryIO, layout: Layout, start: int, stop: int) -> list[bytes]:
    """The bytes of some chunks as they are in the file; of uncompressed ones that follow each other, of all in one."""
    offsets, counts = layout.offsets[start:stop], layout.counts[start:stop]
    if layout.compression == RAW and (offsets[1:] == offsets[:-1] + counts[:-1]).all():
        offsets, counts = offsets[:1], counts.sum(keepdims=True)
    packed = []
    for offset, n_bytes in zip(offsets.tolist(), counts.tolist(), strict=True):
        file.seek(offset)
        chunk = file.read(n_bytes)
        if len(chunk) < n_bytes:
            if layout.compression != RAW:
                raise OSError("its pixels end too early")
            chunk = chunk.ljust(n_bytes, b"\0")  # the last rows that are there may end within a strip
        packed.append(chunk)
    reverse = layout.is_reversed and layout.is_bytes
    return [chunk.translate(_REVERSED) for chunk in packed] if reverse else packed


# ---- from bytes to samples


def _samples(lines: NDArray[np.uint8], layout: Layout) -> Samples:
    """The samples (chunks, rows, chunk_width, n) that unpacked bytes (chunks, rows, line_bytes) hold."""
    n = 1 if layout.is_separate else layout.n_samples
    shape = (*lines.shape[:2], layout.chunk_width, n)
    if layout.bits % 8:
        return _from_bits(lines, layout.bits, layout.chunk_width * n).reshape(shape)
    order = layout.order
    if layout.predictor == 3:
        lines, order = _floats_undone(lines, layout.bits // 8, n), ">"
    values = np.ascontiguousarray(lines).view(f"{order}u{layout.bits // 8}").reshape(shape)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if layout.predictor == 2:
        values = np.cumsum(values, axis=2, dtype=values.dtype)
    return values.view(f"{layout.kind}{layout.bits // 8}")


def _from_bits(lines: NDArray[np.uint8], bits: int, n: int) -> NDArray[np.uint16]:
    """The first n numbers of so many bits, up to 15, in each line (..., bytes), the highest bit first."""
    period = lcm(bits, 8) // bits  # numbers until one begins with a byte again
    n_periods = -(-n // period)
    room = np.zeros((*lines.shape[:-1], n_periods * period * bits // 8), np.uint8)
    room[..., : lines.shape[-1]] = lines[..., : room.shape[-1]]
    room = room.reshape(*lines.shape[:-1], n_periods, -1)
    numbers = np.empty((*room.shape[:-1], period), np.uint16)
    for i in range(period):
        first, skipped = divmod(i * bits, 8)
        window = np.zeros(room.shape[:-1], np.uint32)  # the three bytes that hold it
        for byte in range(first, min(first + 3, room.shape[-1])):
            window |= room[..., byte].astype(np.uint32) << (16 - 8 * (byte - first))
        numbers[..., i] = window >> (24 - skipped - bits) & ((1 << bits) - 1)
    return numbers.reshape(*lines.shape[:-1], -1)[..., :n]


def _floats_undone(lines: NDArray[np.uint8], size: int, n: int) -> NDArray[np.uint8]:
    """Predictor 3 undone: bytes of floating numbers, highest byte first, from differences of sorted bytes."""
    summed = np.cumsum(lines.reshape(*lines.shape[:2], -1, n), axis=2, dtype=np.uint8)
    return summed.reshape(*lines.shape[:2], size, -1).swapaxes(2, 3).reshape(lines.shape)


def _subsampled(lines: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """YCbCr (chunks, rows, width, 3) from units of x * y brightnesses and the two colours that they share."""
    x, y = layout.subsampling
    units = lines.reshape(*lines.shape[:2], -1, x * y + 2)
    bright = units[..., : x * y].reshape(*units.shape[:3], y, x).swapaxes(2, 3)
    bright = bright.reshape(lines.shape[0], lines.shape[1] * y, -1)
    shared = [units[..., x * y + i].repeat(y, axis=1).repeat(x, axis=2) for i in range(2)]
    return np.stack([bright, *shared], axis=-1)[:, :, : layout.chunk_width]
