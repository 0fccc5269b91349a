"""What a newcomer may not know yet, said once, and only where a person sits at a terminal."""

import sys
import time

from .._progress import OnProgress
from ._collection import note, noted
from ._log import is_quiet, logs_json, say
from ._progress import duration

SLOW_SECONDS = 2.0
"""A search that takes longer is worth a hint."""
_FEW = 5


class Stopwatch:
    """An OnProgress that passes on what it hears, and knows what refining took."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._began: float | None = None
        self.refining = 0.0
        # seconds

    def __call__(self, done: int, total: int, doing: str) -> None:
        from ..rank import REFINING

        now = time.monotonic()
        if doing == REFINING:
            self._began = self._began or now
            self.refining = now - self._began
        self._on_progress(done, total, doing)


def hint_at_refine(seconds: float, refining: float, n_refined: int) -> None:
    """Say how a search that took so many seconds, so many of them to refine boxes, could be quicker."""
    if seconds <= SLOW_SECONDS or refining < SLOW_SECONDS / 2 or not sys.stderr.isatty() or is_quiet() or logs_json():
        return
    fewer = f"--refine {_FEW} opens fewer pictures, --refine 0 none" if n_refined > _FEW else "--refine 0 opens none"
    if noted("hinted-refine") is None and note("hinted-refine", b"said\n"):
        say(f"hint: {duration(refining)} of {duration(seconds)} went into the boxes of the first pictures: {fewer}")
