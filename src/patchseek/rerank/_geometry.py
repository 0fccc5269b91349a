"""Where in a patch the thing of another lies, and whether it is that very thing. Knows cells alone.

Two patches of one thing have details that lie where one map takes them. Things of a kind are alike part by part, and
their parts stand near where they should; what differs is the fine detail. So the map says where a better box would be,
and how well it holds says whether it is worth anything.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.2
"""Sides of a patch that a partner may lie from where the map takes its cell; 0.1 to 0.25 are as good."""
_TURNS = (3.0, 2.0, 1.0, 1.0)  # tolerances, in TOLERANCE, by which the map is fitted turn by turn
_FEWEST, _SPREAD = 6, 0.02
_STRETCHES = 0.4, 2.2  # of what a map makes of a circle, the shortest and the longest radius


def fit(query: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B,) in [0, 1]: how much of the query's detail is in each patch, in the same arrangement.

    query (h, h, E) and cells (B, h, h, E) of unit length. Two cells are partners when each is the other's nearest. An
    affine map is fitted to where the partners lie, by least squares weighted by cosine, beginning with the identity and
    each time with those alone that the last map brings near (Lowe 2004, section 7.4, verifies matches so). The sum of
    the cosines of partners within TOLERANCE, over the number of cells, is the answer.
    """
    n_cells = query.shape[0] ** 2
    return np.array([_fitting(*partners) / n_cells for partners in _partners(query, cells)], np.float32)


def locate(query: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """(B, 2, 3): where each patch shows what fills the query's, maps from the query's sides to the patch's.

    query (h, h, E) and cells (B, h, h, E) of unit length. As `fit`; but few partners in a corner say little about the
    whole: the identity is taken for granted as far as _SPREAD, a variance of places, outweighs theirs. Where fewer
    than _FEWEST partners agree, or the map that they agree on stretches beyond _STRETCHES, it is the identity.
    """
    maps = np.tile(np.eye(2, 3), (len(cells), 1, 1))
    for i, (start, end, weights) in enumerate(_partners(query, cells)):
        start, end = start[:, ::-1], end[:, ::-1]  # places are rows and columns, maps take x and y
        linear, shift = np.eye(2), np.zeros(2)
        for turn in _TURNS:
            near = _distances(start @ linear.T + shift, end) < turn * TOLERANCE
            if near.sum() < _FEWEST:
                break
            linear, shift = _drawn(start[near], end[near], weights[near, None])
        else:
            longest, shortest = np.linalg.svd(linear, compute_uv=False)
            if np.linalg.det(linear) > 0 and _STRETCHES[0] < shortest and longest < _STRETCHES[1]:
                maps[i] = np.c_[linear, shift]
    return maps


def _partners(
    query: NDArray[np.float32], cells: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Of each patch: places (n, 2), row and column in [0, 1], of query cells, those of their partners, cosines (n,)."""
    h = query.shape[0]
    places = (np.stack(np.divmod(np.arange(h * h), h), axis=1) + 0.5) / h
    cosines = (cells.reshape(-1, cells.shape[-1]) @ query.reshape(h * h, -1).T).reshape(len(cells), h * h, h * h)
    for each, nearest, back in zip(cosines, cosines.argmax(axis=1), cosines.argmax(axis=2), strict=True):
        own = np.flatnonzero(back[nearest] == np.arange(h * h))
        weights = each[nearest[own], own].astype(np.float64)
        own, weights = own[weights > 0], weights[weights > 0]
        yield places[own], places[nearest[own]], weights


def _fitting(start: NDArray[np.float64], end: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The sum of the cosines (n,) of partners at start and end (n, 2) that agree on an affine map."""
    columns = np.hstack([start, np.ones((len(start), 1))])
    affine = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    for turn in _TURNS:
        near = _distances(columns @ affine, end) < turn * TOLERANCE
        if near.sum() < 4:  # three points are on any map
            return 0.0
        weighted = columns[near] * weights[near, None]
        affine = np.linalg.solve(columns[near].T @ weighted + 1e-6 * np.eye(3), weighted.T @ end[near])
    return float(weights[_distances(columns @ affine, end) < TOLERANCE].sum())


def _drawn(
    start: NDArray[np.float64], end: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear part (2, 2) and shift (2,) that bring start (n, 2) nearest to end, weighted by (n, 1)."""
    weights = weights / weights.sum()
    middle, target = (weights * start).sum(axis=0), (weights * end).sum(axis=0)
    apart = weights * (start - middle)
    known = _SPREAD * np.eye(2)
    linear = np.linalg.solve(apart.T @ (start - middle) + known, apart.T @ (end - target) + known).T
    return linear, target - linear @ middle


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.sqrt(np.square(a - b).sum(axis=1))
    return distances
