"""Which point of a query may be which point of each picture, and how much each such pair of partners says.

Looks only at what points look like; where they lie is `_fit`'s business. Most pictures that a query is compared with
are strangers, so they tell for nothing how like a stranger's best point each of the query's points usually is. A pair
counts by how far it is above that: what is common in the collection, letters and weave and gravel, says little.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._platform import n_cores
from ._points import PicturePoints

USUAL = 0.725
"""Cosine of a query's point with the most like of a stranger's 800 points, the median."""
SPREAD = 0.04
"""The standard deviation of it from stranger to stranger."""
TRIED = 10
"""USUAL and SPREAD count as much as so many pictures beside those that a query is compared with."""

_TENTH = 1.2816
# standard deviations from the median of a normal distribution to its tenth percentile
_NARROWEST = 0.005
# a spread is taken to be at least that
_WORTH, _FROM, _EVERY, _MOST = 0.5, 0.5, 2.2, 8.0
# what a pair says, in nats: WORTH up to FROM deviations, then EVERY more for each further one, MOST at most
_TILE = 64
# points a side of a product that OpenBLAS leaves to the calling thread: at most 4 * 65536 multiplications

Vectors = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Partners:
    """Pairs of a query's point and a picture's that are each other's most like, picture by picture."""

    picture: Rows
    # (m,) position of the picture, ascending
    asked: Rows
    # (m,) the query's point
    found: Rows
    # (m,) the picture's point
    weight: Vectors
    # (m,) nats that the pair says for this picture against a stranger, in (0, 8]; see `weights_of`

    def chosen(self, mask: NDArray[np.bool_]) -> "Partners":
        """Those of them for which a mask (m,) holds."""
        return Partners(self.picture[mask], self.asked[mask], self.found[mask], self.weight[mask])


def find_partners(descriptors: Vectors, pictures: Sequence[PicturePoints], strangers: Rows) -> Partners:
    """The partners of a query's points (n, D), unit vectors, in each of the pictures.

    strangers: positions of pictures, most of which do not show what is sought, by which the weights are measured.
    """
    if not len(descriptors) or not len(pictures):
        none = np.zeros(0, np.intp)
        return Partners(none, none, none, np.zeros(0, np.float32))
    tiles = _tiles(descriptors)
    runs = np.array_split(np.arange(len(pictures)), min(len(pictures), 2 * n_cores()))

    def compare(run: Rows) -> list[_Nearest]:
        room = np.empty((max(len(pictures[i]) for i in run), len(tiles) * _TILE), np.float32)
        return [_compare(pictures[i].descriptors, tiles, len(descriptors), room) for i in run]

    with ThreadPoolExecutor(min(len(runs), n_cores())) as pool:
        nearest = [one for part in pool.map(compare, runs) for one in part]
    asked = np.concatenate([one.asked for one in nearest])
    cosines = np.concatenate([one.cosines for one in nearest])
    best = np.array([nearest[i].best for i in strangers], np.float32).reshape(-1, len(descriptors))
    deviations = deviations_of(cosines, asked, best)
    picture = np.repeat(np.arange(len(pictures)), [len(one.asked) for one in nearest])
    partners = Partners(picture, asked, np.concatenate([one.found for one in nearest]), weights_of(deviations))
    return partners.chosen(deviations > 0)


@dataclass(frozen=True, eq=False)
class _Nearest:
    """What comparing a query with one picture gives."""

    asked: Rows
    found: Rows
    cosines: Vectors
    # (m,) of each pair
    best: Vectors
    # (n,) the greatest cosine of each of the query's points; -1 in a picture without points


def _compare(descriptors: Vectors, tiles: Vectors, n: int, room: Vectors) -> _Nearest:
    """Pairs of points of a picture (p, D) and of the n of a query in tiles; room: memory for the product."""
    if not len(descriptors):
        none = np.zeros(0, np.intp)
        return _Nearest(none, none, np.zeros(0, np.float32), np.full(n, -1, np.float32))
    cosines = room[: len(descriptors)]
    _multiply(descriptors, tiles, cosines)
    asked, best = cosines.argmax(axis=1), cosines.max(axis=0)
    own = cosines[np.arange(len(asked)), asked]
    mutual = np.flatnonzero((own == best[asked]) & (asked < n))
    return _Nearest(asked[mutual], mutual, own[mutual], best[:n])


def _tiles(descriptors: Vectors) -> Vectors:
    """Descriptors (n, D), and zeros up to a multiple of _TILE, as columns of tiles (n / _TILE, D, _TILE)."""
    rows = np.pad(descriptors, ((0, -len(descriptors) % _TILE), (0, 0)))
    return np.ascontiguousarray(rows.reshape(-1, _TILE, rows.shape[1]).transpose(0, 2, 1), dtype=np.float32)


def _multiply(descriptors: Vectors, tiles: Vectors, out: Vectors) -> None:
    """Fill out (p, n) with the product of descriptors (p, D) and tiles, tile by tile, on this thread alone.

    OpenBLAS would spread a larger product over threads of its own, which wait for each other several times a
    millisecond: beside our threads, or on a busy machine, that took four times as long.
    """
    whole = len(descriptors) // _TILE * _TILE
    for rows in (slice(0, whole), slice(whole, len(descriptors))):
        own = np.ascontiguousarray(descriptors[rows], dtype=np.float32)
        height = min(_TILE, len(own))
        if height:
            left = own.reshape(-1, 1, height, own.shape[1])
            np.matmul(left, tiles, out=out[rows].reshape(-1, height, len(tiles), _TILE).transpose(0, 2, 1, 3))


def deviations_of(cosines: Vectors, asked: Rows, best: Vectors) -> Vectors:
    """How many standard deviations cosines (m,) of the query's points asked (m,) are above what strangers reach.

    best (N, n): the greatest cosine of each point in each picture. Its median over the pictures and how far the tenth
    percentile lies below that say what strangers reach, even where almost half of the pictures show the object. In few
    pictures that is not known well, so it is averaged with what was measured, which counts like TRIED pictures.
    """
    known = len(best) / (len(best) + TRIED)
    tenth, median = np.percentile(best, [10, 50], axis=0) if len(best) else np.zeros((2, best.shape[1]))
    spread = known * (median - tenth) / _TENTH + (1 - known) * SPREAD
    usual = known * median + (1 - known) * USUAL
    deviations: Vectors = ((cosines - usual[asked]) / (spread[asked] + _NARROWEST)).astype(np.float32)
    return deviations


def weights_of(deviations: Vectors) -> Vectors:
    """What pairs say, in nats: the logarithm of how much likelier such a one is on the object than in a stranger.

    Straight lines through what was counted on pairs of photographs: 0.5 at one deviation, 2.2 at 2.25, 5 at 3.5, 7 at
    4.5 (rounded); that they lie where the map of the others puts them, which only few of the strangers' do, comes on
    top and makes even the least of them worth WORTH.
    """
    weights: Vectors = np.minimum(_WORTH + _EVERY * np.maximum(deviations - _FROM, 0), _MOST).astype(np.float32)
    return weights
