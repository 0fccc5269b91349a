"""From what the network says of each pixel and cell to points. Arithmetic on arrays; knows neither picture nor engine.

After Potje et al. 2024, section 3.2: a point's strength is its probability times the reliability of what is around it,
and its descriptor is interpolated between the cells, by cubic convolution (Keys 1981).

In few and large steps: where many threads take many small ones, they wait for the interpreter's lock at each of them.
On 16 cores, 16 threads found the points of fewer pictures a second than 8.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._network import Maps

THRESHOLD = 0.05
"""Probability above which a pixel is a point, as the network was published."""

_REACH = 2
# pixels to each side of a point than which none is likelier
_STRIP = 256
# rows looked at together, few enough to stay in a core's cache
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
    padded = np.pad(likelihoods, _REACH)
    width = padded.shape[1]
    found = []
    for top in range(0, len(likelihoods), _STRIP):
        flat = padded[top : top + _STRIP + 2 * _REACH].ravel()
        most = _most(_most(flat, 1), width)  # of the 5 x 5 whose upper left pixel each one is
        middles = flat[_REACH * (width + 1) :][: len(most)]
        found.append(np.flatnonzero((middles >= most) & (middles > THRESHOLD)) + top * width)
    rows, columns = np.divmod(np.concatenate(found), width)
    return rows, columns


def _most(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """The most of each of the values (n,) and of the four that follow it at so many steps: (n - 4 step,)."""
    of_two = np.maximum(values[:-step], values[step:])
    of_four = np.maximum(of_two[: -2 * step], of_two[2 * step :])
    return np.maximum(of_four[:-step], values[4 * step :])


def placed(maps: Maps, rows: Rows, columns: Rows) -> NDArray[np.float64]:
    """Places (m, 2) in pixels, x and y from the upper left corner, of points: between pixels, as likelihoods fall.

    The mean of the 3 x 3 pixels' middles. Beside the middle of the likeliest one, points of a picture and of a crop of
    it at another size then lie 15 to 20 % closer together.
    """
    padded = np.pad(maps.likelihoods, 1)
    weights = padded[rows + np.arange(3)[:, None, None], columns + np.arange(3)[:, None]]
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
    height, width, n_channels = cells.shape
    y, down = _around(rows, height, maps.likelihoods.shape[0], reach, weights_of)
    x, along = _around(columns, width, maps.likelihoods.shape[1], reach, weights_of)
    at = (y[:, None] * width + x).reshape(4 * reach**2, len(rows))
    weights = (down[:, None] * along).reshape(*at.shape, 1).astype(np.float32)
    values = cells.reshape(-1, n_channels)[at]
    values *= weights
    sums: NDArray[np.float32] = values.sum(axis=0)
    return sums


def _around(
    pixels: Rows, n_cells: int, n_pixels: int, reach: int, weights_of: Kernel
) -> tuple[Rows, NDArray[np.float64]]:
    """The 2 reach cells of a line around each of its pixels (m,): which, and their weights, both (2 reach, m)."""
    places = pixels * (n_cells / (n_pixels - 1)) - 0.5
    cells = np.floor(places).astype(np.intp) + np.arange(1 - reach, reach + 1)[:, None]
    inside = (cells >= 0) & (cells < n_cells)
    return np.clip(cells, 0, n_cells - 1), np.where(inside, weights_of(np.abs(cells - places)), 0)


def _linear(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of neighbours at distances in [0, 1]."""
    return 1 - distances


def _cubic(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of neighbours at distances in [0, 2]."""
    d = distances
    near = ((_A + 2) * d - (_A + 3)) * d * d + 1
    far = ((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A
    return np.where(d <= 1, near, far)
