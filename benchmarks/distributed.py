"""What encoding through Ray costs and gains on one machine: one and two workers beside a plain run.

    python benchmarks/distributed.py [--images 200]

The same synthetic JPEGs of one megapixel, the embedded encoder, 30 patches; the ways take turns, and Ray is started
beforehand, since a cluster is up when work is sent to it. One worker has all cores, two share them. "times the plain
run" is the median over rounds of the ratio of pictures a second. Workers open their encoder in every run, as they would
for every source. Writes results/distributed.json.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from encode import make_pictures
from turns import machine, write

from patchseek import Collection
from patchseek.distributed import add_source

ROUNDS = 3


def run(folder: Path, home: Path, n_workers: int) -> float:
    """Seconds to index a folder into a new collection; 0 workers: in this process."""
    collection = Collection.open(Path(tempfile.mkdtemp(dir=home)) / "c")
    assert collection.encoder.identity.name == "embedded"  # opened before the clock starts
    began = time.perf_counter()
    report = add_source(collection, folder, n_workers=n_workers) if n_workers else collection.add(folder)
    seconds = time.perf_counter() - began
    assert not report.failed
    return seconds


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(include_dashboard=False, object_store_memory=128 << 20, log_to_driver=False)
    figures: dict[str, Any] = {"machine": machine(), "pictures": arguments.images, "ray": ray.__version__}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        folder = make_pictures(home / "pictures", (1152, 864), arguments.images)[0].parent
        seconds: dict[int, list[float]] = {0: [], 1: [], 2: []}
        for _ in range(ROUNDS):
            for n_workers, values in seconds.items():
                values.append(run(folder, home, n_workers))
        for n_workers, values in seconds.items():
            ratios = [a / b for a, b in zip(seconds[0], values, strict=True)]
            figures[f"{n_workers} workers" if n_workers else "plain run"] = {
                "pictures/s": round(arguments.images / statistics.median(values), 1),
                "times the plain run": round(statistics.median(ratios), 2),
            }
    ray.shutdown()
    write("distributed", figures)


if __name__ == "__main__":
    main()
