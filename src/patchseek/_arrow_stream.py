"""Where the batches of an Arrow stream lie, by what each says of itself, so that one is read without those before it.

By the tables Message and RecordBatch of Arrow's Message.fbs, as FlatBuffers lays tables out. Decodes no batch.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

_MARK = b"\xff\xff\xff\xff"
# with which a message begins; the bytes of its header follow as a number
_MOST_HEADER = 16 << 20
# bytes of what a message says of itself
_BATCH = 3
# the kind of a message of rows


def read_head(file: BinaryIO) -> bytes:
    """The first message of a stream, which is its schema. Raises ValueError, OSError."""
    file.seek(0)
    begin = file.read(8)
    if not (n_header := _header_bytes(begin)):
        raise ValueError("it does not begin as an Arrow stream")
    return begin + file.read(n_header)


def batches(file: BinaryIO, at: int) -> Iterator[tuple[int, int, int]]:
    """Of each batch, where its message begins, how many bytes that has, and how many rows.

    at: the end of the first message. Raises ValueError for a stream that is damaged or has other messages, OSError.
    """
    end = file.seek(0, os.SEEK_END)
    while at < end:
        file.seek(at)
        begin = file.read(8)
        if begin == _MARK + bytes(4):
            return
        if not (n_header := _header_bytes(begin)):
            raise ValueError(f"no batch begins at byte {at}, where one should")
        try:
            n_rows, n_body = _batch(file.read(n_header))
        except (struct.error, IndexError, ValueError) as error:
            raise ValueError(f"what begins at byte {at} is no batch of rows") from error
        length = 8 + n_header + n_body
        if n_rows < 0 or n_body < 0 or at + length > end:
            raise ValueError(f"the batch at byte {at} is cut short")
        yield at, length, n_rows
        at += length


def _header_bytes(begin: bytes) -> int:
    """The bytes of a message's header; 0 where none begins."""
    if len(begin) != 8 or begin[:4] != _MARK:
        return 0
    n_bytes = int.from_bytes(begin[4:], "little")
    return n_bytes if n_bytes <= _MOST_HEADER else 0


def _batch(header: bytes) -> tuple[int, int]:
    """The rows of a batch, and the bytes of its body, which follow the header."""
    message = int(struct.unpack_from("<I", header)[0])
    kind, batch, body = _field(header, message, 1), _field(header, message, 2), _field(header, message, 3)
    if not (kind and batch) or header[kind] != _BATCH:
        raise ValueError("another kind of message")
    rows = _field(header, batch + int(struct.unpack_from("<I", header, batch)[0]), 0)
    return _number(header, rows), _number(header, body)


def _field(header: bytes, table: int, number: int) -> int:
    """Where a field of a table lies; 0 where the table has none."""
    slots = table - int(struct.unpack_from("<i", header, table)[0])
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", header, slots)[0]:
        return 0
    offset = int(struct.unpack_from("<H", header, slots + slot)[0])
    return table + offset if offset else 0


def _number(header: bytes, place: int) -> int:
    return int(struct.unpack_from("<q", header, place)[0]) if place else 0
