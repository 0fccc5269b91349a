"""The step that opens pictures: finer boxes for the first ones, and their order anew. What is tried is for `rerank`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._ahead import map_ahead
from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..images import Picture
from ..lays import UPRIGHT
from ..rerank import Maps, OnStep, Recipe, Refiner, composed, go_on, need, of_boxes, turn
from ..search import FoundBox, Query
from ._candidates import LIKENESS, Candidate, T, View

FITTING = "fitting"
"""A kind of evidence: likeness and fit of a refined box together, at most 2; it stands in place of LIKENESS."""
COLOUR = "colour"
"""A kind of evidence: how alike the colours of a refined box and of the query are, in [0, 1]."""
_BEFORE = 0.18
# weight of the score that a candidate came with, beside what its pixels gave
_LEAST_TURN = 7.0
# degrees from which a map that turns is followed; less is seldom told from nothing
REFINING = "refining boxes"
"""What it does, as progress is told."""


@dataclass(frozen=True)
class Refinement:
    """The Step that opens the first n pictures, refines their boxes, and orders them by what their pixels say."""

    n: int
    encoder: Encoder
    recipe: Recipe | None = None
    # None: that of the encoder
    on_step: OnStep = go_on
    on_progress: OnProgress = unheard
    # is told of pictures

    def look(self, query: Query, view: View[T], candidates: Sequence[Candidate[T]]) -> list[Candidate[T]]:
        """See Step.

        A picture keeps its box, and about its place, where its file has gone or holds another picture than was indexed,
        and where the encoder has no numbers for it: its score changes by as much as those of the others usually do.
        """
        found = self._found(query, view, candidates)
        both = zip(candidates, found, strict=True)
        ratios = [_joined(c, f) / c.score for c, f in both if f and c.score > 0]
        usual = float(np.median(ratios)) if ratios else 1.0
        return [_settled(c, f, usual) for c, f in zip(candidates, found, strict=True)]

    def _found(self, query: Query, view: View[T], candidates: Sequence[Candidate[T]]) -> list[FoundBox | None]:
        side = need(self.encoder)

        def opened(candidate: Candidate[T]) -> Picture | None:
            self.on_step()
            return view.open(candidate, side)

        pictures = map_ahead(opened, candidates, 2, 8)
        starts, scores = [_starts(each, view) for each in candidates], [each.score for each in candidates]
        known = any(each.map is not None for each in candidates)  # else the order says too little of who is likely
        refiner = Refiner(query, self.encoder, self.recipe, self.on_step)
        found: list[FoundBox | None] = []
        self.on_progress(0, len(candidates), REFINING)
        for finer in refiner.refine(pictures, starts, scores if known else None):
            found.append(finer)
            self.on_progress(len(found), len(candidates), REFINING)
        return found


def _starts(candidate: Candidate[T], view: View[T]) -> Maps:
    """Where (n, 2, 3) the query may lie, the likeliest first. What points say may be wrong: what patches say is tried
    beside it, so that it is not lost, as the region is and as the query would lie in it."""
    box, region = of_boxes(np.array([candidate.box, view.regions_of(candidate)[candidate.region]]))
    known = candidate.map
    first = box if known is None or turn(known, *candidate.size) <= _LEAST_TURN else known
    tried = [first] if (first == region).all() else [first, region]
    if candidate.lay != UPRIGHT:
        tried.append(composed(region, candidate.lay.map))
    return np.stack(tried)


def evidence_of(found: FoundBox) -> dict[str, float]:
    """What a finer box says for itself, by kind."""
    return {FITTING: found.evidence} | ({} if found.colour is None else {COLOUR: found.colour})


def _joined(candidate: Candidate[T], finer: FoundBox) -> float:
    return _BEFORE * candidate.score + (1 - _BEFORE) * finer.score


def _settled(candidate: Candidate[T], finer: FoundBox | None, usual: float) -> Candidate[T]:
    if finer is None:
        return replace(candidate, score=candidate.score * usual)
    evidence = {kind: value for kind, value in candidate.evidence.items() if kind != LIKENESS} | evidence_of(finer)
    return replace(candidate, box=finer.box, score=_joined(candidate, finer), evidence=evidence, finer=finer)
