"""How well two patches agree part by part. Knows cells alone, no pictures and no encoder."""

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Cells that a part may have moved, in either direction: views differ, layouts of one object do not by much."""
FLOOR = 0.4
"""Cosine from which cells count as alike; anything has a cell of 0.3 somewhere near."""


def agreement(query: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B,) in [0, 1]: how much of the query is in each patch, and of each patch in the query.

    query (g, g, C) and cells (B, g, g, C) of unit length. Each cell looks for its best partner at most REACH cells
    away; what its cosine has above FLOOR counts, (cosine - FLOOR) / (1 - FLOOR), and the mean over the query's cells
    and that over the patch's are averaged. A fragment leaves parts of the query alone, a box that is too large
    leaves its own: so the sum is greatest where the box fits.
    """
    g = query.shape[0]
    y, x = np.divmod(np.arange(g * g), g)
    near = np.maximum(abs(y[:, None] - y), abs(x[:, None] - x)) <= REACH
    # one product of two matrices; one a patch takes numpy ten times as long
    cosines = (cells.reshape(-1, cells.shape[-1]) @ query.reshape(g * g, -1).T).reshape(-1, g * g, g * g)
    cosines = np.where(near, cosines, -1.0)
    excess = [np.maximum(cosines.max(axis=axis) - FLOOR, 0).mean(axis=1) for axis in (2, 1)]
    shares: NDArray[np.float32] = np.asarray((excess[0] + excess[1]) / 2 / (1 - FLOOR), np.float32)
    return shares
