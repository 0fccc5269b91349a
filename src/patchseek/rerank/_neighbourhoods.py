"""Boxes from one look at a neighbourhood: every rectangle of its map is compared with the query. Encodes nothing."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..boxes import Boxes, clip, suppress

SPREAD = 2.0
"""Sides of a neighbourhood, in sides of the region it surrounds: an object that straddles two cells fits in."""
_SIDES = (3, 4, 6, 8, 11, 14)  # cells; shorter and finer lists cost more and find no more
_MAX_ASPECT = 3.0
_BLOCK = 64  # rectangles worked on at a time: their sums stay in the cache, which is three times faster


def surround(regions: Boxes, spread: float = SPREAD) -> Boxes:
    """The neighbourhoods (N, 4) of regions (N, 4): `spread` times as wide and high, moved inside the picture."""
    sides = np.minimum((regions[:, 2:] - regions[:, :2]) * spread, 1.0)
    low = np.clip((regions[:, :2] + regions[:, 2:] - sides) / 2, 0.0, 1.0 - sides)
    return clip(np.hstack([low, low + sides]))


def propose(
    cells: NDArray[np.float32], power: float, feature: NDArray[np.float32], n: int, max_iou: float = 0.5
) -> tuple[Boxes, NDArray[np.float32]]:
    """The n rectangles of a map (h, w, D) most alike a feature (D,), and how alike they are (<= n,) in [-1, 1].

    Boxes (<= n, 4) are in shares of the map, the best first, no two with more IoU than max_iou. A rectangle's feature
    is the generalized mean of its cells, which a table of sums gives for every rectangle at the cost of one (Viola and
    Jones 2001; Tolias et al. 2016 search activations so). A coarse list of rectangles comes first; then the edges of
    the best are moved by a cell.
    """
    sums = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1, cells.shape[2]), np.float32)
    raised = cells * cells * cells if power == 3 else cells**power
    sums[1:, 1:] = raised.cumsum(axis=0).cumsum(axis=1)
    rectangles = _rectangles(cells.shape[0], cells.shape[1])
    likeness = _likeness(sums, power, rectangles, feature)
    best = _distinct(rectangles, likeness, n, max_iou)
    moved = [rectangles[best], *(_moved(rectangles[i], cells.shape[1], cells.shape[0]) for i in best)]
    rectangles = np.concatenate(moved)
    likeness = _likeness(sums, power, rectangles, feature)
    best = _distinct(rectangles, likeness, n, max_iou)
    size = np.array([cells.shape[1], cells.shape[0]] * 2, np.float64)
    return rectangles[best] / size, likeness[best]


def _likeness(
    sums: NDArray[np.float32], power: float, rectangles: NDArray[np.int64], feature: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosines (K,) of rectangles (K, 4), x0 y0 x1 y1 in cells, with a feature (D,)."""
    rows, width = sums.reshape(-1, sums.shape[2]), sums.shape[1]
    likeness = np.empty(len(rectangles), np.float32)
    for start in range(0, len(rectangles), _BLOCK):
        x0, y0, x1, y1 = rectangles[start : start + _BLOCK].T
        totals = rows.take(y1 * width + x1, axis=0)
        totals -= rows.take(y0 * width + x1, axis=0)
        totals -= rows.take(y1 * width + x0, axis=0)
        totals += rows.take(y0 * width + x0, axis=0)
        if power != 1:  # a mean may be negative; sums of powers are so by rounding alone
            np.maximum(totals, 0, out=totals)
        pooled = np.cbrt(totals, out=totals) if power == 3 else totals ** (1 / power)
        lengths = np.sqrt(np.einsum("kd,kd->k", pooled, pooled))
        likeness[start : start + _BLOCK] = pooled @ feature / np.maximum(lengths, 1e-12)
    return likeness


def _distinct(
    rectangles: NDArray[np.int64], likeness: NDArray[np.float32], n: int, max_iou: float
) -> NDArray[np.int64]:
    """Indices (<= n,) of the best rectangles that overlap little."""
    return suppress(rectangles, likeness, max_iou, n)


@lru_cache(maxsize=8)
def _rectangles(height: int, width: int) -> NDArray[np.int64]:
    """Rectangles (K, 4) of all sizes and places of a map of height x width cells, a third of their side apart."""
    found = [
        (x, y, x + w, y + h)
        for w in {min(side, width) for side in _SIDES}
        for h in {min(side, height) for side in _SIDES}
        if max(w / h, h / w) <= _MAX_ASPECT
        for y in range(0, height - h + 1, max(1, h // 3))
        for x in range(0, width - w + 1, max(1, w // 3))
    ]
    return np.array(sorted(found), np.int64)


def _moved(rectangle: NDArray[np.int64], width: int, height: int) -> NDArray[np.int64]:
    """The rectangles (<= 81, 4) whose edges lie at most a cell from those of this one."""
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    around = np.clip(rectangle + steps, 0, [width, height, width, height])
    kept: NDArray[np.int64] = around[((around[:, 2:] - around[:, :2]) >= 2).all(axis=1)]
    return kept
