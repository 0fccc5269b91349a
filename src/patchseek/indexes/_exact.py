"""Exact search: every query against every memory-mapped feature, and a maximum over each picture's regions.

Few queries are limited by reading the features, many by multiplying, and each has its own way. Few: `_scan` ranks the
rows of each piece in place, and pictures are gathered from the best rows until nothing below them can count. Many:
features become float32 block by block for a matrix product, or float64 where answers have to be repeatable. The first
does not depend on luck: it goes deeper, at worst through all rows, until the answer is certain.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._platform import n_cores
from ..encoders import Features
from ..store import Half, Snapshot
from ._best import Best, group_pictures
from ._protocol import EXACT_BYTES, Hits, Kind, check_query
from ._scan import HalfPiece, can_scan
from ._sound import require_sound

BLOCK_BYTES = 32 << 20
"""float32 features converted at a time, and about the bytes of their scores."""
_PRUNE_AT = 1 << 22  # candidates of all queries together that may collect before they are reduced to the best
_SCANNED = 16  # queries; a scan reads all features for each, conversion costs as much as that many scans
_PIECE_ROWS = (
    16_384  # scanned by one thread in one go: two usual shards; smaller ones cost more in calls (4,096: 1.15 times)
)
_DIGITS = 6
"""Of a repeatable score: a float64 sum of rounded features is known far beyond them, in whatever order it is taken."""
T = TypeVar("T")
U = TypeVar("U")


class ExactIndex:
    """Compares every query with every feature."""

    name = "exact"
    outgrown: str | None = None

    def __init__(self, snapshot: Snapshot, pool: ThreadPoolExecutor | None = None, *, repeatable: bool = False) -> None:
        """repeatable: see indexes.open_repeatable."""
        self._snapshot, self._repeatable = snapshot, repeatable
        self._pool = pool or ThreadPoolExecutor(n_cores(), "exact")

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Memory: a few BLOCK_BYTES, plus 28 bytes for each of _PRUNE_AT candidates and of Q * k hits."""
        check_query(queries, k, self._snapshot.dim)
        require_sound(self._snapshot, among, self._map)
        if among is None:
            return self._search(queries, k)
        part, positions = self._snapshot.only(among)
        hits = ExactIndex(part, self._pool, repeatable=self._repeatable)._search(queries, k)
        found = hits.positions >= 0
        hits.positions[found] = positions[hits.positions[found]]
        return hits

    def _search(self, queries: Features, k: int) -> Hits:
        k = max(min(k, self._snapshot.n_live), 1)
        queries = np.ascontiguousarray(queries, np.float32)
        if len(queries) <= _SCANNED and not self._repeatable and self._pieces:
            return self._scan(queries, k)
        return self._multiply(queries, k)

    @cached_property
    def _pieces(self) -> list[HalfPiece]:
        """The features in pieces that can be scanned; none where they do not lie contiguous or FAISS cannot."""
        n_regions = self._snapshot.n_regions
        if not can_scan() or not all(array.flags.c_contiguous for array in self._snapshot.arrays):
            return []
        blocks = self._snapshot.blocks(max(_PIECE_ROWS // n_regions, 1))
        return [HalfPiece(block, start * n_regions) for start, block in blocks]

    def _scan(self, queries: Features, k: int) -> Hits:
        depth = 64 + self._snapshot.n_regions * k // len(self._pieces)
        depths = [min(depth, len(piece)) for piece in self._pieces]
        found = self._map(lambda i: self._pieces[i].top(queries, depths[i]), range(len(depths)))
        while True:
            scores = np.concatenate([scores for scores, _ in found], axis=1)
            hits = self._gather(scores, np.concatenate([rows for _, rows in found], axis=1), k)
            deeper = [
                i
                for i, piece in enumerate(self._pieces)
                if depths[i] < len(piece) and not (found[i][0][:, -1] < hits.scores[:, -1]).all()
            ]  # may hide a row as good as the last picture
            if not deeper:
                return hits
            for i in deeper:
                depths[i] = min(8 * depths[i], len(self._pieces[i]))
            again = self._map(lambda i: self._pieces[i].top(queries, depths[i]), deeper)
            for i, rows in zip(deeper, again, strict=True):
                found[i] = rows

    def _gather(self, scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> Hits:
        """The best k live pictures among rows (Q, n) of these scores, in any order; ties in order of position."""
        order = np.lexsort((rows, -scores), axis=1)
        best_first = np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
        return group_pictures(self._snapshot, *best_first, k)

    def _multiply(self, queries: Features, k: int) -> Hits:
        snapshot = self._snapshot
        best = Best(len(queries), k, _PRUNE_AT)
        n_images = max(BLOCK_BYTES // (snapshot.n_regions * max(snapshot.dim, len(queries)) * 4), 1)
        n_images = max(min(n_images, snapshot.n_positions), 1)
        kind: type[np.floating[Any]] = np.float64 if self._repeatable else np.float32
        features = np.empty((n_images, snapshot.n_regions, snapshot.dim), kind)
        scores = np.empty((n_images * snapshot.n_regions, len(queries)), kind)  # memory is costly to get anew
        columns = queries.T.astype(kind)
        for start, block in snapshot.blocks(n_images):
            live = np.flatnonzero(snapshot.live[start : start + len(block)])
            self._convert(block, features)
            n_rows = len(block) * snapshot.n_regions
            with np.errstate(invalid="ignore"):  # removed pictures may have features that are no numbers
                np.matmul(features.reshape(-1, snapshot.dim)[:n_rows], columns, out=scores[:n_rows])
                if self._repeatable:
                    np.round(scores[:n_rows], _DIGITS, out=scores[:n_rows])
            tops, winners = self._winners(scores[:n_rows].reshape(*block.shape[:2], -1))
            best.offer(live + start, winners[live].T, tops[live].T.astype(np.float32, copy=False))
        return best.hits()

    def _convert(self, block: Half, features: NDArray[Any]) -> None:
        """Write the block (n, R, D) into the first n of features (m, R, D), by all cores."""
        self._map(lambda part: np.copyto(features[: len(block)][part], block[part]), self._parts(len(block)))

    def _winners(self, scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The best score and the first region that has it, (n, Q) each, of scores (n, R, Q), by all cores."""
        tops = scores[:, 0].copy()
        winners = np.zeros(tops.shape, np.int64)

        def reduce(part: slice) -> None:
            for region in range(1, scores.shape[1]):  # along the queries, which lie side by side: 10 times argmax
                np.copyto(winners[part], region, where=scores[part, region] > tops[part])
                np.maximum(tops[part], scores[part, region], out=tops[part])

        self._map(reduce, self._parts(len(scores)))
        return tops, winners

    def _parts(self, n: int) -> list[slice]:
        """n things in parts for all cores."""
        step = -(-n // (4 * n_cores()))
        return [slice(low, low + step) for low in range(0, n, step)]

    def _map(self, function: Callable[[T], U], items: Iterable[T]) -> list[U]:
        return list(self._pool.map(function, items))


def search_few(snapshot: Snapshot, queries: Features, k: int, among: NDArray[np.bool_]) -> Hits | None:
    """Exact answers where so few pictures may answer that an engine has nothing to save; else None. See Index.search.

    An approximate engine looks where the best of all pictures are likely to be, and may find none of the few.
    """
    if 2 * int((among & snapshot.live).sum()) * snapshot.n_regions * snapshot.dim > EXACT_BYTES:
        return None
    return search_store(snapshot, queries, k, among)


def search_store(snapshot: Snapshot, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
    """One exact search, without an engine that is kept. See Index.search."""
    with ThreadPoolExecutor(n_cores(), "exact") as pool:
        return ExactIndex(snapshot, pool).search(queries, k, among)


KIND = Kind(open=lambda _, snapshot, __: ExactIndex(snapshot))
