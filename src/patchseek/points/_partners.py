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

from ..encoders._openvino import len_cores
from ._points import Points

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


def find_partners(descriptors: Vectors, pictures: Sequence[Points]) -> Partners:
    """The partners of a query's points (n, 64), unit vectors, in each of the pictures."""
    if not len(descriptors) or not len(pictures):
        none = np.zeros(0, np.intp)
        return Partners(none, none, none, np.zeros(0, np.float32))
    columns = np.ascontiguousarray(descriptors.T)
    runs = np.array_split(np.arange(len(pictures)), min(len(pictures), 2 * len_cores()))

    def compare(run: Rows) -> list[_Nearest]:
        room = np.empty((max(len(pictures[i]) for i in run), len(descriptors)), np.float32)
        return [_compare(pictures[i].descriptors, columns, room) for i in run]

    with ThreadPoolExecutor(min(len(runs), len_cores())) as pool:
        nearest = [one for part in pool.map(compare, runs) for one in part]
    asked = np.concatenate([one.asked for one in nearest])
    cosines = np.concatenate([one.cosines for one in nearest])
    deviations = deviations_of(cosines, asked, np.stack([one.best for one in nearest]))
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


def _compare(descriptors: Vectors, columns: Vectors, room: Vectors) -> _Nearest:
    """Pairs of points of a picture (p, 64) and of a query (64, n); room: memory for the product, (>= p, n)."""
    if not len(descriptors):
        none = np.zeros(0, np.intp)
        return _Nearest(none, none, np.zeros(0, np.float32), np.full(columns.shape[1], -1, np.float32))
    cosines = np.matmul(descriptors, columns, out=room[: len(descriptors)])
    asked, best = cosines.argmax(axis=1), cosines.max(axis=0)
    own = cosines[np.arange(len(asked)), asked]
    mutual = np.flatnonzero(own == best[asked])
    return _Nearest(asked[mutual], mutual, own[mutual], best)


def deviations_of(cosines: Vectors, asked: Rows, best: Vectors) -> Vectors:
    """How many standard deviations cosines (m,) of the query's points asked (m,) are above what strangers reach.

    best (N, n): the greatest cosine of each point in each picture. Its median over the pictures and how far the tenth
    percentile lies below that say what strangers reach, even where almost half of the pictures show the object. In few
    pictures that is not known well, so it is averaged with what was measured, which counts like TRIED pictures.
    """
    known = len(best) / (len(best) + TRIED)
    tenth, median = np.percentile(best, [10, 50], axis=0)
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
