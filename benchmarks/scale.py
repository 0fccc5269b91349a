"""How a collection grows: rescan, adding one picture, store size, index build and query latency at three sizes.

    python benchmarks/scale.py [--pictures 1000 10000 100000] [--dim 64] [--engine ENGINE]

Features are random directions of --dim numbers, 30 a picture, and the picture files are empty: nothing is encoded, so
that what is measured is the collection. Bytes grow with the dimension, the embedded encoder's being 1280. The rescan
walks the real folder with its real files (CPU seconds: those that a busy machine does not lengthen); one picture more
is then a real picture, and what it wrote is counted.
Slopes: least squares in log-log; 1 is linear, 0 is constant. Writes results/CLASS/scale.json.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import machine, write

from patchseek.encode import add_folder
from patchseek.encoders import EncoderIdentity, Features
from patchseek.indexes import open_index
from patchseek.patches import Feed, Patches
from patchseek.regions import Pyramid
from patchseek.store import FileState, NewEntry, Settings, Store, Writer

R = 30
SHARD = 256


class Blind:
    """An encoder that answers at once, always with the same direction."""

    batch, streams, runs_on, feed = 32, 1, "nothing", Feed(8)
    cells = words = regions = None

    def __init__(self, dim: int) -> None:
        self.identity = EncoderIdentity("blind", 8, dim, "0" * 64, "none")

    def encode(self, patches: Patches) -> Features:
        """See Encoder."""
        return np.full((len(patches), self.identity.dim), self.identity.dim**-0.5, np.float32)


def make_files(folder: Path, n: int) -> None:
    """n empty files named as pictures, a thousand in a folder."""
    for i in range(n):
        if i % 1000 == 0:
            (folder / f"{i // 1000:04d}").mkdir(parents=True)
        (folder / f"{i // 1000:04d}" / f"{i:07d}.jpg").touch()


def fill(store: Store, folder: Path, n: int, dim: int) -> None:
    """Commit n pictures with random features, shard by shard."""
    rng = np.random.default_rng(0)

    def pictures(low: int, high: int) -> Iterator[NewEntry]:
        for i in range(low, high):
            path = f"{i // 1000:04d}/{i:07d}.jpg"
            status = (folder / path).stat()
            yield NewEntry(path, FileState(status.st_size, status.st_mtime_ns), f"{i:064x}", 640, 480)

    with Writer(store) as writer:
        for low in range(0, n, SHARD):
            batch = list(pictures(low, min(low + SHARD, n)))
            features = rng.random((len(batch), R, dim), np.float32) - np.float32(0.5)
            features /= np.linalg.norm(features, axis=2, keepdims=True)
            writer.commit(folder, batch, features.astype(np.float16))


def files_of(path: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every shard."""
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in (path / "shards").iterdir()}


def milliseconds(search: Any, queries: Features) -> float:
    """Median of single queries, the first left out."""
    spent = []
    for query in queries:
        began = time.perf_counter()
        search(query[None], 10)
        spent.append(time.perf_counter() - began)
    return round(1000 * float(np.median(spent[1:])), 2)


def measure(home: Path, n: int, dim: int, engine: str) -> dict[str, Any]:
    """All figures at one size."""
    folder, encoder = home / "pictures", Blind(dim)
    make_files(folder, n)
    store = Store.create(home / "collection", Settings(encoder.identity, Pyramid()))
    fill(store, folder, n, dim)
    found: dict[str, Any] = {"store bytes a picture": round(store.n_bytes() / n)}
    spent = []
    for _ in range(3):
        began = time.perf_counter(), time.process_time()
        report = add_folder(store, folder, encoder)
        spent.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        assert report.unchanged == n, report
    found["rescan s"], found["rescan cpu s"] = (round(float(value), 3) for value in np.median(spent, axis=0))
    before = files_of(store.path)
    Image.new("RGB", (32, 32), "red").save(folder / "new.png")
    began = time.perf_counter(), time.process_time()
    assert add_folder(store, folder, encoder).added == 1
    found["add one s"] = round(time.perf_counter() - began[0], 3)
    found["add one cpu s"] = round(time.process_time() - began[1], 3)
    after = files_of(store.path)
    assert all(after[file] == state for file, state in before.items()), "a shard was rewritten"
    found["add one, new shard bytes"] = sum(after[file][0] for file in after.keys() - before.keys())
    snapshot = store.snapshot()
    queries = snapshot.rows(np.linspace(0, n * R - 1, 15).astype(np.int64)).astype(np.float32)
    found["exact ms"] = milliseconds(open_index("exact", snapshot).search, queries)
    began = time.perf_counter()
    index = open_index(engine, snapshot)
    found |= {"engine": engine, "build s": round(time.perf_counter() - began, 1)}
    found["engine ms"] = milliseconds(index.search, queries)
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--engine", default="PQ64x4fs;rerank=1000")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "dim": arguments.dim, "cores": os.cpu_count()}
    sizes: dict[str, dict[str, Any]] = {}
    for n in arguments.pictures:
        with tempfile.TemporaryDirectory() as home:
            sizes[str(n)] = measure(Path(home), n, arguments.dim, arguments.engine)
        print(n, sizes[str(n)], flush=True)
    figures["pictures"] = sizes
    if len(sizes) > 1:
        logs = np.log([int(n) for n in sizes])
        figures["slopes"] = {
            key: round(float(np.polyfit(logs, np.log([max(found[key], 1e-6) for found in sizes.values()]), 1)[0]), 2)
            for key in ("store bytes a picture", "rescan cpu s", "add one cpu s", "exact ms", "build s", "engine ms")
        }
    write("scale", figures)


if __name__ == "__main__":
    main()
