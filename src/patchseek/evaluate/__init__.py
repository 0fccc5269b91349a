"""Run a benchmark into a results file, and score a results file: two steps, so that metrics can change alone.

A results file is JSON: what was searched with what (settings, versions, hashes), and for each query every ranked
picture with its score and box, in the form that the annotation schema's scorers read. Features are kept in a cache of
collections, keyed by what they were made from, so that only the first run of an encoder on a set encodes; a lower
pyramid level is read from the cache of a higher one.
"""

import platform
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .._ties import in_order
from ..boxes import WHOLE, to_pixels
from ..datasets import Dataset, Place, corners
from ..encode import map_ahead
from ..encoders import Encoder, Features
from ..errors import DatasetError, PatchseekError, QueryError
from ..images import Picture, read
from ..indexes import AUTO, EXACT, Hits, Index, Refit, choose_engine, open_index, open_repeatable
from ..metrics import Ranking, make_ranking, summary
from ..regions import MAX_LEVEL, Pyramid
from ..rerank import Refiner, need
from ..search import Query, encode_query
from ._copies import Copies
from ._copies import describe_copies as describe_copies
from ._copies import find_copies_on_disk as find_copies_on_disk
from ._gallery import Gallery as Gallery
from ._gallery import encode_gallery as encode_gallery
from ._results_file import FORMAT as FORMAT
from ._results_file import read_results as read_results
from ._results_file import write_results as write_results
from ._run_folder import RunFolder as RunFolder

_ROUNDED = 2e-6
# scores of a results file are rounded to 6 places: what lies no further apart may tie there
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
    # exact or a FAISS factory string
    train_level: int | None = None
    # the level (its own grid alone) whose features train a FAISS engine; None: all levels together
    top: int | None = None
    # pictures ranked for each query; None and 0: all
    refine: int = 0
    # of the first so many pictures, boxes are refined and the order is settled anew

    def __post_init__(self) -> None:
        if self.query not in QUERY_CROPS:
            raise PatchseekError(f"query must be one of {', '.join(QUERY_CROPS)}, found {self.query!r}")
        if not 0 <= self.level <= MAX_LEVEL:
            raise PatchseekError(f"level must lie in 0..{MAX_LEVEL}, found {self.level}")
        for name, number in (("top", self.top), ("refine", self.refine)):
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


def encode_queries(dataset: Dataset, encoder: Encoder, query: str = "box") -> Features:
    """The features (Q, D) of a benchmark's queries, in order; query is one of QUERY_CROPS."""
    return np.array([asked.feature for asked in read_queries(dataset, encoder, query)], np.float32)


def read_queries(dataset: Dataset, encoder: Encoder, query: str = "box") -> list[Query]:
    """A benchmark's queries, in order; query is one of QUERY_CROPS.

    Raises DatasetError for one that the encoder has no numbers for.
    """
    asked: list[Query] = []
    for entry in dataset.queries:
        picture, box = read(entry.image), WHOLE
        if query == "box" and entry.box is not None:
            box = corners(entry.box, picture.width, picture.height, entry.image)
        try:
            asked.append(encode_query(picture, encoder, box))
        except QueryError as error:
            raise DatasetError(f"{dataset.name}: query {entry.id}: {error}") from error
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
    queries: Features,
    engine: Index,
    settings: EvalSettings,
    refiners: Sequence[Refiner] = (),
) -> dict[str, Any]:
    """Search every query (Q, D) and return the results file's content: see the head of this file.

    refiners: one a query, where settings.refine is not 0.
    """
    hits = _search(engine, queries, settings.top, gallery.snapshot.n_live)
    identity, asked = gallery.store.settings.encoder, dataset.queries
    results: dict[str, Any] = {
        "format": FORMAT,
        "dataset": {
            "name": dataset.name,
            **_asked(dataset),
            "n_gallery": sum(map(len, gallery.ids.values())),
            "n_distractors": dataset.n_distractors + sum(map(len, gallery.ids.values())) - len(dataset.gallery),
            "data_hash": dataset.data_hash,
        },
        "settings": asdict(settings),
        "encoder": asdict(identity),
        "engine": engine.name,
        "versions": _versions(),
        "copies": gallery.copies,
        "bbox_format": "xywh_px",
        "results": {query.id: _ranked(hits, q, gallery)[: settings.top or None] for q, query in enumerate(asked)},
    }
    if settings.refine:
        ranked = results["results"]
        files = _files(dataset, gallery, {entry[0] for each in ranked.values() for entry in each[: settings.refine]})
        for query, refiner in zip(dataset.queries, refiners, strict=True):
            ranked[query.id] = _refined(ranked[query.id], settings.refine, files, refiner)
    return results


def _files(dataset: Dataset, gallery: Gallery, names: Container[str]) -> dict[str, Path | Place]:
    """Gallery id -> where the picture is: of all with a file of their own, and of those with these names in tars."""
    files: dict[str, Path | Place] = {picture.id: picture.image for picture in dataset.gallery}
    for shard in gallery.shards:
        files |= shard.places(names)
    return files


def _picture(there: Path | Place, side: int) -> Picture:
    return read(there if isinstance(there, Path) else there.content(), need=side, name=str(there))


def _search(engine: Index, queries: Features, top: int | None, n_live: int) -> Hits:
    """The best `top` pictures of each query (Q, D), all where it is None or 0, and those that tie with the last.

    Engines let the order of the gallery decide who is last; so all that tie are asked for, and `_ranked` decides.
    """
    k = min(top or n_live, n_live)
    n = min(k + 1, n_live)
    while True:
        hits = engine.search(queries, n)
        if n == n_live or not (hits.scores[:, n - 1] > hits.scores[:, k - 1] - _ROUNDED).any():
            return hits
        n = min(2 * n, n_live)


def _asked(dataset: Dataset) -> dict[str, Any]:
    """How many queries the figures are means of, and the ids of those that were searched but count in none."""
    counted = {query.id for query in dataset.counted}
    unanswered = [query.id for query in dataset.queries if query.id not in counted]
    return {"n_queries": len(counted)} | ({"unanswered": unanswered} if unanswered else {})


def _refined(ranked: list[list[Any]], n: int, files: Mapping[str, Path | Place], refiner: Refiner) -> list[list[Any]]:
    """A query's ranked pictures, the boxes of the first n refined and their order settled anew; the rest below them."""
    first, rest = ranked[:n], ranked[n:]
    side = need(refiner.encoder)
    pictures = list(map_ahead(lambda entry: _picture(files[entry[0]], side), first, 2, 8))
    boxes = [corners(e[2], p.width, p.height, files[e[0]]) for e, p in zip(first, pictures, strict=True)]
    finer = list(refiner.refine(pictures, np.array(boxes, np.float64).reshape(-1, 4)))
    done = []
    for (name, *_), picture, found in zip(first, pictures, finer, strict=True):
        if found is None:
            raise DatasetError(f"{name}: the encoder {refiner.encoder.identity.name} has no numbers for its boxes")
        done.append([name, round(found.score, 6), list(to_pixels(found.box, picture.width, picture.height))])
    done = _sorted(done)
    too_high = max(0.0, rest[0][1] - done[-1][1] + _ROUNDED) if done and rest else 0.0
    return done + [[name, round(score - too_high, 6), box] for name, score, box in rest]


def _ranked(hits: Hits, q: int, gallery: Gallery) -> list[list[Any]]:
    """[gallery id, score, [x, y, w, h] in pixels] of one query, best first; scores are rounded, ties in `in_order`."""
    ranked: list[list[Any]] = []
    columns = (hits.positions[q].tolist(), hits.regions[q].tolist(), hits.scores[q].tolist())
    for position, region, score in zip(*columns, strict=True):
        if position >= 0:
            size = gallery.sizes[position]
            box = list(to_pixels(gallery.store.settings.pyramid.boxes_of(*size)[region], *size))
            ranked += [[name, round(score, 6), box] for name in gallery.ids[position]]
    return _sorted(ranked)


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
    keep["dataset"] = results["dataset"] | _asked(dataset)
    copies = copies_of(results, dataset)
    keep["copies"] = copies
    keep["exclude_copies"] = bool(copies) and all(set(names) <= dataset.ignored(q) for q, names in copies.items())
    ranked = rankings(results, dataset, boxes=boxes)
    n_ranked = max([len(ranking.ids) for ranking in ranked], default=0)
    k = k or max(1, n_ranked)
    notes = [dataset.unlocated] if dataset.unlocated else []
    if n_ranked < k:
        notes.append(
            f"mAP@{k} and oracle@{k} are those of the {n_ranked} pictures ranked for a query: there are no {k}"
        )
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
