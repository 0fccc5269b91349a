"""Compressed and approximate search with FAISS; only `_scan` imports it too. Answers in pictures by over-fetching.

FAISS ranks rows, and one picture may own many of the first rows. So we ask for more rows than pictures and double the
depth until every query has k distinct live pictures or the index has no more to give.

A saved index is a cache: a manifest beside it holds what it was built from and the SHA-256 of its bytes. One that does
not match is built anew, so a stale or damaged file can cost time but never a wrong answer.
"""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError
from ..store import Half, Snapshot, hash_file
from . import Hits, check_query, n_cores
from ._best import group_pictures
from ._exact import search_few
from ._faiss_recipe import Recipe, parse
from ._rescore import rescore

_log = logging.getLogger(__name__)

_BLOCK_IMAGES = 512
_TRAIN_ROWS = 262_144  # at most; k-means gains little from more than a few hundred rows a centroid
_SMALL = 1 << 20  # rows scored; a compressed index of that size answers one query in a few milliseconds


class FaissIndex:
    """A trained FAISS index over the rows of a snapshot."""

    def __init__(self, engine: str, index: Any, snapshot: Snapshot) -> None:
        self.name = f"faiss {engine}"
        self._index = index
        self._snapshot = snapshot
        recipe = parse(engine, None)
        self._is_l2, self._rerank = recipe.is_l2, recipe.rerank

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Scores are the engine's own estimates: exact for Flat, approximate where it compresses.

        With rerank=N the best N rows of a query are ranked by exact scores.
        """
        import faiss

        check_query(queries, k, self._snapshot.dim)
        snapshot, share = self._snapshot, 1.0
        if among is not None:
            if (hits := search_few(snapshot, queries, k, among)) is not None:
                return hits
            snapshot = replace(snapshot, live=snapshot.live & among)
            share = snapshot.n_live / snapshot.n_positions
        k = max(min(k, snapshot.n_live), 1)
        depth = min(round(max(4 * k, 64, self._rerank) / share), self._index.ntotal)
        queries = np.ascontiguousarray(queries, np.float32)
        faiss.omp_set_num_threads(_n_threads(len(queries) * self._index.ntotal))
        while True:
            scores, rows = self._index.search(queries, max(depth, 1))
            if self._is_l2:
                scores = 1 - scores / 2  # |a - b|^2 = 2 - 2 a.b for unit vectors
            ran_out = (rows < 0).any(axis=1)
            if among is not None:
                scores, rows = _usable(snapshot, scores, rows)
            if self._rerank:
                scores, rows = rescore(snapshot, queries, scores, rows, self._rerank)
            hits = group_pictures(snapshot, scores, rows, k)
            if (ran_out | (hits.positions[:, -1] >= 0)).all() or depth >= self._index.ntotal:
                return hits
            depth = min(2 * depth, self._index.ntotal)

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


def _usable(
    snapshot: Snapshot, scores: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The rows (Q, n) of live pictures first, in their order; -1 for the others."""
    lost = (rows < 0) | ~snapshot.live[rows // snapshot.n_regions]
    order = np.argsort(lost, axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(np.where(lost, -1, rows), order, axis=1)


def open_faiss(
    engine: str, snapshot: Snapshot, cache: Path | None, train_regions: Sequence[int] | None = None
) -> FaissIndex:
    """The engine over a snapshot: read from the cache, brought up to date, or built. See indexes.open_index."""
    import faiss

    recipe = parse(engine, train_regions)
    faiss.omp_set_num_threads(_n_threads(snapshot.n_positions * snapshot.n_regions * 10))
    index, n_known = None, 0
    if cache is not None:
        index, n_known = _load(cache, recipe, snapshot)
    if index is None:
        index, n_known = _train(recipe, snapshot), 0
    if n_known < len(snapshot.shards):
        start = sum(len(array) for array in snapshot.arrays[:n_known])
        for _, block in snapshot.blocks(_BLOCK_IMAGES, start):
            index.add(_rows(block))
        if cache is not None:
            _save(index, cache, recipe, snapshot)
    try:
        space: Any = faiss.ParameterSpace()  # its stub takes a wrong type
        space.set_index_parameters(index, recipe.parameters or _default_parameters(index))
    except RuntimeError as error:
        raise EngineError(f"FAISS does not know the parameters {recipe.parameters!r} of {recipe.factory!r}") from error
    return FaissIndex(engine, index, snapshot)


def _n_threads(n_scored: int) -> int:
    """Threads for a task: small ones are over before a second thread has woken up, or wait for a core that is busy."""
    return n_cores() if n_scored > _SMALL else 1


def _default_parameters(index: Any) -> str:
    """Probe a quarter of the clusters where there are any; FAISS's own default of one loses most answers."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    return "" if ivf is None else f"nprobe={max(1, ivf.nlist // 4)}"


def _rows(block: Half) -> Features:
    return np.ascontiguousarray(block.reshape(-1, block.shape[-1]), np.float32)


def _train(recipe: Recipe, snapshot: Snapshot) -> Any:
    import faiss

    regions = np.arange(snapshot.n_regions) if recipe.train_regions is None else np.array(recipe.train_regions)
    n = min(snapshot.n_positions, max(_TRAIN_ROWS // len(regions), 1))
    try:
        metric = faiss.METRIC_L2 if recipe.is_l2 else faiss.METRIC_INNER_PRODUCT
        index = faiss.index_factory(snapshot.dim, recipe.factory, metric)
        _tune_training(index)
        if not index.is_trained:
            chosen = np.linspace(0, snapshot.n_positions - 1, n).astype(np.int64)
            index.train(snapshot.features(chosen)[:, regions].reshape(-1, snapshot.dim))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].split("failed: ")[-1]
        made_of = f"{n * len(regions)} features of {snapshot.dim} numbers"
        raise EngineError(f"FAISS cannot build {recipe.factory!r} from {made_of}: {reason}") from error
    return index


def _tune_training(index: Any) -> None:
    """Leave out polysemous training, which is for a filter we do not use and takes 95 % of the time, and FAISS's
    warnings about few rows a centroid: small collections are welcome to small codebooks."""
    import faiss

    inner = faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    if hasattr(inner, "do_polysemous_training"):
        inner.do_polysemous_training = False
    parts: list[Any] = [inner, getattr(inner, "pq", None)]
    for part in parts:
        if hasattr(part, "cp"):
            part.cp.min_points_per_centroid = 1


def _paths(cache: Path, recipe: Recipe, snapshot: Snapshot) -> tuple[Path, Path]:
    """The files of an index and of its manifest; those of two pyramid levels stand beside each other."""
    stem = f"{recipe.stem}-{snapshot.n_regions}"
    return cache / f"{stem}.faiss", cache / f"{stem}.json"


def _load(cache: Path, recipe: Recipe, snapshot: Snapshot) -> tuple[Any, int]:
    """A saved index and how many of the snapshot's shards it holds; (None, 0) where it cannot be used."""
    import faiss

    path, manifest_path = _paths(cache, recipe, snapshot)
    try:
        manifest = json.loads(manifest_path.read_text())
        shards = tuple(manifest["shards"])
        if shards != snapshot.shards[: len(shards)]:
            _log.info("the index %s was built from other vectors; building it anew", recipe.factory)
        elif manifest["sha256"] != hash_file(path):
            _log.warning("the index file of %s is damaged; building it anew", recipe.factory)
        else:
            return faiss.read_index(str(path)), len(shards)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        _log.warning("the saved index of %s cannot be read (%s); building it anew", recipe.factory, error)
    return None, 0


def _save(index: Any, cache: Path, recipe: Recipe, snapshot: Snapshot) -> None:
    """Save index and manifest; a reader finds both or rebuilds. An unwritable folder costs only the cache."""
    import faiss

    path, manifest_path = _paths(cache, recipe, snapshot)
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        cache.mkdir(exist_ok=True)
        faiss.write_index(index, str(partial))
        manifest = {"factory": recipe.factory, "shards": snapshot.shards, "sha256": hash_file(partial)}
        manifest_path.unlink(missing_ok=True)
        partial.replace(path)
        partial.write_text(json.dumps(manifest))
        partial.replace(manifest_path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        _log.warning("the index %s could not be saved (%s); it will be built again next time", recipe.factory, error)
