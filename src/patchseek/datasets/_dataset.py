"""The common shape of every benchmark: queries, a gallery, and what is right for each query. Parses no files."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from pathlib import Path

import numpy as np

from .._words import counted
from ..errors import DatasetError
from ..formats import Box, enclose

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

MAX_NOTES = 5
# for people, of possibly thousands


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
    """A benchmark. Queries and gallery stand in the order of their files; of pictures, only headers have been read."""

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
    left_out: Mapping[str, frozenset[str]] = field(default_factory=dict)
    # query id -> gallery ids that are ignored for it beyond what its truth says; see `without`

    def without(self, names: Mapping[str, Collection[str]]) -> "Dataset":
        """The same with further gallery pictures ignored, query id -> gallery ids.

        Raises DatasetError where no query has a right picture left.
        """
        less = replace(self, left_out={query: frozenset(ids) for query, ids in names.items()})
        if not less.counted:
            raise DatasetError(f"{self.name}: no query has a right picture but those that are to be left out")
        return less

    def positives(self, query: Query | str) -> dict[str, list[Box] | None]:
        """Gallery id -> the boxes of the query's object there, or None where they are unknown.

        May be empty (revisited Oxford, easy): such a query is not among the `counted`.
        """
        positives, ignored = self._truth(query).positives, self.ignored(query)
        return {key: None if boxes is None else list(boxes) for key, boxes in positives.items() if key not in ignored}

    @cached_property
    def counted(self) -> tuple[Query, ...]:
        """The queries that count in figures: those that some gallery picture answers. Never empty."""
        return tuple(query for query in self.queries if self.positives(query))

    @property
    def first_notes(self) -> tuple[str, ...]:
        """The first of `notes`, how many there are beside them, and `unlocated`, a line each, for people."""
        n_more = len(self.notes) - MAX_NOTES
        more = [f"and {n_more} more notes"] if n_more > 0 else []
        return (*self.notes[:MAX_NOTES], *more, *([self.unlocated] if self.unlocated else []))

    @cached_property
    def unlocated(self) -> str | None:
        """Why no LocScore can be had, a line for people; None where all true boxes of positives that count are known.

        A positive is counted once for all queries that share a truth.
        """
        known: dict[tuple[int, str], bool] = {}
        for query in self.counted:
            truth = id(self._truth(query))
            known |= {(truth, key): bool(boxes) for key, boxes in self.positives(query).items()}
        unknown = [key for (_, key), is_known in known.items() if not is_known]
        if not unknown:
            return None
        n = len(known)
        return f"LocScore is left out: the true box of {len(unknown)} of {n} positives is not known, first {unknown[0]}"

    def ignored(self, query: Query | str) -> set[str]:
        """Gallery ids to leave out of this query's ranking: neither right nor wrong."""
        key = query if isinstance(query, str) else query.id
        return {*self._truth(key).ignored, *self.left_out.get(key, ())}

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
    def folder(self) -> Path:
        """The deepest folder that holds all gallery pictures."""
        return Path(os.path.commonpath([picture.image.parent for picture in self.gallery]))

    @cached_property
    def n_distractors(self) -> int:
        """Gallery pictures that are no query's positive. Name it with every figure."""
        return len({p.id for p in self.gallery} - {key for truth in self.truth.values() for key in truth.positives})

    def __str__(self) -> str:
        return self.describe({"n_gallery": len(self.gallery), "n_distractors": self.n_distractors})

    def describe(self, ranked: Mapping[str, int]) -> str:
        """What it is, with the gallery that was ranked: n_gallery pictures, n_distractors of them from wherever."""
        n_asked, n_counted = len(self.queries), len(self.counted)
        n_objects = len({query.instance for query in self.counted})
        text = (
            f"{self.name}: {counted(n_counted, 'query', 'queries')} of {counted(n_objects, 'object')}, "
            f"{counted(ranked['n_gallery'], 'gallery picture')}, {ranked['n_distractors']:,} of them distractors"
        )
        if n_counted == n_asked:
            return text
        verb = "has" if n_asked - n_counted == 1 else "have"
        rest = f"{n_asked - n_counted} {verb} no picture that holds their object"
        return f"{text} ({n_counted} of {n_asked} queries count; {rest})"

    def _truth(self, query: Query | str) -> Truth:
        key = query if isinstance(query, str) else query.id
        if key not in self.truth:
            raise DatasetError(f"{self.name} has no query {key!r}")
        return self.truth[key]
