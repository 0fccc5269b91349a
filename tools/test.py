"""`make test` on any system: `python -m tools.test [ARGUMENT ...]` sets up .venv and runs the tests, as pytest is told.

Two processes, and no more cores for what each of them computes: beyond that, they only wait for each other. Told a
threshold, glibc gives large arrays back when they are done with; else it keeps more of them from time to time.
"""

import sys

from tools.environment import ready, run

FRUGAL = {"PATCHSEEK_CORES": "1", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "4000000"}
WORKERS = ["-n", "2", "--max-worker-restart", "0", "--dist", "loadscope", "--no-loadscope-reorder"]

if __name__ == "__main__":
    run([ready("dev"), "-m", "pytest", *WORKERS, *sys.argv[1:]], **FRUGAL)
