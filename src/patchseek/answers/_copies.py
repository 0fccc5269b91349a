"""All copies of the object in one picture, where it is sure enough that there is one."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..confidence import DOUBTFUL, Background
from ..rank import Candidate, evidence_of
from ..rerank import Refiner, enclosing, need, of_outline, outlines
from ..search import FoundBox, Match, Query
from ..store import Image
from ._searched import Searched


def may_have_copies(match: Match) -> bool:
    """Whether further copies are looked for: not where the first one is doubtful. It takes as long as refining."""
    return match.confidence is None or match.confidence >= DOUBTFUL


def with_copies(query: Query, match: Match, candidate: Candidate[Image], searched: Searched) -> Match:
    """The match with all copies in its picture: further ones only where they are not doubtful."""
    searched.on_step()
    picture = searched.view.open(candidate, need(searched.encoder))
    if picture is None:
        return _as_points_have_it(match, candidate)
    features = searched.snapshot.features(np.array([candidate.position], np.int64))
    heat: NDArray[np.float32] = features[0] @ query.laid.get(candidate.lay, query.feature)
    regions = searched.store.settings.pyramid.boxes_of(*candidate.size)[: len(heat)]
    refiner = Refiner(query, searched.encoder, on_step=searched.on_step)
    found = refiner.find_copies(picture, heat, regions, _known(candidate), candidate.lay, candidate.finer)
    if not found:
        return match
    first, *others = found
    sure = [each for each in others if not _is_doubtful(each, searched.background)]
    boxes = tuple(replace(each, score=match.score + each.score - first.score) for each in (first, *sure))
    return replace(match, box=first.box, boxes=boxes, outline=first.outline)


def _known(candidate: Candidate[Image]) -> list[NDArray[np.float64]]:
    """Maps where the query lies in the picture, by its pixels and by points."""
    finer = [of_outline(candidate.finer.outline)] if candidate.finer and candidate.finer.outline else []
    points = [] if candidate.map is None else [candidate.map]
    return [*finer, *points, *(laid for laid, _ in candidate.copies)]


def _as_points_have_it(match: Match, candidate: Candidate[Image]) -> Match:
    """The match with the copies that points alone tell of, in a picture that cannot be opened."""
    if not candidate.copies:
        return match
    maps = np.stack([laid for laid, _ in candidate.copies])
    columns = zip(enclosing(maps).tolist(), outlines(maps).tolist(), candidate.copies, strict=True)
    copies = [
        FoundBox((x0, y0, x1, y1), match.score - less, outline=tuple((x, y) for x, y in corners))
        for (x0, y0, x1, y1), corners, (_, less) in columns
    ]
    return replace(match, boxes=(FoundBox(match.box, match.score, outline=match.outline), *copies))


def _is_doubtful(found: FoundBox, background: Background | None) -> bool:
    sure = background.confidence(evidence_of(found)) if background else None
    return sure is not None and sure < DOUBTFUL
