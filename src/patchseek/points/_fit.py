"""From partners to the map that most of them agree on, for many pictures at once. Knows only where points lie.

A map is a similarity: u = a x + b y + c, v = -b x + a y + d takes the query's places to the picture's. One pair of
partners is a whole map, because the sizes at which both were seen and the query's turn are known: a vote, as in Lowe's
generalised Hough transform (2004, section 7.1), with one vote a pair and its neighbours counted in place of bins. The
maps with most support are fitted again to those who agree, by weighted least squares (Umeyama 1991), each time more
strictly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 3
"""Pairs that must agree on a map."""
TOLERANCES = (0.15, 0.1, 0.05, 0.04)
"""How far off a pair may lie that still agrees, as a share of the query's longer side: at first, then in each fit."""

_TRIED = 3
# votes with most support that are fitted
_NEAR = 1.6
# times that a pair may be larger or smaller than a vote and still support it
_FREE = 3.0
# times that a fitted map may be larger or smaller than the vote it grew from
_HOLD = 1e-3
# how firmly a fit holds to the size and turn of its vote, in variances of the query's places

Numbers = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """At most K pairs of partners of each of N pictures, padded by such of weight 0."""

    places: Numbers
    # (4, N, K) x, y in the query and u, v in the picture, in longer sides of each
    scales: Numbers
    # (N, K) the query's longer side in the picture as the pair saw it, in longer sides of the picture
    turns: Numbers
    # (N, K) radians, counter-clockwise, by which the query was turned when its point was seen
    weights: Numbers
    # (N, K) 0 where there is no pair


def fit(pairs: Pairs) -> tuple[Numbers, Mask]:
    """The best map (N, 4) a, b, c, d of each picture, and whether (N,) at least LEAST pairs agree on it."""
    n_pictures, n_pairs = pairs.weights.shape
    if not n_pairs:
        return np.zeros((n_pictures, 4), np.float32), np.zeros(n_pictures, bool)
    voted, agree = _vote(pairs)
    maps = voted
    weights, places = pairs.weights[:, None], pairs.places[:, :, None]
    for tolerance in TOLERANCES[1:]:
        maps = _least_squares(places, weights * agree, voted)
        agree = (weights > 0) & (errors_of(maps[..., None], places) < tolerance)
    grown = np.hypot(maps[0], maps[1]) / np.maximum(np.hypot(voted[0], voted[1]), 1e-12)
    sound = (agree.sum(axis=2) >= LEAST) & (grown < _FREE) & (grown > 1 / _FREE)
    value = np.where(sound, (weights * agree).sum(axis=2), -1)
    best = value.argmax(axis=1)
    rows = np.arange(n_pictures)
    return np.ascontiguousarray(maps[:, rows, best].T), sound[rows, best]


def errors_of(maps: Numbers, places: Numbers) -> Numbers:
    """How far maps (4, ...) are off at places (4, ...) x, y, u, v, as a share of the query's longer side."""
    (a, b, c, d), (x, y, u, v) = maps, places
    off = np.square(a * x + b * y + c - u) + np.square(a * y - b * x + d - v)
    errors: Numbers = np.sqrt(off / np.maximum(a * a + b * b, 1e-12))
    return errors


def _vote(pairs: Pairs) -> tuple[Numbers, Mask]:
    """The maps (4, N, T) of the pairs that most others agree with, and which pairs (N, T, K) do."""
    x, y, u, v = pairs.places
    a, b = pairs.scales * np.cos(pairs.turns), pairs.scales * np.sin(pairs.turns)
    votes = np.stack([a, b, u - a * x - b * y, v - a * y + b * x])
    here, there = (slice(None), slice(None), None), (slice(None), None, slice(None))
    agree = errors_of(votes[:, *here], pairs.places[:, *there]) < TOLERANCES[0]
    sizes = np.log(np.maximum(pairs.scales, 1e-12))
    agree &= np.abs(sizes[here] - sizes[there]) < np.log(_NEAR)
    agree &= pairs.turns[here] == pairs.turns[there]
    agree &= (pairs.weights[here] > 0) & (pairs.weights[there] > 0)
    support = (agree @ pairs.weights[:, :, None])[..., 0]
    most = np.argsort(-support, axis=1, kind="stable")[:, :_TRIED]
    return np.take_along_axis(votes, most[None], axis=2), np.take_along_axis(agree, most[..., None], axis=1)


def _least_squares(places: Numbers, weights: Numbers, voted: Numbers) -> Numbers:
    """The maps (4, N, T) nearest to places (4, N, 1, K) by weights (N, T, K), held a little to the voted (4, N, T).

    With places from their weighted means on: a = (sum w (x u + y v) + h a0) / (sum w (x^2 + y^2) + h), b likewise of
    y u - x v, where the weights sum to 1 and h is _HOLD.
    """
    shares = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    means = (shares * places).sum(axis=-1)
    x, y, u, v = places - means[..., None]
    spread = (shares * (x * x + y * y)).sum(axis=-1) + _HOLD
    a = ((shares * (x * u + y * v)).sum(axis=-1) + _HOLD * voted[0]) / spread
    b = ((shares * (y * u - x * v)).sum(axis=-1) + _HOLD * voted[1]) / spread
    x, y, u, v = means
    return np.stack([a, b, u - a * x - b * y, v - a * y + b * x])
