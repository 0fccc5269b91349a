"""From ranked rows to pictures: what engines that rank rows have in common. Knows none of them.

One picture may own many of the first rows. So an engine is asked for more rows than pictures, and for twice as many
until every query has k distinct live pictures or the engine has no more rows to give. What it will not go so deep for
is searched exactly in the store.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..store import Snapshot
from ._best import group_pictures
from ._exact import search_few, search_store
from ._protocol import Hits, check_query
from ._rescore import rescore


@dataclass(frozen=True)
class RankedRows:
    """The best rows of each of Q queries, best first."""

    scores: NDArray[np.float32]
    # (Q, n), anything where there is no row
    rows: NDArray[np.int64]
    # (Q, n) rows of the snapshot, -1 where nothing was found
    is_all: NDArray[np.bool_]
    # (Q,) True where the engine has no more than these


Ask = Callable[[Features, int], RankedRows]
"""Asks an engine for the best rows of queries (Q, D), so many of each: no fewer, unless it has no more."""


def narrowed(snapshot: Snapshot, queries: Features, k: int, among: NDArray[np.bool_] | None) -> Snapshot | Hits:
    """The snapshot with nothing live but what may answer, or the answer itself where so few may that it is at hand.

    See Index.search, of which this is the beginning.
    """
    check_query(queries, k, snapshot.dim)
    if among is None:
        return snapshot
    few = search_few(snapshot, queries, k, among)
    return replace(snapshot, live=snapshot.live & among) if few is None else few


def gather(
    ask: Ask, snapshot: Snapshot, queries: Features, k: int, *, share: float = 1, most: int = sys.maxsize, rerank: int
) -> Hits:
    """The best min(k, n_live) pictures of each query (Q, D), one column at least.

    share: of the rows that the engine ranks may answer, so that it is asked for more. most: rows of a query that it can
    be asked for. rerank: the best rows of a query that get exact scores, none for 0.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    k = max(min(k, snapshot.n_live), 1)
    hits = Hits.nothing(len(queries), k)
    depth, left = max(round(max(4 * k, 64, rerank) / share), 1), np.arange(len(queries))
    while len(left):
        found = ask(queries[left], min(depth, most))
        scores, rows = found.scores, found.rows
        if rerank:
            scores, rows = rescore(snapshot, queries[left], scores, rows, rerank)
        _put(hits, left, group_pictures(snapshot, scores, rows, k))
        left = left[~found.is_all & (hits.positions[left, -1] < 0)]
        if depth >= most:
            break
        depth *= 2
    if len(left):
        _put(hits, left, search_store(snapshot, queries[left], k))
    return hits


def _put(hits: Hits, places: NDArray[np.int64], found: Hits) -> None:
    """Write what was found for some of the queries in its places."""
    hits.positions[places], hits.regions[places], hits.scores[places] = found.positions, found.regions, found.scores
