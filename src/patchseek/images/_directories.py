"""The directories of a TIFF: which of them are pages, where, and what their tags say. Decodes no pixel.

TIFF 6.0, section 2, and BigTIFF: a directory is a number of entries, the entries (tag, type, count, value or its
place), and the place of the next directory. Readers that know no pages take the first.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGICS = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
MAX_PAGES = 10_000
"""Directories that are looked at in one file."""

_WIDTH, _LENGTH = 256, 257
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: a smaller version of another page; its transparency
_OLD_REDUCED = 2  # the SubfileType of TIFF 5 for the same
_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8"}
_TYPES |= {13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_RATIONALS = (5, 10)  # two numbers each


@dataclass(frozen=True)
class Directory:
    """One directory. Values are read from the file when they are asked for."""

    file: BinaryIO
    place: int
    # where it stands in the file
    size: int
    # bytes of the file
    order: str
    # of bytes: "<" or ">"
    entries: dict[int, tuple[int, int, bytes]]
    # tag -> (type, count, value or its place)

    def values(self, tag: int, most: int | None = None) -> NDArray[Any]:
        """The values of a tag, the first `most` of them at the most; rationals as float64.

        Empty where the tag is missing, is of a type that is no number, or lies beyond the end of the file.
        """
        kind, n, inside = self.entries.get(tag, (0, 0, b""))
        if kind not in _TYPES:
            return np.empty(0, np.uint8)
        dtype = np.dtype(self.order + _TYPES[kind])
        per_value = dtype.itemsize * (2 if kind in _RATIONALS else 1)
        if n * per_value > len(inside):
            place = int.from_bytes(inside, "little" if self.order == "<" else "big")
            if place + n * per_value > self.size:
                return np.empty(0, np.uint8)
            self.file.seek(place)
            inside = self.file.read(per_value * (n if most is None else min(n, most)))
        values: NDArray[Any] = np.frombuffer(inside[: per_value * (n if most is None else min(n, most))], dtype)
        if kind in _RATIONALS:
            values = values[::2] / np.maximum(values[1::2], 1)
        return values.astype(values.dtype.newbyteorder("="))

    def value(self, tag: int, default: int) -> int:
        """The first value of a tag as a whole number; the default where there is none."""
        values = self.values(tag, most=1)
        return int(values[0]) if len(values) and values.dtype.kind != "f" else default

    @property
    def is_page(self) -> bool:
        """Whether it is a picture, and no smaller version or mask of another."""
        if _WIDTH not in self.entries or _LENGTH not in self.entries:
            return False
        return (
            not self.value(_NEW_SUBFILE_TYPE, 0) & (_REDUCED | _MASK) and self.value(_SUBFILE_TYPE, 0) != _OLD_REDUCED
        )


def count(file: BinaryIO) -> int:
    """How many pages a TIFF has, at least 1: where all are smaller versions or masks, the first is its picture.

    What comes after a directory that is broken, or points back to an earlier one, is not looked for.
    """
    return max(1, sum(directory.is_page for directory in _directories(file)))


def find(file: BinaryIO, page: int) -> Directory | None:
    """The directory of a page (from 1); None where there is no such page."""
    first, n_seen = None, 0
    for directory in _directories(file):
        first = first or directory
        n_seen += directory.is_page
        if directory.is_page and n_seen == page:
            return directory
    return first if page == 1 else None


def _directories(file: BinaryIO) -> Iterator[Directory]:
    """Every directory that can be read, in the order of the chain."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    if not head.startswith(MAGICS):
        return
    order, is_big = "<" if head[:2] == b"II" else ">", b"\x2b" in head[2:4]
    count_format, place_format, entry = ("Q", "Q", "HHQ8s") if is_big else ("H", "I", "HHI4s")
    place = struct.unpack_from(order + place_format, head, 8 if is_big else 4)[0]
    n_bytes, seen = 0, set[int]()
    while place and place not in seen and len(seen) < MAX_PAGES:
        seen.add(place)
        here = place
        file.seek(min(place, size))
        n_entries = _unpack(order + count_format, file.read(struct.calcsize(order + count_format)))
        length = n_entries * struct.calcsize(order + entry)
        n_bytes += length
        if not length or n_bytes > size:  # directories do not overlap: more of them than the file is long are made up
            return
        entries = file.read(length)
        place = _unpack(order + place_format, file.read(struct.calcsize(order + place_format)))
        if len(entries) < length:
            return
        found = {tag: (kind, n, value) for tag, kind, n, value in struct.iter_unpack(order + entry, entries)}
        yield Directory(file, here, size, order, found)


def _unpack(pattern: str, content: bytes) -> int:
    """The number; 0 where there are too few bytes."""
    return int(struct.unpack(pattern, content)[0]) if len(content) == struct.calcsize(pattern) else 0
