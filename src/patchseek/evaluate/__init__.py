"""Run a benchmark into a results file, and score a results file: two steps, so that metrics can change alone.

A results file is JSON: what was searched with what (settings, versions, hashes), and for each query every ranked
picture with its score and box, in the form that the annotation schema's scorers read. Features are kept in a cache of
collections, keyed by what they were made from, so that only the first run of an encoder on a set encodes; a lower
pyramid level is read from the cache of a higher one.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from .._progress import OnProgress, unheard
from .._ties import in_order
from .._words import counted
from ..boxes import WHOLE, to_pixels
from ..datasets import Dataset, corners
from ..encoders import Encoder, Features
from ..errors import DatasetError, PatchseekError, QueryError
from ..foreground import foreground
from ..images import read
from ..indexes import AUTO, EXACT, Index, Refit, choose_engine, open_index, open_repeatable
from ..lays import lays_of
from ..metrics import Ranking, make_ranking, summary
from ..rank import Candidate, Refinement, SecondLook, Step, closer_looks, rank
from ..regions import MAX_LEVEL, Pyramid
from ..search import Query, encode_query
from ._asked import NEAR
from ._asked import Asked as Asked
from ._asked import ask as ask
from ._copies import Copies
from ._copies import describe_copies as describe_copies
from ._copies import find_copies_on_disk as find_copies_on_disk
from ._gallery import Gallery as Gallery
from ._gallery import encode_gallery as encode_gallery
from ._results_file import FORMAT as FORMAT
from ._results_file import read_results as read_results
from ._results_file import write_results as write_results
from ._run_folder import RunFolder as RunFolder

QUERY_CROPS = ("box", "whole")
"""What of a query picture is encoded: its box where it has one, or all of it."""


@dataclass(frozen=True)
class EvalSettings:
    """What a figure depends on besides data and encoder; saved with the results."""

    level: int = 3
    # top level of the cumulative pyramid
    overlap: float = 0.0
    follows_shape: bool = True
    # see Pyramid
    query: str = "box"
    # one of QUERY_CROPS
    engine: str = EXACT
    # see indexes.open_index
    train_level: int | None = None
    # the level (its own grid alone) whose features train a FAISS engine; None: all levels together
    top: int | None = None
    # pictures ranked for each query; None and 0: all
    depth: int = 0
    # of the first so many pictures, the points that are kept are looked at
    refine: int = 0
    # of the first so many pictures, boxes are refined and the order is settled anew
    turned: bool = False
    # queries are looked for turned as well, as a search does

    def __post_init__(self) -> None:
        if self.query not in QUERY_CROPS:
            raise PatchseekError(f"query must be one of {', '.join(QUERY_CROPS)}, found {self.query!r}")
        if not 0 <= self.level <= MAX_LEVEL:
            raise PatchseekError(f"level must lie in 0..{MAX_LEVEL}, found {self.level}")
        for name, number in (("top", self.top), ("depth", self.depth), ("refine", self.refine)):
            if number is not None and number < 0:
                raise PatchseekError(f"{name} must be at least 0, found {number}")
        if self.train_level is not None and not 0 <= self.train_level <= self.level:
            raise PatchseekError(f"training level {self.train_level} is not one of the searched levels 0..{self.level}")

    @property
    def pyramid(self) -> Pyramid:
        """The regions of every gallery picture."""
        return Pyramid(tuple(range(self.level + 1)), self.overlap, self.follows_shape)

    @property
    def train_regions(self) -> list[int] | None:
        """The regions of the training level; None for all."""
        if self.train_level is None:
            return None
        return np.flatnonzero(self.pyramid.level_of == self.train_level).tolist()

    def steps(self, encoder: Encoder) -> list[SecondLook | Refinement]:
        """The steps of a search by which the settings' pictures are looked at more closely."""
        return closer_looks(encoder, self.refine, depth=self.depth)


def encode_queries(dataset: Dataset, encoder: Encoder, query: str = "box") -> Features:
    """The features (Q, D) of a benchmark's queries, in order; query is one of QUERY_CROPS."""
    return np.array([asked.feature for asked in read_queries(dataset, encoder, query)], np.float32)


def read_queries(
    dataset: Dataset,
    encoder: Encoder,
    query: str = "box",
    *,
    points: bool = False,
    turned: bool = False,
    off_ground: bool = False,
    on_progress: OnProgress = unheard,
) -> list[Query]:
    """A benchmark's queries, in order; query is one of QUERY_CROPS, points: whether with those of what is asked.

    turned: whether they are to be looked for turned as well. off_ground: whether, of a query without a box, even ground
    is left out, as a search does; with a query of "whole", never.

    Raises DatasetError for one that the encoder has no numbers for.
    """
    asked: list[Query] = []
    lays = lays_of(turned=turned, mirrored=False)
    for i, entry in enumerate(dataset.queries):
        on_progress(i, len(dataset.queries), "encoding queries")
        picture, box = read(entry.image), WHOLE
        if query == "box" and entry.box is not None:
            box = corners(entry.box, picture.width, picture.height, entry.image)
        elif query == "box" and off_ground:
            box = foreground(picture)
        try:
            asked.append(encode_query(picture, encoder, box, points=points, lays=lays))
        except QueryError as error:
            raise DatasetError(f"{dataset.name}: query {entry.id}: {error}") from error
    on_progress(len(asked), len(asked), "encoding queries")
    return asked


def open_engine(gallery: Gallery, settings: EvalSettings, cache: Path | None = None) -> Index:
    """The search engine that the settings name, over the gallery and trained on that; exact is the repeatable one."""
    engine, snapshot = settings.engine, gallery.snapshot
    if engine == AUTO:
        engine = choose_engine(snapshot.n_positions * snapshot.n_regions, snapshot.dim)
    if engine == EXACT:
        return open_repeatable(snapshot)
    return open_index(engine, snapshot, cache, settings.train_regions, refit=Refit.WHERE_CHANGED)


def run_benchmark(
    dataset: Dataset,
    gallery: Gallery,
    queries: Features | Sequence[Query],
    engine: Index,
    settings: EvalSettings,
    steps: Sequence[Step[str]] = (),
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Search every query and return the results file's content: see the head of this file.

    queries: their features (Q, D) are enough where there are no steps. steps: those of the settings, see there.
    """
    asked = [Query(each) for each in queries] if isinstance(queries, np.ndarray) else list(queries)
    said = [n for n in (settings.depth, settings.refine) if n]
    assert [step.n for step in steps] == said, "the results would not say what was looked at more closely"
    n = max([settings.top or gallery.snapshot.n_live, *(step.n for step in steps)])
    views = ask(dataset, gallery, engine, asked, n, max(said) if settings.refine else 0)
    results: dict[str, Any] = {
        "format": FORMAT,
        "dataset": {
            "name": dataset.name,
            **_described(dataset),
            "n_gallery": sum(map(len, gallery.ids.values())),
            "n_distractors": dataset.n_distractors + sum(map(len, gallery.ids.values())) - len(dataset.gallery),
            "data_hash": dataset.data_hash,
        },
        "settings": asdict(settings),
        "encoder": asdict(gallery.store.settings.encoder),
        "engine": engine.name,
        "versions": _versions(),
        "copies": gallery.copies,
        "bbox_format": "xywh_px",
        "results": {},
    }
    doing = f"ranking for queries at level {settings.level}"
    for i, (entry, query, view) in enumerate(zip(dataset.queries, asked, views, strict=True)):
        on_progress(i, len(asked), doing)
        ranked = rank(query, view, steps, n)
        for each in ranked[: settings.refine]:
            if each.finer is None:
                name = gallery.store.settings.encoder.name
                raise DatasetError(f"{each.picture}: the encoder {name} has no numbers for its boxes")
        results["results"][entry.id] = _listed(ranked)[: settings.top or None]
    on_progress(len(asked), len(asked), doing)
    return results


def _described(dataset: Dataset) -> dict[str, Any]:
    """How many queries the figures are means of, and the ids of those that were searched but count in none."""
    counted = {query.id for query in dataset.counted}
    unanswered = [query.id for query in dataset.queries if query.id not in counted]
    return {"n_queries": len(counted)} | ({"unanswered": unanswered} if unanswered else {})


def _listed(ranked: Sequence[Candidate[str]]) -> list[list[Any]]:
    """[gallery id, score, [x, y, w, h] in pixels] of candidates, best first. Scores are rounded, ties in `in_order`.

    Scores alone must say the order: of those that were looked at less often they are lowered, all by as much.
    """
    listed: list[list[Any]] = []
    for _, alike in groupby(ranked, key=lambda candidate: candidate.looks):
        part = _sorted([[each.picture, round(each.score, 6), list(to_pixels(each.box, *each.size))] for each in alike])
        too_high = max(0.0, part[0][1] - listed[-1][1] + NEAR) if listed else 0.0
        listed += [[name, round(score - too_high, 6), box] for name, score, box in part]
    return listed


def _sorted(ranked: list[list[Any]]) -> list[list[Any]]:
    return [ranked[i] for i in in_order([name for name, *_ in ranked], [score for _, score, _ in ranked])]


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("patchseek", "numpy", "pillow", "openvino", "faiss-cpu", "timm", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def rankings(results: Mapping[str, Any], dataset: Dataset, *, boxes: str = "best") -> list[Ranking]:
    """Each counted query's ranked list against the truth, in the dataset's order.

    Pictures of one score are ranked by a hash of their ids, whatever the file's order; see `_ties`.
    boxes: "best" or "enclosing", which true box of several counts; see metrics.make_ranking. Raises DatasetError when
    the results are of another version of the data.
    """
    if results["dataset"]["data_hash"] != dataset.data_hash:
        raise DatasetError(f"{dataset.name}: the annotations are not those that the results were made with")
    found: list[Ranking] = []
    for query in dataset.counted:
        positives = dataset.positives(query)
        try:
            listed = _sorted(results["results"][query.id])
            ranked = [(name, score, None if box is None else _corners(box)) for name, score, box in listed]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            text = f"the results hold no list of picture, score and box x y w h for query {query.id!r} ({error})"
            raise DatasetError(f"{dataset.name}: {text}") from error
        truth = {name: None if own is None else [_corners(box) for box in own] for name, own in positives.items()}
        found.append(make_ranking(ranked, truth, dataset.ignored(query), boxes=boxes))  # type: ignore[arg-type]
    return found


def score(results: Mapping[str, Any], dataset: Dataset, *, boxes: str = "best", k: int = 1000) -> dict[str, Any]:
    """All metrics of a results file: {"settings": ..., "metrics": {name: fraction}, ...}, as JSON can hold.

    k: of mAP@k; 0 for all that is ranked. "copies" are the gallery pictures that are byte for byte a query's picture,
    and "exclude_copies" says whether the dataset ignores them all, as `Dataset.without` makes it.
    "notes": what has to be known to read the figures, a line each.
    """
    if k < 0:
        raise PatchseekError(f"k must be at least 0, found {k}")
    keep = {key: results[key] for key in ("dataset", "settings", "encoder", "engine", "versions")}
    keep["dataset"] = results["dataset"] | _described(dataset)
    copies = copies_of(results, dataset)
    keep["copies"] = copies
    keep["exclude_copies"] = bool(copies) and all(set(names) <= dataset.ignored(q) for q, names in copies.items())
    ranked = rankings(results, dataset, boxes=boxes)
    n_ranked = max([len(ranking.ids) for ranking in ranked], default=0)
    k = k or max(1, n_ranked)
    notes = [dataset.unlocated] if dataset.unlocated else []
    if n_ranked < k:
        ranked_at_all = counted(n_ranked, "picture")
        notes.append(f"mAP@{k} and oracle@{k} are those of the {ranked_at_all} ranked for a query: there are no {k}")
    return keep | {"boxes": boxes, "metrics": summary(ranked, k), "notes": notes}


def copies_of(results: Mapping[str, Any], dataset: Dataset) -> Copies:
    """The gallery pictures that are byte for byte a query's picture.

    Results of an earlier version do not name them: then those of the gallery's own files, without distractors of tars.
    """
    found: Copies | None = results.get("copies")
    return find_copies_on_disk(dataset) if found is None else found


def _corners(xywh: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, w, h = xywh
    return x, y, x + w, y + h
