"""Search engines that answer in pictures. This file chooses among them: each kind has a file of its own.

An engine is asked for k pictures and answers with k distinct ones, each with the region that won, so that nobody above
has to know that one picture may own thirty hits. What all engines share is in `_protocol`; `_gather` makes pictures of
ranked rows, for all that rank rows. An engine's string begins with the name of its kind; see open_index.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError
from ..store import Snapshot
from ._protocol import (
    AUTO,
    EXACT,
    EXACT_BYTES,
    MILVUS,
    ON_DEVICE,
    POSTGRES,
    EngineOpening,
    Held,
    Hits,
    Index,
    Kind,
    Refit,
    n_clusters,
)

if TYPE_CHECKING:
    from ._trial import Trial

__all__ = [
    "AUTO",
    "EXACT",
    "ON_DEVICE",
    "Held",
    "Hits",
    "Index",
    "Refit",
    "as_kept",
    "choose_engine",
    "compare",
    "discard_saved",
    "in_database",
    "judge_engine",
    "judge_parameters",
    "note_trial",
    "open_index",
    "open_repeatable",
    "ping",
    "resolved",
    "try_again",
    "try_engine",
    "why_outgrown",
]

_FILES = {ON_DEVICE: "_device", MILVUS: "_milvus", **dict.fromkeys(POSTGRES, "_postgres")}
"""The file of each kind of engine by what its strings begin with.

"exact" has `_exact`, as has "auto", which means another one once the pictures are known; all others are FAISS's.
"""
_NAMES = "exact, auto, exact;device=DEVICE, milvus:URI, postgresql://USER@HOST/DATABASE, or a FAISS factory string"


@lru_cache(64)
def _kind(engine: str) -> Kind:
    """The kind of engine that a string is of. Raises EngineError for what begins like none, or nearly like one."""
    file = next((file for start, file in _FILES.items() if engine.startswith(start)), None)
    if engine in (EXACT, AUTO):
        file = "_exact"
    elif file is None:
        _require_no_slip(engine)
        file = "_faiss"
    kind: Kind = import_module(f".{file}", __package__).KIND
    return kind


def _require_no_slip(engine: str) -> None:
    """Raise EngineError for what was meant for another kind than FAISS, whose strings have no colon."""
    scheme = re.match(r"[A-Za-z][\w+.-]*:", engine)
    said = scheme[0] if scheme else engine  # what follows a scheme may hold a password
    meant = get_close_matches(said.lower(), [EXACT, AUTO, ON_DEVICE, MILVUS, *POSTGRES], n=1, cutoff=0.75)
    if scheme or meant:
        advice = f"did you mean {meant[0]}? There are" if meant else "there are"
        raise EngineError(f"there is no engine {said[:40]!r}; {advice} {_NAMES}")


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
    refit: when one that no longer fits is trained anew; one that is not says so, see Index.outgrown. kept: the string
    was chosen earlier, and is only refused where it cannot work. Raises EngineError when it cannot be built.
    """
    engine = resolved(engine, snapshot)
    return _kind(engine).open(engine, snapshot, EngineOpening(cache, train_regions, is_altered, refit, kept))


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
    why = _kind(engine).why_outgrown
    return why(engine, snapshot, cache) if why else None


def discard_saved(cache: Path) -> int:
    """Delete what is built of features that have moved, and return its bytes. What was noted of trials still holds."""
    from ._faiss_saved import discard_all

    return discard_all(cache)


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
    """The engine that a string means for a snapshot: what "auto" chooses, else as `as_kept` has it."""
    engine = as_kept(engine)
    return choose_engine(snapshot.n_positions * snapshot.n_regions, snapshot.dim) if engine == AUTO else engine


def in_database(engine: str) -> bool:
    """Whether an engine keeps rows in a database, so that `compare` and `ping` have something to ask."""
    return _kind(engine).compare is not None


def compare(engine: str, snapshot: Snapshot, cache: Path | None, *, every: bool = False) -> Held | None:
    """What a database holds of a snapshot; None for an engine that keeps nothing in one. Changes nothing there.

    every: compare every feature with the collection's, and not only some. Raises EngineError where it does not answer.
    """
    ask = _kind(engine).compare
    return ask(engine, snapshot, cache, every) if ask else None


def ping(engine: str, seconds: int) -> None:
    """Raise EngineError unless the server that an engine needs, if any, answers within some seconds."""
    ask = _kind(engine).ping
    if ask:
        ask(engine, seconds)


def judge_parameters(engine: str) -> None:
    """Raise EngineError for an engine's string that is wrong whatever is searched: its parameters, and their numbers.

    Opens, builds and connects to nothing; see judge_engine for what depends on the features.
    """
    engine = as_kept(engine)
    judge = _kind(engine).judge
    if judge:
        judge(engine)


def judge_engine(
    engine: str, n_images: int, n_regions: int, dim: int, train_regions: Sequence[int] | None = None
) -> None:
    """Raise EngineError for an engine that cannot be built over so many pictures, before there are features of them.

    Only what its string says is judged: whether a database answers is seen when it is opened.
    """
    judge_parameters(engine)
    engine = as_kept(engine)
    judge = _kind(engine).judge_over
    if judge:
        judge(engine, n_images, n_regions, dim, train_regions)


def open_repeatable(snapshot: Snapshot) -> Index:
    """Exact search whose answers depend on nothing but the features and the query, for figures that are compared.

    How features lie in shards, and what other regions a picture has, changes the order in which an exact index adds
    up, and so the last digits of its scores; here they are added up in float64 and rounded to six. Takes twice as long.
    """
    from ._exact import ExactIndex

    return ExactIndex(snapshot, repeatable=True)


def as_kept(engine: str) -> str:
    """The engine's string as it can be kept: a relative file of Milvus Lite made absolute.

    Raises EngineError for a blank one, one with a zero byte, and one whose kind there is not.
    """
    engine = engine.strip()
    if not engine:
        raise EngineError(f"an engine has a name: {_NAMES}")
    if "\0" in engine:
        raise EngineError(f"{engine!r} is no engine: no name has a zero byte")
    written = _kind(engine).as_kept
    return written(engine) if written else engine


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
