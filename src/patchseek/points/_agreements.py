"""One look of a query at pictures, by their points: where its box lies in each, and what speaks for that.

`_partners` says which points look alike and `_fit` which map most of them agree on; here it is counted what agrees.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._platform import n_cores
from ._fit import LEAST, TOLERANCES, Pairs, errors_of, fit
from ._partners import Partners, find_partners
from ._points import PicturePoints, QueryPoints

CELLS = 20
"""Cells a side of the grid on the query in which agreeing points are counted: neighbours see the same thing."""

_VOTES = 100
# pairs that seek the map of a picture, those that say most
_SAYS = 2.0
# nats that such a pair says at least; weaker ones count where a map is known
_TURNED = 0.5
# cosine of the angle between a pair's turn and the map's from which on it agrees
_BLOCK = 16
# pictures whose maps are sought at once, which fits a core's cache

_MIRROR = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
# takes shares of the query's sides to those of its mirror image's

Numbers = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures as they are looked at."""

    points: Sequence[PicturePoints]
    # what is known of each of N pictures
    shapes: NDArray[np.float64]
    # (N, 2) width and height in pixels
    side: int
    # pixels of the longer side, no more than which their points were taken at

    def chosen(self, rows: NDArray[np.intp]) -> "Shown":
        """Those at the positions."""
        return Shown([self.points[i] for i in rows], self.shapes[rows], self.side)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What points of a query and of a picture agree on."""

    evidence: float
    # nats for the query's object being there: over the cells of the query, the most that an agreeing pair says
    gain: float
    # what the evidence adds to a likeness, in units of WORTH, >= 0; `match` says how, one look leaves it 0
    count: int
    # cells of the query, of CELLS x CELLS, that hold an agreeing point
    map: NDArray[np.float64]
    # (2, 3) takes (x, y, 1), shares of the query's sides, to shares of the picture's sides
    outline: NDArray[np.float64]
    # (4, 2) where the corners of the query lie, from the upper left one clockwise in the query; may lie outside [0, 1]
    box: NDArray[np.float64]
    # (4,) x0 y0 x1 y1 around the outline within the picture
    pairs: NDArray[np.intp]
    # (m, 2) the query's points and the picture's that agree


@dataclass(frozen=True, eq=False)
class _Placed:
    """Partners and where they lie."""

    partners: Partners
    places: Numbers
    # (4, m) x, y in the query and u, v in the picture, in longer sides of each
    scales: Numbers
    # (m,) the query's longer side in the picture as the pair saw it, in longer sides of the picture
    turns: Numbers
    # (m,) radians, counter-clockwise, by which the query was turned when its point was seen

    def chosen(self, mask: NDArray[np.bool_]) -> "_Placed":
        """Those for which a mask (m,) holds."""
        return _Placed(self.partners.chosen(mask), self.places[:, mask], self.scales[mask], self.turns[mask])


def look(query: QueryPoints, shown: Shown, strangers: NDArray[np.intp]) -> list[Agreement | None]:
    """For each picture, where most of its points have the query's box, None where they do not agree.

    strangers: positions of pictures, most of which do not show the object.
    """
    units = shown.shapes / np.maximum(shown.shapes.max(axis=1, keepdims=True), 1)
    frame = np.array([query.aspect, 1.0]) / max(query.aspect, 1.0)
    placed = _place(query, frame, shown, strangers)
    maps, sound = _maps_of(placed, len(shown.points))
    picture = placed.partners.picture
    own = maps[picture].T
    straight = np.cos(placed.turns - np.arctan2(own[1], own[0])) > _TURNED
    agree = sound[picture] & straight & (errors_of(own, placed.places) < TOLERANCES[-1])
    return _agreements(maps, placed.chosen(agree), frame, units, query.mirrored)


def _place(query: QueryPoints, frame: NDArray[np.float64], shown: Shown, strangers: NDArray[np.intp]) -> _Placed:
    """The partners of a query in pictures, in the order of the pictures, with their places, scales and turns."""
    partners = find_partners(query.descriptors, shown.points, strangers)
    longer = np.maximum(shown.shapes.max(axis=1), 1)
    starts = np.cumsum([0, *map(len, shown.points)])[partners.picture]
    places = np.concatenate([np.zeros((0, 2), np.float32), *(points.places for points in shown.points)])
    there = places[starts + partners.found] * (shown.shapes / longer[:, None])[partners.picture]
    seen = query.places @ _MIRROR[:2, :2] + _MIRROR[:2, 2] if query.mirrored else query.places
    here = seen[partners.asked] * frame
    return _Placed(
        partners,
        np.concatenate([here, there], axis=1).T.astype(np.float32),
        (query.scales[partners.asked] / np.minimum(longer, shown.side)[partners.picture]).astype(np.float32),
        np.radians(query.turns[partners.asked]).astype(np.float32),
    )


def _maps_of(placed: _Placed, n: int) -> tuple[Numbers, NDArray[np.bool_]]:
    """The best map (n, 4) of each picture and whether (n,) there is one, from the pairs that say most."""
    strong = placed.chosen(placed.partners.weight >= _SAYS)
    picture, weight = strong.partners.picture, strong.partners.weight
    order = np.lexsort((-weight, picture))
    rank = np.arange(len(order)) - np.searchsorted(picture[order], picture[order])
    order, rank = order[rank < _VOTES], rank[rank < _VOTES]
    where = picture[order], rank
    widths = np.bincount(picture[order], minlength=n)

    def seek(first: int) -> tuple[Numbers, NDArray[np.bool_]]:
        block = slice(first, min(first + _BLOCK, n))
        width = int(widths[block].max())
        return fit(Pairs(*(padded[..., block, :width] for padded in padded_all)))

    padded_all = [
        _padded(values[..., order], where, (n, int(widths.max(initial=0))))
        for values in (strong.places, strong.scales, strong.turns, weight)
    ]
    with ThreadPoolExecutor(n_cores()) as pool:
        fitted = list(pool.map(seek, range(0, n, _BLOCK)))
    none = (np.zeros((0, 4), np.float32), np.zeros(0, bool))
    maps, sound = zip(none, *fitted, strict=True)
    return np.concatenate(maps), np.concatenate(sound)


def _padded(values: Numbers, where: tuple[NDArray[np.intp], NDArray[np.intp]], shape: tuple[int, int]) -> Numbers:
    """Values (..., m) at their places in zeros (..., *shape)."""
    padded = np.zeros((*values.shape[:-1], *shape), np.float32)
    padded[..., where[0], where[1]] = values
    return padded


def _agreements(
    maps: Numbers,
    agreeing: _Placed,
    frame: NDArray[np.float64],
    units: NDArray[np.float64],
    mirrored: bool,
) -> list[Agreement | None]:
    """Of each picture, what agreeing pairs say of its map, None where there are too few.

    mirrored: whether the maps, and the pairs' places in the query, are those of its mirror image.
    """
    partners, n = agreeing.partners, len(maps)
    inside = np.clip(agreeing.places[:2].T / frame * CELLS, 0, CELLS - 1).astype(np.intp)
    most = np.zeros((n, CELLS, CELLS), np.float32)
    np.maximum.at(most, (partners.picture, inside[:, 1], inside[:, 0]), partners.weight)
    evidence, counts = most.sum(axis=(1, 2)), np.count_nonzero(most, axis=(1, 2))
    a, b, c, d = maps.T.astype(np.float64)
    shares = np.stack([np.stack([a, b, c], axis=1), np.stack([-b, a, d], axis=1)], axis=1)
    shares *= np.array([*frame, 1.0]) / units[:, :, None]
    if mirrored:
        shares = shares @ _MIRROR
    corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)
    outlines = corners @ shares.transpose(0, 2, 1)
    boxes = np.clip(np.concatenate([outlines.min(axis=1), outlines.max(axis=1)], axis=1), 0, 1)
    bounds = np.searchsorted(partners.picture, np.arange(n + 1))
    pairs = np.stack([partners.asked, partners.found], axis=1)
    found: list[Agreement | None] = [None] * n
    for i in np.flatnonzero(np.diff(bounds) >= LEAST).tolist():
        own = pairs[bounds[i] : bounds[i + 1]]
        found[i] = Agreement(float(evidence[i]), 0.0, int(counts[i]), shares[i], outlines[i], boxes[i], own)
    return found
