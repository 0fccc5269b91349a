"""How long `patchseek --help`, `import patchseek` and an encoder's first answers take: medians of whole processes.

    python benchmarks/start.py [--runs 15]

Beside an empty Python. The encoder gives the features of one picture and a map of another, as a refined search asks for
them; first where nothing was compiled before, then where it was. Writes results/CLASS/start.json. All take turns, so
that a busy machine slows all of them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from turns import write

FIRST = """
import numpy as np
from patchseek.encoders import open_encoder
encoder = open_encoder("embedded")
encoder.encode(np.zeros((30, 224, 224, 3), np.uint8))
cells = encoder.cells
cells.encode_map(np.zeros((1, cells.window, cells.window, 3), np.uint8))
"""
COMMANDS = {
    "empty python": ["-c", "pass"],
    "import patchseek": ["-c", "import patchseek"],
    "patchseek --help": ["-m", "patchseek", "--help"],
    "encoder, first start": ["-c", FIRST],
    "encoder, next start": ["-c", FIRST],
}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(parser.parse_args().runs):
            env = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / str(run))}
            for name, words in COMMANDS.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, *words], check=True, capture_output=True, env=env)
                seconds[name].append(time.perf_counter() - began)
    write("start", {name: round(statistics.median(values), 3) for name, values in seconds.items()})


if __name__ == "__main__":
    main()
