"""Pure functions on boxes. Knows nothing of pictures, pyramids or files.

A box is x0 y0 x1 y1, normalized to the upright picture: x from left, y from top, all in [0, 1]. Arrays of boxes are
(N, 4) float64. Only `to_pixels` and `from_pixels` speak pixels, and theirs are x y w h, as all edges of patchseek do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BoxError

Boxes = NDArray[np.float64]
"""(N, 4) float64, x0 y0 x1 y1 in [0, 1]."""

WHOLE: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
"""The box of a whole picture."""
BBOX_FORMAT = "xywh_px"
"""What boxes are called where they leave: x y of the top left corner, width, height, in pixels of the upright picture.
"""


def area(boxes: ArrayLike) -> NDArray[np.float64]:
    """Areas (N,) of boxes (N, 4), as fractions of the picture; an inverted box has area 0."""
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides: NDArray[np.float64] = np.clip(b[:, 2:] - b[:, :2], 0, None)
    areas: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union, (N, M) in [0, 1], of boxes a (N, 4) and b (M, 4) in the same units.

    |A and B| / |A or B| (Jaccard index); 0 where both are empty. Touching edges share no area.
    """
    shared = _shared(a, b)
    return _share(shared, area(a)[:, None] + area(b)[None, :] - shared)


def containment(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over the smaller of both, (N, M) in [0, 1], of boxes a (N, 4) and b (M, 4) in the same units.

    |A and B| / min(|A|, |B|) (Szymkiewicz-Simpson coefficient): 1 where one lies in the other, 0 where one is empty.
    """
    return _share(_shared(a, b), np.minimum(area(a)[:, None], area(b)[None, :]))


def _shared(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Areas (N, M) that boxes (N, 4) and (M, 4) have in common."""
    a, b = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    areas: NDArray[np.float64] = np.prod(np.clip(high - low, 0, None), axis=2)
    return areas


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, 0 where there is nothing."""
    share = np.zeros(part.shape)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def clip(boxes: ArrayLike) -> Boxes:
    """The parts of boxes (N, 4) inside the picture, as a new array (N, 4) with every number in [0, 1]."""
    return np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0.0, 1.0)


def union(boxes: ArrayLike) -> Boxes:
    """The smallest box (4,) that encloses boxes (N, 4), N >= 1."""
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not len(b):
        raise BoxError("the union of no boxes is undefined")
    return np.concatenate([b[:, :2].min(axis=0), b[:, 2:].max(axis=0)])


def suppress(
    boxes: ArrayLike, scores: ArrayLike, max_iou: float = 0.5, n: int | None = None, max_containment: float = 1.0
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: indices (K,) to keep, best score first; ties in the given order.

    A box is dropped when its IoU with a better kept one is above max_iou (in [0, 1]), or its containment above
    max_containment. n: how many are enough.
    """
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    left = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept: list[int] = []
    while len(left) and (n is None or len(kept) < n):
        kept.append(int(left[0]))
        best, others = b[left[:1]], b[left[1:]]
        left = left[1:][(iou(best, others)[0] <= max_iou) & (containment(best, others)[0] <= max_containment)]
    return np.array(kept, np.int64)


def to_pixels(box: ArrayLike, width: int, height: int) -> tuple[int, int, int, int]:
    """x y w h in whole pixels of a picture of width x height: edges rounded to the nearest, at least 1 x 1, inside."""
    x0, y0, x1, y1 = np.asarray(box, np.float64).reshape(4).tolist()
    left, top = min(round(x0 * width), width - 1), min(round(y0 * height), height - 1)
    right, bottom = max(round(x1 * width), left + 1), max(round(y1 * height), top + 1)
    return left, top, right - left, bottom - top


def from_pixels(xywh: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """The box of x y w h given in pixels of the upright picture of width x height.

    Four numbers that are all at most 1 are shares of width and height instead. A box may lap over an edge by 1 % of the
    side (at least 2 pixels), as hand-drawn ones do, and is clipped. Raises BoxError when the numbers are not finite,
    the box is empty or it reaches farther out: it was then drawn on another picture.
    """
    text = ",".join(f"{v:g}" for v in xywh)
    if len(xywh) != 4 or not np.isfinite(xywh).all():
        raise BoxError(f"a box is four finite numbers x,y,w,h, found {text}")
    x, y, w, h = xywh
    if w <= 0 or h <= 0:
        raise BoxError(f"box {text} is empty: width and height must be positive")
    if max(xywh) <= 1:
        x, y, w, h = x * width, y * height, w * width, h * height
    slack_x, slack_y = max(2, width / 100), max(2, height / 100)
    box = (max(x, 0) / width, max(y, 0) / height, min(x + w, width) / width, min(y + h, height) / height)
    inside = -slack_x <= x and -slack_y <= y and x + w <= width + slack_x and y + h <= height + slack_y
    if not inside or box[0] >= box[2] or box[1] >= box[3]:
        raise BoxError(f"box {text} reaches outside the picture of {width} x {height} pixels")
    return box
