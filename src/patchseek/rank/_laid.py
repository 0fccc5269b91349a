"""One list of what an index finds for a query in several lays. Searches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..indexes import Hits
from ..lays import UPRIGHT, Lay
from ._candidates import LIKENESS, Candidate, T

HANDICAP = 0.05
"""Likeness that a query which is not upright falls short of what it was: strangers get more chances by it as well."""


@dataclass(frozen=True)
class LaidHit:
    """A picture that was found, as the best of the lays has it."""

    position: int
    region: int
    likeness: float
    lay: Lay

    def candidate(self, picture: T, size: tuple[int, int], box: tuple[float, float, float, float]) -> Candidate[T]:
        """It as a candidate. box: that of its region."""
        likeness, kinds = self.likeness, {LIKENESS: self.likeness}
        return Candidate(picture, size, self.position, self.region, likeness, box, likeness, kinds, self.lay)


def best_lays(hits: Hits, lays: Sequence[Lay]) -> list[LaidHit]:
    """Of what each of the lays (L,) found, row by row of the hits (L, k): each picture once, best first.

    Ties in the order in which the index has them. A picture that is among the best of all lays together is among the
    best of its own, so that nothing is lost.
    """
    handicaps = np.array([0.0 if lay == UPRIGHT else HANDICAP for lay in lays], np.float32)
    scores = (hits.scores - handicaps[:, None]).ravel()
    positions, regions, n = hits.positions.ravel(), hits.regions.ravel(), hits.positions.shape[1]
    order = np.lexsort((positions, -scores)) if len(lays) > 1 else np.arange(n)
    order = order[positions[order] >= 0]
    order = order[np.sort(np.unique(positions[order], return_index=True)[1])]
    columns = zip(
        order.tolist(), positions[order].tolist(), regions[order].tolist(), scores[order].tolist(), strict=True
    )
    return [LaidHit(position, region, score, lays[row // n]) for row, position, region, score in columns]
