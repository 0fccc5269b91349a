"""What the original's compression saves and loses on the annotated sets, and the arithmetic of its 13 times.

    python benchmarks/compression.py [--data FOLDER] [--arithmetic]

Engines: exact; pq and ivfpq with 64 sub-quantizers of 8 bits, 256 clusters all probed, trained on the 4x4 grid (-1), on
the 2x2 grid (1) and on all levels (-2). --arithmetic adds 4,885 pictures x 30 x 1024 random numbers to an index of
8,192 clusters with random centroids and codebooks: its bytes do not depend on them. Writes
results/CLASS/compression.json.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from turns import keep, parse_with_data

from patchseek import evaluate as ev
from patchseek.compression import compress_report, pq_engine
from patchseek.datasets import open_dataset
from patchseek.encoders import open_encoder
from patchseek.indexes._faiss import FaissIndex
from patchseek.store import Snapshot

SHOWN = ("total", "compression", "recall@10", "mAP compressed", "mAP lost", "LocScore(gate, 0.4) lost")


def measure(folder: Path, cache: Path) -> dict[str, dict[str, float]]:
    """Figures of every engine on one set."""
    dataset, encoder, exact = open_dataset(folder), open_encoder("embedded"), ev.EvalSettings()
    gallery, queries = ev.encode_gallery(dataset, encoder, exact.pyramid, cache), ev.encode_queries(dataset, encoder)
    found: dict[str, dict[str, float]] = {}
    for kind in ("pq", "ivfpq"):
        for name, level in (("-1", 3), ("1", 1), ("-2", None)):
            settings = ev.EvalSettings(train_level=level)
            n_train = gallery.snapshot.n_live * len(settings.train_regions or range(30))
            engine = pq_engine(kind, encoder.identity.dim, n_train, m=64)
            settings = ev.EvalSettings(engine=engine, train_level=level)
            index = ev.open_engine(gallery, settings)
            results = ev.run_benchmark(dataset, gallery, queries, index, settings)
            found[f"{kind}, trained on {name}"] = dict(
                compress_report(dataset, gallery, queries, index, results, exact).figures
            )
    return found


def arithmetic() -> dict[str, float]:
    """Bytes of the original's index of its own gallery: 4,885 pictures, 30 patches, 1024 numbers."""
    import faiss

    n, dim, nlist, m = 4885 * 30, 1024, 8192, 64
    rng = np.random.default_rng(0)
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(rng.normal(size=(nlist, dim)).astype(np.float32))
    index = faiss.IndexIVFPQ(quantizer, dim, nlist, m, 8, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(rng.normal(size=m * 256 * (dim // m)).astype(np.float32), index.pq.centroids)
    index.is_trained = True
    for _ in range(30):
        index.add(rng.normal(size=(n // 30, dim)).astype(np.float32))
    nothing = Snapshot([], (), np.empty(0, np.int64), np.empty(0, bool), 30, dim)
    parts: dict[str, Any] = FaissIndex("", index, nothing).n_bytes()
    return {"float32": 4 * n * dim, **parts, "compression": 4 * n * dim / parts["total"]}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arithmetic", action="store_true")
    arguments = parse_with_data(parser)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("dev-set", "composite-set"):
            figures[name] = measure(arguments.data / name, Path(cache))
    if arguments.arithmetic:
        figures["arithmetic"] = arithmetic()
    keep("compression", figures)
    for name, engines in figures.items():
        if name == "arithmetic":
            print(name, {part: round(value, 2) for part, value in engines.items()})
            continue
        first = next(iter(engines.values()))
        print(
            f"{name}: exact mAP {first['mAP exact']:.4f}, LocScore(gate, 0.4) {first['LocScore(gate, 0.4) exact']:.4f}"
        )
        for engine, values in engines.items():
            print(f"  {engine:22}", "  ".join(f"{shown} {values[shown]:.4g}" for shown in SHOWN))


if __name__ == "__main__":
    main()
