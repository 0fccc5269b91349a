"""Exact search: a blocked matrix product over the memory-mapped features and a maximum over each picture's regions."""

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..store import Snapshot
from . import Hits, check_query

BLOCK_BYTES = 32 << 20
"""float32 features converted at a time; with the scores of a block, all that a search holds."""
_PRUNE_AT = 1 << 16  # candidates a query may collect before they are reduced to its best k


class ExactIndex:
    """Compares every query with every feature."""

    name = "exact"

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def search(self, queries: Features, k: int) -> Hits:
        """See Index. Memory: BLOCK_BYTES, plus 20 bytes a query for each of k + 65,536 candidates."""
        snapshot = self._snapshot
        check_query(queries, k, snapshot.dim)
        k = max(min(k, snapshot.n_live), 1)
        best = _Best(len(queries), k)
        per_image = snapshot.n_regions * max(snapshot.dim, len(queries)) * 4
        for start, block in snapshot.blocks(max(BLOCK_BYTES // per_image, 1)):
            live = np.flatnonzero(snapshot.live[start : start + len(block)])
            features = block.astype(np.float32)
            n_images, n_regions, dim = features.shape
            scores = (queries @ features.reshape(-1, dim).T).reshape(len(queries), n_images, n_regions)[:, live]
            winners = scores.argmax(axis=2)
            top = np.take_along_axis(scores, winners[:, :, None], axis=2)[:, :, 0]
            best.offer(live + start, winners, top)
        return best.hits()


class _Best:
    """The best k pictures of each query so far. Pictures come in order of position, which settles ties."""

    def __init__(self, n_queries: int, k: int) -> None:
        self._k = k
        self._positions = np.empty((n_queries, 0), np.int64)
        self._regions = np.empty((n_queries, 0), np.int64)
        self._scores = np.empty((n_queries, 0), np.float32)
        self._offers: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        self._n_offered = 0

    def offer(self, positions: NDArray[np.int64], regions: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Take in pictures (n,) with winning regions (Q, n) and scores (Q, n)."""
        self._offers.append((np.broadcast_to(positions, scores.shape), regions, scores))
        self._n_offered += len(positions)
        if self._n_offered > max(_PRUNE_AT, self._k):
            self._prune()

    def _prune(self) -> None:
        columns = [(self._positions, self._regions, self._scores), *self._offers]
        positions, regions, scores = (np.concatenate(part, axis=1) for part in zip(*columns, strict=True))
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._k]
        self._positions = np.take_along_axis(positions, order, axis=1)
        self._regions = np.take_along_axis(regions, order, axis=1)
        self._scores = np.take_along_axis(scores, order, axis=1)
        self._offers, self._n_offered = [], 0

    def hits(self) -> Hits:
        """All that was offered, reduced to the best."""
        self._prune()
        missing = self._k - self._positions.shape[1]
        pad = ((0, 0), (0, missing))
        return Hits(
            np.pad(self._positions, pad, constant_values=-1),
            np.pad(self._regions, pad, constant_values=-1),
            np.pad(self._scores, pad, constant_values=-np.inf),
        )
