"""The part that a shard may have: the points of its pictures, any number of each. Does not know what a point says.

One file, two `.npy` blocks, one after the other: how many points each picture has, (n,) int32, -1 where nobody has
looked for any; and all points, picture after picture, (N, W) uint8.
"""

import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StoreDamaged
from ..points import PointsIdentity
from ._files import Part, require_size

Codes = NDArray[np.uint8]
"""(n, W) uint8: the points of one picture, as they are kept."""

POINTS = "points"
"""The kind of part that points are."""
_UNKNOWN = -1
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][iu][1248])', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}),(?: (\d{1,15}))?\), \} *\n",
    re.DOTALL,
)


def save_points(file: IO[bytes], points: Sequence[Codes | None], width: int) -> None:
    """Write the points of a shard's pictures, of so many bytes each, as a part's file. None: nobody has looked."""
    counts = np.array([_UNKNOWN if codes is None else len(codes) for codes in points], np.int32)
    known = [codes for codes in points if codes is not None]
    np.save(file, counts, allow_pickle=False)
    np.save(file, np.concatenate([np.empty((0, width), np.uint8), *known]), allow_pickle=False)


class PointsPart:
    """The points of one shard's pictures, mapped. The file is held open, and read where it is asked for."""

    def __init__(self, folder: Path, part: Part, n_images: int, width: int) -> None:
        """Raises StoreDamaged when the size is off, FileNotFoundError."""
        self._path, self._n_images, self._width = folder / part.file, n_images, width
        require_size(folder, part)
        try:
            with self._path.open("rb") as file:
                self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise self._damaged(str(error)) from error

    def __getitem__(self, slot: int) -> Codes | None:
        """The points (n, W) uint8 of the picture in a slot, not copied. Raises StoreDamaged where the file has none."""
        _, starts, codes = self._opened
        return codes[starts[slot] : starts[slot + 1]] if self.known[slot] else None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which pictures (n,) points were looked for in, whether or not any were found. Raises StoreDamaged."""
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[NDArray[np.bool_], NDArray[np.int64], Codes]:
        """known (n,), where each picture's points begin (n + 1,), all points (N, W)."""
        try:
            counts, end = _block(self._content, 0)
            codes, end = _block(self._content, end)
        except ValueError as error:
            raise self._damaged(str(error)) from error
        if counts.dtype != np.int32 or counts.shape != (self._n_images,) or counts.min(initial=0) < _UNKNOWN:
            raise self._damaged(f"counts of {counts.shape} {counts.dtype} from {counts.min(initial=0)}")
        starts = np.concatenate([[0], np.cumsum(np.maximum(counts, 0), dtype=np.int64)])
        expected = int(starts[-1]), self._width
        if codes.dtype != np.uint8 or codes.shape != expected or end != len(self._content):
            raise self._damaged(f"points of {codes.shape} {codes.dtype}, {expected} expected")
        return counts >= 0, starts, codes

    def announce(self, slot: int | None = None) -> None:
        """Say that the points in a slot, or else the headers, are read next, so that a disk begins with all of them.

        One after another, those of 500 pictures in as many places take seconds on a disk that has read none of them.
        """
        if slot is not None:
            _, starts, codes = self._opened
            begin = len(self._content) - codes.nbytes
            self._announce(*(begin + self._width * starts[slot : slot + 2]).tolist())
        elif "_opened" not in vars(self):
            self._announce(0, 1)

    def _announce(self, first: int, last: int) -> None:
        if last > first and hasattr(mmap, "MADV_WILLNEED"):  # not on Windows
            first -= first % mmap.PAGESIZE
            self._content.madvise(mmap.MADV_WILLNEED, first, last - first)

    def _damaged(self, why: str) -> StoreDamaged:
        return StoreDamaged(f"{self._path}: cannot be read as points ({why}); run: patchseek verify --repair")


def _block(content: mmap.mmap, start: int) -> tuple[NDArray[Any], int]:
    """The `.npy` block that begins at a byte, not copied, and where it ends. Raises ValueError for anything else.

    A search comes by hundreds of files, and numpy takes a tenth of a millisecond to read what this reads in some
    microseconds: a header as `np.save` writes it.
    """
    header = _HEADER.match(content, start)
    if header is None:
        raise ValueError("no array where one should begin")
    length, kind, *sides = header.groups()
    shape = tuple(int(side) for side in sides if side)
    first, n_items = start + 10 + int.from_bytes(length, "little"), prod(shape)
    values = np.frombuffer(content, np.dtype(kind.decode()), n_items, first) if n_items else np.empty(0, kind.decode())
    return values.reshape(shape), first + values.nbytes


@dataclass(frozen=True)
class StoredPoints:
    """The points of every slot of every shard at one moment."""

    identity: PointsIdentity
    parts: Sequence[PointsPart | None]
    # one a shard, None where it has no such part
    starts: NDArray[np.int64]
    # (shards + 1,) position of each shard's first slot

    def at(self, positions: NDArray[np.int64]) -> list[Codes | None]:
        """The points (n_i, W) uint8 of each position (n,), not copied; None where nobody has looked for any."""
        shard_of = np.searchsorted(self.starts, positions, side="right") - 1
        slots = (positions - self.starts[shard_of]).tolist()
        places = [(self.parts[shard], slot) for shard, slot in zip(shard_of.tolist(), slots, strict=True)]
        for shard in np.unique(shard_of).tolist():
            if (part := self.parts[shard]) is not None:
                part.announce()
        for part, slot in places:
            if part is not None:
                part.announce(slot)
        return [None if part is None else part[slot] for part, slot in places]

    def known(self) -> NDArray[np.bool_]:
        """Which positions (N,) were looked at for points."""
        sizes = np.diff(self.starts).tolist()
        known = [np.zeros(n, bool) if part is None else part.known for part, n in zip(self.parts, sizes, strict=True)]
        return np.concatenate([np.empty(0, bool), *known])


def open_points(folder: Path, kept: Sequence[tuple[Part | None, int]], identity: PointsIdentity) -> StoredPoints:
    """The points of shards, of each its part and its number of slots. Raises StoreDamaged, FileNotFoundError."""
    parts = [None if part is None else PointsPart(folder, part, n, identity.n_bytes) for part, n in kept]
    return StoredPoints(identity, parts, np.cumsum([0, *(n for _, n in kept)], dtype=np.int64))
