"""What a refined query costs on this machine, beside the grid alone: seconds and CPU seconds of a whole search.

    python benchmarks/refined.py [--data FOLDER] [--queries 12]

The first queries of each set, each with its box, in a collection of that set's pictures: embedded encoder, exact
search, the first 20 results refined or none; two queries beforehand open what is opened once. Writes
results/CLASS/refined.json.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import machine, write

from patchseek import Collection
from patchseek.datasets import open_dataset


def cpu() -> float:
    """Seconds of all cores that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, n_queries: int) -> dict[str, dict[str, float]]:
    """Seconds of a query of a set, refined and not."""
    queries = open_dataset(folder).queries[:n_queries]
    figures = {}
    with tempfile.TemporaryDirectory() as temporary:
        collection = Collection.open(Path(temporary) / "c")
        collection.add(folder / "images")
        for query in queries[:2]:
            collection.search(query.image, box=query.box, top=20)
        for refine in (20, 0):
            began, began_cpu = time.perf_counter(), cpu()
            for query in queries:
                collection.search(query.image, box=query.box, top=20, refine=refine)
            figures[f"refine {refine}"] = {
                "s a query": round((time.perf_counter() - began) / len(queries), 3),
                "cpu s a query": round((cpu() - began_cpu) / len(queries), 3),
            }
    return figures


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    parser.add_argument("--queries", type=int, default=12)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the sets with --data or PATCHSEEK_DATA")
    figures: dict[str, Any] = {"machine": machine(), "queries of a set": arguments.queries}
    for name in ("dev-set", "composite-set"):
        figures[name] = measure(arguments.data / name, arguments.queries)
    write("refined", figures)


if __name__ == "__main__":
    main()
