"""How well two patches agree part by part. Knows cells alone, no pictures and no encoder."""

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Cells that a part may have moved, in either direction: views differ, layouts of one object do not by much."""


def agreement(query: NDArray[np.float32], cells: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """(B,) in [0, 1]: how much of the query is in each patch, and of each patch in the query.

    query (g, g, C) and cells (B, g, g, C) of unit length. Each cell looks for its best partner at most REACH cells
    away; see `agreed`. A fragment leaves parts of the query alone, a box that is too large leaves its own: so the sum
    is greatest where the box fits.
    """
    return agreed(partners(query, cells), floor)


def partners(query: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines (B, 2, g * g) with the best partner near by: of each cell of the patch, and of each cell of the query."""
    g = query.shape[0]
    y, x = np.divmod(np.arange(g * g), g)
    near = np.maximum(abs(y[:, None] - y), abs(x[:, None] - x)) <= REACH
    # one product of two matrices; one a patch takes numpy ten times as long
    cosines = (cells.reshape(-1, cells.shape[-1]) @ query.reshape(g * g, -1).T).reshape(-1, g * g, g * g)
    cosines = np.where(near, cosines, -1.0)
    return np.stack([cosines.max(axis=2), cosines.max(axis=1)], axis=1)


def agreed(cosines: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Agreement (B,) by the cosines (B, 2, n) with best partners.

    What a cosine has above the floor, in [0, 1), counts: (cosine - floor) / (1 - floor), and the mean over the patch's
    cells and that over the query's are averaged.
    """
    shares: NDArray[np.float32] = np.asarray(np.maximum(cosines - floor, 0).mean(axis=(1, 2)) / (1 - floor), np.float32)
    return shares
