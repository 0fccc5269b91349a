"""What PostgreSQL with pgvector takes to load, to index and to answer, beside exact search and FAISS in the same run.

    python benchmarks/postgres.py URL [--data FOLDER] [--rows 150000] [--kinds ";type=FLAT" ...] [--threads 4]

URL is a database, such as the one that `python -m tests.postgres` starts and names. The gallery is that of
benchmarks/indexes.py: the annotated sets' features and noisy copies of them, 1280 numbers each, in memory-mapped files.
Each kind of index has tables of its own, which are dropped at the end. Single queries through the public search call,
the engines in turn; "times exact" is the median over queries of an engine's time by exact search's for the same query.
Then the queries again by several threads. Writes results/CLASS/postgres.json.
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from indexes import SETS, enlarge, recall
from turns import machine, parse_with_data, write

from patchseek import evaluate as ev
from patchseek.datasets import open_dataset
from patchseek.encoders import open_encoder
from patchseek.indexes import Index, open_index
from patchseek.indexes._postgres_recipe import parse

BESIDE = ("exact", "Flat")
KINDS = (";type=FLAT", ";type=HNSW", ";type=HNSW;ef=400", ";type=IVFFLAT")
SETTINGS = ("server_version", "shared_buffers", "maintenance_work_mem", "max_parallel_workers_per_gather")


def load(url: str, kind: str, snapshot: Any, cache: Path) -> tuple[Index, dict[str, Any]]:
    """Load an engine's rows, then build its index; what that took. One that only searches otherwise costs nothing."""
    if (cache / "postgres-owner").exists():
        return open_index(url + kind, snapshot, cache), {}
    n_rows = snapshot.n_positions * snapshot.n_regions
    began = time.perf_counter()
    open_index(f"{url};type=FLAT", snapshot, cache)
    loaded = time.perf_counter()
    index = open_index(url + kind, snapshot, cache)
    built = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as db:
        table = f"patchseek_{(cache / 'postgres-owner').read_text()[:16]}_{snapshot.n_regions}"
        (heap, indexes), *_ = db.execute("SELECT pg_table_size(%(t)s), pg_indexes_size(%(t)s)", {"t": table}).fetchall()
    return index, {
        "rows/s": round(n_rows / (loaded - began)),
        "index s": round(built - loaded, 1),
        "bytes a row": round(heap / n_rows),
        "indexes, bytes a row": round(indexes / n_rows),
    }


def drop(url: str, cache: Path) -> None:
    """Take the tables of one owner away again."""
    owner = (cache / "postgres-owner").read_text()[:16]
    with psycopg.connect(url, autocommit=True) as db:
        for (table,) in db.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE %s", [f"patchseek_{owner}%"]):
            db.execute(f"DROP TABLE {table}")


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--cache", type=Path, help="Keep the sets' features here.")
    arguments = parse_with_data(parser)
    encoder, pyramid = open_encoder("embedded"), ev.EvalSettings().pyramid
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        datasets = [open_dataset(arguments.data / name) for name in SETS]
        galleries = [ev.encode_gallery(each, encoder, pyramid, arguments.cache or folder) for each in datasets]
        queries = np.concatenate([ev.encode_queries(each, encoder) for each in datasets])
        snapshot = enlarge(galleries, arguments.rows, folder)
        opened: dict[str, Index] = {name: open_index(name, snapshot) for name in BESIDE}
        found: dict[str, dict[str, Any]] = {name: {} for name in BESIDE}
        caches = {kind: folder / parse(arguments.url + kind).suffix for kind in arguments.kinds}
        for kind, cache in caches.items():
            opened[kind], found[kind] = load(arguments.url, kind, snapshot, cache)
            print(kind, found[kind], flush=True)
        exact = opened["exact"].search(queries, 10)
        spent: dict[str, list[float]] = {name: [] for name in opened}
        for query in queries:
            for name, index in opened.items():
                began = time.perf_counter()
                index.search(query[None], 10)
                spent[name].append(time.perf_counter() - began)
        for name, index in opened.items():
            began = time.perf_counter()
            with ThreadPoolExecutor(arguments.threads) as pool:
                list(pool.map(lambda query, index=index: index.search(query[None], 10), queries))
            found[name] |= {
                "recall@10": round(recall(index.search(queries, 10), exact), 3),
                "p50 ms": round(1000 * float(np.percentile(spent[name], 50)), 1),
                "p95 ms": round(1000 * float(np.percentile(spent[name], 95)), 1),
                "times exact": round(float(np.median(np.divide(spent[name], spent["exact"]))), 2),
                f"queries/s of {arguments.threads} threads": round(len(queries) / (time.perf_counter() - began)),
            }
        for cache in set(caches.values()):
            drop(arguments.url, cache)
    with psycopg.connect(arguments.url) as db:
        settings = {name: db.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0] for name in SETTINGS}
    rows = {"rows": snapshot.n_positions * snapshot.n_regions, "dim": snapshot.dim, "queries": len(queries)}
    write("postgres", {"machine": machine(), "server": settings, **rows, "engines": found})


if __name__ == "__main__":
    main()
