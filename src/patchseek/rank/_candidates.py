"""What a ranking is made of: candidates, the view that finds and opens them, and steps. Does nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..boxes import Boxes
from ..images import Picture
from ..lays import UPRIGHT, Lay
from ..rerank import outlines
from ..search import FoundBox, PartnerPoints, Query
from ..store import Snapshot

LIKENESS = "likeness"
"""A kind of evidence: the inner product of the query and a picture's best region, in [-1, 1]."""
T = TypeVar("T")


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """A picture that may answer a query, and what is known of that so far."""

    picture: T
    # as the view knows it: an Image of a collection, or the name that a benchmark has for it
    size: tuple[int, int]
    # width, height in pixels of the upright picture
    position: int
    # in the view's snapshot
    region: int
    # the one that won, of the snapshot's R
    likeness: float
    # inner product of the query and that region, in [-1, 1]
    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1] of the upright picture: where the object is, as far as is known
    score: float
    # larger is better; what the last step that looked at it gave, to be compared among as many `looks` alone
    evidence: Mapping[str, float]
    # by kind, larger is surer; what a later step knows better stands in place of what it was made from
    lay: Lay = UPRIGHT
    # in which the query is like that region
    map: NDArray[np.float64] | None = None
    # (2, 3) takes (x, y, 1), shares of the query's sides, to shares of the picture's sides; None where nobody knows
    copies: tuple[tuple[NDArray[np.float64], float], ...] = ()
    # such maps of further copies in the picture, where they were looked for, and how much lower each would score
    partners: PartnerPoints | None = None
    # the points that say so
    looks: int = 0
    # steps that have looked at it; the more, the higher it stands
    finer: FoundBox | None = None
    # what its pixels gave, where they have been looked at; they were then as indexed

    @property
    def outline(self) -> tuple[tuple[float, float], ...]:
        """Where the corners of the query's box lie, see FoundBox: by pixels, else by the map; () where nobody knows."""
        if self.finer or self.map is None:
            return self.finer.outline if self.finer else ()
        return tuple((x, y) for x, y in outlines(self.map[None])[0].tolist())


class View(Protocol[T]):
    """The pictures that are ranked."""

    @property
    def snapshot(self) -> Snapshot:
        """What is stored of them, by position."""
        ...

    def find(self, query: Query, n: int) -> Sequence[Candidate[T]]:
        """The best n pictures and maybe more, fewer where there are no more, best first."""
        ...

    def regions_of(self, candidate: Candidate[T]) -> Boxes:
        """The regions (R, 4) of the picture whose features the snapshot holds."""
        ...

    def open(self, candidate: Candidate[T], need: int) -> Picture | None:
        """The picture as it was indexed; None where it is gone or another. need: see images.read. Any thread."""
        ...


class Step(Protocol[T]):
    """A closer look."""

    @property
    def n(self) -> int:
        """How many of the first candidates it looks at, at least 1."""
        ...

    def look(self, query: Query, view: View[T], candidates: Sequence[Candidate[T]]) -> Sequence[Candidate[T]]:
        """What becomes of the candidates (at most n), in any order; whom it leaves out is out."""
        ...
