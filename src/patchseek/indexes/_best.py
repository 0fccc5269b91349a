"""The best k pictures of each query, out of any number of offers, or out of rows. Knows no features and no engine."""

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..store import Snapshot
from ._protocol import Hits


class Best:
    """The best k pictures of each query so far. Pictures come in order of position, which settles ties."""

    def __init__(self, n_queries: int, k: int, prune_at: int) -> None:
        """prune_at: candidates of all queries together that may collect before they are reduced to the best."""
        self._k = k
        self._prune_at = max(prune_at // max(n_queries, 1), 1)
        self._positions = np.empty((n_queries, 0), np.int64)
        self._regions = np.empty((n_queries, 0), np.int64)
        self._scores = np.empty((n_queries, 0), np.float32)
        self._offers: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        self._n_offered = 0

    def offer(self, positions: NDArray[np.int64], regions: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Take in pictures (n,) with winning regions (Q, n) and scores (Q, n)."""
        self._offers.append((np.broadcast_to(positions, scores.shape), regions, scores))
        self._n_offered += len(positions)
        if self._n_offered > max(self._prune_at, self._k):
            self._prune()

    def _prune(self) -> None:
        columns = [(self._positions, self._regions, self._scores), *self._offers]
        positions, regions, scores = (np.concatenate(part, axis=1) for part in zip(*columns, strict=True))
        order = best_columns(scores, self._k)
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


def best_columns(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The columns (Q, min(k, n)) of the largest scores (Q, n), largest first; equal ones in order of column.

    Score and column are packed into one integer, so that a plain partition, several times faster than a stable sort,
    cannot mix up ties: the bits of a float32 order as the number does once those of negative ones are flipped.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # + 0 makes one zero of two
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (-ascending.astype(np.int64) << 32) + np.arange(scores.shape[1])
    if k < scores.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    keys.sort(axis=1)
    columns: NDArray[np.int64] = keys & 0xFFFFFFFF
    return columns


def group_pictures(snapshot: Snapshot, scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> Hits:
    """The first k distinct live pictures among rows (Q, n), which come best first and are -1 where nothing was found.

    Ties in order of position. Raises EngineError for a score of these that is no number.
    """
    hits = Hits.nothing(len(rows), k)
    for q, (query_scores, query_rows) in enumerate(zip(scores, rows, strict=True)):
        found = query_rows >= 0
        positions, regions = np.divmod(query_rows[found], snapshot.n_regions)
        usable = np.flatnonzero(snapshot.live[positions])
        if not np.isfinite(query_scores[found][usable]).all():
            raise EngineError("the engine answers with scores that are no numbers; run: patchseek verify")
        _, first = np.unique(positions[usable], return_index=True)
        best = usable[np.sort(first)]  # a picture's first row is its best
        best = best[np.lexsort((positions[best], -query_scores[found][best]))][:k]
        hits.positions[q, : len(best)] = positions[best]
        hits.regions[q, : len(best)] = regions[best]
        hits.scores[q, : len(best)] = query_scores[found][best]
    return hits
