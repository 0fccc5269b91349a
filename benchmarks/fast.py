"""Would a faster, rougher mode of indexing pay? Smaller patches and skipped patches: speed and mAP on the sets.

    python benchmarks/fast.py [--data FOLDER]

Smaller patches: the embedded encoder's network with an input of 192 or 160 pixels instead of 224, queries too; speed is
that of decoding, cutting and encoding the gallery, the three taking turns picture by picture. Skipped patches: those
whose pixels vary by less than a standard deviation of 4, 8 or 16 of 255 in a thumbnail; the most that skipping could
save is their share. Writes results/fast.json.
"""

import argparse
import os
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from turns import machine, write

from patchseek import evaluate as ev
from patchseek.boxes import WHOLE, from_pixels
from patchseek.datasets import clamp, open_dataset
from patchseek.encoders._openvino import OpenVinoNetwork
from patchseek.images import read
from patchseek.metrics import average_precision, mean_over_queries
from patchseek.patches import Feed, crop, cut
from patchseek.regions import Pyramid

SIZES = (224, 192, 160)
DEVIATIONS = (4, 8, 16)


def encode(dataset: Any, networks: dict[int, OpenVinoNetwork]) -> tuple[dict[int, Any], dict[int, list[float]], Any]:
    """Gallery features (N, 30, D) by input size, seconds a picture by input size, deviations (N, 30) of patches."""
    features: dict[int, list[Any]] = {size: [] for size in networks}
    seconds: dict[int, list[float]] = {size: [] for size in networks}
    deviations = []
    for picture in dataset.gallery:
        for size, network in networks.items():
            began = time.perf_counter()
            patches = cut(read(picture.image, need=4 * size), Pyramid(), Feed(size))
            features[size].append(network(patches))
            seconds[size].append(time.perf_counter() - began)
            if size == 224:
                thumbnails = patches.reshape(30, 16, 14, 16, 14, 3).mean(axis=(2, 4))
                deviations.append(thumbnails.std(axis=(1, 2)).max(axis=1))
    return {size: np.array(f) for size, f in features.items()}, seconds, np.array(deviations)


def accuracy(dataset: Any, features: Any, queries: Any) -> float:
    """mAP in points of exact search over gallery features (N, 30, D)."""
    scores = np.stack([(features @ query).max(axis=1) for query in queries])
    order = np.argsort(-scores, axis=1, kind="stable")
    names = [picture.id for picture in dataset.gallery]
    results = {
        "dataset": {"data_hash": dataset.data_hash},
        "results": {
            q.id: [[names[i], float(scores[k, i]), None] for i in order[k]] for k, q in enumerate(dataset.queries)
        },
    }
    return 100 * mean_over_queries(ev.rankings(results, dataset), average_precision)


def measure(dataset: Any, networks: dict[int, OpenVinoNetwork]) -> dict[str, Any]:
    """All figures of one set."""
    features, seconds, deviations = encode(dataset, networks)
    found: dict[str, Any] = {}
    queries: dict[int, Any] = {}
    for size, network in networks.items():
        crops = []
        for entry in dataset.queries:
            picture, box = read(entry.image), WHOLE
            if entry.box is not None:
                inside = clamp(entry.box, picture.width, picture.height)
                box = from_pixels(inside, picture.width, picture.height)
            crops.append(crop(picture, [box], Feed(size))[0])
        queries[size] = network(np.array(crops))
        ratio = float(np.median(np.divide(seconds[224], seconds[size])))
        found[f"{size} px"] = {
            "times as fast": round(ratio, 2),
            "mAP": round(accuracy(dataset, features[size], queries[size]), 2),
        }
    for deviation in DEVIATIONS:
        skipped = deviations < deviation
        skipped[:, 0] = False
        kept = np.where(skipped[:, :, None], 0, features[224])
        found[f"patches below {deviation} skipped"] = {
            "times as fast, at most": round(1 / (1 - float(skipped.mean())), 2),
            "mAP": round(accuracy(dataset, kept, queries[224]), 2),
        }
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the sets with --data or PATCHSEEK_DATA")
    folder = Path(str(files("patchseek.encoders") / "embedded"))
    model = next(folder.glob("*.onnx"))
    networks = {size: OpenVinoNetwork(model, 1, shape=(size, size, 3)) for size in SIZES}
    figures: dict[str, Any] = {"machine": machine()}
    for name in ("dev-set", "composite-set"):
        figures[name] = measure(open_dataset(arguments.data / name), networks)
    write("fast", figures)


if __name__ == "__main__":
    main()
