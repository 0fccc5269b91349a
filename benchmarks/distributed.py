"""What encoding through Ray costs and gains on one machine: one and two workers beside a plain run.

    python benchmarks/distributed.py [--images 200]

The same synthetic JPEGs of one megapixel, the embedded encoder, 30 patches; the ways take turns, and Ray is started
beforehand, since a cluster is up when work is sent to it. One worker has all cores, two share them. "Ray Data" sends
the same shards to the same workers through `map_batches` of a dataset instead of our pool of actors. "times the plain
run" is the median over rounds of the ratio of pictures a second. Workers open their encoder in every run, as they would
for every source. Writes results/CLASS/distributed.json.
"""

import argparse
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from encode import make_pictures
from turns import machine, write

from patchseek import Collection
from patchseek._progress import unheard
from patchseek.distributed import add_source
from patchseek.distributed._driver import Driver
from patchseek.distributed._sources import open_sources
from patchseek.distributed._staging import Staging
from patchseek.distributed._work import ShardWorker
from patchseek.encoders import open_encoder
from patchseek.store import Writer

ROUNDS = 3
SHARD = 25  # pictures, so that there are shards for everybody


def plain(collection: Collection, folder: Path) -> None:
    """In this process."""
    assert not collection.add(folder).failed


def by_actors(collection: Collection, folder: Path, n_workers: int) -> None:
    """As patchseek does it."""
    assert not add_source(collection, folder, n_workers=n_workers, shard_images=SHARD).failed


def by_ray_data(collection: Collection, folder: Path, n_workers: int) -> None:
    """The same shards and workers through Ray Data, which hands them out and restarts them in its own way."""
    import ray.data

    store = collection.store
    with Writer(store) as writer:
        staging = Staging.open(str(store.path / "staging"), store.settings)
        source = open_sources(str(folder), exclude=(), hidden=False, follow_symlinks=False)
        driver = Driver(writer, staging, source, shard_images=SHARD, retry=False, on_progress=unheard)
        works = list(iter(driver.next_work, None))
        n_cores = (os.cpu_count() or n_workers) // n_workers
        make = partial(ShardWorker, partial(open_encoder, "embedded"), store.settings, staging, driver.gone(), n_cores)

        class Worker:
            def __init__(self) -> None:
                os.environ["PATCHSEEK_CORES"] = str(n_cores)
                self._encode = make()

            def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
                return {"record": [pickle.dumps(self._encode(pickle.loads(work))) for work in batch["work"]]}

        rows = ray.data.from_items([{"work": pickle.dumps(work)} for work in works], override_num_blocks=len(works))
        done = rows.map_batches(Worker, batch_size=1, concurrency=n_workers, num_cpus=n_cores)
        for row in done.iter_rows():
            driver.take(pickle.loads(row["record"]))
        assert not driver.finish().failed
    collection.refresh_background()


def run(way: Callable[[Collection, Path], None], folder: Path, home: Path) -> float:
    """Seconds to index a folder into a new collection."""
    collection = Collection.open(Path(tempfile.mkdtemp(dir=home)) / "c", create=True)
    assert collection.encoder.identity.name == "embedded"  # opened before the clock starts
    began = time.perf_counter()
    way(collection, folder)
    return time.perf_counter() - began


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
        ways = {"plain run": plain}
        for n in (1, 2):
            ways[f"{n} workers"] = partial(by_actors, n_workers=n)
            ways[f"{n} workers, Ray Data"] = partial(by_ray_data, n_workers=n)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                seconds[name].append(run(way, folder, home))
        for name, values in seconds.items():
            ratios = [a / b for a, b in zip(seconds["plain run"], values, strict=True)]
            figures[name] = {
                "pictures/s": round(arguments.images / statistics.median(values), 1),
                "times the plain run": round(statistics.median(ratios), 2),
            }
    ray.shutdown()
    write("distributed", figures)


if __name__ == "__main__":
    main()
