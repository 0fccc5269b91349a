"""What a query costs on this machine: seconds and CPU seconds of a whole search, with its steps and without.

    python benchmarks/refined.py [--data FOLDER] [--queries 12]

The first queries of each set, each with its box, in a collection of that set's pictures and of the queries, so that
each is found as it lies: embedded encoder, exact search, points of up to 500 pictures looked at or none, the first 20
results refined or none; two queries beforehand open what is opened once. Writes results/CLASS/refined.json.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import machine, parse_with_data, write

from patchseek import Collection
from patchseek.datasets import open_dataset

WAYS = {
    "refine 20": {"refine": 20},
    "refine 0": {"refine": 0},
    "patches alone, refine 20": {"depth": 0, "refine": 20},
    "patches alone": {"depth": 0, "refine": 0},
}


def cpu() -> float:
    """Seconds of all cores that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, n_queries: int) -> dict[str, dict[str, float]]:
    """Seconds of a query of a set, refined and not."""
    queries = open_dataset(folder).queries[:n_queries]
    figures = {}
    with tempfile.TemporaryDirectory() as temporary:
        collection = Collection.open(Path(temporary) / "c", create=True)
        collection.add(folder / "images")
        for query in queries[:2]:
            collection.search(query.image, box=query.box, top=20)
        for name, way in WAYS.items():
            began, began_cpu = time.perf_counter(), cpu()
            for query in queries:
                collection.search(query.image, box=query.box, top=20, **way)
            figures[name] = {
                "s a query": round((time.perf_counter() - began) / len(queries), 3),
                "cpu s a query": round((cpu() - began_cpu) / len(queries), 3),
            }
    return figures


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=12)
    arguments = parse_with_data(parser)
    figures: dict[str, Any] = {"machine": machine(), "queries of a set": arguments.queries}
    for name in ("dev-set", "composite-set"):
        figures[name] = measure(arguments.data / name, arguments.queries)
    write("refined", figures)


if __name__ == "__main__":
    main()
