"""Where a query's box lies in each of many pictures, by their points, and what that is worth. Opens no picture.

Each picture is looked at by `_agreements`; here it is chosen which of many are looked at closely.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._agreements import Agreement, look
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
    shapes = np.asarray(sizes, np.float64).reshape(-1, 2)
    n = len(pictures)
    assert len(shapes) == n, "one size a picture"
    known = np.flatnonzero([len(points) > 0 for points in pictures])
    sample = known if n <= FEW else known[::_EVERY]
    found = _all_or_some(query, pictures, shapes, side, sample)
    _add_copies(found, copies - 1, query, pictures, shapes, side, sample)
    return found


def _all_or_some(
    query: QueryPoints,
    pictures: Sequence[PicturePoints],
    shapes: NDArray[np.float64],
    side: int,
    sample: NDArray[np.intp],
) -> list[list[Agreement]]:
    """See `match`: one copy at most in each picture; where there are many, in those that a first look leaves."""
    n = len(pictures)
    if n <= FEW:
        return _gains(look(query, pictures, shapes, side, sample), sample)
    first = _first_look(query, pictures, shapes, side, sample)
    evidence = np.array([own[0].evidence if own else 0.0 for own in first])
    evident = np.argsort(-evidence, kind="stable")[: n // _EVIDENT]
    again = np.unique(np.concatenate([evident, np.arange(n // _LIKE), sample]))
    strangers = np.searchsorted(again, sample)
    second = look(query, [pictures[i] for i in again], shapes[again], side, strangers)
    for i, own in zip(again.tolist(), _gains(second, strangers), strict=True):
        first[i] = own
    return first


def _add_copies(
    found: list[list[Agreement]],
    n: int,
    query: QueryPoints,
    pictures: Sequence[PicturePoints],
    shapes: NDArray[np.float64],
    side: int,
    sample: NDArray[np.intp],
) -> None:
    """Append to what was found in each picture at most n further copies, see `match`."""
    rising = [i for i, own in enumerate(found) if own and own[0].gain]
    for _ in range(n):
        if not rising:
            return
        free = [_outside(found[i], pictures[i].places) for i in rising]
        left = [pictures[i].chosen(rows) for i, rows in zip(rising, free, strict=True)]
        order = np.array([*rising, *sample])
        strangers = np.arange(len(rising), len(order))
        more = _gains(look(query, left + [pictures[i] for i in sample], shapes[order], side, strangers), strangers)
        seen, rising = list(zip(rising, free, more, strict=False)), []
        for i, rows, own in seen:
            if own and own[0].gain:
                here, there = own[0].pairs.T
                found[i].append(replace(own[0], pairs=np.stack([here, rows[there]], axis=1)))
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
    shapes, everyone = np.asarray(sizes, np.float64).reshape(-1, 2), np.arange(len(pictures))
    found = _gains(_first_look(query, pictures, shapes, side, everyone), everyone)
    return max((own[0].gain for own in found if own), default=0.0)


def _first_look(
    query: QueryPoints,
    pictures: Sequence[PicturePoints],
    shapes: NDArray[np.float64],
    side: int,
    strangers: NDArray[np.intp],
) -> list[list[Agreement]]:
    """See `look`: with few points."""
    few = [points.chosen(slice(_FIRST_FOUND)) for points in pictures]
    return look(_strongest(query), few, shapes, side, strangers)


def _strongest(query: QueryPoints) -> QueryPoints:
    """The first _FIRST_ASKED points of each of a query's crops."""
    crops = np.stack([query.turns, query.scales], axis=1)
    _, own = np.unique(crops, axis=0, return_inverse=True)
    order = np.argsort(own.reshape(-1), kind="stable")
    sorted_own = own.reshape(-1)[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_own, sorted_own)
    kept = np.sort(order[rank < _FIRST_ASKED])
    return query.chosen(kept)


def _gains(found: list[list[Agreement]], strangers: NDArray[np.intp]) -> list[list[Agreement]]:
    """The agreements, the most evident of a picture first, with what they gain.

    g = ln(1 + max(0, e - b) / 10) where e is the evidence in nats and b twice what strangers reach: the median of e (0
    without) over them, averaged with STRANGERS, which counts like TRIED pictures. So a query with few points or with
    common ones, for which strangers have as much evidence as the right pictures, gains nothing anywhere, and is ranked
    by patches. A median holds though almost half of them are right.
    """
    ordered = [sorted(own, key=lambda agreement: -agreement.evidence) for own in found]
    reached = [ordered[i][0].evidence if ordered[i] else 0.0 for i in strangers]
    known = len(reached) / (len(reached) + TRIED)
    level = known * float(np.median(reached or [0.0])) + (1 - known) * STRANGERS

    def gain(evidence: float) -> float:
        return float(np.log1p(max(0.0, evidence - 2 * level) / _STEP))

    return [[replace(agreement, gain=gain(agreement.evidence)) for agreement in own] for own in ordered]
