"""Are features the same on every processor, and what does each way of computing them cost?

    python benchmarks/cpus.py [--data FOLDER] [--pictures 40]

All patches of some pictures of both sets, by each encoder that ships: as this processor computes them, in float32 (for
8 bits: the same file, its numbers rounded to 8 bits and multiplied in float32), and by a process that is held back to
AVX2. Cosines are with float32; "ms" is a crop's time with all cores at work, the ways in turn. Points: those found here
beside those of the process held back, in float32; and what coding leaves of a descriptor. "ms" is of a picture,
one after another. Writes results/CLASS/cpus.json.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from turns import machine, write

from patchseek.encoders import Encoder, open_encoder
from patchseek.images import read
from patchseek.patches import cut
from patchseek.points import KEPT, CodedPoints, Points, QueryPoints, encode, find_points, on_axes, open_network
from patchseek.points._extract import SIDE
from patchseek.regions import Pyramid

POINTS = "points"
HELD_BACK = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}


def encode_all(encoder: Encoder, patches: Any) -> tuple[Any, list[float]]:
    """Features, and milliseconds a crop of each picture's 30 patches."""
    features, times = [], []
    for start in range(0, len(patches), 30):
        began = time.perf_counter()
        features.append(encoder.encode(patches[start : start + 30]))
        times.append(1000 * (time.perf_counter() - began) / 30)
    return np.concatenate(features), times


def measure(name: str, pictures: list[Path], folder: Path) -> dict[str, Any]:
    """All figures of one encoder."""
    encoder = open_encoder(name)
    patches = np.concatenate([cut(read(p, need=4 * encoder.feed.size), Pyramid(), encoder.feed) for p in pictures])
    np.save(folder / "patches.npy", patches)
    found, ms = {}, {}
    for way, precision in (("here", "auto"), ("float32", "f32")):
        found[way], ms[way] = encode_all(open_encoder(name, precision=precision), patches)
    command = [sys.executable, __file__, "--encode", name, str(folder)]
    subprocess.run(command, env={**os.environ, **HELD_BACK}, check=True)
    kept = np.load(folder / "features.npz")
    found["held back to AVX2"], ms["held back to AVX2"] = kept["features"], kept["ms"].tolist()
    figures: dict[str, Any] = {"runs on": encoder.runs_on, "patches": len(patches)}
    for way, features in found.items():
        cosines = (features * found["float32"]).sum(axis=1)
        figures[way] = {
            "cosine, mean": round(float(cosines.mean()), 5),
            "cosine, lowest": round(float(cosines.min()), 5),
            "below 0.999, %": round(100 * float((cosines < 0.999).mean()), 3),
            "ms": round(statistics.median(ms[way]), 2),
        }
    return figures


def find_all(pictures: list[Path]) -> tuple[list[Points], list[float]]:
    """The points of each picture, and the milliseconds that took."""
    found, times = [], []
    open_network()
    for path in pictures:
        picture = read(path)
        began = time.perf_counter()
        found.append(find_points(picture, KEPT))
        times.append(1000 * (time.perf_counter() - began))
    return found, times


def measure_points(pictures: list[Path], folder: Path) -> dict[str, Any]:
    """All figures of points."""
    found, ms = find_all(pictures)
    command = [sys.executable, __file__, "--encode", POINTS, str(folder), *map(str, pictures)]
    subprocess.run(command, env={**os.environ, **HELD_BACK}, check=True)
    kept = np.load(folder / "points.npz")
    shares, cosines, coded = [], [], []
    for i, here in enumerate(found):
        places, descriptors = kept[f"places {i}"], kept[f"descriptors {i}"]
        apart = np.abs(here.places[:, None] - places[None]).max(axis=2)
        same = apart.min(axis=1) < 0.5 / SIDE
        shares.append(float(same.sum() / max(len(places), 1)))
        cosines += (here.descriptors * descriptors[apart.argmin(axis=1)]).sum(axis=1)[same].tolist()
        coded += cosines_of_codes(here)
    return {
        "runs on": open_network().runs_on,
        "pictures": len(pictures),
        "the same points, %": round(100 * statistics.mean(shares), 2),
        "the same points, %, lowest": round(100 * min(shares), 2),
        "cosine of these, mean": round(float(np.mean(cosines)), 5),
        "cosine of these, lowest of a hundred": round(float(np.quantile(cosines, 0.01)), 5),
        "cosine with what coding leaves, mean": round(float(np.mean(coded)), 5),
        "ms": round(statistics.median(ms), 1),
        "ms, held back to AVX2": round(statistics.median(kept["ms"].tolist()), 1),
    }


def cosines_of_codes(points: Points) -> list[float]:
    """Of each point: the cosine of its descriptor and what is left of that when it is kept."""
    kept = CodedPoints(encode(points)).descriptors
    whole = on_axes(QueryPoints(points.places, points.descriptors, *np.zeros((2, len(points)), np.float32), 1.0))
    cosines = (whole.descriptors * kept).sum(axis=1) / np.linalg.norm(kept, axis=1)
    found: list[float] = cosines.tolist()
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    parser.add_argument("--pictures", type=int, default=40, help="of each set")
    parser.add_argument("--encode", nargs="+", metavar="NAME FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.encode and arguments.encode[0] == POINTS:
        points, ms = find_all([Path(path) for path in arguments.encode[2:]])
        kept = {f"{name} {i}": array for i, each in enumerate(points) for name, array in vars(each).items()}
        np.savez(Path(arguments.encode[1]) / "points.npz", ms=ms, **kept)
        return
    if arguments.encode:
        name, folder = arguments.encode[0], Path(arguments.encode[1])
        features, ms = encode_all(open_encoder(name), np.load(folder / "patches.npy"))
        np.savez(folder / "features.npz", features=features, ms=ms)
        return
    if arguments.data is None:
        parser.error("name the folder of the sets with --data or PATCHSEEK_DATA")
    pictures: list[Path] = []
    for name in ("dev-set", "composite-set"):
        files = sorted((arguments.data / name / "images").glob("*.jpg"))
        pictures += files[:: max(len(files) // arguments.pictures, 1)][: arguments.pictures]
    figures: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("embedded", "embedded-fast"):
            figures[name] = measure(name, pictures, Path(folder))
        figures[POINTS] = measure_points(pictures, Path(folder))
    write("cpus", figures)


if __name__ == "__main__":
    main()
