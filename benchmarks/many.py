"""What many queries at once cost: search_many against one matrix product of that shape and the encoding of the queries.

    python benchmarks/many.py DATA/dev-set [--queries 1000] [--upright] [--rounds 3] [--out FILE]

The queries are boxes of the set's pictures: its annotated ones, then windows of its gallery, until there are enough.
They are searched by the grid alone. Beside it stands what cannot be avoided: the boxes read, cut and encoded in full
batches (`encoding`), and one product of all features, float32 in memory, with all queries (`product`). `network` is the
part of encoding that the network takes, its patches cut beforehand. Rounds alternate; figures are medians.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from patchseek import Collection
from patchseek.answers import SearchOptions
from patchseek.boxes import from_pixels
from patchseek.datasets import Dataset, open_dataset
from patchseek.images import read, size_of
from patchseek.indexes import n_cores
from patchseek.patches import Patches, joined
from patchseek.search import laid_patches

Box = tuple[float, float, float, float]


def boxes_of(data: Dataset, n: int) -> list[tuple[Path, Box]]:
    """n queries."""
    asked = [(query.image, query.box) for query in data.queries if query.box]
    corner = 0
    while len(asked) < n:
        x, y = (corner % 2) / 2, (corner // 2 % 2) / 2
        for picture in data.gallery[: n - len(asked)]:
            width, height = size_of(picture.image)
            asked.append((picture.image, (x * width, y * height, width / 2, height / 2)))
        corner += 1
    return asked[:n]


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


class Parts:
    """What is compared, over one collection."""

    def __init__(self, collection: Collection, asked: list[tuple[Path, Box]], *, turned: bool) -> None:
        self.collection, self.asked, self.turned = collection, asked, turned
        self.lays = SearchOptions(turned=turned).lays
        snapshot = collection.store.snapshot()
        self.rows = snapshot.features(np.arange(snapshot.n_positions)).reshape(-1, snapshot.dim)
        n_columns = len(asked) * (1 + len(self.lays))
        self.columns = np.ascontiguousarray(np.resize(self.rows, (n_columns, snapshot.dim)).T)

    def many(self) -> float:
        """Seconds of search_many."""
        options = {"refine": 0, "depth": 0, "turned": self.turned}
        return seconds(lambda: list(self.collection.search_many(self.asked, **options)))

    def product(self) -> float:
        """Seconds of the product."""
        return seconds(lambda: self.rows @ self.columns)

    def encoding(self) -> float:
        """Seconds of reading, cutting and encoding, threads ahead of the network."""
        with ThreadPoolExecutor(n_cores()) as pool:
            encoder = self.collection.encoder
            return seconds(lambda: [encoder.encode(joined(lot)) for lot in self._lots(pool.map(self._cut, self.asked))])

    def network(self) -> float:
        """Seconds of the network alone."""
        lots = self._lots(map(self._cut, self.asked))
        return sum(seconds(lambda lot=lot: self.collection.encoder.encode(joined(lot))) for lot in lots)

    def _cut(self, asked: tuple[Path, Box]) -> Patches:
        picture = read(asked[0])
        box = from_pixels(asked[1], picture.width, picture.height)
        return laid_patches(picture, box, self.collection.encoder.feed, self.lays)

    def _lots(self, patches: Iterator[Patches]) -> Iterator[list[Patches]]:
        lot: list[Patches] = []
        for each in patches:
            lot.append(each)
            if len(lot) * (1 + len(self.lays)) >= self.collection.encoder.batch:
                yield lot
                lot = []
        if lot:
            yield lot


def measure(data: Dataset, n: int, rounds: int, *, turned: bool) -> dict[str, object]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection.open(Path(folder) / "collection", points=False, create=True)
        collection.add(data.folder)
        parts = Parts(collection, boxes_of(data, n), turned=turned)
        acts = {"many": parts.many, "encoding": parts.encoding, "network": parts.network, "product": parts.product}
        parts.many()
        taken: dict[str, list[float]] = {name: [] for name in acts}
        for _ in range(rounds):
            for name, act in acts.items():
                taken[name].append(act())
        found = {name: statistics.median(times) for name, times in taken.items()}
        return {
            "set": data.name,
            "queries": n,
            "lays": 1 + len(parts.lays),
            "rows": len(parts.rows),
            "dim": parts.rows.shape[1],
            "cores": len(os.sched_getaffinity(0)),
            **{f"{name}_s": round(value, 3) for name, value in found.items()},
            "many / (product + encoding)": round(found["many"] / (found["product"] + found["encoding"]), 3),
            "many / (product + network)": round(found["many"] / (found["product"] + found["network"]), 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--upright", action="store_true", help="as they lie alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    told = parser.parse_args()
    text = json.dumps(measure(open_dataset(told.set), told.queries, told.rounds, turned=not told.upright), indent=2)
    print(text)
    if told.out:
        told.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
