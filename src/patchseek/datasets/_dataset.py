"""The common shape of every benchmark: queries, a gallery, and what is right for each query. Parses no files."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path

import numpy as np

from ..errors import BoxError, DatasetError

Box = tuple[float, float, float, float]
"""x y w h in pixels of the upright picture (its EXIF orientation applied), from the top left corner."""

BINS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "scale": (
        (0, 0.06880213760855043),
        (0.06880213760855043, 0.13526567164179104),
        (0.13526567164179104, 0.2729876723163842),
        (0.2729876723163842, inf),
    ),
    "clutter": ((0, 18), (18, 33), (33, 53), (53, inf)),
}
"""Published groups of a fact, each low <= value < high: those of ILIAS."""

MAX_NAMES = 3
# of missing pictures, in an error


@dataclass(frozen=True)
class Query:
    """A picture of the object to find."""

    id: str
    image: Path
    # absolute
    instance: str
    # the object, for averages over objects
    boxes: tuple[Box, ...] = ()
    # where the object is; () = the whole picture

    @property
    def box(self) -> Box | None:
        """The one box around all boxes, as ILIAS crops a query; None for the whole picture."""
        return enclose(self.boxes) if self.boxes else None


@dataclass(frozen=True)
class GalleryPicture:
    """A picture that may hold what a query asks for."""

    id: str
    image: Path
    # absolute


@dataclass(frozen=True, eq=False)
class Truth:
    """What is right for a query; the queries of one object may share it."""

    positives: Mapping[str, tuple[Box, ...] | None]
    # gallery id -> the boxes of the object, or None where they are unknown
    ignored: frozenset[str] = frozenset()
    # gallery ids that are neither right nor wrong ("junk"); never positives
    facts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    # gallery id -> name -> number: facts about the object in that picture, for break-downs


@dataclass(frozen=True, eq=False)
class Dataset:
    """A benchmark. Queries and gallery stand in the order of their files; no picture has been opened."""

    name: str
    queries: tuple[Query, ...]
    gallery: tuple[GalleryPicture, ...]
    truth: Mapping[str, Truth]
    # query id -> truth
    data_hash: str
    # SHA-256 over all annotation files, with their names
    group_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # kind of grouping ("category") -> instance -> group, for every instance asked for
    merged: tuple[str, ...] = ()
    # ids of rows that became part of another row's picture
    missing: tuple[str, ...] = ()
    # listed pictures without a file; left out everywhere, so that figures cannot be compared with published ones
    notes: tuple[str, ...] = ()
    # what else was put right while reading, a line each

    def positives(self, query: Query | str) -> dict[str, list[Box] | None]:
        """Gallery id -> the boxes of the query's object there, or None where they are unknown.

        May be empty (revisited Oxford, easy): leave such a query out of the mean.
        """
        positives = self._truth(query).positives
        return {key: None if boxes is None else list(boxes) for key, boxes in positives.items()}

    def ignored(self, query: Query | str) -> set[str]:
        """Gallery ids to leave out of this query's ranking: neither right nor wrong."""
        return set(self._truth(query).ignored)

    def values(self, query: Query | str, fact: str) -> dict[str, float]:
        """Positive -> a fact about the object there. Raises DatasetError for a fact that is not one of `facts`."""
        if fact not in self.facts:
            raise DatasetError(f"{self.name} has no fact {fact!r} for all positives; it has: {', '.join(self.facts)}")
        truth = self._truth(query)
        return {key: truth.facts[key][fact] for key in truth.positives}

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """The facts that are known for every positive of every query, sorted; empty where there is none."""
        known: set[str] | None = None
        for truth in {id(t): t for t in self.truth.values()}.values():
            for key in truth.positives:
                names = set(truth.facts.get(key, ()))
                known = names if known is None else known & names
        return tuple(sorted(known or ()))

    def bins(self, fact: str) -> tuple[tuple[float, float], ...]:
        """The groups low <= value < high of a fact: the published ones, or else quartiles over all positives asked for.

        Quartiles that coincide are one cut. Raises DatasetError like `values`.
        """
        values = [value for query in self.queries for value in self.values(query, fact).values()]
        if fact in BINS:
            return BINS[fact]
        cuts = sorted(
            {float(cut) for cut in np.quantile(values, (0.25, 0.5, 0.75), method="higher") if cut > min(values)}
        )
        return tuple(zip((-inf, *cuts), (*cuts, inf), strict=True))

    @cached_property
    def n_distractors(self) -> int:
        """Gallery pictures that are no query's positive. Name it with every figure."""
        return len({p.id for p in self.gallery} - {key for truth in self.truth.values() for key in truth.positives})

    def __str__(self) -> str:
        n_instances = len({query.instance for query in self.queries})
        return (
            f"{self.name}: {len(self.queries)} queries of {n_instances} objects, {len(self.gallery)} gallery pictures, "
            f"{self.n_distractors} of them distractors"
        )

    def _truth(self, query: Query | str) -> Truth:
        key = query if isinstance(query, str) else query.id
        if key not in self.truth:
            raise DatasetError(f"{self.name} has no query {key!r}")
        return self.truth[key]


def enclose(boxes: Sequence[Box]) -> Box:
    """The smallest box around one box or more."""
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    return left, top, max(x + w for x, _, w, _ in boxes) - left, max(y + h for _, y, _, h in boxes) - top


def clamp(box: Box, width: int, height: int) -> Box:
    """The part of a box inside a picture of width x height pixels; BoxError when there is none."""
    x, y, w, h = box
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    if right <= left or bottom <= top:
        raise BoxError(f"box {x:g},{y:g},{w:g},{h:g} lies outside the picture of {width} x {height} pixels")
    return left, top, right - left, bottom - top


def locate(name: str, bases: Iterable[Path]) -> Path:
    """The absolute path of a picture named relative to one of the bases: the first where it exists, else the first.

    Links to folders are followed, so that one file has one path; a link to a picture keeps its name.
    """
    paths = [base / name.replace("\\", "/") for base in bases]
    found = next((path for path in paths if _is_file(path)), paths[0])
    return found.parent.resolve() / found.name


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  # quiet about names that no file can have


def assemble(
    name: str,
    root: Path,
    queries: Sequence[Query],
    gallery: Sequence[GalleryPicture],
    truth: Mapping[str, Truth],
    *,
    data_hash: str,
    allow_missing: bool = False,
    group_of: Mapping[str, Mapping[str, str]] | None = None,
    merged: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Dataset:
    """Check what was read and make it a Dataset; root is what errors name.

    A query's own picture, where it is in the gallery too, is ignored for that query. Positives that are ignored as well
    count as ignored. Pictures without a file are an error, or with allow_missing left out everywhere and listed.
    """
    _check_ids(root, "query", [query.id for query in queries])
    _check_ids(root, "gallery picture", [picture.id for picture in gallery])
    images = dict.fromkeys([*(query.image for query in queries), *(picture.image for picture in gallery)])
    absent = {path for path in images if not _is_file(path)}
    folder = (root if root.is_dir() else root.parent).resolve()
    missing = [os.path.relpath(path, folder) for path in images if path in absent]
    if missing and not allow_missing:
        more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
        raise DatasetError(
            f"{root}: {len(missing)} of {len(images)} pictures are missing: {', '.join(missing[:MAX_NAMES])}{more}"
        )
    present = [entry for entry in gallery if entry.image not in absent]
    asked = [query for query in queries if query.image not in absent]
    if not present or not asked:
        raise DatasetError(f"{root}: none of its {'gallery' if asked else 'query'} pictures exists")
    own: dict[Path, set[str]] = {}
    for entry in present:
        own.setdefault(entry.image, set()).add(entry.id)
    gone = {entry.id for entry in gallery} - {entry.id for entry in present}
    return Dataset(
        name,
        tuple(asked),
        tuple(present),
        {query.id: _without(truth[query.id], gone, own.get(query.image, ())) for query in asked},
        data_hash,
        {kind: of for kind, of in (group_of or {}).items() if all(query.instance in of for query in asked)},
        tuple(merged),
        tuple(missing),
        tuple(notes),
    )


def _check_ids(root: Path, kind: str, ids: Sequence[str]) -> None:
    if not ids:
        raise DatasetError(f"{root}: it names no {kind}")
    seen: set[str] = set()
    for key in ids:
        if key in seen:
            raise DatasetError(f"{root}: two entries are called {kind} {key!r}")
        seen.add(key)


def _without(truth: Truth, gone: Collection[str], own: Collection[str]) -> Truth:
    """The truth without absent pictures, and with the query's own pictures ignored; itself where nothing changes."""
    ignored = (truth.ignored | set(own)) - set(gone)
    positives = {k: boxes for k, boxes in truth.positives.items() if k not in ignored and k not in gone}
    if ignored == truth.ignored and len(positives) == len(truth.positives):
        return truth
    return Truth(positives, ignored, truth.facts)
