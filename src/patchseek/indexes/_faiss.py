"""Compressed and approximate search with FAISS, the only file that imports it. Answers in pictures by over-fetching.

FAISS ranks rows, and one picture may own many of the first rows. So we ask for more rows than pictures and double the
depth until every query has k distinct live pictures or the index has no more to give.

A saved index is a cache: a manifest beside it holds what it was built from and the SHA-256 of its bytes. One that does
not match is built anew, so a stale or damaged file can cost time but never a wrong answer.
"""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError
from ..store import Half, Snapshot, hash_file
from . import Hits, check_query

_log = logging.getLogger(__name__)

_BLOCK_IMAGES = 512
_TRAIN_ROWS = 262_144  # at most; k-means gains little from more than a few hundred rows a centroid


class FaissIndex:
    """A trained FAISS index over the rows of a snapshot."""

    def __init__(self, engine: str, index: Any, snapshot: Snapshot) -> None:
        self.name = f"faiss {engine}"
        self._index = index
        self._snapshot = snapshot

    def search(self, queries: Features, k: int) -> Hits:
        """See Index. Scores are the engine's own estimates: exact for Flat, approximate where it compresses."""
        check_query(queries, k, self._snapshot.dim)
        k = max(min(k, self._snapshot.n_live), 1)
        depth = min(max(4 * k, 64), self._index.ntotal)
        while True:
            scores, rows = self._index.search(np.ascontiguousarray(queries, np.float32), max(depth, 1))
            hits, complete = self._group(scores, rows, k)
            if complete or depth >= self._index.ntotal:
                return hits
            depth = min(2 * depth, self._index.ntotal)

    def _group(self, scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> tuple[Hits, bool]:
        """The first k distinct live pictures of each query's rows, and whether no deeper search could add any."""
        shape = (len(rows), k)
        hits = Hits(np.full(shape, -1, np.int64), np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        complete = True
        for q, (query_scores, query_rows) in enumerate(zip(scores, rows, strict=True)):
            found = query_rows >= 0
            positions, regions = np.divmod(query_rows[found], self._snapshot.n_regions)
            usable = np.flatnonzero(self._snapshot.live[positions])
            _, first = np.unique(positions[usable], return_index=True)
            best = usable[np.sort(first)]  # rows come best first, so a picture's first row is its best
            best = best[np.lexsort((positions[best], -query_scores[found][best]))][:k]
            hits.positions[q, : len(best)] = positions[best]
            hits.regions[q, : len(best)] = regions[best]
            hits.scores[q, : len(best)] = query_scores[found][best]
            complete = complete and (len(best) == k or not found.all())
        return hits, complete


def open_faiss(engine: str, snapshot: Snapshot, cache: Path | None) -> FaissIndex:
    """The engine over a snapshot: read from the cache, brought up to date, or built. See indexes.open_index."""
    import faiss

    factory, _, parameters = engine.partition(";")
    index, n_known = None, 0
    if cache is not None:
        index, n_known = _load(cache, factory, snapshot)
    if index is None:
        index, n_known = _train(factory, snapshot), 0
    if n_known < len(snapshot.shards):
        start = sum(len(array) for array in snapshot.arrays[:n_known])
        for _, block in snapshot.blocks(_BLOCK_IMAGES, start):
            index.add(_rows(block))
        if cache is not None:
            _save(index, cache, factory, snapshot)
    try:
        space: Any = faiss.ParameterSpace()  # its stub takes a wrong type
        space.set_index_parameters(index, parameters or _default_parameters(index))
    except RuntimeError as error:
        raise EngineError(f"FAISS does not know the parameters {parameters!r} of {factory!r}") from error
    return FaissIndex(engine, index, snapshot)


def _default_parameters(index: Any) -> str:
    """Probe a quarter of the clusters where there are any; FAISS's own default of one loses most answers."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    return "" if ivf is None else f"nprobe={max(1, ivf.nlist // 4)}"


def _rows(block: Half) -> Features:
    return np.ascontiguousarray(block.reshape(-1, block.shape[-1]), np.float32)


def _train(factory: str, snapshot: Snapshot) -> Any:
    import faiss

    try:
        index = faiss.index_factory(snapshot.dim, factory, faiss.METRIC_INNER_PRODUCT)
        _tune_training(index)
        if not index.is_trained:
            n = min(snapshot.n_positions, max(_TRAIN_ROWS // snapshot.n_regions, 1))
            chosen = np.linspace(0, snapshot.n_positions - 1, n).astype(np.int64)
            index.train(snapshot.features(chosen).reshape(-1, snapshot.dim))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].split("failed: ")[-1]
        made_of = f"{snapshot.n_positions * snapshot.n_regions} features of {snapshot.dim} numbers"
        raise EngineError(f"FAISS cannot build {factory!r} from {made_of}: {reason}") from error
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


def _paths(cache: Path, factory: str) -> tuple[Path, Path]:
    stem = hashlib.sha256(factory.encode()).hexdigest()[:16]
    return cache / f"{stem}.faiss", cache / f"{stem}.json"


def _load(cache: Path, factory: str, snapshot: Snapshot) -> tuple[Any, int]:
    """A saved index and how many of the snapshot's shards it holds; (None, 0) where it cannot be used."""
    import faiss

    path, manifest_path = _paths(cache, factory)
    try:
        manifest = json.loads(manifest_path.read_text())
        shards = tuple(manifest["shards"])
        if shards != snapshot.shards[: len(shards)]:
            _log.info("the index %s was built from other vectors; building it anew", factory)
        elif manifest["sha256"] != hash_file(path):
            _log.warning("the index file of %s is damaged; building it anew", factory)
        else:
            return faiss.read_index(str(path)), len(shards)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        _log.warning("the saved index of %s cannot be read (%s); building it anew", factory, error)
    return None, 0


def _save(index: Any, cache: Path, factory: str, snapshot: Snapshot) -> None:
    """Save index and manifest; a reader finds both or rebuilds. An unwritable folder costs only the cache."""
    import faiss

    path, manifest_path = _paths(cache, factory)
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        cache.mkdir(exist_ok=True)
        faiss.write_index(index, str(partial))
        manifest = {"factory": factory, "shards": snapshot.shards, "sha256": hash_file(partial)}
        manifest_path.unlink(missing_ok=True)
        partial.replace(path)
        partial.write_text(json.dumps(manifest))
        partial.replace(manifest_path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        _log.warning("the index %s could not be saved (%s); it will be built again next time", factory, error)
