"""A small collection that changes all the time: whether its bytes stay bounded, and a search takes no longer.

    python benchmarks/cycles.py [--cycles 10000]

Twenty pictures and an encoder of mean colours, so that what is measured is the collection. In each cycle one picture is
added, one changed, one moved and one deleted, the folder is indexed (--prune: else what is gone is kept for 30 days), a
picture is taken out and let in again, a tag put on and off, and one is searched for, which must be found first.
Compacted a hundred times in all. Printed for each tenth: bytes after the last compact of it, median and longest
milliseconds of indexing and of a search. Writes results/CLASS/cycles.json.
"""

import hashlib
import statistics
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import machine, write

from patchseek import Collection
from patchseek.encoders import EncoderIdentity, Features
from patchseek.patches import Feed, Patches

N = 20
"""Pictures, about."""
PARTS = 10
"""Of the run, for each of which figures are printed."""


class Means:
    """The mean colours of a 2 x 2 grid of a patch."""

    batch = 30
    streams = 1
    runs_on = "numpy"
    feed = Feed(8)
    cells = words = regions = None
    identity = EncoderIdentity("means", 8, 13, hashlib.sha256(b"means").hexdigest(), "squash to 8 px")

    def encode(self, patches: Patches) -> Features:
        """Features (B, 13) of patches (B, 8, 8, 3)."""
        means = patches.reshape(-1, 2, 4, 2, 4, 3).mean(axis=(2, 4), dtype=np.float64).reshape(len(patches), 12)
        vectors = np.concatenate([means - 127.5, np.full((len(patches), 1), 20.0)], axis=1)
        unit: Features = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit


def draw(path: Path, seed: int) -> None:
    """A picture of random tiles."""
    tiles = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(tiles.repeat(8, axis=0).repeat(8, axis=1)).save(path)


def change(folder: Path, cycle: int) -> Path:
    """One file more, one other, one elsewhere, one less; the one that is new."""
    there = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    new = folder / f"{cycle:06}-new.png"
    draw(new, 3 * cycle)
    draw(there[-1], 3 * cycle + 1)
    there[1].rename(folder / f"{cycle:06}-moved.png")
    there[0].unlink()
    return new


def one(collection: Collection, folder: Path, cycle: int) -> tuple[float, float]:
    """Seconds that indexing took, and a search. Raises AssertionError where the new picture is not found first."""
    new = change(folder, cycle)
    began = time.perf_counter()
    report = collection.add(folder, prune=True)
    indexed = time.perf_counter() - began
    assert not report.failed and len(collection) == N, report
    began = time.perf_counter()
    found = collection.search(new, top=1, refine=0)
    searched = time.perf_counter() - began
    assert found[0].image.path == new.name, found[0]
    collection.tag("odd", new.name)
    collection.tag("odd", new.name, remove=True)
    collection.remove(new.name)
    assert collection.add(folder, with_removed=True).added + len(collection) >= N
    return indexed, searched


def n_bytes(home: Path) -> int:
    """Bytes of all files of a collection."""
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


def part(collection: Collection, folder: Path, cycles: range) -> dict[str, Any]:
    """Figures of some cycles, compacted ten times among them."""
    indexed, searched = [], []
    for cycle in cycles:
        seconds = one(collection, folder, cycle)
        indexed.append(seconds[0])
        searched.append(seconds[1])
        if (cycle + 1) % max(1, len(cycles) // 10) == 0:
            collection.compact()
    return {
        "cycles": cycles.stop,
        "bytes": n_bytes(collection.path),
        "index ms": [round(1000 * value, 1) for value in (statistics.median(indexed), max(indexed))],
        "search ms": [round(1000 * value, 1) for value in (statistics.median(searched), max(searched))],
    }


def main() -> None:
    """Measure, write, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=10_000)
    n = parser.parse_args().cycles
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        folder.mkdir()
        for i in range(N):
            draw(folder / f"{i:06}.png", 1_000_000_000 + i)
        collection = Collection.open(Path(name, "c"), encoder=Means(), points=False, create=True)
        collection.add(folder)
        parts = [part(collection, folder, range(n * i // PARTS, n * (i + 1) // PARTS)) for i in range(PARTS)]
        problems = collection.verify()
    write("cycles", {"machine": machine(), "pictures": N, "parts": parts, "problems": problems})


if __name__ == "__main__":
    main()
