"""What each search engine keeps, costs and answers: quality on the annotated sets, latency on a larger gallery.

    python benchmarks/indexes.py [--data FOLDER] [--engines ENGINE ...] [--rows 150000] [--timed ENGINE ...]

Quality: recall@10 of pictures, mAP and LocScore (gate, 0.4) lost against exact search, all pictures ranked, each set
its own index. Latency: single queries through the public search call, engines in turn, with recall@10 of pictures; the
gallery repeats the sets' features with noise of a fifth of their length until there are enough rows, so it is harder
than most, and lies in memory-mapped files as a collection does (--folder says where; 2.6 kB a row). "bytes a patch" is
the whole index over its rows; engines with rerank also read the collection's float16 (2 bytes a number) from disk.
IVF256 stands for the original's IVF8192, which these sets are too small to train. "auto" is what `--index auto` takes.
Writes results/CLASS/indexes.json, and results/CLASS/latency.json, which keeps what was measured with other numbers of
rows.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from turns import known, machine, parse_with_data, write

from patchseek import evaluate as ev
from patchseek.compression import compress_report, n_bytes
from patchseek.datasets import open_dataset
from patchseek.encoders import open_encoder
from patchseek.errors import EngineError
from patchseek.indexes import AUTO, EXACT, Hits, Index, choose_engine, open_index
from patchseek.store import Snapshot

ENGINES = (
    "Flat",
    "SQfp16",
    "SQ8",
    "SQ4",
    "IVF256,PQ64;nprobe=256",
    "PQ64x4fs;rerank=400",
    "PQ128x4fs;rerank=400",
    "PQ256x4fs",
    "PQ256x4fs;rerank=400",
    "IVF256,PQ256x4fs;nprobe=64",
    "IVF256,PQ256x4fs;nprobe=64;rerank=400",
    "IVF256,PQ256x4fs;nprobe=16;rerank=400",
    "PQ640x4fs",
    "HR,RaBitQ",
    "RaBitQ",
    "RaBitQ;rerank=400",
    "RaBitQ2",
    "RaBitQ4",
    "RaBitQ4;rerank=100",
    "IVF256,RaBitQfs;nprobe=64",
    "IVF256,RaBitQfs;nprobe=64;rerank=400",
    "PCA256,SQ8",
    "HNSW32,Flat",
)
TIMED = (
    "auto",
    "SQfp16",
    "SQ8",
    "PQ64x4fs;rerank=400",
    "PQ64x4fs;rerank=2000",
    "PQ256x4fs;rerank=400",
    "IVF256,PQ256x4fs;nprobe=64;rerank=400",
    "IVF256,PQ256x4fs;nprobe=16;rerank=400",
    "RaBitQ;rerank=400",
    "RaBitQ4;rerank=100",
    "IVF256,RaBitQfs;nprobe=64;rerank=400",
    "HNSW32,SQ8",
)
SETS = ("dev-set", "composite-set")
SHARD = 2048  # pictures in a file of the larger gallery


def quality(
    dataset: Any, gallery: ev.Gallery, queries: np.ndarray, engines: list[str]
) -> dict[str, dict[str, float | str]]:
    """What every engine loses on one set."""
    found: dict[str, dict[str, float | str]] = {}
    n_rows = gallery.snapshot.n_live * gallery.snapshot.n_regions
    for engine in engines:
        settings = ev.EvalSettings(engine=engine)
        try:
            index = ev.open_engine(gallery, settings)
        except EngineError as error:
            found[engine] = {"error": str(error)}
            continue
        results = ev.run_benchmark(dataset, gallery, queries, index, settings)
        figures = compress_report(dataset, gallery, queries, index, results, ev.EvalSettings()).figures
        found[engine] = {
            "bytes a patch": round(figures["total"] / n_rows, 1),
            "recall@10": round(figures["recall@10"], 3),
            "mAP lost": round(100 * figures["mAP lost"], 2),
            "LocScore lost": round(100 * figures["LocScore(gate, 0.4) lost"], 2),
        }
        print(dataset.name, engine, found[engine], flush=True)
    return found


def enlarge(galleries: list[ev.Gallery], n_rows: int, folder: Path) -> Snapshot:
    """The galleries' features over and over with noise, n_rows in all, in memory-mapped files of 2,048 pictures."""
    rng = np.random.default_rng(0)
    source = np.concatenate([array for gallery in galleries for array in gallery.snapshot.arrays])
    n, n_regions, dim = n_rows // source.shape[1], source.shape[1], source.shape[2]
    arrays = []
    for low in range(0, n, SHARD):
        shard = np.empty((min(SHARD, n - low), n_regions, dim), np.float16)
        for i in range(len(shard)):
            noise = rng.standard_normal((n_regions, dim), np.float32) * np.float32(0.2 * dim**-0.5)
            noisy = source[(low + i) % len(source)] + (noise if low + i >= len(source) else np.float32(0))
            shard[i] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
        np.save(folder / f"{low:08d}.npy", shard)
        arrays.append(np.load(folder / f"{low:08d}.npy", mmap_mode="r"))
    return Snapshot(arrays, tuple(f"enlarged-{len(a)}" for a in arrays), np.arange(n), np.ones(n, bool), n_regions, dim)


def recall(found: Hits, exact: Hits) -> float:
    """Mean share of the exact best pictures among the found ones."""
    pairs = zip(found.positions, exact.positions, strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs]))


def latency(snapshot: Snapshot, queries: np.ndarray, engines: list[str]) -> dict[str, dict[str, float | str]]:
    """Build time, recall and milliseconds of single queries, the engines taking turns."""
    opened: dict[str, Index] = {"exact": open_index("exact", snapshot)}
    found: dict[str, dict[str, float | str]] = {"exact": {}}
    n_rows = snapshot.n_positions * snapshot.n_regions
    names = [choose_engine(n_rows, snapshot.dim) if engine == AUTO else engine for engine in engines]
    for engine in [name for name in dict.fromkeys(names) if name != EXACT]:
        began = time.perf_counter()
        try:
            opened[engine] = open_index(engine, snapshot)
            seconds = round(time.perf_counter() - began, 1)
            found[engine] = {"build s": seconds, "bytes a patch": round(n_bytes(opened[engine])["total"] / n_rows, 1)}
        except EngineError as error:
            found[engine] = {"error": str(error)}
        print(engine, found[engine], flush=True)
    exact = opened["exact"].search(queries, 10)
    spent: dict[str, list[float]] = {engine: [] for engine in opened}
    for query in queries:
        for engine, index in opened.items():
            began = time.perf_counter()
            index.search(query[None], 10)
            spent[engine].append(time.perf_counter() - began)
    for engine, index in opened.items():
        found[engine] |= {
            "recall@10": round(recall(index.search(queries, 10), exact), 3),
            "p50 ms": round(1000 * float(np.percentile(spent[engine], 50)), 2),
            "p95 ms": round(1000 * float(np.percentile(spent[engine], 95)), 2),
            "times exact": round(float(np.median(np.divide(spent[engine], spent["exact"]))), 3),
        }
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument(
        "--timed", nargs="*", default=list(TIMED), help="Engines of the larger gallery; none: only quality."
    )
    parser.add_argument("--queries", type=int, help="How many of the sets' queries are timed.  [default: all]")
    parser.add_argument("--folder", type=Path, help="Where the larger gallery lies meanwhile.")
    parser.add_argument("--cache", type=Path, help="Keep the sets' features here.")
    arguments = parse_with_data(parser)
    encoder = open_encoder("embedded")
    sets: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        galleries, queries = [], []
        for name in SETS:
            dataset = open_dataset(arguments.data / name)
            pyramid = ev.EvalSettings().pyramid
            galleries.append(ev.encode_gallery(dataset, encoder, pyramid, arguments.cache or Path(temporary)))
            queries.append(ev.encode_queries(dataset, encoder))
            sets[name] = quality(dataset, galleries[-1], queries[-1], arguments.engines)
        if arguments.engines:
            write("indexes", {"machine": machine(), "sets": sets})
    if arguments.timed:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
            snapshot = enlarge(galleries, arguments.rows, Path(temporary))
            timed = latency(snapshot, np.concatenate(queries)[: arguments.queries], arguments.timed)
        write("latency", known("latency") | {f"{arguments.rows} rows": {"machine": machine(), "engines": timed}})


if __name__ == "__main__":
    main()
