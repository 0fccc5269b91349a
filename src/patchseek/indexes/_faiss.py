"""Compressed and approximate search with FAISS. Answers in pictures by over-fetching.

Three files import FAISS: this one, `_scan`, and `_faiss_program`, which builds in a process of its own what is searched
here. FAISS ranks rows; `_gather` makes pictures of them.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from .._platform import discard, n_cores, temporary_folder
from .._words import counted
from ..encoders import Features, flawed
from ..errors import EngineError
from ..store import Half, Snapshot
from ._faiss_child import AnewError, BuildError, UnseenError, build
from ._faiss_program import BuildJob, load, own_words, set_parameters
from ._faiss_recipe import FaissRecipe, parse
from ._faiss_saved import Saved, find_saved, keep, note_judged, note_tried
from ._faiss_trained import TRAIN_ROWS, Look, OutgrownError, is_wanted, training_rows
from ._gather import RankedRows, gather, narrowed
from ._protocol import EngineOpening, Hits, Kind
from ._sound import require_sound, without_flaws

_log = logging.getLogger(__name__)

_BLOCK_IMAGES = 512
_TRIED_ROWS = 64  # to try a saved index with
_SMALL = 1 << 20  # rows scored; a compressed index of that size answers one query in a few milliseconds


class FaissIndex:
    """A trained FAISS index over the rows of a snapshot."""

    def __init__(
        self, engine: str, index: Any, snapshot: Snapshot, rerank: int = 0, outgrown: str | None = None
    ) -> None:
        self.name = f"faiss {engine}"
        self.outgrown = outgrown
        self._index = index
        self._snapshot = snapshot
        self._is_l2 = _is_l2(index)
        self._rerank = rerank

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Scores are the engine's own estimates: exact for Flat, approximate where it compresses.

        With rerank=N the best N rows of a query are ranked by exact scores.
        """
        part = narrowed(self._snapshot, queries, k, among)
        if isinstance(part, Hits):
            return part
        may_answer = None if among is None else part.live
        n_rows, share = max(self._index.ntotal, 1), 1.0 if among is None else part.n_live / part.n_positions
        ask = partial(self._ask, may_answer)
        return gather(ask, part, queries, k, share=share, most=n_rows, rerank=self._rerank)

    def _ask(self, may_answer: NDArray[np.bool_] | None, queries: Features, depth: int) -> RankedRows:
        """See Ask. may_answer: (N,) positions whose rows stand first, with none for the others; all by default."""
        import faiss

        faiss.omp_set_num_threads(_n_threads(len(queries) * self._index.ntotal))
        try:
            scores, rows = self._index.search(queries, depth)
        except (RuntimeError, MemoryError) as error:
            raise EngineError(f"{self.name}: cannot search {depth} rows deep: {own_words(str(error))}") from error
        if rows.max(initial=-1) >= self._index.ntotal:
            raise EngineError(f"{self.name}: answers with rows that there are none of; choose another engine")
        if self._is_l2:
            scores = 1 - scores / 2  # |a - b|^2 = 2 - 2 a.b for unit vectors
        is_all = (rows < 0).any(axis=1) | (depth >= self._index.ntotal)
        if may_answer is not None:
            lost = (rows < 0) | ~may_answer[rows // self._snapshot.n_regions]
            order = np.argsort(lost, axis=1, kind="stable")
            scores = np.take_along_axis(scores, order, axis=1)
            rows = np.take_along_axis(np.where(lost, -1, rows), order, axis=1)
        return RankedRows(scores, rows, is_all)

    def n_bytes(self) -> dict[str, int]:
        """Where an index's bytes go: codes, ids (8 a row in inverted lists), centroids, codebooks, other; and total.

        total is what the saved file takes; other is the rest of it (graphs, transforms, headers).
        """
        import faiss

        inner = faiss.downcast_index(self._index)
        if isinstance(inner, faiss.IndexPreTransform):
            inner = faiss.downcast_index(inner.index)
        n_rows, ivf = int(inner.ntotal), isinstance(inner, faiss.IndexIVF)
        code_size = int(getattr(inner, "code_size", 4 * inner.d))
        pq: Any = getattr(inner, "pq", None)
        parts = {
            "codes": n_rows * code_size,
            "ids": 8 * n_rows if ivf else 0,
            "centroids": 4 * inner.d * int(getattr(inner, "nlist", 0)),
            "codebooks": 4 * int(pq.centroids.size()) if pq is not None else 0,
        }
        total = 0

        def count(piece: bytes) -> None:
            nonlocal total
            total += len(piece)

        # in pieces, so that a large index need not fit into the memory twice; its stub lacks the writer
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(count))  # type: ignore[attr-defined]
        return parts | {"other": total - sum(parts.values()), "total": total}


def _judge_over(engine: str, n_images: int, n_regions: int, dim: int, train_regions: Sequence[int] | None) -> None:
    recipe, n_rows = parse(engine, train_regions), n_images * n_regions
    n_training = len(recipe.training_rows(np.arange(n_images), n_regions, TRAIN_ROWS))
    recipe.check(n_rows, n_training, dim)
    job = BuildJob(recipe.factory, dim, recipe.is_l2, recipe.parameters, n_training, n_rows, 1, only_looks=True)
    try:
        build(job, np.empty((0, dim), np.float16), ())
    except BuildError as error:
        raise EngineError(
            f"FAISS cannot build {recipe.text!r} from {counted(n_training, 'feature')}: {error}"
        ) from error


def _open(engine: str, snapshot: Snapshot, how: EngineOpening) -> FaissIndex:
    """Read from the cache, brought up to date, or built.

    What is built or searched in a new way is first built and searched by a child process, since it may crash FAISS.
    """
    recipe = parse(engine, how.train_regions, kept=how.kept)
    recipe.check(snapshot.n_positions * snapshot.n_regions, len(training_rows(recipe, snapshot)), snapshot.dim)
    saved = None if how.cache is None else find_saved(how.cache, recipe, snapshot)
    if saved is not None and not is_wanted(saved, recipe, snapshot, how.refit):
        saved = None
    index = outgrown = None
    if saved is not None and saved.is_whole(snapshot, recipe) and (known := saved.judged(snapshot)):
        index, outgrown = _read_saved(saved, recipe), known[0]
        saved = saved if index is not None else None
    if index is None:
        index, outgrown = _build(how.cache, Look(recipe, snapshot, saved, how.refit))
    set_parameters(index, recipe.parameters)
    return FaissIndex(engine, index, snapshot, recipe.rerank, outgrown)


def _why_outgrown(engine: str, snapshot: Snapshot, cache: Path) -> str | None:
    recipe = parse(engine, kept=True)
    saved = find_saved(cache, recipe, snapshot)
    if saved is None:
        return None
    if known := saved.judged(snapshot):
        return known[0]
    look = Look(recipe, snapshot, saved, None)
    with suppress(BuildError):  # one that cannot be read is built anew by the next search
        n_rows = sum(len(array) for array in snapshot.arrays[: saved.n_shards]) * snapshot.n_regions
        _run(look, n_rows, (), ())
        note_judged(saved, snapshot, look.outgrown)
    return look.outgrown


def _is_l2(index: Any) -> bool:
    """Whether smaller is better: some kinds of index are always so, whatever was asked for."""
    import faiss

    return bool(index.metric_type == faiss.METRIC_L2)


def _n_threads(n_scored: int) -> int:
    """Threads for a task: small ones are over before a second thread has woken up, or wait for a core that is busy."""
    return n_cores() if n_scored > _SMALL else 1


def _read_saved(saved: Saved, recipe: FaissRecipe) -> Any:
    try:
        return load(saved.path)
    except (OSError, RuntimeError) as error:
        _log.warning("the saved index of %s cannot be read (%s); building it anew", recipe.factory, error)
        return None


def _build(cache: Path | None, look: Look) -> tuple[Any, str | None]:
    """Build, extend or only try the index in a child process, keep it in the cache where that can be, and read it.

    Returned with it: why it no longer fits, see Index.
    """
    saved, recipe, snapshot, began = look.saved, look.recipe, look.snapshot, time.monotonic()
    n_known = saved.n_shards if saved else 0
    is_new = saved is None or n_known < len(snapshot.shards)  # else only to be searched in a new way, or looked at
    start = sum(len(array) for array in snapshot.arrays[:n_known])
    if is_new:
        require_sound(snapshot, np.arange(snapshot.n_positions) >= start)
    n_rows = snapshot.n_positions * snapshot.n_regions
    with _places(cache, recipe) as places:
        try:
            blocks = snapshot.blocks(_BLOCK_IMAGES, start) if is_new else ()
            _run(look, n_rows, blocks, places if is_new else ())
        except (AnewError, OutgrownError) as error:
            if isinstance(error, AnewError):
                _log.info("the index %s cannot be added to; building it anew", recipe.factory)
            return _build(cache, Look(recipe, snapshot, None, look.refit))
        except BuildError as error:
            for place in places:
                _remove(place)
            made_of = f"{len(training_rows(recipe, snapshot)):,} features of {snapshot.dim} numbers"
            raise EngineError(f"FAISS cannot build {recipe.text!r} from {made_of}: {error}") from error
        if saved is not None and not is_new:
            note_judged(note_tried(saved, recipe), snapshot, look.outgrown)
            return load(saved.path), look.outgrown
        written = next(place for place in places if place.exists())
        index = load(written)
        if written.parent == cache:
            trained = look.trained(time.monotonic() - began)
            keep(written, cache, recipe, snapshot, trained, look.outgrown)
        return index, look.outgrown


def _run(look: Look, n_rows: int, blocks: Iterable[tuple[int, Half]], places: Sequence[Path]) -> None:
    """Start the child; see `_faiss_child.build`. blocks: what is added, see Snapshot.blocks."""
    saved, recipe, snapshot = look.saved, look.recipe, look.snapshot
    training = snapshot.rows(training_rows(recipe, snapshot, _TRIED_ROWS if saved else TRAIN_ROWS))
    training = training[~flawed(training)]
    is_known = saved is not None and saved.judged(snapshot)
    job = BuildJob(
        *(recipe.factory, snapshot.dim, recipe.is_l2, recipe.parameters, len(training), n_rows),
        n_own=0 if is_known else len(look.own),
        n_others=0 if is_known else len(look.others),
        n_threads=_n_threads(10 * n_rows),
        saved=str(saved.path) if saved else None,
        targets=tuple(str(place) for place in places),
    )
    rows = without_flaws(blocks, snapshot.dim)
    if not job.n_own:
        if not is_known:
            look.take_in(None)
        build(job, training, rows)
        return
    try:
        build(job, training, rows, np.concatenate([look.own, look.others]), look.take_in)
    except UnseenError:
        look.take_in(None)
        build(replace(job, n_own=0, n_others=0), training, rows)


def _remove(path: Path) -> None:
    with suppress(OSError):  # it may never have been there, nor its folder
        discard(path)


@contextmanager
def _places(cache: Path | None, recipe: FaissRecipe) -> Iterator[list[Path]]:
    """Where an index may be written, best first: in the cache, to stay, or in the system's folder for the moment."""
    places = []
    if cache is not None:
        with suppress(OSError):
            cache.mkdir(exist_ok=True)
        places.append(cache / f"{recipe.stem}.{uuid4().hex[:8]}.tmp")
    with ExitStack() as stack:
        with suppress(OSError):  # there may be no such folder
            places.append(Path(stack.enter_context(temporary_folder())) / "index.faiss")
        if not places:
            raise EngineError("there is no folder that an index could be written to; set TMPDIR to one")
        yield places


KIND = Kind(open=_open, judge=parse, judge_over=_judge_over, why_outgrown=_why_outgrown)
