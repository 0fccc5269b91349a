"""Search engines that answer in pictures. This file holds their common shape; each engine has its own private file.

An engine is asked for k pictures and answers with k distinct ones, each with the region that won, so that nobody above
has to know that one picture may own thirty hits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from .._home import expanded
from ..encoders import Features, flaw
from ..errors import EngineError, QueryError
from ..store import Snapshot

if TYPE_CHECKING:
    from ._trial import Trial

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


class StaleEngine(EngineError):
    """A database that no longer holds what was sent to it. is_altered: what is there differs."""

    def __init__(self, message: str, *, is_altered: bool = False) -> None:
        super().__init__(message)
        self.is_altered = is_altered


class Refit(Enum):
    """When an engine that trains is trained anew on the pictures of now."""

    WHERE_SOON_DONE = "where it no longer fits and that is soon done"
    WHERE_OUTGROWN = "where it no longer fits"
    WHERE_CHANGED = "where it was trained on other pictures"


class Index(Protocol):
    """A search engine over a snapshot. Searches may run in several threads."""

    outgrown: str | None
    # why it no longer fits the pictures that it searches and should be trained anew, in a clause; None where it fits

    @property
    def name(self) -> str:
        """What searches, in words a person can report."""
        ...

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """The best min(k, n_live) live pictures of each query (Q, D) of unit length; columns beyond are padding.

        among: (N,) True at the positions that may answer, all by default. Ties stand in order of position. Raises
        QueryError for another D or k < 1.
        """
        ...


def open_index(
    engine: str,
    snapshot: Snapshot,
    cache: Path | None = None,
    train_regions: Sequence[int] | None = None,
    *,
    is_altered: bool = False,
    refit: Refit = Refit.WHERE_SOON_DONE,
    kept: bool = False,
) -> Index:
    """Open an engine over a snapshot: "exact", "auto", a FAISS factory such as "IVF256,PQ64", Milvus or PostgreSQL.

    A FAISS index is read from the cache folder when it was built from these very vectors, else built and saved there;
    `;nprobe=32` after the string sets a search parameter, `;metric=L2` ranks by distance (the same order; scores are
    turned into inner products); `;rerank=400` gives the best 400 rows of a query exact scores from the collection's
    own features, which are read where they lie. "milvus:URI[;type=HNSW][;nprobe=32][;rerank=400][;name=NAME]" keeps the
    rows in Milvus: a file ending in .db (Lite) or http://host:port, its token in PATCHSEEK_MILVUS_TOKEN.
    "postgresql://USER@HOST/DATABASE[;type=HNSW][;ef=100]" keeps them in PostgreSQL with pgvector; see docs/postgres.md.
    train_regions: the regions whose features train a FAISS index, all by default. FAISS builds and tries an index in a
    process of its own, since some strings crash it; one that is saved and was tried before is only read.
    "exact;device=cuda" is exact search in a GPU's memory, with torch: as many shards as fit, the others as ever.
    is_altered: a database is known to hold what is not the collection's, which is then looked for in every row.
    refit: see there; what is not trained anew says so, see Index.outgrown. kept: the string was chosen earlier, and is
    judged mildly. Raises EngineError when it cannot be built.
    """
    engine = resolved(engine, snapshot)
    if engine == EXACT:
        from ._exact import ExactIndex

        return ExactIndex(snapshot)
    if engine.startswith(ON_DEVICE):
        from ._device import DeviceIndex

        return DeviceIndex(snapshot, engine.removeprefix(ON_DEVICE))
    if engine.startswith(MILVUS):
        from ._milvus import open_milvus

        return open_milvus(engine, snapshot, cache, is_altered=is_altered, kept=kept)
    if engine.startswith(POSTGRES):
        from ._postgres import open_postgres

        return open_postgres(engine, snapshot, cache, is_altered=is_altered, refit=refit, kept=kept)
    from ._faiss import open_faiss

    return open_faiss(engine, snapshot, cache, train_regions, refit=refit, kept=kept)


def why_outgrown(engine: str, snapshot: Snapshot, cache: Path) -> str | None:
    """Why the engine that is kept in the cache folder no longer fits, see Index.outgrown; None where none is there.

    Builds nothing. Databases bring themselves up to date when they are opened.
    """
    from ._trial import last_tried

    engine = resolved(engine, snapshot)
    if engine == EXACT:
        return None
    tried = last_tried(cache, engine, snapshot)
    if tried is not None and tried.fault:
        return tried.fault
    if engine.startswith((ON_DEVICE, MILVUS, *POSTGRES)):
        return None
    from ._faiss import why_saved_is_outgrown

    return why_saved_is_outgrown(engine, snapshot, cache)


def try_engine(index: Index, snapshot: Snapshot) -> "Trial | None":
    """Search for features of the collection itself; what came of it, None where there are no pictures.

    Raises EngineError for an engine that loses most of them, or that cannot answer.
    """
    from ._trial import try_on_own

    trial = try_on_own(index, snapshot)
    if trial is not None and trial.fault:
        raise EngineError(f"{index.name} is of no use here: {trial.fault}; choose another engine")
    return trial


def note_trial(engine: str, snapshot: Snapshot, cache: Path) -> None:
    """Note in the cache folder that `try_engine` found an engine of use; see try_again."""
    from ._trial import Tried

    Tried(resolved(engine, snapshot), snapshot.n_live, None).keep(cache)


def try_again(engine: str, index: Index, snapshot: Snapshot, cache: Path) -> str | None:
    """Why an engine that was chosen earlier loses most of the pictures of now, in a clause; None where it does not.

    It is tried where its last trial was on less than half as many pictures, or found it of no use, and that is soon
    done. Raises EngineError where it cannot answer.
    """
    from ._trial import fault_of

    engine = resolved(engine, snapshot)
    return None if engine == EXACT else fault_of(engine, index, snapshot, cache)


def resolved(engine: str, snapshot: Snapshot) -> str:
    """The engine that a string means for a snapshot: what "auto" chooses, else as `lasting` has it."""
    engine = lasting(engine)
    return choose_engine(snapshot.n_positions * snapshot.n_regions, snapshot.dim) if engine == AUTO else engine


def compare(engine: str, snapshot: Snapshot, cache: Path | None, *, every: bool = False) -> Held | None:
    """What a database holds of a snapshot; None for an engine that keeps nothing in one. Changes nothing there.

    every: compare every feature with the collection's, and not only some. Raises EngineError where it does not answer.
    """
    if engine.startswith(MILVUS):
        from ._milvus import compare_milvus

        return compare_milvus(engine, snapshot, cache, every=every)
    if engine.startswith(POSTGRES):
        from ._postgres import compare_postgres

        return compare_postgres(engine, snapshot, cache, every=every)
    return None


def ping(engine: str, seconds: int) -> None:
    """Raise EngineError unless the server that an engine needs, if any, answers within some seconds."""
    if engine.startswith(MILVUS):
        from ._milvus import ping_milvus

        ping_milvus(engine, seconds)
    if engine.startswith(POSTGRES):
        from ._postgres import ping_postgres

        ping_postgres(engine, seconds)


def judge_parameters(engine: str) -> None:
    """Raise EngineError for an engine's string that is wrong whatever is searched: its parameters, and their numbers.

    Opens, builds and connects to nothing; see judge_engine for what depends on the features.
    """
    engine = lasting(engine)
    if engine in (EXACT, AUTO) or engine.startswith(ON_DEVICE):
        return
    if engine.startswith(MILVUS):
        from ._milvus_recipe import parse as parse_milvus

        parse_milvus(engine)
    elif engine.startswith(POSTGRES):
        from ._postgres_recipe import parse as parse_postgres

        parse_postgres(engine)
    else:
        from ._faiss_recipe import parse as parse_faiss

        parse_faiss(engine)


def judge_engine(
    engine: str, n_images: int, n_regions: int, dim: int, train_regions: Sequence[int] | None = None
) -> None:
    """Raise EngineError for an engine that cannot be built over so many pictures, before there are features of them.

    Only what its string says is judged: whether a database answers is seen when it is opened.
    """
    judge_parameters(engine)
    engine = lasting(engine)
    if engine not in (EXACT, AUTO) and not engine.startswith((ON_DEVICE, MILVUS, *POSTGRES)):
        from ._faiss import judge_faiss

        judge_faiss(engine, n_images, n_regions, dim, train_regions)


def open_repeatable(snapshot: Snapshot) -> Index:
    """Exact search whose answers depend on nothing but the features and the query, for figures that are compared.

    How features lie in shards, and what other regions a picture has, changes the order in which an exact index adds
    up, and so the last digits of its scores; here they are added up in float64 and rounded to six. Takes twice as long.
    """
    from ._exact import ExactIndex

    return ExactIndex(snapshot, repeatable=True)


def lasting(engine: str) -> str:
    """The engine's string as it can be kept: a relative file of Milvus Lite made absolute.

    Raises EngineError for a blank one, and one with a zero byte.
    """
    engine = engine.strip()
    if not engine:
        raise EngineError("an engine has a name: exact, auto, a FAISS factory string, milvus:URI or postgresql://...")
    if "\0" in engine:
        raise EngineError(f"{engine!r} is no engine: no name has a zero byte")
    uri, *rest = engine.removeprefix(MILVUS).split(";")
    if not engine.startswith(MILVUS) or "://" in uri or not uri:
        return engine
    return ";".join([MILVUS + str(expanded(uri).resolve()), *rest])


def choose_engine(n_rows: int, dim: int) -> str:
    """The engine for a collection of n_rows features of dim numbers. Reasons and figures: docs/performance.md."""
    if 2 * n_rows * dim <= EXACT_BYTES:
        return EXACT  # a query reads every byte once; nothing answers better, and nothing has to be built
    # 4-bit product codes, compared in registers. A scan of them is so cheap that more than about sqrt(n) clusters would
    # save less time than training them takes; a quarter is probed, since a sixteenth lost 2 points of mAP on a measured
    # set. What the codes lose, exact scores of the best 1,000 rows win back. At most 256 codes: 128 bytes a row.
    n_lists = n_clusters(n_rows, 8, 16)
    n_codes = max(n for n in range(1, min(dim, 256) + 1) if dim % n == 0)
    return f"IVF{n_lists},PQ{n_codes}x4fs;nprobe={n_lists // 4};rerank=1000"


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
