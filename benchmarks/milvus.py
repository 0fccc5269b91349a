"""What Milvus takes to load, to open again and to answer, beside exact search in the same run.

    python benchmarks/milvus.py [--server PYTHON] [--data FOLDER] [--images 3000] [--lite 1000] [--dim 256]
                                [--wait 420]

PYTHON is the interpreter of an environment with the package `milvus` (`make .venv-milvus/.ready`; by default that one,
where it is there), with which tools/milvus_server.py is started and stopped. Features are those of the benchmark
million.py: mixtures of the annotated sets' features, reduced to --dim numbers, in a real collection. Milvus Lite gets
the first --lite pictures. Single queries, each engine in turn with exact search; "times exact" is the median over
queries of an engine's time by exact search's for the same query, recall@10 is of pictures. Writes
results/CLASS/milvus.json.

A server is measured twice. Rows just loaded lie in growing segments, which it searches through an interim index of its
own, whatever type was asked for. Then they are sealed, and `indexed` says how many rows stand in segments that are
searched through the index asked for; --wait is how long each engine is given for that.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from million import fill, reduced, settings
from turns import machine, parse_with_data, write

from patchseek.indexes import Index, open_index
from patchseek.store import Snapshot, Store

ROOT = Path(__file__).parents[1]
KINDS = ("FLAT", "IVF_FLAT", "HNSW", "HNSW;M=32;ef=400", "IVF_PQ", "IVF_PQ;rerank=400")
N_QUERIES = 78


@contextmanager
def running(python: Path, folder: Path) -> Iterator[str]:
    """A server of its own, as long as the block lasts; its address."""
    command = [python, ROOT / "tools" / "milvus_server.py", folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield next(line.strip() for line in process.stdout if line.startswith("http"))
        finally:
            process.communicate()  # the end of its input ends it


def load(engine: str, snapshot: Snapshot, cache: Path) -> tuple[Any, dict[str, Any]]:
    """Load an engine's rows and open it again; what that took."""
    n_rows = snapshot.n_positions * snapshot.n_regions
    began = time.perf_counter()
    index = open_index(engine, snapshot, cache)
    loaded = time.perf_counter()
    index = open_index(engine, snapshot, cache)
    return index, {
        "rows/s": round(n_rows / (loaded - began)),
        "opened again s": round(time.perf_counter() - loaded, 2),
    }


def indexed(index: Any) -> int:
    """Rows in segments that a server searches through the index asked for. It needs none for FLAT, and has none."""
    segments = index._client.list_loaded_segments(index._collection)
    return sum(segment.num_rows for segment in segments if segment.index_name)


def seal(index: Any, n_rows: int, wait: float) -> dict[str, Any]:
    """Have the server seal its segments, and wait until all rows are searched through the index; how long that took."""
    began = time.perf_counter()
    index._client.flush(index._collection)
    while not index.name.endswith(" FLAT") and indexed(index) < n_rows and time.perf_counter() - began < wait:
        time.sleep(1)
    return {"indexed": indexed(index), "sealed s": round(time.perf_counter() - began)}


def measure(index: Index, snapshot: Snapshot, queries: Any) -> dict[str, Any]:
    """Recall and times of an engine, beside exact search in turn with it."""
    exact = open_index("exact", snapshot)
    spent = np.empty((len(queries) + 1, 2))  # seconds; the first query warms up
    for n, query in enumerate([queries[0], *queries]):
        for column, engine in enumerate((exact, index)):
            began = time.perf_counter()
            engine.search(query[None], 10)
            spent[n, column] = time.perf_counter() - began
    theirs, ours = spent[1:].T
    pairs = zip(index.search(queries, 10).positions, exact.search(queries, 10).positions, strict=True)
    return {
        "recall@10": round(float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs])), 4),
        "p50 ms": round(1000 * float(np.percentile(ours, 50)), 1),
        "p95 ms": round(1000 * float(np.percentile(ours, 95)), 1),
        "exact p50 ms": round(1000 * float(np.percentile(theirs, 50)), 1),
        "times exact": round(float(np.median(ours / theirs)), 2),
    }


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, default=ROOT / ".venv-milvus" / "bin" / "python")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--lite", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--wait", type=float, default=420)
    asked = parse_with_data(parser)
    versions = {name: version(name) for name in ("pymilvus", "milvus-lite")}
    figures: dict[str, Any] = {"machine": machine(), "clients": versions, "dim": asked.dim}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source, queries, _ = reduced(asked.data, folder / "sets", asked.dim)
        queries = queries[:N_QUERIES]
        snapshots = []
        for name, n_images in (("few", asked.lite), ("many", asked.images)):
            store = Store.create(folder / name, settings(asked.dim))
            fill(store, source, n_images)
            snapshots.append(store.snapshot())
        rows = [snapshot.n_positions * snapshot.n_regions for snapshot in snapshots]
        index, loads = load(f"milvus:{folder / 'lite.db'}", snapshots[0], folder / "cache")
        figures["Lite"] = {"rows": rows[0], "FLAT": loads | measure(index, snapshots[0], queries)}
        if asked.server.exists():
            server = figures["server"] = {"rows": rows[1]}
            with running(asked.server, folder / "server") as address:
                for number, kind in enumerate(KINDS):
                    index, loads = load(f"milvus:{address};type={kind}", snapshots[1], folder / f"cache-{number}")
                    server[kind] = loads | {"just loaded": {"indexed": indexed(index)}}
                    server[kind]["just loaded"] |= measure(index, snapshots[1], queries)
                    server[kind]["sealed"] = seal(index, rows[1], asked.wait)
                    server[kind]["sealed"] |= measure(index, snapshots[1], queries)
                    print(kind, server[kind], flush=True)
                    write("milvus", figures)
                    index._client.drop_collection(index._collection)
        write("milvus", figures)


if __name__ == "__main__":
    main()
