"""What each search engine keeps, costs and answers: quality on the annotated sets, latency on a larger gallery.

    python benchmarks/indexes.py [--data FOLDER] [--rows 150000] [--engines ENGINE ...]

Quality: recall@10 of pictures, mAP and LocScore (gate, 0.4) lost against exact search, all pictures ranked, each set
its own index. Latency: single queries through the public search call, engines in turn, with recall@10 of pictures; the
gallery repeats the sets' features with noise of a fifth of their length until there are enough rows, so it is harder
than most. "bytes a patch" is the whole index over its rows; engines with rerank also read the collection's float16
(2 bytes a number) from disk. IVF256 stands for the original's IVF8192, which these sets are too small to train.
Writes results/indexes.json and results/latency.json.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from turns import machine, write

from patchseek import evaluate as ev
from patchseek.compression import compress_report
from patchseek.datasets import open_dataset
from patchseek.encoders import open_encoder
from patchseek.errors import EngineError
from patchseek.indexes import Hits, Index, open_index
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
    "RaBitQ",
    "RaBitQ;rerank=400",
    "RaBitQ2",
    "RaBitQ4",
    "RaBitQ4;rerank=100",
    "IVF256,RaBitQfs;nprobe=64",
    "IVF256,RaBitQfs;nprobe=64;rerank=400",
    "PCA256,SQ8",
)
TIMED = (
    "Flat",
    "SQfp16",
    "SQ8",
    "PQ256x4fs;rerank=400",
    "IVF256,PQ256x4fs;nprobe=64;rerank=400",
    "IVF256,PQ256x4fs;nprobe=16;rerank=400",
    "RaBitQ;rerank=400",
    "RaBitQ4;rerank=100",
    "IVF256,RaBitQfs;nprobe=64;rerank=400",
)
SETS = ("dev-set", "composite-set")


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


def enlarge(galleries: list[ev.Gallery], n_rows: int) -> Snapshot:
    """The galleries' features over and over with noise, as one shard of n_rows."""
    rng = np.random.default_rng(0)
    source = np.concatenate([array for gallery in galleries for array in gallery.snapshot.arrays])
    n, n_regions, dim = n_rows // source.shape[1], source.shape[1], source.shape[2]
    features = np.empty((n, n_regions, dim), np.float16)
    for i in range(n):
        noise = rng.standard_normal((n_regions, dim), np.float32) * np.float32(0.2 * dim**-0.5)
        noisy = source[i % len(source)].astype(np.float32) + (noise if i >= len(source) else 0)
        features[i] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return Snapshot([features], (f"enlarged-{n}",), np.arange(n), np.ones(n, bool), n_regions, dim)


def recall(found: Hits, exact: Hits) -> float:
    """Mean share of the exact best pictures among the found ones."""
    pairs = zip(found.positions, exact.positions, strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs]))


def latency(snapshot: Snapshot, queries: np.ndarray, engines: list[str]) -> dict[str, dict[str, float | str]]:
    """Build time, recall and milliseconds of single queries, the engines taking turns."""
    opened: dict[str, Index] = {"exact": open_index("exact", snapshot)}
    found: dict[str, dict[str, float | str]] = {"exact": {}}
    for engine in engines:
        began = time.perf_counter()
        try:
            opened[engine] = open_index(engine, snapshot)
            found[engine] = {"build s": round(time.perf_counter() - began, 1)}
        except EngineError as error:
            found[engine] = {"error": str(error)}
        print(engine, found[engine], flush=True)
    exact = opened["exact"].search(queries, 10)
    seconds: dict[str, list[float]] = {engine: [] for engine in opened}
    for query in queries:
        for engine, index in opened.items():
            began = time.perf_counter()
            index.search(query[None], 10)
            seconds[engine].append(time.perf_counter() - began)
    for engine, index in opened.items():
        found[engine] |= {
            "recall@10": round(recall(index.search(queries, 10), exact), 3),
            "p50 ms": round(1000 * float(np.percentile(seconds[engine], 50)), 2),
            "p95 ms": round(1000 * float(np.percentile(seconds[engine], 95)), 2),
            "times exact": round(float(np.median(np.divide(seconds[engine], seconds["exact"]))), 3),
        }
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument(
        "--timed", nargs="*", default=list(TIMED), help="Engines of the larger gallery; none: only quality."
    )
    parser.add_argument("--cache", type=Path, help="Keep the sets' features here.")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the sets with --data or PATCHSEEK_DATA")
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
            timed = latency(enlarge(galleries, arguments.rows), np.concatenate(queries), arguments.timed)
            write("latency", {"machine": machine(), "rows": arguments.rows, "engines": timed})


if __name__ == "__main__":
    main()
