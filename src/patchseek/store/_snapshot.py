"""A collection's vectors and points at one moment, memory-mapped. The read side of the store; changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..points import POINT_BYTES, PointsIdentity
from ._features import Half
from ._points import Codes, StoredPoints

_GAP = 8  # slots between two wanted pictures that are taken along rather than split over: they lie side by side on disk


@dataclass(frozen=True)
class Snapshot:
    """Every slot of every shard, in order: row = position * R + region. Removed pictures keep theirs till compacted."""

    arrays: Sequence[Half]
    # one (n, R, D) float16 a shard
    shards: tuple[str, ...]
    # SHA-256 of each shard's features: equal ones mean equal rows
    ids: NDArray[np.int64]
    # (N,) image id of each position
    live: NDArray[np.bool_]
    # (N,) False where the picture was removed
    n_regions: int
    dim: int
    stored: StoredPoints | None = None
    # of all shards; None for a collection without points
    origins: NDArray[np.int64] | None = None
    # (N,) position of each in `stored`, where that is another one

    @property
    def n_positions(self) -> int:
        """N, slots in all, removed ones included."""
        return len(self.ids)

    @property
    def n_live(self) -> int:
        """Pictures that can be found."""
        return int(self.live.sum())

    def finds_the_same(self, other: "Snapshot") -> bool:
        """Whether features, and pictures that can be found, are those of another moment: one engine does for both."""
        same = ((self.ids, other.ids), (self.live, other.live))
        return self.shards == other.shards and all(np.array_equal(mine, its) for mine, its in same)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(array) for array in self.arrays)], dtype=np.int64)

    def by_shard(self) -> Iterator[tuple[slice, Half, str]]:
        """Of each shard, in order: the positions of its slots, its features (n, R, D) float16 and its hash."""
        starts = self._starts.tolist()
        for low, array, shard in zip(starts[:-1], self.arrays, self.shards, strict=True):
            yield slice(low, low + len(array)), array, shard

    def blocks(self, n_images: int, start: int = 0) -> Iterator[tuple[int, Half]]:
        """(first position, features (n <= n_images, R, D) float16) through all positions from start on, in order."""
        for first, array in zip(self._starts[:-1].tolist(), self.arrays, strict=True):
            for low in range(max(0, start - first), len(array), n_images):
                yield first + low, array[low : low + n_images]

    def features(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features (n, R, D) float32 of the pictures at positions (n,), in the given order."""
        features = np.empty((len(positions), self.n_regions, self.dim), np.float32)
        shard_of = np.searchsorted(self._starts, positions, side="right") - 1
        for i, (position, shard) in enumerate(zip(positions, shard_of, strict=True)):
            features[i] = self.arrays[shard][position - self._starts[shard]]
        return features

    @property
    def has_points(self) -> bool:
        """Whether points are kept of any picture."""
        return self.stored is not None and any(part is not None for part in self.stored.parts)

    @property
    def points_identity(self) -> PointsIdentity | None:
        """What the points are; None for a collection without."""
        return None if self.stored is None else self.stored.identity

    def points(self, positions: NDArray[np.int64]) -> list[Codes]:
        """The points (n_i, W) uint8 of the pictures at positions (n,), (0, W) where there are none. Nothing is copied.

        Raises StoreDamaged where a file holds something else.
        """
        width = POINT_BYTES if self.stored is None else self.stored.identity.n_bytes
        nothing = np.empty((0, width), np.uint8)
        return [nothing if codes is None else codes for codes in self.kept_points(positions)]

    def kept_points(self, positions: NDArray[np.int64]) -> list[Codes | None]:
        """As `points`, but None for a picture in which nobody has looked for any."""
        return [None] * len(positions) if self.stored is None else self.stored.at(self._origins(positions))

    def looked_at(self) -> NDArray[np.bool_]:
        """In which pictures (N,) points were looked for. Raises StoreDamaged."""
        if self.stored is None:
            return np.zeros(self.n_positions, bool)
        known = self.stored.known()
        return known if self.origins is None else known[self.origins]

    def _origins(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return positions if self.origins is None else self.origins[positions]

    def rows(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Features (n, D) float16 of single rows (n,), in the given order."""
        positions, regions = np.divmod(rows, self.n_regions)
        features = np.empty((len(rows), self.dim), np.float16)
        shard_of = np.searchsorted(self._starts, positions, side="right") - 1
        for shard in np.unique(shard_of).tolist():
            chosen = shard_of == shard
            features[chosen] = self.arrays[shard][positions[chosen] - self._starts[shard], regions[chosen]]
        return features

    def only(self, among: NDArray[np.bool_]) -> tuple["Snapshot", NDArray[np.int64]]:
        """The live pictures where among (N,) is True as a snapshot of its own, and where its positions are in this one.

        Nothing is copied: its arrays are stretches of these. A few pictures between two wanted ones are in it as well,
        as removed ones.
        """
        live = among & self.live
        wanted = np.flatnonzero(live)
        shard_of = np.searchsorted(self._starts, wanted, side="right") - 1
        return self._stretches(wanted, (np.diff(wanted) > _GAP) | (np.diff(shard_of) > 0), live)

    def in_order(self, positions: NDArray[np.int64]) -> "Snapshot":
        """The live pictures at positions (n,), in this order, as a snapshot of its own. Nothing is copied."""
        wanted = positions[self.live[positions]]
        shard_of = np.searchsorted(self._starts, wanted, side="right") - 1
        return self._stretches(wanted, (np.diff(wanted) != 1) | (np.diff(shard_of) != 0), self.live)[0]

    def _stretches(
        self, wanted: NDArray[np.int64], ends: NDArray[np.bool_], live: NDArray[np.bool_]
    ) -> tuple["Snapshot", NDArray[np.int64]]:
        """All positions from one to the next of wanted (n,), except where ends (n - 1,) says so; and which they are."""
        splits = np.flatnonzero(ends) + 1
        firsts = np.concatenate([[0], splits]) if len(wanted) else splits
        lasts = np.concatenate([splits, [len(wanted)]])[: len(firsts)] - 1
        starts = self._starts
        shard_of = (np.searchsorted(starts, wanted[firsts], side="right") - 1).tolist()
        stretches = list(zip(shard_of, wanted[firsts].tolist(), wanted[lasts].tolist(), strict=True))
        arrays = [self.arrays[i][low - starts[i] : high + 1 - starts[i]] for i, low, high in stretches]
        shards = tuple(f"{self.shards[i]}:{low}-{high}" for i, low, high in stretches)
        parts = [np.arange(low, high + 1) for _, low, high in stretches]
        positions = np.concatenate([np.empty(0, np.int64), *parts])
        kept = {"ids": self.ids[positions], "live": live[positions], "origins": self._origins(positions)}
        part = replace(self, arrays=arrays, shards=shards, **kept)
        return part, positions

    def first_regions(self, n: int) -> "Snapshot":
        """The same pictures with only their first n regions: a lower pyramid level, since levels are cumulative."""
        arrays = [array[:, :n] for array in self.arrays]
        return replace(self, arrays=arrays, shards=tuple(f"{shard}:{n}" for shard in self.shards), n_regions=n)
