"""What copies of pictures do to confidence, and how they are told from strangers.

    python benchmarks/copies.py [--data FOLDER] [--pictures 40]

Of each set, some pictures alone, and with a copy of each by kind: recompressed, smaller, brighter, cropped, frames of a
burst. Of every collection: what strangers score (median and spread of the evidence), how often what counted as a
stranger was in truth a copy, and the confidence of the set's queries whose object is there. And the fit of details
(10 %, 50 %, 90 %) of random regions in the copies, and in the best find of those pictures that share no object with
them: SAME_THING in patchseek.confidence lies between. Writes results/CLASS/copies.json.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from turns import keep, machine, parse_with_data

from patchseek import Collection
from patchseek.confidence import find_strangers
from patchseek.datasets import Dataset, open_dataset
from patchseek.images import read
from patchseek.indexes import open_index
from patchseek.rank import FITTING
from patchseek.rerank import Refiner, need, of_boxes
from patchseek.search import encode_query

Picture = Image.Image


def _part(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    w, h = picture.size
    return picture.crop((int(left * w), int(top * h), int(right * w), int(bottom * h)))


KINDS: dict[str, Callable[[Picture], Picture]] = {
    "recompressed": lambda p: p,
    "half the size": lambda p: p.resize((p.width // 2, p.height // 2)),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "grey": lambda p: p.convert("L"),
    "cropped by 5 %": lambda p: _part(p, 0.05, 0.05, 0.95, 0.95),
    "cropped by 15 %": lambda p: _part(p, 0.15, 0.15, 0.85, 0.85),
    "moved by 10 %": lambda p: _part(p, 0.1, 0.0, 1.0, 1.0),
    "turned by 3 degrees": lambda p: _part(p.rotate(3), 0.06, 0.06, 0.94, 0.94),
}


def build(folder: Path, paths: list[Path], kinds: list[str]) -> Collection:
    """A collection of some pictures and their copies, named KIND/NAME."""
    for path in paths:
        (folder / "original").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "original" / f"{path.stem}{path.suffix}")
        for kind in kinds:
            (folder / kind).mkdir(exist_ok=True)
            with Image.open(path) as picture:
                KINDS[kind](picture.convert("RGB")).save(folder / kind / f"{path.stem}.jpg", quality=60)
    collection = Collection.open(folder / ".patchseek", create=True)
    collection.add(folder)
    return collection


def judge(collection: Collection, data: Dataset, chosen: dict[str, str]) -> dict[str, Any]:
    """The figures of one collection. chosen: stem of a picture's file -> its id in the set."""
    snapshot = collection.store.snapshot()
    engine = open_index("exact", snapshot)
    found = find_strangers(engine, snapshot, collection.store, collection.encoder)
    copies = [Path(image.path).stem == Path(stranger.picture.path).stem for image, stranger in found]
    background = collection.background
    assert background
    sure = []
    for query in data.queries:
        if set(data.positives(query)) & set(chosen.values()):
            first = collection.search(query.image, box=query.box, top=1)[0]
            sure.append(first.confidence)
    median, spread = background.kinds[FITTING]
    return {
        "pictures": len(collection),
        "strangers, median": round(median, 3),
        "strangers, spread": round(spread, 3),
        "copies among strangers": round(float(np.mean(copies)), 3),
        "confidence of queries, median": round(float(np.median(sure)), 3),
        "confidence of queries, 10 %": round(float(np.quantile(sure, 0.1)), 3),
    }


def fits(data: Dataset, paths: list[Path], chosen: dict[str, str], collection: Collection) -> dict[str, list[float]]:
    """Quantiles of the fit of a random region of each picture: in its copy by kind, and in the best stranger."""
    encoder, rng = collection.encoder, np.random.default_rng(0)
    boxes = collection.store.settings.pyramid.boxes
    shown = {key: {q.instance for q in data.queries if key in data.positives(q)} for key in chosen.values()}
    values: dict[str, list[float]] = {kind: [] for kind in (*KINDS, "strangers")}
    by_stem = {path.stem: path for path in paths}
    for path in paths:
        region = boxes[rng.integers(1, len(boxes))]
        query = encode_query(read(path, need=need(encoder)), encoder, region)
        refiner = Refiner(query, encoder)
        places = []
        for kind in KINDS:
            copy = collection.path.parent / kind / f"{path.stem}.jpg"
            places.append((kind, read(copy, need=need(encoder)), region))
        for match in collection.search(path, box=tuple(_xywh(region)), top=None, refine=0, under="original"):
            stem = Path(match.image.path).stem
            if stem != path.stem and not shown[chosen[stem]] & shown[chosen[path.stem]]:
                places.append(("strangers", read(by_stem[stem], need=need(encoder)), np.array(match.box)))
                break
        kinds, pictures, starts = zip(*places, strict=True)
        for kind, box in zip(kinds, refiner.refine(pictures, of_boxes(np.array(starts))[:, None]), strict=True):
            if box:
                values[kind].append(box.fit)
    return {kind: [round(float(v), 3) for v in np.quantile(found, (0.1, 0.5, 0.9))] for kind, found in values.items()}


def _xywh(box: Any) -> list[float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return [x0, y0, x1 - x0, y1 - y0]


def measure(folder: Path, n: int) -> dict[str, Any]:
    """All figures of one set."""
    data = open_dataset(folder)
    picked = np.random.default_rng(0).permutation(len(data.gallery))[:n]
    chosen = {data.gallery[i].image.stem: data.gallery[i].id for i in picked}
    paths = [data.gallery[i].image for i in picked]
    ways = {"alone": [], **{kind: [kind] for kind in KINDS}, "all kinds": list(KINDS)}
    table: dict[str, Any] = {}
    for name, kinds in ways.items():
        with tempfile.TemporaryDirectory() as temporary:
            collection = build(Path(temporary) / "pictures", paths, kinds)
            table[name] = judge(collection, data, chosen)
            print(f"{data.name}: {name}: {table[name]}", flush=True)
            if name == "all kinds":
                table["fit"] = fits(data, paths, chosen, collection)
                print(f"{data.name}: fit: {table['fit']}", flush=True)
    return table


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    arguments = parse_with_data(parser)
    sets = {name: measure(arguments.data / name, arguments.pictures) for name in ("dev-set", "composite-set")}
    keep("copies", {"machine": machine(), "pictures of a set": arguments.pictures, "sets": sets})


if __name__ == "__main__":
    main()
