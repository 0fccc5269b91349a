"""From what the network says of each pixel and cell to points. Arithmetic on arrays; knows neither picture nor engine.

After Potje et al. 2024, section 3.2: a point's strength is its probability times the reliability of what is around it,
and its descriptor is interpolated between the cells, by cubic convolution (Keys 1981).
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ._network import Maps

THRESHOLD = 0.05
"""Probability above which a pixel is a point, as the network was published."""

_AROUND = sorted(product(range(-2, 3), repeat=2), key=lambda step: step[0] ** 2 + step[1] ** 2)[1:]
# steps to the others of the 5 x 5 pixels around one, the nearest first
_A = -0.75
# the free number of cubic convolution, the slope at a distance of one cell

Rows = NDArray[np.intp]
Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def strongest(maps: Maps, n: int) -> tuple[Rows, Rows]:
    """Rows (m,), columns (m,) of the m <= n strongest points; equally strong ones from top to bottom, left to right."""
    rows, columns = _peaks(maps.likelihoods)
    reliabilities = _sampled(maps.reliabilities[..., None], maps, rows, columns, 1, _linear)[:, 0]
    strengths = maps.likelihoods[rows, columns] * reliabilities
    chosen = np.argsort(-strengths, kind="stable")[:n]
    chosen = chosen[strengths[chosen] > 0]
    return rows[chosen], columns[chosen]


def _peaks(likelihoods: NDArray[np.float32]) -> tuple[Rows, Rows]:
    """Rows (k,), columns (k,) of pixels (H, W) above the threshold than which none of the 5 x 5 around is likelier."""
    padded = np.pad(likelihoods, 2)
    width, flat = padded.shape[1], padded.ravel()
    left = np.flatnonzero(flat > THRESHOLD)
    for down, along in _AROUND:  # most are gone after the first few
        left = left[flat[left] >= flat[left + down * width + along]]
    return left // width - 2, left % width - 2


def placed(maps: Maps, rows: Rows, columns: Rows) -> NDArray[np.float64]:
    """Places (m, 2) in pixels, x and y from the upper left corner, of points: between pixels, as likelihoods fall.

    The mean of the 3 x 3 pixels' middles. Beside the middle of the likeliest one, points of a picture and of a crop of
    it at another size then lie 15 to 20 % closer together.
    """
    padded = np.pad(maps.likelihoods, 1)
    weights = np.stack([padded[rows + i, columns + j] for i, j in product(range(3), repeat=2)]).reshape(3, 3, -1)
    steps = np.array([-1.0, 0.0, 1.0])
    down, along = (np.tensordot(steps, weights.sum(axis=axis), 1) / weights.sum(axis=(0, 1)) for axis in (1, 0))
    return np.stack([columns + along, rows + down], axis=1) + 0.5


def described(maps: Maps, rows: Rows, columns: Rows) -> NDArray[np.float32]:
    """Descriptors (m, 64) of unit length at pixels rows (m,), columns (m,)."""
    found = _sampled(maps.descriptors, maps, rows, columns, 2, _cubic)
    unit: NDArray[np.float32] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return unit


def _sampled(
    cells: NDArray[np.float32], maps: Maps, rows: Rows, columns: Rows, reach: int, weights_of: Kernel
) -> NDArray[np.float32]:
    """Values (m, C) of cells (h, w, C) at pixels, of the 2 reach cells around each a side; outside there is nothing.

    The first and the last pixel lie half a cell outside the middles of the first and the last cell.
    """
    height, width = cells.shape[:2]
    down = rows * (height / (maps.likelihoods.shape[0] - 1)) - 0.5
    along = columns * (width / (maps.likelihoods.shape[1] - 1)) - 0.5
    sums = np.zeros((len(rows), cells.shape[2]), np.float32)
    for i in range(1 - reach, reach + 1):
        y = np.floor(down).astype(np.intp) + i
        for j in range(1 - reach, reach + 1):
            x = np.floor(along).astype(np.intp) + j
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            weights = np.where(inside, weights_of(np.abs(y - down)) * weights_of(np.abs(x - along)), 0)
            sums += cells[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] * weights[:, None].astype(np.float32)
    return sums


def _linear(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of neighbours at distances in [0, 1]."""
    return 1 - distances


def _cubic(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of neighbours at distances in [0, 2]."""
    d = distances
    near = ((_A + 2) * d - (_A + 3)) * d * d + 1
    far = ((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A
    return np.where(d <= 1, near, far)
