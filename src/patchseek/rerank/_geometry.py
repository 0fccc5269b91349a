"""Whether two patches show one thing: their details must lie where one affine map takes them. Knows cells alone.

Things of a kind are alike part by part, and their parts stand near where they should; what differs is the fine detail.
"""

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.2
"""Sides of a patch that a partner may lie from where the map takes its cell; 0.1 to 0.25 are as good."""
_TURNS = (3.0, 2.0, 1.0, 1.0)  # tolerances, in TOLERANCE, by which the map is fitted turn by turn


def fit(query: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B,) in [0, 1]: how much of the query's detail is in each patch, in the same arrangement.

    query (h, h, E) and cells (B, h, h, E) of unit length. Two cells are partners when each is the other's nearest. An
    affine map is fitted to where the partners lie, by least squares weighted by cosine, beginning with the identity and
    each time with those alone that the last map brings near (Lowe 2004, section 7.4, verifies matches so). The sum of
    the cosines of partners within TOLERANCE, over the number of cells, is the answer.
    """
    h = query.shape[0]
    places = (np.stack(np.divmod(np.arange(h * h), h), axis=1) + 0.5) / h
    cosines = query.reshape(h * h, -1) @ cells.reshape(len(cells), h * h, -1).transpose(0, 2, 1)
    return np.array([_fitting(each, places) / (h * h) for each in cosines], np.float32)


def _fitting(cosines: NDArray[np.float32], places: NDArray[np.float64]) -> float:
    """The sum of the cosines of partners that agree on a map, of all cosines (n, n) of cells at places (n, 2)."""
    nearest, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    own = np.flatnonzero(back[nearest] == np.arange(len(nearest)))
    weights = cosines[own, nearest[own]].astype(np.float64)
    own, weights = own[weights > 0], weights[weights > 0]
    start, end = np.hstack([places[own], np.ones((len(own), 1))]), places[nearest[own]]
    affine = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    for turn in _TURNS:
        near = _distances(start @ affine, end) < turn * TOLERANCE
        if near.sum() < 4:  # three points are on any map
            return 0.0
        weighted = start[near] * weights[near, None]
        affine = np.linalg.solve(start[near].T @ weighted + 1e-6 * np.eye(3), weighted.T @ end[near])
    return float(weights[_distances(start @ affine, end) < TOLERANCE].sum())


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.linalg.norm(a - b, axis=1)
    return distances
