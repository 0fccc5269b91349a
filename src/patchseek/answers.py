"""From a query to the list a person sees: rank, judge, collapse. Joins the parts to its left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ._progress import OnProgress, unheard
from .confidence import DOUBTFUL, Background
from .encoders import Encoder
from .errors import QueryError
from .indexes import Index
from .lays import Lay, lays_of
from .originals import has_changed
from .rank import DEPTH, Candidate, StoreView, closer_looks, evidence_of, rank
from .rerank import OnStep, Recipe, Refiner, enclosing, go_on, need, outlines
from .search import FoundBox, Match, Query
from .store import Choice, Image, Moment, Snapshot, Store, Words

SAME_PICTURE = 0.95
"""Mean cosine of the regions of two pictures, region by region, from which they count as one."""
MAX_CHECKED = 1000
"""Of the pictures answered with, so many are held against their files, which may have changed."""
ALPHA = 3.0
"""Exponent of alpha query expansion: Radenovic et al. 2018, "Fine-tuning CNN image retrieval"."""


@dataclass(frozen=True)
class SearchOptions:
    """How to answer. Every field is an option of `patchseek search` and an argument of Collection.search."""

    top: int | None = 10
    # pictures to answer with, None for all
    refine: int = 20
    # of the first so many pictures, boxes are refined and the order is settled anew; 0: none
    depth: int = DEPTH
    # of the first so many pictures, the points that are kept are looked at before; 0: none
    turned: bool = True
    # look for it turned, too, by quarters and with points by any angle
    mirrored: bool = False
    # look for its mirror image, too
    several: bool = False
    # find every copy in each picture answered with
    distinct: bool = False
    # answer with one of several pictures that are nearly identical
    expand: int = 0
    # search again with the best so many results as further queries; 0: no
    min_confidence: float | None = None
    # leave out what is less sure
    under: Words = ()
    tags: Words = ()
    since: Moment | None = None
    until: Moment | None = None
    # which pictures may answer; see store.Choice

    @property
    def lays(self) -> tuple[Lay, ...]:
        """The lays other than upright in which the query is looked for."""
        return lays_of(turned=self.turned, mirrored=self.mirrored)

    @property
    def choice(self) -> Choice:
        """Which pictures may answer."""
        return Choice(self.under, self.tags, self.since, self.until)

    def __post_init__(self) -> None:
        self.choice  # noqa: B018  raises for dates that are none
        if self.top is not None and self.top < 1:
            raise QueryError(f"the number of pictures asked for must be at least 1, found {self.top}")
        if min(self.refine, self.depth, self.expand) < 0:
            found = f"{self.refine}, {self.depth} and {self.expand}"
            raise QueryError(f"refine, depth and expand must be at least 0, found {found}")
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise QueryError(f"min_confidence must lie in [0, 1], found {self.min_confidence}")


@dataclass(frozen=True)
class Searched:
    """What is searched, and with what."""

    index: Index
    snapshot: Snapshot
    store: Store
    encoder: Encoder
    background: Background | None = None
    among: NDArray[np.bool_] | None = None
    # (N,) True at the positions that may answer, None for all
    on_step: OnStep = go_on
    # also called before each search and before a file is looked at

    @property
    def view(self) -> StoreView:
        """Its pictures, for `rank`."""
        return StoreView(self.index, self.snapshot, self.store, self.among)


def answer(query: Query, options: SearchOptions, searched: Searched, on_progress: OnProgress = unheard) -> list[Match]:
    """The matches of a query, best first, as the options say. on_progress: what is done and how far it is."""
    if not options.choice.is_all:
        chosen = np.isin(searched.snapshot.ids, options.choice.ids(searched.store))
        searched = replace(searched, among=chosen)
    n_wanted = options.top or searched.snapshot.n_live
    candidates = _rank(query, options, searched, n_wanted, on_progress)
    if options.expand:
        query = expand(query, candidates[: options.expand], searched.snapshot)
        candidates = _rank(query, options, searched, n_wanted, on_progress)
    if options.distinct:
        candidates = _distinct(candidates, searched.snapshot)
    found = [(_judged(candidate, searched.background), candidate) for candidate in candidates]
    if options.min_confidence is not None:
        found = [(m, c) for m, c in found if m.confidence is None or m.confidence >= options.min_confidence]
    found = found[:n_wanted]
    matches = [m for m, _ in found]
    if options.several:
        matches = []
        for i, (match, candidate) in enumerate(found):
            on_progress(i, len(found), "looking for copies")
            matches.append(_with_copies(query, match, candidate, searched))
    return [*(_checked(match, searched.on_step) for match in matches[:MAX_CHECKED]), *matches[MAX_CHECKED:]]


def _rank(
    query: Query, options: SearchOptions, searched: Searched, n_wanted: int, on_progress: OnProgress
) -> list[Candidate[Image]]:
    """The candidates, best first, with scores that never rise down the list."""
    searched.on_step()
    on_progress(0, 0, "comparing patches")
    n = max(n_wanted * (3 if options.distinct else 1), options.refine)
    on_step, encoder = searched.on_step, searched.encoder
    steps = closer_looks(
        encoder,
        options.refine,
        depth=options.depth,
        copies=Recipe.max_copies if options.several else 1,
        on_step=on_step,
        on_progress=on_progress,
    )
    ranked = rank(query, searched.view, steps, n)[:n]
    listed: list[Candidate[Image]] = []
    for _, alike in groupby(ranked, key=lambda candidate: candidate.looks):
        part = list(alike)
        listed += _lowered(part, listed[-1].score) if listed else part
    return listed


def _lowered(candidates: list[Candidate[Image]], least: float) -> list[Candidate[Image]]:
    """The candidates, best first, with scores none of which is above `least`."""
    best = candidates[0].score
    if best > least and least <= 0:  # no factor brings them there
        return [replace(each, score=each.score - (best - least)) for each in candidates]
    scale = below([least], [best])
    return candidates if scale == 1 else [replace(each, score=each.score * scale) for each in candidates]


def _judged(candidate: Candidate[Image], background: Background | None) -> Match:
    """The candidate as a match, and how sure it is."""
    sure = background.confidence(candidate.evidence) if background else None
    changed = False if candidate.finer else None
    return Match(
        candidate.picture,
        candidate.score,
        candidate.box,
        sure,
        likeness=candidate.likeness,
        changed=changed,
        is_refined=candidate.finer is not None,
        outline=candidate.outline,
        partners=candidate.partners,
    )


def _checked(match: Match, on_step: OnStep) -> Match:
    """The match held against its file, unless it has been already, which takes reading it where its date is another."""
    if match.changed is not None:
        return match
    on_step()
    return replace(match, changed=has_changed(match.image))


def below(refined: Sequence[float], plain: Sequence[float]) -> float:
    """The factor that puts plain scores below refined ones, so that both can stand in one list; 1 where they do."""
    if not refined or not plain or max(plain) <= min(refined):
        return 1.0
    return max(min(refined), 0.0) / max(plain)


def expand(query: Query, candidates: Sequence[Candidate[Image]], snapshot: Snapshot) -> Query:
    """Alpha query expansion: the query's feature and those of its first results, weighted by likeness to the ALPHA."""
    if not candidates:
        return query
    features = snapshot.features(np.array([candidate.position for candidate in candidates], np.int64))
    winners = features[np.arange(len(candidates)), [candidate.region for candidate in candidates]]
    weights = np.array([max(candidate.likeness, 0.0) for candidate in candidates]) ** ALPHA
    lays, features = query.features
    wide = features + weights @ winners
    upright, *others = np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), np.float32)
    return replace(query, feature=upright, laid=dict(zip(lays[1:], others, strict=True)))


def _distinct(candidates: Sequence[Candidate[Image]], snapshot: Snapshot) -> list[Candidate[Image]]:
    """The candidates without those whose picture is nearly that of a better one."""
    kept: list[Candidate[Image]] = []
    seen = np.empty((0, snapshot.n_regions * snapshot.dim), np.float32)
    for candidate in candidates:
        feature = snapshot.features(np.array([candidate.position], np.int64)).reshape(1, -1)
        if (seen @ feature[0] < SAME_PICTURE * snapshot.n_regions).all():
            kept.append(candidate)
            seen = np.concatenate([seen, feature])
    return kept


def _with_copies(query: Query, match: Match, candidate: Candidate[Image], searched: Searched) -> Match:
    """The match with all copies in its picture: further ones only where they are not doubtful."""
    searched.on_step()
    picture = searched.view.open(candidate, need(searched.encoder))
    if picture is None:
        return _as_points_have_it(match, candidate)
    features = searched.snapshot.features(np.array([candidate.position], np.int64))
    heat: NDArray[np.float32] = features[0] @ query.feature
    regions = searched.store.settings.pyramid.boxes_of(*candidate.size)[: len(heat)]
    known = [] if candidate.map is None else [candidate.map, *(laid for laid, _ in candidate.copies)]
    refiner = Refiner(query, searched.encoder, on_step=searched.on_step)
    found = refiner.find_copies(picture, heat, regions, known)
    if not found:
        return match
    first, *others = found
    sure = [each for each in others if not _is_doubtful(each, searched.background)]
    return replace(match, box=first.box, boxes=(first, *sure), outline=first.outline)


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
