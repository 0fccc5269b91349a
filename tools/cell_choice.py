"""Settings for cells from what pieces look like in their pictures and in others. Numbers alone; for tune_cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchseek.errors import PatchseekError
from patchseek.rerank import Recipe
from patchseek.rerank._agreement import agreed

FLOORS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
AGREEMENTS = (0.0, 0.3, 0.6, 1.2, 2.4, 4.8, 9.6)
OUTLIER = 4.0
"""Spreads above the median of random strangers from which a fit says that the very thing is shown."""
USUAL = np.array(Recipe().weights)
"""Weights that labels chose, for one network: half of what is chosen here. Pieces know no other views of a thing, in
which the likeness of the whole says more."""
FEWEST = 20
"""Pieces, and strangers that are none of the very thing, that say something."""


@dataclass(frozen=True, eq=False)
class Looks:
    """What M boxes of a picture look like beside a piece."""

    likeness: NDArray[np.float32]
    # (M,)
    cosines: NDArray[np.float32]
    # (M, 2, n), see rerank._agreement.partners
    fit: NDArray[np.float32]
    # (M,)
    colour: NDArray[np.float32]
    # (M,)
    overlap: NDArray[np.float64]
    # (M,) IoU with where the piece lies; zeros in other pictures
    same: NDArray[np.float32]
    # (M,) fit of the piece as it lies in its picture

    def scores(self, floor: float, weight: float) -> NDArray[np.float32]:
        """(M,), as Refiner.score has them."""
        return np.asarray((self.likeness + weight * agreed(self.cosines, floor)) / (1 + weight), np.float32)

    def best(self, floor: float, weight: float) -> NDArray[np.float64]:
        """Likeness, agreement, fit and colour (4,) of the best box."""
        i = int(self.scores(floor, weight).argmax())
        return np.array([self.likeness[i], agreed(self.cosines[i : i + 1], floor)[0], self.fit[i], self.colour[i]])


@dataclass(frozen=True, eq=False)
class Seen:
    """A piece in its own picture, in those most like it, and in some at random."""

    own: Looks
    alike: Sequence[Looks]
    random: Sequence[Looks]


@dataclass(frozen=True)
class Choice:
    """What was chosen, and by what."""

    settings: dict[str, Any]
    # floor, agreement, weights; see rerank.Recipe
    reasons: dict[str, Any]


def choose(seen: Sequence[Seen]) -> Choice:
    """Settings by pieces that were seen. Raises PatchseekError where these are too few."""
    if len(seen) < FEWEST:
        raise PatchseekError(f"{len(seen)} pieces were seen, and {FEWEST} are the fewest that say anything")
    tried = {(floor, weight): overlaps(seen, floor, weight) for floor in FLOORS for weight in AGREEMENTS}
    floor, weight = strictest(tried)
    apart, n_same = differences(seen, floor, weight)
    if len(apart) < FEWEST:
        raise PatchseekError(f"{len(apart)} strangers show another thing than the piece, and {FEWEST} are the fewest")
    weights = tuple(round(float(each), 2) for each in (direction(apart) + USUAL) / 2)
    reasons = {
        "pieces": len(seen),
        "mean IoU": round(float(overlaps(seen, floor, weight).mean()), 3),
        "mean IoU by floor and agreement": {f"{f:g} {w:g}": round(float(v.mean()), 3) for (f, w), v in tried.items()},
        "strangers": len(apart),
        "passed over, as they show the very thing": n_same,
        "above strangers (likeness, agreement, fit, colour)": apart.mean(axis=0).round(3).tolist(),
        "its spread": apart.std(axis=0).round(3).tolist(),
    }
    return Choice({"floor": floor, "agreement": weight, "weights": weights}, reasons)


def overlaps(seen: Sequence[Seen], floor: float, weight: float) -> NDArray[np.float64]:
    """The IoU (n,) in [0, 1] of the best box of each of n pieces with where it lies."""
    return np.array([each.own.overlap[each.own.scores(floor, weight).argmax()] for each in seen])


def strictest(tried: Mapping[tuple[float, float], NDArray[np.float64]]) -> tuple[float, float]:
    """Of all settings that are as good as the best, by overlaps (n,): the highest floor, and the middle of its weights.

    As good is what is worse by no more than the standard error of its differences from the best (after Breiman et al.
    1984, who take the simplest of those). Boxes are found about as well from 0 up to some floor; but below a floor,
    what is alike by chance counts, of which photographs of different things have more than pieces have. The middle is
    the geometric mean. No weight of 0 is as good as any.
    """
    best = max(tried.values(), key=lambda each: float(each.mean()))
    worse = {pair: best - each for pair, each in tried.items() if pair[1] > 0}
    good = [pair for pair, each in worse.items() if each.mean() <= each.std() / np.sqrt(len(each))]
    floor = max((floor for floor, _ in good), default=FLOORS[0])
    weights = [weight for own, weight in good if own == floor] or [AGREEMENTS[1]]
    return floor, round(float(np.exp(np.mean(np.log(weights)))), 1)


def differences(seen: Sequence[Seen], floor: float, weight: float) -> tuple[NDArray[np.float64], int]:
    """By what likeness, agreement, fit and colour (n, 4) of the right pictures are above those of strangers.

    And how many of the strangers were passed over, since they show the very thing.
    """
    usual = np.array([looks.same.max() for each in seen for looks in each.random])
    middle = float(np.median(usual))
    spread = 1.4826 * float(np.median(abs(usual - middle)))  # of a normal distribution, the standard deviation
    most = middle + OUTLIER * spread
    apart = [
        each.own.best(floor, weight) - looks.best(floor, weight)
        for each in seen
        for looks in each.alike
        if looks.same.max() <= most
    ]
    return np.reshape(apart, (-1, 4)), sum(len(each.alike) for each in seen) - len(apart)


def direction(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (k,), none below 0 and 1 in all, that tell differences (n, k) best from none.

    Fisher's direction (1936): the inverse of the covariance times the mean, of the subset of columns, of those that
    have no weight below 0, for which it tells most. Columns say much of the same, so that which of them counts would
    be chance: half of each covariance is taken, as if they were that much less alike (Friedman 1989 shrinks so).
    """
    mean, spread = apart.mean(axis=0), np.cov(apart.T)
    spread = (spread + np.diag(np.diag(spread))) / 2 + 1e-9 * np.eye(len(mean))
    best, most = np.zeros(len(mean)), 0.0
    for n in range(1, len(mean) + 1):
        for chosen in map(list, combinations(range(len(mean)), n)):
            found = np.linalg.solve(spread[np.ix_(chosen, chosen)], mean[chosen])
            told = float(found @ mean[chosen])
            if (found >= 0).all() and told > most:
                best, most = np.zeros(len(mean)), told
                best[chosen] = found / found.sum()
    return best
