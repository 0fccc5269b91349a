"""Exact search beside what the machine can do and beside the plain way (FAISS IndexFlatIP and a loop over all rows).

    python benchmarks/search.py [--rows 150000] [--dim 1280] [--rounds 7] [--queries 1000]

Features are random directions, float16, in memory-mapped files as a collection keeps them; no figure here is of
quality. One query: against reading its bytes once, by the fastest of four ways of reading with all cores, and against
the plain way with float32 features. Many queries: against a float32 matrix product of the same shape. Opening: the
first query after opening a store of 1,000,000 rows in a new process beside the tenth. Writes results/CLASS/search.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
from turns import machine, middle, take_turns, write

from patchseek.indexes import open_index
from patchseek.store import Snapshot

R = 30
SHARD = 256  # pictures


def make_shards(folder: Path, n_images: int, dim: int) -> list[Path]:
    """Random unit features (n, R, dim) float16 in files of a collection's size."""
    rng, paths = np.random.default_rng(0), []
    for i, low in enumerate(range(0, n_images, SHARD)):
        shard = rng.random((min(SHARD, n_images - low), R, dim), np.float32) - np.float32(0.5)
        shard /= np.linalg.norm(shard, axis=2, keepdims=True)
        paths.append(folder / f"{i:06d}.npy")
        np.save(paths[-1], shard.astype(np.float16))
    return paths


def open_shards(paths: list[Path]) -> Snapshot:
    """A snapshot over the files, memory-mapped."""
    arrays = [np.load(path, mmap_mode="r") for path in paths]
    n = sum(map(len, arrays))
    return Snapshot(arrays, tuple(p.name for p in paths), np.arange(n), np.ones(n, bool), R, arrays[0].shape[2])


def readers(snapshot: Snapshot, pool: ThreadPoolExecutor) -> dict[str, Callable[[], object]]:
    """Ways to read every byte once with all cores."""
    parts = [part for array in snapshot.arrays for part in np.array_split(array, 4) if len(part)]
    flat = [part.reshape(-1).view(np.uint64) for part in parts]
    scratch = np.empty((2, max(map(len, flat))), np.uint64)

    def copy(i: int) -> None:
        np.copyto(scratch[i % 2, : len(flat[i])], flat[i])

    return {
        "read: xor": lambda: list(pool.map(np.bitwise_xor.reduce, flat)),
        "read: maximum": lambda: list(pool.map(np.maximum.reduce, flat)),
        "read: float32 dot": lambda: list(pool.map(lambda p: np.dot(p.view(np.float32), p.view(np.float32)), flat)),
        "read: copy": lambda: list(pool.map(copy, range(len(flat)))),
    }


def plain(index: faiss.Index, query: np.ndarray, k: int) -> list[int]:
    """The yardstick: every row ranked, then reduced to pictures in Python."""
    scores, rows = index.search(query, index.ntotal)
    best: dict[int, float] = {}
    for score, row in zip(scores[0], rows[0], strict=True):
        best.setdefault(int(row) // R, float(score))
    return sorted(best, key=lambda i: best[i], reverse=True)[:k]


def one_query(snapshot: Snapshot, rounds: int) -> dict[str, object]:
    """One query, three depths, beside reading and beside the plain way."""
    exact = open_index("exact", snapshot)
    query = snapshot.features(np.array([77]))[0, :1] + np.float32(0.02)
    query /= np.linalg.norm(query)
    flat = faiss.IndexFlatIP(snapshot.dim)
    for _, block in snapshot.blocks(512):
        flat.add(block.astype(np.float32).reshape(-1, snapshot.dim))
    with ThreadPoolExecutor(os.cpu_count()) as pool, np.errstate(all="ignore"):
        contenders = readers(snapshot, pool)
        contenders |= {
            "exact, 10 pictures": lambda: exact.search(query, 10),
            "exact, 1000 pictures": lambda: exact.search(query, 1000),
            "exact, all pictures": lambda: exact.search(query, snapshot.n_live),
            "IndexFlatIP, 10 rows": lambda: flat.search(query, 10),
            "plain way": lambda: plain(flat, query, 10),
        }
        seconds = take_turns(contenders, rounds)
    best = min((name for name in contenders if name.startswith("read")), key=lambda name: np.median(seconds[name]))
    same = exact.search(query, 10).positions[0].tolist() == plain(flat, query, 10)
    n_bytes = snapshot.n_positions * R * snapshot.dim * 2
    return {
        "gigabytes/s read": round(n_bytes / float(np.median(seconds[best])) / 1e9, 1),
        "fastest reader": best,
        "times the fastest reader": middle(seconds, best),
        "times exact search": middle(seconds, "exact, 10 pictures"),
        "same answers as the plain way": same,
    }


def many_queries(snapshot: Snapshot, n: int, rounds: int) -> dict[str, object]:
    """n queries at once beside the matrix product of the same shape, from float32 that is there already."""
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((n, snapshot.dim), np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    exact = open_index("exact", snapshot)
    block = rng.standard_normal((8192, snapshot.dim), np.float32)
    out = np.empty((8192, n), np.float32)
    n_blocks = snapshot.n_positions * R / 8192

    def product() -> None:
        for _ in range(round(n_blocks)):
            np.matmul(block, queries.T, out=out)

    contenders = {"product": product, "exact": lambda: exact.search(queries, 10)}
    seconds = take_turns(contenders, rounds)
    flops = 2 * n * snapshot.n_positions * R * snapshot.dim
    return {
        "queries": n,
        "gigaflop/s of the product": round(flops / float(np.median(seconds["product"])) / 1e9),
        "times the product": middle(seconds, "product"),
        "ms a query": round(1000 * float(np.median(seconds["exact"])) / n, 2),
    }


OPENING = """
import sys, time
import numpy as np
from pathlib import Path
from search import open_shards
from patchseek.indexes import open_index
snapshot = open_shards(sorted(Path(sys.argv[1]).glob("*.npy")))
query = np.ones((1, snapshot.dim), np.float32) / snapshot.dim**0.5
times = []
exact = None
for _ in range(10):
    start = time.perf_counter()
    exact = exact or open_index("exact", snapshot)
    exact.search(query, 10)
    times.append(time.perf_counter() - start)
print(times[0], sorted(times[1:])[4])
"""


def opening(folder: Path, rounds: int) -> dict[str, object]:
    """The first query of a new process and its tenth, the files being in the page cache."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-c", OPENING, str(folder)]
        text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout
        found.append([float(word) for word in text.split()])
    first, warm = np.median(found, axis=0)
    return {"first query, s": round(first, 3), "warm query, s": round(warm, 3), "difference, s": round(first - warm, 3)}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--opened-rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    figures: dict[str, object] = {"machine": machine(), "rows": arguments.rows, "dim": arguments.dim}
    with tempfile.TemporaryDirectory() as folder:
        snapshot = open_shards(make_shards(Path(folder), arguments.rows // R, arguments.dim))
        figures["one query"] = one_query(snapshot, arguments.rounds)
        figures["many queries"] = many_queries(snapshot, arguments.queries, 3)
    with tempfile.TemporaryDirectory() as folder:
        make_shards(Path(folder), arguments.opened_rows // R, arguments.dim)
        figures["opening 1,000,000 rows"] = opening(Path(folder), 3)
    write("search", figures)


if __name__ == "__main__":
    main()
