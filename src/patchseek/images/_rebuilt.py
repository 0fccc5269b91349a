"""A TIFF written anew from chunks of another one, so that libtiff unpacks these and nothing else."""

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

_TYPES = {"u1": 7, "u2": 3, "u4": 4, "u8": 16, "i1": 6, "i2": 8, "i4": 9, "i8": 17, "f4": 11, "f8": 12}


class _Rebuilt(TiffImagePlugin.TiffImageFile):
    """Makes room for its pixels before Pillow would, whose check warns from 89 megapixels and refuses from 179."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class _AsStored(_Rebuilt):
    """Is not turned upright."""

    def _setup(self) -> None:
        super()._setup()
        self._size = self._tile_size

    def load_end(self) -> None:
        """Pillow would turn it here."""


def in_place(content: bytes, order: str, place: int) -> Image.Image:
    """The picture of the page of a TIFF whose directory stands at a place, as stored. Raises OSError for damage."""
    first = bytearray(content)  # a copy that begins with it: libtiff wants to understand the first one as well
    big = content[2:4] in (b"\x2b\0", b"\0\x2b")
    struct.pack_into(order + ("Q" if big else "I"), first, 8 if big else 4, place)
    image = _AsStored(BytesIO(first), "")
    image.load()
    return image


def rebuilt(tags: Mapping[int, int | NDArray[Any]], chunks: list[bytes], shape: int | tuple[int, int]) -> Image.Image:
    """The picture of some chunks. shape: the rows of each strip, or the width and height of each tile.

    Raises OSError for damaged data.
    """
    image = _Rebuilt(BytesIO(_written(tags, chunks, shape)), "")
    image.load()
    return image


def _written(tags: Mapping[int, int | NDArray[Any]], chunks: list[bytes], shape: int | tuple[int, int]) -> bytes:
    counts = np.array([len(chunk) for chunk in chunks], np.uint32)
    starts = (np.cumsum(counts) - counts).astype(np.uint32)
    if isinstance(shape, int):
        every = {**tags, 278: shape, 273: starts, 279: counts}
    else:
        every = {**tags, 322: shape[0], 323: shape[1], 324: starts, 325: counts}
    values = {tag: np.atleast_1d(np.asarray(every[tag])) for tag in sorted(every)}
    values = {tag: v.astype(np.uint32) if isinstance(every[tag], int) else v for tag, v in values.items()}
    after = 8 + 2 + 12 * len(values) + 4
    first_chunk = after + sum(v.nbytes + v.nbytes % 2 for v in values.values() if v.nbytes > 4)
    values[273 if isinstance(shape, int) else 324] = starts + np.uint32(first_chunk)
    entries, outside = [], []
    for tag, v in values.items():
        content = v.astype(v.dtype.newbyteorder("<")).tobytes()
        inside = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack("<I", after)
        if len(content) > 4:
            outside.append(content + bytes(len(content) % 2))
            after += len(outside[-1])
        entries.append(struct.pack("<HHI", tag, _TYPES[v.dtype.str[1:]], len(v)) + inside)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return b"".join([head, *entries, bytes(4), *outside, *chunks])
