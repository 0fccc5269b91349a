"""A million pictures on this machine: a collection of 30 million features, built and searched.

    python benchmarks/million.py --folder ROOMY [--data FOLDER] [--images 1000000] [--dim 256] [--engines ENGINE ...]

Nothing is encoded but the annotated sets. Their features, 1280 numbers each, are reduced to --dim by the directions in
which they vary most (principal components without centring, which keep inner products best), and a synthetic picture is
a mixture of two of theirs, region by region (weight 0.5 to 1), with noise of 0.3 of its length. Queries are the sets'
real ones, reduced likewise. The collection is a real one, written through the store and committed shard by shard;
engines are built through `open_index` from its memory-mapped float16, one after another, saved, and deleted again.

Printed for each engine: seconds to build and save, bytes of its file, recall@10 of pictures against exact search, p50
and p95 of single queries (a fresh page cache is not forced: what fits into memory is read from memory), and the
process's own memory (RssAnon, without mapped files). --milvus N sends the first N pictures through Milvus Lite too
(--images 0: nothing else, and what was measured before is kept). --points: pictures have points, bytes by chance, and
whole searches that look at those of 500 pictures are timed as well. Needs --images * 30 * dim * 2 bytes, 28 KB more a
picture with points, and an index's in ROOMY; removes them. Writes results/CLASS/million.json after every step.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from turns import known, machine, parse_with_data, write

from patchseek import evaluate as ev
from patchseek._platform import n_cores
from patchseek.datasets import open_dataset
from patchseek.encoders import EncoderIdentity, open_encoder
from patchseek.errors import EngineError
from patchseek.indexes import AUTO, EXACT, Hits, Index, choose_engine, open_index
from patchseek.points import KEPT, POINT_BYTES, identify
from patchseek.rank import DEPTH, SecondLook, StoreView, rank
from patchseek.regions import Pyramid
from patchseek.search import Query
from patchseek.store import FileState, NewEntry, Settings, Snapshot, Store, Writer

SETS = ("dev-set", "composite-set")
SHARD = 2048
NOISE = 0.3
SLOW = 20  # queries of exact search, which reads everything; the other engines answer all
ENGINES = ("PQ64x4fs;rerank=2000", "RaBitQ;rerank=400", "IVF4096_HNSW32,PQ64x4fs;nprobe=512;rerank=2000", AUTO)

Half = NDArray[np.float16]


def settings(dim: int, *, points: bool = False) -> Settings:
    """A collection of features of dim numbers that no encoder made."""
    identity = EncoderIdentity("synthetic", 224, dim, "0" * 64, "none")
    return Settings(identity, Pyramid(), points=identify() if points else None)


def reduced(data: Path, cache: Path, dim: int) -> tuple[NDArray[np.float32], list[Query], dict[str, Any]]:
    """Features (N, R, dim) of the sets' pictures, the queries with such features, unit length, and what that cost."""
    encoder = open_encoder("embedded")
    galleries, queries, own, asked = [], [], [], list[Query]()
    for name in SETS:
        dataset = open_dataset(data / name)
        snapshot = ev.encode_gallery(dataset, encoder, Pyramid(), cache).snapshot
        galleries.append(snapshot.features(np.arange(snapshot.n_positions)))
        asked += (read := ev.read_queries(dataset, encoder, points=True, off_ground=True))
        queries.append(np.array([query.feature for query in read]))
        own.append(galleries[-1] @ queries[-1].T)
    rows = np.concatenate([gallery.reshape(-1, gallery.shape[2]) for gallery in galleries])
    _, vectors = np.linalg.eigh(rows.T @ rows)
    directions = vectors[:, ::-1][:, :dim].astype(np.float32)

    def reduce(features: NDArray[np.float32]) -> NDArray[np.float32]:
        shorter = features @ directions
        return shorter / np.linalg.norm(shorter, axis=-1, keepdims=True)

    kept = []
    for gallery, theirs, whole in zip(galleries, queries, own, strict=True):  # do the best ten stay the best ten?
        best = [np.argsort(-s.max(axis=1), axis=0)[:10] for s in (whole, reduce(gallery) @ reduce(theirs).T)]
        kept += [len(set(a) & set(b)) / 10 for a, b in zip(*(b.T.tolist() for b in best), strict=True)]
    cost = {"dim": dim, "of the sets' best ten pictures, kept by the reduction": round(float(np.mean(kept)), 3)}
    features = reduce(np.concatenate(queries))
    shorter = [replace(query, feature=feature) for query, feature in zip(asked, features, strict=True)]
    return np.concatenate([reduce(g) for g in galleries]), shorter, cost


def synthetic(source: NDArray[np.float32], low: int, n: int) -> Half:
    """Pictures low to low + n of the collection, (n, R, D): the same for the same numbers."""
    rng = np.random.default_rng(low)
    first, second = rng.integers(0, len(source), (2, n))
    weight = rng.uniform(0.5, 1, (n, 1, 1)).astype(np.float32)
    mixed = weight * source[first] + (1 - weight) * source[second]
    mixed += rng.standard_normal(mixed.shape, np.float32) * np.float32(NOISE * mixed.shape[2] ** -0.5)
    return (mixed / np.linalg.norm(mixed, axis=2, keepdims=True)).astype(np.float16)


def fill(store: Store, source: NDArray[np.float32], n_images: int) -> None:
    """Commit n_images synthetic pictures, with points by chance where the collection keeps some."""
    codes = None
    if store.settings.points:
        codes = np.random.default_rng(0).integers(0, 256, (SHARD, KEPT, POINT_BYTES), dtype=np.uint8)

    def make(low: int) -> tuple[int, Half]:
        return low, synthetic(source, low, min(SHARD, n_images - low))

    with Writer(store) as writer, ThreadPoolExecutor(n_cores()) as pool:
        lows = range(0, n_images, SHARD)
        for start in range(0, len(lows), n_cores()):
            for low, features in pool.map(make, lows[start : start + n_cores()]):
                numbers = range(low, low + len(features))
                pictures = [NewEntry(f"{i}.jpg", FileState(1, i), f"{i:064x}", 1024, 768) for i in numbers]
                points = None if codes is None else list(codes[: len(features)])
                writer.commit(store.path / "pictures", pictures, features, points=points)


def own_memory() -> int:
    """MB of this process that are no mapped files; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon")), 0)


def with_points(index: Index, snapshot: Snapshot, store: Store, asked: Sequence[Query]) -> dict[str, float]:
    """Whole searches that look at the points of the first DEPTH pictures, nothing opened."""
    view, seconds = StoreView(index, snapshot, store), []
    for query in asked:
        began = time.perf_counter()
        rank(query, view, [SecondLook(DEPTH)], 10)
        seconds.append(time.perf_counter() - began)
    p50, p95 = np.percentile(seconds, (50, 95))
    return {"p50 ms with points": round(1000 * p50, 1), "p95 ms with points": round(1000 * p95, 1)}


def measure(
    engine: str, snapshot: Snapshot, store: Store, asked: Sequence[Query], exact: Hits, cache: Path
) -> dict[str, Any]:
    """Build an engine, ask it, delete its file."""
    queries = np.array([query.feature for query in asked])
    began = time.perf_counter()
    try:
        index = open_index(engine, snapshot, cache)
    except EngineError as error:
        return {"error": str(error)}
    built = time.perf_counter() - began
    n_bytes = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    shutil.rmtree(cache, ignore_errors=True)
    index.search(queries[:1], 10)
    seconds = []
    for query in queries:
        began = time.perf_counter()
        index.search(query[None], 10)
        seconds.append(time.perf_counter() - began)
    found = index.search(queries, 10)
    shares = [len(set(a) & set(b)) / len(b) for a, b in zip(found.positions, exact.positions, strict=True)]
    n_rows = snapshot.n_positions * snapshot.n_regions
    return {
        "build s": round(built),
        "file MB": round(n_bytes / 1e6),
        "bytes a patch": round(n_bytes / n_rows, 1),
        "recall@10": round(float(np.mean(shares)), 3),
        "p50 ms": round(1000 * float(np.percentile(seconds, 50)), 1),
        "p95 ms": round(1000 * float(np.percentile(seconds, 95)), 1),
        "own memory MB": own_memory(),
    } | (with_points(index, snapshot, store, asked) if snapshot.has_points else {})


def million(
    figures: dict[str, Any], folder: Path, source: NDArray[np.float32], whole: Sequence[Query], asked: Any
) -> None:
    """The collection, exact search and the engines; written after every step."""
    queries = np.array([query.feature for query in whole])
    store = Store.create(folder / "collection", settings(asked.dim, points=asked.points))
    began = time.perf_counter()
    fill(store, source, asked.images)
    figures["pictures"] = asked.images
    figures["collection"] = {"written s": round(time.perf_counter() - began), "GB": round(store.n_bytes() / 1e9, 2)}
    began = time.perf_counter()
    snapshot = store.snapshot()
    figures["collection"]["opened s"] = round(time.perf_counter() - began, 2)
    write("million", figures)
    index, seconds = open_index(EXACT, snapshot), []
    for query in queries[:SLOW]:
        began = time.perf_counter()
        index.search(query[None], 10)
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    exact = index.search(queries, 10)
    together = time.perf_counter() - began
    figures["exact"] = {
        "p50 ms": round(1000 * statistics.median(seconds)),
        "p95 ms": round(1000 * float(np.percentile(seconds, 95))),
        f"ms a query, {len(queries)} at once": round(1000 * together / len(queries)),
        "own memory MB": own_memory(),
    }
    write("million", figures)
    n_rows = snapshot.n_positions * snapshot.n_regions
    for engine in asked.engines:
        chosen = choose_engine(n_rows, snapshot.dim) if engine == AUTO else engine
        if chosen != EXACT:
            figures[chosen] = measure(chosen, snapshot, store, whole, exact, folder / "indexes")
            write("million", figures)


def through_milvus(folder: Path, source: NDArray[np.float32], whole: Sequence[Query], n_images: int) -> dict[str, Any]:
    """The first pictures through Milvus Lite, beside exact search of the same."""
    queries = np.array([query.feature for query in whole])
    store = Store.create(folder / "fewer", settings(source.shape[2]))
    fill(store, source, n_images)
    snapshot = store.snapshot()
    index, seconds = open_index(EXACT, snapshot), []
    for query in queries[:SLOW]:
        began = time.perf_counter()
        index.search(query[None], 10)
        seconds.append(time.perf_counter() - began)
    exact = index.search(queries[:SLOW], 10)
    engine, n_rows = f"milvus:{folder / 'lite.db'}", n_images * snapshot.n_regions
    found = measure(engine, snapshot, store, whole[:SLOW], exact, folder / "milvus")
    n_bytes = sum(path.stat().st_size for path in folder.glob("lite.db/**/*") if path.is_file())
    n_bytes += sum(path.stat().st_size for path in folder.glob("*lite.db*") if path.is_file())
    return found | {
        "file MB": round(n_bytes / 1e6),
        "bytes a patch": round(n_bytes / n_rows, 1),
        "exact p50 ms": round(1000 * statistics.median(seconds), 1),
    }


def main() -> None:
    """Measure, write after every step, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1_000_000, help="0: none, and what was measured before is kept")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--points", action="store_true", help="keep points, 28 KB a picture, and look at them")
    parser.add_argument("--milvus", type=int, default=0, metavar="N")
    asked = parse_with_data(parser)
    before = {} if asked.images else known("million")
    with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
        folder = Path(temporary)
        source, queries, cost = reduced(asked.data, folder / "sets", asked.dim)
        figures: dict[str, Any] = {"machine": machine(), "reduction": cost} | before
        if asked.images:
            million(figures, folder, source, queries, asked)
        if asked.milvus:
            figures[f"Milvus Lite, {asked.milvus} pictures"] = through_milvus(folder, source, queries, asked.milvus)
            write("million", figures)


if __name__ == "__main__":
    main()
