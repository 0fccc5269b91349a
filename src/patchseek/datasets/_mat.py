"""Cells, structs, texts and numbers of a MATLAB file, without MATLAB or SciPy. Reads no more than ground truths need.

Format: MAT-file level 5, as documented by MathWorks ("MAT-File Format"). A file is a header of 128 bytes and data
elements: a tag of 8 bytes (type, number of bytes), then the bytes, padded to a multiple of 8. Not read: version 4,
version 7.3 (which is HDF5), sparse matrices, objects; of complex numbers the real part.
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from ..errors import DatasetError

MAX_BYTES = 32 << 20
# of all variables once unpacked; the ground truths known to us have less than one megabyte
MAX_DEPTH = 20
# of cells in cells
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# type of element -> NumPy's name
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
# type of element -> encoding of characters; 4 are MATLAB's own 16-bit ones
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR = 1, 2, 4


class _Malformed(Exception):
    """What is wrong with the bytes."""


def read_mat(data: bytes, source: object) -> dict[str, Any]:
    """Variable name -> value of the bytes of a MAT-file; source is what errors name.

    A cell array becomes a list, a struct array a list of dicts, a character array a str, a number array a list of
    numbers, each in MATLAB's order, column by column, whatever its shape: one number is a list of one, and one struct.
    """
    if b"MATLAB 7.3" in data[:116]:
        raise DatasetError(f"{source}: a MATLAB file of version 7.3; save it again with: save -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise DatasetError(f"{source}: not a MATLAB file of version 5 to 7.2")
    reader = _Reader(order)
    variables: dict[str, Any] = {}
    room = MAX_BYTES
    try:
        for kind, body in reader.elements(data[128:]):
            if kind == COMPRESSED:
                kind, body = next(reader.elements(_inflate(body)))
            room -= len(body)
            if room < 0:
                raise _Malformed(f"more than {MAX_BYTES} bytes once unpacked")
            if kind != MATRIX:
                raise _Malformed(f"an element of type {kind} where a matrix should be")
            name, value = reader.matrix(body)
            variables[name] = value
    except (
        _Malformed,
        zlib.error,
        struct.error,
        ValueError,
        TypeError,
        LookupError,
        StopIteration,
        OverflowError,
    ) as e:
        raise DatasetError(f"{source}: damaged or not supported ({e})") from e
    return variables


def _inflate(body: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(body, MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise _Malformed(f"more than {MAX_BYTES} bytes once unpacked")
    return plain


class _Reader:
    """Reads elements of one byte order, "<" or ">"."""

    def __init__(self, order: str) -> None:
        self._order = order

    def elements(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(type, bytes) of the elements that follow each other in data."""
        at = 0
        while at + 8 <= len(data):
            kind, size = struct.unpack_from(f"{self._order}II", data, at)
            if kind >> 16:  # a small element: size and type in one word, then up to four bytes
                kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
                if size > 4:
                    raise _Malformed("a small element of more than 4 bytes")
            else:
                start = at + 8
                end = start + size + (-size % 8 if kind != COMPRESSED else 0)
            if start + size > len(data):
                raise _Malformed("the file ends early")
            yield kind, data[start : start + size]
            at = end

    def matrix(self, body: bytes, depth: int = 0) -> tuple[str, Any]:
        """Name and value of a matrix: array flags, dimensions, name, then what its class asks for."""
        if not body:
            return "", []
        if depth > MAX_DEPTH:
            raise _Malformed(f"cells nested more than {MAX_DEPTH} deep")
        elements = self.elements(body)
        flags, dimensions = self._numbers(*next(elements)), self._numbers(*next(elements))
        name = next(elements)[1].decode("latin-1")
        kind, n = int(flags[0]) & 0xFF, int(prod(dimensions))
        if kind == CELL:
            return name, self._matrices(elements, n, depth)
        if kind == STRUCT:
            (length,), names = self._numbers(*next(elements)), next(elements)[1].decode("latin-1")
            fields = [names[i : i + length].split("\0")[0] for i in range(0, len(names), max(int(length), 1))]
            values = self._matrices(elements, n * len(fields), depth)
            step = max(len(fields), 1)
            return name, [dict(zip(fields, values[i : i + step], strict=True)) for i in range(0, len(values), step)]
        if kind == CHAR:
            return name, self._text(*next(elements, (1, b"")))
        if 6 <= kind <= 15:
            return name, self._numbers(*next(elements, (9, b"")))
        raise _Malformed(f"a matrix of class {kind}")

    def _matrices(self, elements: Iterator[tuple[int, bytes]], n: int, depth: int) -> list[Any]:
        values = [self.matrix(body, depth + 1)[1] for kind, body in islice(elements, max(n, 0)) if kind == MATRIX]
        if len(values) != n:
            raise _Malformed(f"{len(values)} cells where {n} should be")
        return values

    def _numbers(self, kind: int, body: bytes) -> list[Any]:
        if kind not in NUMBERS:
            raise _Malformed(f"numbers of type {kind}")
        numbers: list[Any] = np.frombuffer(body, np.dtype(NUMBERS[kind]).newbyteorder(self._order)).tolist()  # type: ignore[arg-type]
        return numbers

    def _text(self, kind: int, body: bytes) -> str:
        if kind not in TEXTS:
            raise _Malformed(f"text of type {kind}")
        wide = TEXTS[kind] in ("utf-16", "utf-32")
        return body.decode(TEXTS[kind] + ({"<": "-le", ">": "-be"}[self._order] if wide else ""))
