"""Exact scores for the rows that a compressed index found best, from the collection's own float16 features."""

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features, flawed
from ..store import Snapshot


def rescore(
    snapshot: Snapshot, queries: Features, scores: NDArray[np.float32], rows: NDArray[np.int64], n: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The same scores and rows (Q, m), the first n of each query (Q, D) with exact scores and best first.

    Rows beyond the n-th keep their order below these, and their estimates no higher than the last exact score.
    Rows of -1 (nothing found) stay at the end.
    """
    scores, rows = scores.copy(), rows.copy()
    for q, query in enumerate(queries):
        found = rows[q, :n][rows[q, :n] >= 0]
        features = snapshot.rows(found)
        features[flawed(features)] = 0  # of removed pictures, as the index has them
        exact = features.astype(np.float32) @ query
        order = np.lexsort((found, -exact))
        rows[q, : len(found)] = found[order]
        scores[q, : len(found)] = exact[order]
        if len(found):
            scores[q, len(found) :] = np.minimum(scores[q, len(found) :], scores[q, len(found) - 1])
    return scores, rows
