"""Saved queries asked of new pictures: what a large collection around them costs.

    python benchmarks/saved.py [--data FOLDER] [--images 1000000] [--new 1000] [--queries 100] [--rounds 3]

`alone`: a collection of the new pictures, those of both annotated sets and copies cut by a twentieth till there are
enough; all are looked at. `of a million`: --images others are there before, asked already, and the new ones come to
them; `Saved.run(only_new=True)`. The others are synthetic: shards of noise, one file under many names, since nothing
reads them; the catalogue has a row for each. Both answer the same queries, boxes of the sets' queries and of their
pictures, as `patchseek query run` asks by default, and must find the same. Each round asks both once, in turns, from
opening the collection on; figures are medians in seconds. Writes results/CLASS/saved.json.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from page import gather
from turns import machine, parse_with_data, write

from patchseek import Collection
from patchseek.encode import add_folder
from patchseek.saved import Saved
from patchseek.store import FileState, NewEntry, Store, Writer, add_run, hash_file, last_id, last_run
from patchseek.store._catalogue import Catalogue

SHARD = 2048


def fill(store: Store, folder: Path, n_images: int) -> None:
    """Put synthetic pictures into an empty collection."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((SHARD, *store.settings.shape), np.float32)
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    file = folder / "noise.npy"
    np.save(file, features.astype(np.float16))
    sha256 = hash_file(file)
    with Writer(store) as writer:
        for low in range(0, n_images, SHARD):
            numbers = range(low, low + SHARD)
            pictures = [NewEntry(f"{i}.jpg", FileState(1, i), f"{i:064x}", 1024, 768) for i in numbers]
            writer.adopt(store.path / "others", pictures, file, sha256)


def save(collection: Collection, data: Path, pictures: Path, n: int) -> None:
    """Save n queries: those of the sets, which have some in common, then the middles of pictures."""
    saved, asked = Saved(collection), dict[tuple[str, ...], tuple[Path, Any]]()
    for name in ("dev-set", "composite-set"):
        for entry in json.loads((data / name / "query.json").read_text()):
            asked.setdefault((entry["id"],), (data / name / entry["image"], entry["bbox"]))
    for path in sorted(pictures.iterdir()):
        asked[path.name, "middle"] = path, (0.25, 0.25, 0.5, 0.5)
    for names, (path, box) in list(asked.items())[:n]:
        saved.add(" ".join(names), path, box=box)


def prepare(home: Path, data: Path, new: Path, n_queries: int, n_others: int, background: str | None) -> Collection:
    """A collection whose saved queries have been asked of n_others pictures, and to which the new ones have come."""
    collection = Collection.open(home, create=True)
    store, saved = collection.store, Saved(collection)
    save(collection, data, new, n_queries)
    list(saved.run())
    if n_others:
        fill(store, home.parent, n_others)
        for query in saved.all():
            before = last_run(store, query.key)
            assert before
            now = replace(before, mark=last_id(store), n_pictures=n_others)
            add_run(store, query.key, now, [], is_whole=True)
    add_folder(store, new, collection.encoder)
    if background is None:
        collection.refresh_background()
    else:  # as of the new ones alone: that of the noise says nothing
        with Writer(store) as writer:
            writer.set_option("background", background)
    return collection


def ask(home: Path) -> tuple[float, dict[str, list[str]]]:
    """Seconds, and what each query finds; it is as if it had not been asked after that."""
    with Catalogue(home / "catalogue.sqlite").reading() as db:
        (n_runs,) = db.execute("SELECT count(*) FROM query_run").fetchone()
    began = time.perf_counter()
    saved = Saved(Collection.open(home))
    told = list(saved.run(only_new=True))
    seconds = time.perf_counter() - began
    with saved.collection.store.catalogue.writing() as db:
        n_before = n_runs // len(told)
        db.execute("DELETE FROM query_run WHERE number > ?", (n_before,))
        db.execute("DELETE FROM query_find")
    return seconds, {each.query.name: [find.content[0] for find in each.finds] for each in told}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parse_with_data(parser)
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), Path(asked.data)
        new = gather(data, folder, asked.new)
        (folder / "a").mkdir()
        alone = prepare(folder / "a" / "c", data, new, asked.queries, 0, None)
        (folder / "b").mkdir()
        background = alone.store.option("background")
        many = prepare(folder / "b" / "c", data, new, asked.queries, asked.images, background)
        seconds: dict[str, list[float]] = {"alone": [], "of many": []}
        for _ in range(asked.rounds):
            took, found = ask(alone.path)
            seconds["alone"].append(took)
            took, found_there = ask(many.path)
            seconds["of many"].append(took)
            assert found == found_there, "both find the same"
        median = {way: round(statistics.median(values), 2) for way, values in seconds.items()}
        figures = {"pictures before": len(many) - len(alone), "new": len(alone), "queries": asked.queries}
        ratio = round(median["of many"] / median["alone"], 3)
        write("saved", {"machine": machine(), **figures, "seconds": median, "of many, of alone": ratio})


if __name__ == "__main__":
    main()
