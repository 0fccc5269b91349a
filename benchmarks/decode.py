"""Decoding and cutting pictures in threads against processes: which feeds the encoder faster?

    python benchmarks/decode.py FOLDER [--images 60]

Each way reads, decodes and cuts the same pictures into 30 patches of 224 pixels with one worker a core and hands the
patches to the main thread, as the write path does. The two take turns. Writes results/CLASS/decode.json.
"""

import argparse
import json
import os
import statistics
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from turns import keep

from patchseek.images import read
from patchseek.patches import Feed, Patches, cut
from patchseek.regions import Pyramid


def load(path: Path) -> Patches:
    """What a worker does."""
    return cut(read(path, need=4 * 224), Pyramid(), Feed(224))


def pictures_per_s(pool: Executor, paths: list[Path]) -> float:
    """Pictures a second through a pool that has already started."""
    list(pool.map(load, paths[:4]))
    began = time.perf_counter()
    for _ in pool.map(load, paths):
        pass
    return len(paths) / (time.perf_counter() - began)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=60)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix in (".jpg", ".png"))[: arguments.images]
    n = os.cpu_count() or 1
    rates: dict[str, list[float]] = {"threads": [], "processes": []}
    with ThreadPoolExecutor(n) as threads, ProcessPoolExecutor(n, get_context("spawn")) as processes:
        for _ in range(3):
            rates["threads"].append(pictures_per_s(threads, paths))
            rates["processes"].append(pictures_per_s(processes, paths))
    figures = {"pictures": len(paths), "workers": n} | {k: round(statistics.median(v), 1) for k, v in rates.items()}
    keep("decode", figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
