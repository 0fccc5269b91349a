"""Run a benchmark into a results file, and score a results file: two steps, so that metrics can change alone.

A results file is JSON: what was searched with what (settings, versions, hashes), and for each query every ranked
picture with its score and box, in the form that the annotation schema's scorers read. Features are kept in a cache of
collections, keyed by what they were made from, so that only the first run of an encoder on a set encodes.
"""

import hashlib
import json
import os
import platform
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .answers import below
from .boxes import WHOLE, to_pixels
from .datasets import Dataset, corners, iter_shard
from .encode import OnProgress, add_files, add_stream, map_ahead
from .encoders import Encoder, EncoderIdentity, Features
from .errors import DatasetError, PatchseekError
from .images import read
from .indexes import EXACT, Hits, Index, Refit, open_index
from .metrics import Ranking, make_ranking, summary
from .regions import Pyramid
from .rerank import Refiner, need
from .search import Query, encode_query
from .store import Settings, Snapshot, Store

FORMAT = 1
"""Version of the results file."""
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
    # pictures ranked for each query; None: all
    refine: int = 0
    # of the first so many pictures, boxes are refined and the order is settled anew

    def __post_init__(self) -> None:
        if self.query not in QUERY_CROPS:
            raise PatchseekError(f"query must be one of {', '.join(QUERY_CROPS)}, found {self.query!r}")
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


@dataclass(frozen=True)
class Gallery:
    """A benchmark's gallery as features of a cumulative pyramid."""

    store: Store
    snapshot: Snapshot
    ids: Mapping[int, tuple[str, ...]]
    # position -> gallery ids; several where a benchmark lists a picture several times
    sizes: Mapping[int, tuple[int, int]]
    # position -> width, height in pixels

    def at_level(self, level: int) -> "Gallery":
        """The same gallery with the regions of levels 0..level alone."""
        n_regions = int((self.store.settings.pyramid.level_of <= level).sum())
        return replace(self, snapshot=self.snapshot.first_regions(n_regions))


def encode_gallery(
    dataset: Dataset,
    encoder: Encoder,
    pyramid: Pyramid,
    cache: Path,
    on_progress: OnProgress | None = None,
    distractors: Sequence[Path] = (),
    keep: Container[str] | None = None,
) -> Gallery:
    """The features of a benchmark's gallery, from the cache where they are there already.

    distractors: webdataset tars of further pictures, which are streamed and never unpacked; keep: the keys wanted.

    An interrupted run goes on where it stopped. Raises DatasetError when a picture cannot be read: a figure over a part
    of a benchmark would not be comparable.
    """
    files = [picture.image for picture in dataset.gallery]
    folder = Path(os.path.commonpath([file.parent for file in files]))
    settings = Settings.of(encoder, pyramid)
    made_of = [settings.to_json(), dataset.data_hash, *map(str, files), *map(str, distractors)]
    key = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    path = cache / f"{dataset.name}-{key}"
    store = Store.open(path) if Store.exists(path) else Store.create(path, settings)
    relative = [file.relative_to(folder).as_posix() for file in files]
    report = add_files(store, folder, dict.fromkeys(relative), encoder, on_progress=on_progress)
    if report.failed:
        first = report.failed[0]
        raise DatasetError(
            f"{dataset.name}: {len(report.failed)} pictures cannot be read, first {first.path}: {first.reason}"
        )
    for tar in distractors:
        add_stream(store, tar.parent.resolve(), iter_shard(tar, keep), encoder, on_progress=on_progress)
    snapshot = store.snapshot()
    names: dict[str, list[str]] = {}
    for name, picture in zip(relative, dataset.gallery, strict=True):
        names.setdefault(name, []).append(picture.id)
    positions = np.flatnonzero(snapshot.live).tolist()
    images = store.images(snapshot.ids[positions].tolist())
    found = {position: image for position, image in zip(positions, images, strict=True) if image is not None}
    ids = {position: tuple(names.get(image.path, [image.path])) for position, image in found.items()}
    return Gallery(store, snapshot, ids, {p: (image.width, image.height) for p, image in found.items()})


def encode_queries(dataset: Dataset, encoder: Encoder, query: str = "box") -> Features:
    """The features (Q, D) of a benchmark's queries, in order; query is one of QUERY_CROPS."""
    return np.array([asked.feature for asked in read_queries(dataset, encoder, query)], np.float32)


def read_queries(dataset: Dataset, encoder: Encoder, query: str = "box") -> list[Query]:
    """A benchmark's queries, in order; query is one of QUERY_CROPS."""
    asked: list[Query] = []
    for entry in dataset.queries:
        picture, box = read(entry.image), WHOLE
        if query == "box" and entry.box is not None:
            box = corners(entry.box, picture.width, picture.height)
        asked.append(encode_query(picture, encoder, box))
    return asked


def open_engine(gallery: Gallery, settings: EvalSettings, cache: Path | None = None) -> Index:
    """The search engine that the settings name, over the gallery, and trained on that and on nothing else."""
    return open_index(settings.engine, gallery.snapshot, cache, settings.train_regions, refit=Refit.WHERE_CHANGED)


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
    hits = engine.search(queries, settings.top or gallery.snapshot.n_live)
    identity = gallery.store.settings.encoder
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
        "bbox_format": "xywh_px",
        "results": {query.id: _ranked(hits, q, gallery) for q, query in enumerate(dataset.queries)},
    }
    if settings.refine:
        files = {picture.id: picture.image for picture in dataset.gallery}
        for query, refiner in zip(dataset.queries, refiners, strict=True):
            ranked = results["results"][query.id]
            results["results"][query.id] = _refined(ranked, settings.refine, files, refiner)
    return results


def _asked(dataset: Dataset) -> dict[str, Any]:
    """How many queries the figures are means of, and the ids of those that were searched but count in none."""
    counted = {query.id for query in dataset.counted}
    unanswered = [query.id for query in dataset.queries if query.id not in counted]
    return {"n_queries": len(counted)} | ({"unanswered": unanswered} if unanswered else {})


def _refined(ranked: list[list[Any]], n: int, files: Mapping[str, Path], refiner: Refiner) -> list[list[Any]]:
    """A query's ranked pictures, the boxes of the first n refined and their order settled anew.

    Pictures of shards, which are not unpacked, have no file: they stay as they are, below the refined ones.
    """
    first, rest = [entry for entry in ranked[:n] if entry[0] in files], ranked[n:]
    rest = [entry for entry in ranked[:n] if entry[0] not in files] + rest
    side = need(refiner.encoder)
    pictures = list(map_ahead(lambda entry: read(files[entry[0]], need=side), first, 2, 8))
    boxes = [corners(e[2], p.width, p.height) for e, p in zip(first, pictures, strict=True)]
    finer = list(refiner.refine(pictures, np.array(boxes, np.float64).reshape(-1, 4)))
    done = [
        [name, round(found.score, 6), list(to_pixels(found.box, picture.width, picture.height))]
        for (name, *_), picture, found in zip(first, pictures, finer, strict=True)
        if found is not None
    ]
    scale = below([score for _, score, _ in done], [score for _, score, _ in rest])
    return sorted(done, key=lambda e: -e[1]) + [[name, round(score * scale, 6), box] for name, score, box in rest]


def _ranked(hits: Hits, q: int, gallery: Gallery) -> list[list[Any]]:
    """[gallery id, score, [x, y, w, h] in pixels] of one query, best first."""
    ranked: list[list[Any]] = []
    columns = (hits.positions[q].tolist(), hits.regions[q].tolist(), hits.scores[q].tolist())
    for position, region, score in zip(*columns, strict=True):
        if position >= 0:
            size = gallery.sizes[position]
            box = list(to_pixels(gallery.store.settings.pyramid.boxes_of(*size)[region], *size))
            ranked += [[name, round(score, 6), box] for name in gallery.ids[position]]
    return ranked


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("patchseek", "numpy", "pillow", "openvino", "faiss-cpu", "timm", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def write_results(results: Mapping[str, Any], path: Path) -> None:
    """Write a results file, whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(results))
        partial.replace(path)
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be written ({error.strerror})") from error


def read_results(path: Path) -> dict[str, Any]:
    """Read a results file. Raises PatchseekError for anything else."""
    try:
        results = json.loads(path.read_text())
        if results["format"] > FORMAT:
            raise PatchseekError(f"{path}: format {results['format']} is newer than this patchseek reads ({FORMAT})")
        EncoderIdentity(**results["encoder"])
        return {"results": {}, **results}
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PatchseekError(f"{path}: not a results file of patchseek ({error!r})") from error


def rankings(results: Mapping[str, Any], dataset: Dataset, *, boxes: str = "best") -> list[Ranking]:
    """Each counted query's ranked list against the truth, in the dataset's order.

    boxes: "best" or "enclosing", which true box of several counts; see metrics.make_ranking. Raises DatasetError when
    the results are of another version of the data.
    """
    if results["dataset"]["data_hash"] != dataset.data_hash:
        raise DatasetError(f"{dataset.name}: the annotations are not those that the results were made with")
    found: list[Ranking] = []
    for query in dataset.counted:
        positives = dataset.positives(query)
        ranked = [(name, score, box and _corners(box)) for name, score, box in results["results"][query.id]]
        truth = {name: None if own is None else [_corners(box) for box in own] for name, own in positives.items()}
        found.append(make_ranking(ranked, truth, dataset.ignored(query), boxes=boxes))  # type: ignore[arg-type]
    return found


def score(results: Mapping[str, Any], dataset: Dataset, *, boxes: str = "best", k: int = 1000) -> dict[str, Any]:
    """All metrics of a results file: {"settings": ..., "metrics": {name: fraction}, ...}, as JSON can hold."""
    keep = {key: results[key] for key in ("dataset", "settings", "encoder", "engine", "versions")}
    keep["dataset"] = results["dataset"] | _asked(dataset)
    return keep | {"boxes": boxes, "metrics": summary(rankings(results, dataset, boxes=boxes), k)}


def _corners(xywh: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, w, h = xywh
    return x, y, x + w, y + h
