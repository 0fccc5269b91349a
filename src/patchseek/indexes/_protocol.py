"""What every engine is and answers with, and what is asked of each kind of engine before it is opened. Chooses none."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features, flaw
from ..errors import QueryError
from ..store import Snapshot

EXACT = "exact"
"""The engine that compares a query with every feature."""
ON_DEVICE = "exact;device="
"""What the string of exact search on a GPU begins with; a device as torch calls it follows, such as cuda or cuda:1."""
AUTO = "auto"
"""The engine that suits the collection's size; see choose_engine."""
MILVUS = "milvus:"
"""What a Milvus engine's string begins with; a file (Milvus Lite) or the URL of a server follows."""
POSTGRES = ("postgresql://", "postgres://")
"""What the URL of a PostgreSQL database begins with."""
EXACT_BYTES = 1 << 30
"""Features up to this size are searched exactly by "auto": a query reads them in about 50 ms at 20 GB/s."""


@dataclass(frozen=True)
class Hits:
    """The best pictures of each of Q queries, best first; a picture scores as its best region."""

    positions: NDArray[np.int64]
    # (Q, k) position in the snapshot, -1 where there are fewer pictures
    regions: NDArray[np.int64]
    # (Q, k) winning region in [0, R), -1 likewise
    scores: NDArray[np.float32]
    # (Q, k) inner product of unit vectors in [-1, 1], -inf likewise

    @classmethod
    def nothing(cls, n_queries: int, k: int) -> "Hits":
        """Places for k pictures of each query, none of which is found yet."""
        shape = n_queries, k
        return cls(np.full(shape, -1, np.int64), np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))


@dataclass(frozen=True)
class Held:
    """What a database holds of a snapshot."""

    n_pictures: int
    # live ones of the snapshot
    n_missing: int
    # of these, not there as they should be: the next search sends them
    n_lost: int
    # of these, that had been sent once, and are gone or other ones now

    def __str__(self) -> str:
        n = self.n_pictures - self.n_missing
        others = f"; the next search sends the other {self.n_missing}" if self.n_missing else ""
        return f"{n} of {self.n_pictures} pictures{others}"


class Refit(Enum):
    """When an engine that trains is trained anew on the pictures of now."""

    WHERE_SOON_DONE = "where it no longer fits and that is soon done"
    WHERE_OUTGROWN = "where it no longer fits"
    WHERE_CHANGED = "where it was trained on other pictures"


class Index(Protocol):
    """A search engine over a snapshot. Searches may run in several threads.

    Every engine answers with distinct live pictures, best first, and pads with "nothing" to the width asked for.
    EXACT and ON_DEVICE promise more: min(k, n_live) pictures, always, scores that are inner products, and ties in order
    of position. The others are approximate: they may know fewer pictures, estimate scores unless `rerank` says
    otherwise, and choose themselves among pictures that tie at the last place.
    """

    outgrown: str | None
    # why it no longer fits the pictures that it searches and should be trained anew, in a clause; None where it fits

    @property
    def name(self) -> str:
        """What searches, in words a person can report."""
        ...

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """The best pictures of each query (Q, D) of unit length: min(k, n_live) columns, at least one.

        among: (N,) True at the positions that may answer, all by default. Raises QueryError for another D or k < 1,
        EngineError for an engine that cannot answer.
        """
        ...


@dataclass(frozen=True)
class EngineOpening:
    """How an engine is opened; see indexes.open_index, which says what each of these means."""

    cache: Path | None = None
    train_regions: Sequence[int] | None = None
    is_altered: bool = False
    refit: Refit = Refit.WHERE_SOON_DONE
    kept: bool = False


@dataclass(frozen=True)
class Kind:
    """What can be done with the strings of one kind of engine; None for what that kind has no need of.

    Each kind stands in a file of its own, which ends with KIND and which `indexes` finds by how a string begins.
    """

    open: Callable[[str, Snapshot, EngineOpening], Index]
    # see indexes.open_index
    judge: Callable[[str], object] | None = None
    # see indexes.judge_parameters
    judge_over: Callable[[str, int, int, int, Sequence[int] | None], None] | None = None
    # see indexes.judge_engine
    as_kept: Callable[[str], str] | None = None
    # see indexes.as_kept
    why_outgrown: Callable[[str, Snapshot, Path], str | None] | None = None
    # see indexes.why_outgrown, of what is kept in the cache folder
    compare: Callable[[str, Snapshot, Path | None, bool], Held] | None = None
    # see indexes.compare, of an engine that keeps rows in a database
    ping: Callable[[str, int], None] | None = None
    # see indexes.ping


def n_clusters(n_rows: int, least: int, most: int) -> int:
    """About the root of n_rows, as a power of two between 2 to the `least` and 2 to the `most`."""
    return 1 << min(max(round(math.log2(max(n_rows, 1)) / 2), least), most)


def check_query(queries: Features, k: int, dim: int) -> None:
    """Raise QueryError unless queries are (Q, dim), numbers and none of them zero, and k >= 1."""
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise QueryError(f"queries must be (Q, {dim}), found {queries.shape}; another encoder?")
    if k < 1:
        raise QueryError(f"the number of pictures asked for must be at least 1, found {k}")
    if problem := flaw(queries):
        raise QueryError(f"a query must be of numbers that are not all zero, found {problem}")
