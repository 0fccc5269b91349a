"""What many queries at once cost: search_many against one matrix product of that shape and the encoding of the queries.

    python benchmarks/many.py [--data FOLDER] [--set dev-set] [--queries 1000] [--rounds 3]

FOLDER (by default $PATCHSEEK_DATA) holds the set. The queries are boxes of its pictures: its annotated ones, then
windows of its gallery, until there are enough. They are searched by the grid alone, turned as well and upright. Beside
it stands what cannot be avoided: the boxes read, cut and encoded in full batches (`encoding`), and one product of all
features, float32 in memory, with all queries (`product`). They take turns; seconds are medians over the rounds, a ratio
is the median of the rounds'. Writes results/CLASS/many.json.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from turns import machine, parse_with_data, take_turns, write

from patchseek import Collection
from patchseek._platform import n_cores
from patchseek.answers import SearchOptions
from patchseek.boxes import from_pixels
from patchseek.datasets import Dataset, open_dataset
from patchseek.images import read, size_of
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


class Parts:
    """What is compared, over one collection."""

    def __init__(self, collection: Collection, asked: list[tuple[Path, Box]], *, turned: bool) -> None:
        self.collection, self.asked, self.turned = collection, asked, turned
        self.lays = SearchOptions(turned=turned).lays
        snapshot = collection.store.snapshot()
        self.rows = snapshot.features(np.arange(snapshot.n_positions)).reshape(-1, snapshot.dim)
        n_columns = len(asked) * (1 + len(self.lays))
        self.columns = np.ascontiguousarray(np.resize(self.rows, (n_columns, snapshot.dim)).T)

    def many(self) -> None:
        """What is measured."""
        options = {"refine": 0, "depth": 0, "turned": self.turned}
        list(self.collection.search_many(self.asked, **options))

    def product(self) -> None:
        """One product of all features with all queries."""
        self.rows @ self.columns

    def encoding(self) -> None:
        """Reading, cutting and encoding, threads ahead of the network."""
        with ThreadPoolExecutor(n_cores()) as pool:
            for lot in self._lots(pool.map(self._cut, self.asked)):
                self.collection.encoder.encode(joined(lot))

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


def measure(parts: Parts, rounds: int) -> dict[str, object]:
    """The figures of one way to search."""
    taken = take_turns({"many": parts.many, "encoding": parts.encoding, "product": parts.product}, rounds)
    turns = zip(taken["many"], taken["encoding"], taken["product"], strict=True)
    return {
        "lays": 1 + len(parts.lays),
        "seconds": {name: round(statistics.median(times), 3) for name, times in taken.items()},
        "many / (product + encoding)": round(statistics.median(m / (e + p) for m, e, p in turns), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="dev-set")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parse_with_data(parser)
    data, before = open_dataset(Path(told.data) / told.set), machine()
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection.open(Path(folder) / "collection", points=False, create=True)
        collection.add(data.folder)
        asked = boxes_of(data, told.queries)
        ways = {name: Parts(collection, asked, turned=name == "turned") for name in ("turned", "upright")}
        rows, dim = ways["turned"].rows.shape
        figures = {name: measure(parts, told.rounds) for name, parts in ways.items()}
    settings = {"set": data.name, "queries": told.queries, "rows": rows, "dim": dim, "rounds": told.rounds}
    write("many", {"machine": before, "settings": settings, **figures})


if __name__ == "__main__":
    main()
