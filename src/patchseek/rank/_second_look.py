"""The step that opens no picture: the points that are kept of the best few hundred say which hold the very object.

What patches say of all pictures at once, points check one by one: which point of the query is which of the picture, and
whether one map takes them all there. So it brings up what patches ranked low, and a box that fits the object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..points import WORTH, Agreement, Points, QueryPoints, decode, gains, identify, match
from ..rerank import OnStep, go_on
from ..search import PartnerPoints, Query
from ._candidates import Candidate, T, View

POINTS = "points"
"""A kind of evidence: what points say beyond what they say of strangers, see points.gains; 0 where they say nothing."""


@dataclass(frozen=True)
class SecondLook:
    """A Step."""

    n: int
    on_step: OnStep = go_on

    def look(self, query: Query, view: View[T], candidates: Sequence[Candidate[T]]) -> Sequence[Candidate[T]]:
        """See Step. Nothing changes for a query without points, such as words, and where none are kept."""
        snapshot = view.snapshot
        own = snapshot.points_identity
        if not query.points or own is None or not own.can_be_compared(identify()) or not candidates:
            return candidates
        self.on_step()
        positions = np.array([candidate.position for candidate in candidates], np.int64)
        kept = [decode(codes) for codes in snapshot.points(positions)]
        sizes = [candidate.size for candidate in candidates]
        looks = [match(points, kept, sizes, own.side) for points in query.points]
        gained = np.stack([gains(found) for found in looks])
        winners = gained.argmax(axis=0).tolist()
        return [
            _seen(candidate, gain, looks[best][i][0], _partners(best, query.points[best], kept[i], looks[best][i][0]))
            if (gain := float(gained[best, i]))
            else replace(candidate, evidence={**candidate.evidence, POINTS: 0.0})
            for i, (candidate, best) in enumerate(zip(candidates, winners, strict=True))
        ]


def _partners(asked: int, points: QueryPoints, kept: Points, agreement: Agreement) -> PartnerPoints:
    here, there = agreement.pairs.T
    return PartnerPoints(asked, np.hstack([points.places[here], kept.places[there]]))


def _seen(candidate: Candidate[T], gain: float, agreement: Agreement, partners: PartnerPoints) -> Candidate[T]:
    evidence = {**candidate.evidence, POINTS: gain}
    x0, y0, x1, y1 = agreement.box.tolist()
    score = candidate.score + WORTH * gain
    found = replace(candidate, score=score, box=(x0, y0, x1, y1), evidence=evidence)
    return replace(found, map=agreement.map, partners=partners)
