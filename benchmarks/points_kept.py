"""What is lost by how points are kept: by coding, by fewer of them, and by looking for them in smaller pictures.

    python benchmarks/points_kept.py [--data FOLDER] [--sets dev-set composite-set]

FOLDER (by default $PATCHSEEK_DATA) holds the sets. Every picture of a gallery is ranked by the likeness of its best
region and what its points gain, nothing opened, queries with their boxes and upright; a picture that gains by points
has their box. The first row compares points as they are found, 64 float32 each; all others those that a collection
keeps. Writes results/CLASS/points-kept.json.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from points_rows import rankings, row
from turns import machine, parse_with_data, write

from patchseek import evaluate as ev
from patchseek._platform import n_cores
from patchseek.boxes import to_pixels
from patchseek.datasets import Dataset, open_dataset
from patchseek.encoders import Encoder, open_encoder
from patchseek.images import read
from patchseek.points import POINT_BYTES, WORTH, CodedPoints, Points, encode, find_points, match, on_axes
from patchseek.search import Query

KINDS: Mapping[str, tuple[int, int, bool]] = {
    "as they are found": (800, 1024, False),
    "coded: the default": (800, 1024, True),
    "400 points": (400, 1024, True),
    "200 points": (200, 1024, True),
    "pictures of 768 pixels": (800, 768, True),
    "pictures of 512 pixels": (800, 512, True),
}
"""Points at most, pixels of the picture's longer side at most, whether coded."""


def find(data: Dataset, n: int, side: int) -> list[Points]:
    """The points of the gallery's pictures, in order."""
    with ThreadPoolExecutor(n_cores()) as pool:
        return list(pool.map(lambda entry: find_points(read(entry.image), n, side), data.gallery))


def rank(
    query: Query, kept: Sequence[Any], side: int, is_coded: bool, features: Any, gallery: ev.Gallery
) -> list[list[Any]]:
    """Every picture, best first: [gallery id, score, x y w h]. features (N, R, D), kept: in the gallery's order."""
    cosines = features @ query.feature
    order = np.argsort(-cosines.max(axis=1), kind="stable").tolist()
    asked = on_axes(query.points[0].upright) if is_coded else query.points[0].upright
    sizes = [gallery.sizes[i] for i in order]
    listed = []
    for i, size, own in zip(order, sizes, match(asked, [kept[i] for i in order], sizes, side), strict=True):
        gain = own[0].gain if own else 0.0
        regions = gallery.store.settings.pyramid.boxes_of(*size)
        box = own[0].box if gain else regions[int(cosines[i].argmax())]
        score = float(cosines[i].max()) + WORTH * gain
        listed += [[name, score, list(to_pixels(box, *size))] for name in gallery.ids[i]]
    return sorted(listed, key=lambda entry: -entry[1])


def measure(folder: Path, encoder: Encoder) -> dict[str, dict[str, float]]:
    """A row for each of KINDS."""
    data, rows = open_dataset(folder), {}
    with tempfile.TemporaryDirectory() as temporary:
        gallery = ev.encode_gallery(data, encoder, ev.EvalSettings().pyramid, Path(temporary))
        features = gallery.snapshot.features(np.arange(gallery.snapshot.n_positions))
        queries = ev.read_queries(data, encoder, points=True, off_ground=True)
        places = {name: i for i, names in gallery.ids.items() for name in names}
        for name, (n, side, is_coded) in KINDS.items():
            found: list[Any] = [None] * len(features)
            for entry, points in zip(data.gallery, find(data, n, side), strict=True):
                found[places[entry.id]] = CodedPoints(encode(points)) if is_coded else points
            ranked = {
                entry.id: rank(query, found, side, is_coded, features, gallery)
                for entry, query in zip(data.queries, queries, strict=True)
            }
            mean = sum(map(len, found)) / len(found)
            kilobytes = mean * (POINT_BYTES if is_coded else 64 * 4 + 8) / 1000
            rows[name] = {"KB a picture": round(kilobytes, 1)} | row(rankings(ranked, data))
            print(f"{data.name}: {name}: {rows[name]}", flush=True)
    return rows


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["dev-set", "composite-set"])
    arguments = parse_with_data(parser)
    encoder = open_encoder("embedded")
    sets = {name: measure(arguments.data / name, encoder) for name in arguments.sets}
    write("points-kept", {"machine": machine(), "sets": sets})


if __name__ == "__main__":
    main()
