"""Index the annotated sets, search every query, and let the sets' own scorer judge: mAP by pyramid level.

    python benchmarks/quality.py [--data FOLDER] [--sets dev-set composite-set]

FOLDER (by default $PATCHSEEK_DATA) holds the sets and `evaluate.py`, a scorer that shares no code with us. Writes
results/CLASS/quality.json and prints it as a table. Speed and memory are those of this process on this machine.
"""

import argparse
import importlib.util
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import patchseek as ps
from patchseek._ties import in_order
from patchseek.boxes import WHOLE, from_pixels, to_pixels
from patchseek.indexes import open_index
from patchseek.search import encode_query


def load_scorer(data: Path) -> Any:
    """The module evaluate.py beside the sets."""
    spec = importlib.util.spec_from_file_location("evaluate", data / "evaluate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def index_gallery(
    folder: Path, names: list[str], collection: Path, *, points: bool = True
) -> tuple[ps.Collection, ps.AddReport]:
    """Index the gallery pictures of a set, and nothing else of its folder."""
    gallery = collection.parent / "gallery"
    for name in names:
        (gallery / name).parent.mkdir(parents=True, exist_ok=True)
        (gallery / name).symlink_to((folder / name).resolve())
    opened = ps.Collection.open(collection, points=points, create=True)
    return opened, opened.add(gallery, follow_symlinks=True)


def search_all(
    collection: ps.Collection, queries: list[dict[str, Any]], folder: Path, ids: dict[str, str]
) -> dict[int, Any]:
    """{level: {query id: [[gallery id, score, [x, y, w, h]], ...]}}, every picture ranked."""
    features = []
    for query in queries:
        picture = ps.read(folder / query["image"])
        box = from_pixels(query["bbox"], picture.width, picture.height) if query["bbox"] else WHOLE
        features.append(encode_query(picture, collection.encoder, box).feature)
    snapshot, pyramid = collection.store.snapshot(), collection.store.settings.pyramid
    images = collection.store.images(snapshot.ids.tolist())
    sizes = [(image.width, image.height) for image in images if image]
    results: dict[int, Any] = {}
    for level in pyramid.levels:
        lower = snapshot.first_regions(int((pyramid.level_of <= level).sum()))
        hits = open_index("exact", lower).search(np.array(features), snapshot.n_live)
        results[level] = {}
        for q, query in enumerate(queries):
            ranked = [
                [ids[images[p].path], float(s), list(to_pixels(pyramid.boxes_of(*sizes[p])[r], *sizes[p]))]
                for p, r, s in zip(hits.positions[q], hits.regions[q], hits.scores[q], strict=True)
            ]
            order = in_order([name for name, *_ in ranked], [score for _, score, _ in ranked])
            results[level][query["id"]] = [ranked[i] for i in order]  # the scorer takes ties as they stand
    return results


def measure(data: Path, name: str, scorer: Any) -> dict[str, Any]:
    """All figures of one set."""
    folder = data / name
    gallery, queries = (json.loads((folder / f"{part}.json").read_text()) for part in ("gallery", "query"))
    ids = {entry["image"]: entry["id"] for entry in gallery}
    with tempfile.TemporaryDirectory() as temporary:
        collection, report = index_gallery(folder, list(ids), Path(temporary) / "collection")
        assert not report.failed, report.failed
        levels = {}
        for level, results in search_all(collection, queries, folder, ids).items():
            levels[f"L{level}"] = scorer.score(str(folder), results)["all"]
        return {
            "pictures": len(gallery),
            "pictures_per_s": round(len(gallery) / report.seconds, 2),
            "collection_mb": round(collection.store.n_bytes() / 1e6, 1),
            "peak_mb": peak_mb(),
            "encoder": collection.encoder.runs_on,
            "levels": levels,
        }


def peak_mb() -> int:
    """Peak memory of this process in MB; the kernel counts KB on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (1 << 20 if sys.platform == "darwin" else 1 << 10))


def main() -> None:
    """Measure, write, print."""
    from turns import keep, machine, parse_with_data  # a test loads this file from elsewhere

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["dev-set", "composite-set"])
    arguments = parse_with_data(parser)
    scorer = load_scorer(arguments.data)
    figures = {name: measure(arguments.data, name, scorer) for name in arguments.sets}
    keep("quality", {"version": ps.__version__, "machine": machine(), "sets": figures})
    for name, found in figures.items():
        print(f"{name}: {found['pictures']} pictures, {found['pictures_per_s']} pictures/s on {found['encoder']}")
        print(f"  collection {found['collection_mb']} MB, peak memory {found['peak_mb']} MB")
        for level, scores in found["levels"].items():
            print(f"  {level}  mAP {scores['mAP']:.4f}  R1 {scores['R1']:.4f}  mean IoU {scores['meanIoU']:.3f}")


if __name__ == "__main__":
    main()
