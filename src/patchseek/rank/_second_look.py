"""The step that opens no picture: the points that are kept of the best few hundred say which hold the very object.

What patches say of all pictures at once, points check one by one: which point of the query is which of the picture, and
whether one map takes them all there. So it brings up what patches ranked low, and a box that fits the object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._progress import OnProgress, unheard
from .._words import counted
from ..points import WORTH, Agreement, CodedPoints, PicturePoints, borne_out, gains, identify, on_axes
from ..rerank import OnStep, go_on
from ..search import CropPoints, PartnerPoints, Query
from ._candidates import Candidate, T, View
from ._turned_looks import Kept, Look, look_at_all

POINTS = "points"
"""A kind of evidence: what points say beyond what they say of strangers, see points.gains; 0 of nearly all of these."""

PATCHES_ASKED = 100
"""Where points place a box but say too little to be believed alone, the patches there are asked, in so many of the
first pictures: further down this has found nothing that was right."""


@dataclass(frozen=True)
class SecondLook:
    """The Step that compares the query's points with those of the first n pictures. Opens none of them."""

    n: int
    on_step: OnStep = go_on
    copies: int = 1
    # of the query that are looked for in a picture
    on_progress: OnProgress = unheard
    # is told when it begins

    def look(self, query: Query, view: View[T], candidates: Sequence[Candidate[T]]) -> Sequence[Candidate[T]]:
        """See Step. Nothing changes for a query without points, such as words, and where none are kept."""
        snapshot = view.snapshot
        own = snapshot.points_identity
        if not query.points or own is None or not own.can_be_compared(identify()) or not candidates:
            return candidates
        self.on_step()
        self.on_progress(0, 0, f"comparing points of {counted(len(candidates), 'picture')}")
        positions = np.array([candidate.position for candidate in candidates], np.int64)
        kept = Kept(
            [CodedPoints(codes) for codes in snapshot.points(positions)],
            [c.size for c in candidates],
            own.side,
            self.copies,
        )
        looks = [
            one for i, crop in enumerate(query.points) for one in look_at_all(i, _on_axes(crop), kept, self.on_step)
        ]
        winners = [looks[i] for i in np.stack([gains(each.found) for each in looks]).argmax(axis=0).tolist()]
        found = [winner.found[i] for i, winner in enumerate(winners)]
        believed = _believed(query, view, candidates, found, [winner.points.is_upright for winner in winners])
        seen: list[Candidate[T]] = []
        for candidate, points, winner, agreements, is_so in zip(
            candidates, kept.points, winners, found, believed, strict=True
        ):
            known = agreements[0] if agreements else None
            better = _weighed(candidate, known)
            if known and is_so:
                better = _placed(better, agreements, _partners(winner, points, known))
            seen.append(better)
        return seen


def _on_axes(crop: CropPoints) -> CropPoints:
    """A query's points as they are compared with decoded ones."""
    turned = crop.turned
    return CropPoints(
        on_axes(crop.upright),
        crop.mirror and on_axes(crop.mirror),
        turned and (lambda turns, mirrored: on_axes(turned(turns, mirrored))),
    )


def _believed(
    query: Query,
    view: View[T],
    candidates: Sequence[Candidate[T]],
    found: Sequence[Sequence[Agreement]],
    upright: Sequence[bool],
) -> NDArray[np.bool_]:
    """Whether (N,) the box of a candidate's points is believed.

    Patches have a say in the first PATCHES_ASKED, where the query lies upright: features are read for those alone.
    """
    believed = gains(found) > 0
    asked = [i for i, own in enumerate(found[:PATCHES_ASKED]) if own and upright[i] and not believed[i]]
    if asked:
        features = view.snapshot.features(np.array([candidates[i].position for i in asked], np.int64))
        regions = np.stack([view.regions_of(candidates[i]) for i in asked])
        believed[asked] = borne_out([found[i] for i in asked], features @ query.feature, regions)
    return believed


def _weighed(candidate: Candidate[T], agreement: Agreement | None) -> Candidate[T]:
    """The candidate with what points say of it."""
    gain = agreement.gain if agreement else 0.0
    return replace(candidate, score=candidate.score + WORTH * gain, evidence={**candidate.evidence, POINTS: gain})


def _placed(candidate: Candidate[T], agreements: Sequence[Agreement], partners: PartnerPoints) -> Candidate[T]:
    """The candidate where points have it, and its copies."""
    first, *others = agreements
    x0, y0, x1, y1 = first.box.tolist()
    copies = tuple((other.map, WORTH * (first.gain - other.gain)) for other in others)
    return replace(candidate, box=(x0, y0, x1, y1), map=first.map, copies=copies, partners=partners)


def _partners(look: Look, kept: PicturePoints, agreement: Agreement) -> PartnerPoints:
    here, there = agreement.pairs.T
    return PartnerPoints(look.asked, np.hstack([look.points.places[here], kept.places[there]]))
