"""What Milvus takes to load, to open again and to answer, beside exact search in the same run.

    python benchmarks/milvus.py [--server PYTHON] [--data FOLDER] [--images 3000] [--lite 1000] [--dim 256]

PYTHON is the interpreter of an environment with the package `milvus` (`make .venv-milvus/.ready`; by default that one,
where it is there), with which tools/milvus_server.py is started and stopped. Features are those of the benchmark
million.py: mixtures of the annotated sets' features, reduced to --dim numbers, in a real collection. Milvus Lite gets
the first --lite pictures. Single queries, engines in turn; "times exact" is the median over queries of an engine's time
by exact search's for the same query, recall@10 is of pictures. Writes results/milvus.json.
"""

import argparse
import os
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
from turns import machine, write

from patchseek.indexes import Index, open_index
from patchseek.store import Snapshot, Store

ROOT = Path(__file__).parents[1]
KINDS = ("FLAT", "IVF_FLAT", "IVF_PQ;rerank=400", "HNSW", "HNSW;M=32;ef=400")
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


def load(engine: str, snapshot: Snapshot, cache: Path) -> tuple[Index, dict[str, Any]]:
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


def measure(engines: dict[str, str], snapshot: Snapshot, queries: Any, folder: Path) -> dict[str, Any]:
    """All engines over one snapshot, exact search among them."""
    opened: dict[str, Index] = {"exact": open_index("exact", snapshot)}
    found: dict[str, dict[str, Any]] = {"exact": {}}
    for number, (name, engine) in enumerate(engines.items()):
        opened[name], found[name] = load(engine, snapshot, folder / f"cache-{len(engines)}-{number}")
        print(name, found[name], flush=True)
    spent: dict[str, list[float]] = {name: [] for name in opened}
    for index in opened.values():
        index.search(queries[:1], 10)
    for query in queries:
        for name, index in opened.items():
            began = time.perf_counter()
            index.search(query[None], 10)
            spent[name].append(time.perf_counter() - began)
    exact = opened["exact"].search(queries, 10).positions
    for name, index in opened.items():
        pairs = zip(index.search(queries, 10).positions, exact, strict=True)
        found[name] |= {
            "recall@10": round(float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs])), 3),
            "p50 ms": round(1000 * float(np.percentile(spent[name], 50)), 1),
            "p95 ms": round(1000 * float(np.percentile(spent[name], 95)), 1),
            "times exact": round(float(np.median(np.divide(spent[name], spent["exact"]))), 2),
        }
        found[name]["engine"] = index.name
    return {"rows": snapshot.n_positions * snapshot.n_regions, "engines": found}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, default=ROOT / ".venv-milvus" / "bin" / "python")
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--lite", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=256)
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("name the folder of the sets with --data or PATCHSEEK_DATA")
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
        figures["Lite"] = measure({"FLAT": f"milvus:{folder / 'lite.db'}"}, snapshots[0], queries, folder)
        write("milvus", figures)
        if asked.server.exists():
            with running(asked.server, folder / "server") as address:
                engines = {kind: f"milvus:{address};type={kind}" for kind in KINDS}
                figures["server"] = measure(engines, snapshots[1], queries, folder)
            write("milvus", figures)


if __name__ == "__main__":
    main()
