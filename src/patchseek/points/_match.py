"""Where a query's box lies in each of many pictures, by their points, and what that is worth. Opens no picture.

Each picture is looked at by `_agreements`; here it is chosen which of many are looked at closely.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._agreements import Agreement, Shown, look
from ._extract import SIDE
from ._points import PicturePoints, QueryPoints

STRANGERS = 14.0
"""Nats of evidence that points of a stranger reach, the median."""
TRIED = 20
"""STRANGERS counts as much as so many pictures beside those that a query is compared with."""
FEW = 100
"""So many pictures are all compared point by point; of more, those that a first look leaves."""

_STEP = 10.0
# nats beyond strangers' evidence that make the first step of a gain
_FIRST_ASKED, _FIRST_FOUND = 64, 400
# points of each of the query's crops, and of each picture, that a first look compares: the strongest
_EVIDENT, _LIKE, _EVERY = 8, 20, 5
# what is looked at again: an eighth, the most evident; a twentieth, the first ones; every fifth, to measure strangers
# by. Twice as many of the first two find no more


def match(
    query: QueryPoints, pictures: Sequence[PicturePoints], sizes: ArrayLike, side: int = SIDE, copies: int = 1
) -> list[list[Agreement]]:
    """For each picture, at most so many copies of the query's box in it, the most evident first; [] where none agrees.

    pictures: those likest to the query first. sizes (N, 2): width and height in pixels of the upright pictures, whose
    points were taken at no more than `side`. Strangers have maps as well, but gain little or nothing by them. What a
    pair of points says and what strangers reach is measured on the very pictures, so it is best to ask for hundreds at
    once, most of which do not show the object. Many are looked at with few points first, and only those that promise
    most with all; the others gain nothing. A further copy is one that gains as well, by points that do not lie in those
    before. Pictures without points are no measure of the others.
    """
    shown = _shown(pictures, sizes, side)
    known = np.flatnonzero([len(points) > 0 for points in pictures])
    sample = known if len(pictures) <= FEW else known[::_EVERY]
    found = [[] if one is None else [one] for one in _all_or_some(query, shown, sample)]
    _add_copies(found, copies - 1, query, shown, sample)
    return found


def _all_or_some(query: QueryPoints, shown: Shown, sample: NDArray[np.intp]) -> list[Agreement | None]:
    """See `match`: one copy in each picture; where there are many, in those that a first look leaves."""
    n = len(shown.points)
    if n <= FEW:
        return _gains(look(query, shown, sample), sample)
    found = _first_look(query, shown, sample)
    evident = np.argsort(-np.array([_evidence(one) for one in found]), kind="stable")[: n // _EVIDENT]
    again = np.unique(np.concatenate([evident, np.arange(n // _LIKE), sample]))
    strangers = np.searchsorted(again, sample)
    for i, one in zip(again.tolist(), _gains(look(query, shown.chosen(again), strangers), strangers), strict=True):
        found[i] = one
    return found


def _add_copies(
    found: list[list[Agreement]], n: int, query: QueryPoints, shown: Shown, sample: NDArray[np.intp]
) -> None:
    """Append to what was found in each picture at most n further copies, see `match`."""
    rising = [i for i, own in enumerate(found) if own and own[0].gain]
    for _ in range(n):
        if not rising:
            return
        free = [_outside(found[i], shown.points[i].places) for i in rising]
        looked = shown.chosen(np.array([*rising, *sample]))
        left = [points.chosen(rows) for points, rows in zip(looked.points, free, strict=False)]
        looked = replace(looked, points=[*left, *looked.points[len(left) :]])
        strangers = np.arange(len(left), len(looked.points))
        more = _gains(look(query, looked, strangers), strangers)[: len(left)]
        seen, rising = list(zip(rising, free, more, strict=True)), []
        for i, rows, one in seen:
            if one and one.gain:
                here, there = one.pairs.T
                found[i].append(replace(one, pairs=np.stack([here, rows[there]], axis=1)))
                found[i].sort(key=lambda agreement: -agreement.evidence)
                rising.append(i)


def _outside(known: Sequence[Agreement], places: NDArray[np.float32]) -> NDArray[np.intp]:
    """Which of a picture's places (n, 2) lie in none of the query's outlines."""
    inside = np.zeros(len(places), bool)
    for agreement in known:
        laid = agreement.map
        asked = np.linalg.solve(laid[:, :2], (places - laid[:, 2]).T)
        inside |= ((asked >= 0) & (asked <= 1)).all(axis=0)
    return np.flatnonzero(~inside)


def glance(query: QueryPoints, pictures: Sequence[PicturePoints], sizes: ArrayLike, side: int = SIDE) -> float:
    """The most that any of the pictures gains by a first look, with few points: whether `match` is worth its time.

    pictures, sizes, side: as `match` takes them; a few dozen are enough.
    """
    everyone = np.arange(len(pictures))
    found = _gains(_first_look(query, _shown(pictures, sizes, side), everyone), everyone)
    return max((one.gain for one in found if one), default=0.0)


def _shown(pictures: Sequence[PicturePoints], sizes: ArrayLike, side: int) -> Shown:
    shapes = np.asarray(sizes, np.float64).reshape(-1, 2)
    assert len(shapes) == len(pictures), "one size a picture"
    return Shown(pictures, shapes, side)


def _first_look(query: QueryPoints, shown: Shown, strangers: NDArray[np.intp]) -> list[Agreement | None]:
    """See `look`: with few points."""
    few = [points.chosen(slice(_FIRST_FOUND)) for points in shown.points]
    return look(_strongest(query), replace(shown, points=few), strangers)


def _strongest(query: QueryPoints) -> QueryPoints:
    """The first _FIRST_ASKED points of each of a query's crops."""
    crops = np.stack([query.turns, query.scales], axis=1)
    _, own = np.unique(crops, axis=0, return_inverse=True)
    order = np.argsort(own.reshape(-1), kind="stable")
    sorted_own = own.reshape(-1)[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_own, sorted_own)
    kept = np.sort(order[rank < _FIRST_ASKED])
    return query.chosen(kept)


def _evidence(agreement: Agreement | None) -> float:
    return agreement.evidence if agreement else 0.0


def _gains(found: Sequence[Agreement | None], strangers: NDArray[np.intp]) -> list[Agreement | None]:
    """The agreements with what they gain.

    g = ln(1 + max(0, e - b) / 10) where e is the evidence in nats and b twice what strangers reach: the median of e (0
    without) over them, averaged with STRANGERS, which counts like TRIED pictures. So a query with few points or with
    common ones, for which strangers have as much evidence as the right pictures, gains nothing anywhere, and is ranked
    by patches. A median holds though almost half of them are right.
    """
    reached = [_evidence(found[i]) for i in strangers]
    known = len(reached) / (len(reached) + TRIED)
    level = known * float(np.median(reached or [0.0])) + (1 - known) * STRANGERS

    def gain(evidence: float) -> float:
        return float(np.log1p(max(0.0, evidence - 2 * level) / _STEP))

    return [one and replace(one, gain=gain(one.evidence)) for one in found]
