"""The pages of a TIFF: which directories of its chain hold one, and where. Decodes nothing.

TIFF 6.0, section 2, and BigTIFF: a directory is a number of entries, the entries (tag, type, count, value), and the
place of the next directory. Readers that know no pages take the first.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_PAGES = 10_000
"""Directories that are looked at in one file."""

_WIDTH, _LENGTH = 256, 257
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: a smaller version of another page; its transparency
_OLD_REDUCED = 2  # the SubfileType of TIFF 5 for the same


def pages(file: BinaryIO) -> list[int]:
    """Where the directories of a TIFF's pages stand, in their order; empty for what is no TIFF or has none.

    A smaller version or a mask of another page is no page. What comes after a directory that is broken, or points back
    to an earlier one, is not looked for.
    """
    kept: list[int] = []
    for offset, is_page in _directories(file):
        if is_page:
            kept.append(offset)
    return kept


def page_at(file: BinaryIO, page: int) -> int | None:
    """Where the directory of a page (from 1) stands; None where there is no such page."""
    n_seen = 0
    for offset, is_page in _directories(file):
        n_seen += is_page
        if n_seen == page:
            return offset
    return None


def _directories(file: BinaryIO) -> Iterator[tuple[int, bool]]:
    """(offset, whether it is a page) of every directory that can be read, in the order of the chain."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    if big and len(head) < 16:
        return
    count_format, place_format, entry = (order + "Q", order + "Q", 20) if big else (order + "H", order + "I", 12)
    offset = struct.unpack_from(place_format, head, 8 if big else 4)[0]
    seen: set[int] = set()
    n_bytes = 0
    while offset and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        file.seek(min(offset, size))
        count_bytes = file.read(struct.calcsize(count_format))
        if len(count_bytes) < struct.calcsize(count_format):
            return
        length = struct.unpack(count_format, count_bytes)[0] * entry
        n_bytes += length
        if n_bytes > size:  # directories do not overlap: more of them than the file is long are made up
            return
        entries = file.read(length)
        place = file.read(struct.calcsize(place_format))
        if len(entries) < length:
            return
        yield offset, _is_page(entries, order, entry)
        offset = struct.unpack(place_format, place)[0] if len(place) == struct.calcsize(place_format) else 0


def _is_page(entries: bytes, order: str, entry: int) -> bool:
    """Whether a directory's entries are those of a picture that is no smaller version or mask of another."""
    value_at = entry - (8 if entry == 20 else 4)
    found = {
        tag: (kind, at)
        for at in range(0, len(entries), entry)
        for tag, kind in [struct.unpack_from(order + "HH", entries, at)]
    }
    if _WIDTH not in found or _LENGTH not in found:
        return False

    def value(tag: int) -> int:
        if tag not in found:
            return 0
        kind, at = found[tag]
        return int(struct.unpack_from(order + {3: "H", 4: "I"}.get(kind, "B"), entries, at + value_at)[0])

    return not value(_NEW_SUBFILE_TYPE) & (_REDUCED | _MASK) and value(_SUBFILE_TYPE) != _OLD_REDUCED
