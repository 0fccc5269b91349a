"""How long `patchseek --help` and `import patchseek` take: medians of whole processes, beside an empty Python.

    python benchmarks/start.py [--runs 15]

Writes results/CLASS/start.json. The three take turns, so that a busy machine slows all of them.
"""

import argparse
import statistics
import subprocess
import sys
import time

from turns import keep

COMMANDS = {
    "empty python": ["-c", "pass"],
    "import patchseek": ["-c", "import patchseek"],
    "patchseek --help": ["-m", "patchseek", "--help"],
}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(parser.parse_args().runs):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    figures = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    keep("start", figures)
    for name, value in figures.items():
        print(f"{name:18} {value:.3f} s")


if __name__ == "__main__":
    main()
