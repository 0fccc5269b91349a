"""Are features the same on every processor, and what does each way of computing them cost?

    python benchmarks/cpus.py [--data FOLDER] [--pictures 40]

All patches of some pictures of both sets, by each encoder that ships: as this processor computes them, in float32 (for
8 bits: the same file, its numbers rounded to 8 bits and multiplied in float32), and by a process that is held back to
AVX2. Cosines are with float32; "ms" is a crop's time with all cores at work, the ways in turn. Writes
results/CLASS/cpus.json.
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
from patchseek.regions import Pyramid

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


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    parser.add_argument("--pictures", type=int, default=40, help="of each set")
    parser.add_argument("--encode", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
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
    write("cpus", figures)


if __name__ == "__main__":
    main()
