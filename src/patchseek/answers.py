"""From a query to the list a person sees: search, refine, judge, collapse. Joins the parts to its left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .confidence import DOUBTFUL, Background
from .encode import OnProgress
from .encoders import Encoder
from .errors import QueryError
from .indexes import Index
from .originals import has_changed
from .rerank import OnStep, Refiner, go_on
from .search import FoundBox, Match, Query, Rows, find_rows
from .store import Choice, Moment, Snapshot, Store, Words

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
    def choice(self) -> Choice:
        """Which pictures may answer."""
        return Choice(self.under, self.tags, self.since, self.until)

    def __post_init__(self) -> None:
        self.choice  # noqa: B018  raises for dates that are none
        if self.top is not None and self.top < 1:
            raise QueryError(f"the number of pictures asked for must be at least 1, found {self.top}")
        if self.refine < 0 or self.expand < 0:
            raise QueryError(f"refine and expand must be at least 0, found {self.refine} and {self.expand}")
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


def answer(
    query: Query, options: SearchOptions, searched: Searched, on_progress: OnProgress | None = None
) -> list[Match]:
    """The matches of a query, best first, as the options say. on_progress is told of pictures refined."""
    if not options.choice.is_all:
        chosen = np.isin(searched.snapshot.ids, options.choice.ids(searched.store))
        searched = replace(searched, among=chosen)
    n_wanted = options.top or searched.snapshot.n_live
    rows = _find_and_refine(query, options, searched, n_wanted, on_progress)
    if options.expand:
        query = expand(query, rows[: options.expand], searched.snapshot)
        rows = _find_and_refine(query, options, searched, n_wanted, on_progress)
    if options.distinct:
        rows = _distinct(rows, searched.snapshot)
    if options.min_confidence is not None:
        rows = [row for row in rows if row[0].confidence is None or row[0].confidence >= options.min_confidence]
    rows = rows[:n_wanted]
    matches = [_with_copies(query, row, searched) for row in rows] if options.several else [row[0] for row in rows]
    return [*(_checked(match, searched.on_step) for match in matches[:MAX_CHECKED]), *matches[MAX_CHECKED:]]


def _find_and_refine(
    query: Query, options: SearchOptions, searched: Searched, n_wanted: int, on_progress: OnProgress | None
) -> Rows:
    searched.on_step()
    n = max(n_wanted * (3 if options.distinct else 1), options.refine)
    rows = find_rows(query.feature, searched.index, searched.snapshot, searched.store, n, searched.among)
    first, rest = rows[: options.refine], rows[options.refine :]
    found = _refine(query, [match for match, _, _ in first], searched, on_progress)
    ratios = [f.score / m.likeness for (m, _, _), f in zip(first, found, strict=True) if f and m.likeness > 0]
    usual = float(np.median(ratios)) if ratios else 1.0  # what refining makes of a score: for those without a file
    background = searched.background
    settled = [(_settled(m, f, usual, background), p, r) for (m, p, r), f in zip(first, found, strict=True)]
    settled.sort(key=lambda row: -row[0].score)
    scale = below([match.score for match, _, _ in settled], [match.score for match, _, _ in rest])
    return settled + [(_settled(m, None, scale, background), p, r) for m, p, r in rest]


def _refine(
    query: Query, matches: Sequence[Match], searched: Searched, on_progress: OnProgress | None
) -> list[FoundBox | None]:
    """A finer box for each match; None where its file has gone, or holds another picture than was indexed."""
    found: list[FoundBox | None] = []
    for finer in Refiner(query, searched.encoder, on_step=searched.on_step).refine_matches(matches):
        found.append(finer)
        if on_progress:
            on_progress(len(found), len(matches))
    return found


def _settled(match: Match, finer: FoundBox | None, scale: float, background: Background | None) -> Match:
    """The match with its finer box, whose file was as indexed, or else with its score scaled; and how sure it is."""
    evidence, score, box = (finer.evidence, finer.score, finer.box) if finer else (None, match.score * scale, match.box)
    sure = background.confidence(match.likeness, evidence) if background else None
    return replace(match, box=box, score=score, confidence=sure, changed=False if finer else match.changed)


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


def expand(query: Query, rows: Rows, snapshot: Snapshot) -> Query:
    """Alpha query expansion: the query's feature and those of its first results, weighted by likeness to the ALPHA."""
    if not rows:
        return query
    features = snapshot.features(np.array([position for _, position, _ in rows], np.int64))
    winners = features[np.arange(len(rows)), [region for _, _, region in rows]]
    weights = np.array([max(match.likeness, 0.0) for match, _, _ in rows]) ** ALPHA
    feature = query.feature + weights @ winners
    return Query(np.asarray(feature / np.linalg.norm(feature), np.float32), query.cells)


def _distinct(rows: Rows, snapshot: Snapshot) -> Rows:
    """The rows without those whose picture is nearly that of a better one."""
    kept: Rows = []
    seen = np.empty((0, snapshot.n_regions * snapshot.dim), np.float32)
    for row in rows:
        feature = snapshot.features(np.array([row[1]], np.int64)).reshape(1, -1)
        if (seen @ feature[0] < SAME_PICTURE * snapshot.n_regions).all():
            kept.append(row)
            seen = np.concatenate([seen, feature])
    return kept


def _with_copies(query: Query, row: tuple[Match, int, int], searched: Searched) -> Match:
    """The match with all copies in its picture: further ones only where they are not doubtful."""
    match, position, _ = row
    refiner = Refiner(query, searched.encoder, on_step=searched.on_step)
    picture = refiner.open(match.image)
    if picture is None:
        return match
    heat: NDArray[np.float32] = searched.snapshot.features(np.array([position], np.int64))[0] @ query.feature
    regions = searched.store.settings.pyramid.boxes_of(match.image.width, match.image.height)[: len(heat)]
    found = refiner.find_copies(picture, heat, regions)
    if not found:
        return match
    first, *others = found
    known = searched.background
    sure = [each for each in others if known is None or known.confidence(each.likeness, each.evidence) >= DOUBTFUL]
    return replace(match, box=first.box, boxes=(first, *sure))
