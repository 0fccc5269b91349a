"""The step that opens no picture: the points that are kept of the best few hundred say which hold the very object.

What patches say of all pictures at once, points check one by one: which point of the query is which of the picture, and
whether one map takes them all there. So it brings up what patches ranked low, and a box that fits the object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..points import WORTH, Agreement, Points, decode, gains, identify
from ..rerank import OnStep, go_on
from ..search import PartnerPoints, Query
from ._candidates import Candidate, T, View
from ._turned_looks import Kept, Look, look_at_all

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
        kept = Kept([decode(codes) for codes in snapshot.points(positions)], [c.size for c in candidates], own.side)
        looks = [one for i, crop in enumerate(query.points) for one in look_at_all(i, crop, kept, self.on_step)]
        gained = np.stack([gains(each.found) for each in looks])
        winners = gained.argmax(axis=0).tolist()
        return [
            _seen(candidate, looks[best].found[i][0], looks[best], kept.points[i])
            if gained[best, i]
            else replace(candidate, evidence={**candidate.evidence, POINTS: 0.0})
            for i, (candidate, best) in enumerate(zip(candidates, winners, strict=True))
        ]


def _seen(candidate: Candidate[T], agreement: Agreement, look: Look, kept: Points) -> Candidate[T]:
    evidence = {**candidate.evidence, POINTS: agreement.gain}
    x0, y0, x1, y1 = agreement.box.tolist()
    here, there = agreement.pairs.T
    partners = PartnerPoints(look.asked, np.hstack([look.points.places[here], kept.places[there]]))
    score = candidate.score + WORTH * agreement.gain
    found = replace(candidate, score=score, box=(x0, y0, x1, y1), evidence=evidence)
    return replace(found, map=agreement.map, partners=partners)
