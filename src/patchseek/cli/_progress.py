"""Progress on stderr: a bar on a terminal, a line now and then with --log-json, nothing elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ._log import logs_json, say

LINE_SECONDS = 5.0
"""Between two lines of --log-json."""


class _RateColumn(ProgressColumn):
    """Things a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "-/s")


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for the length of a `with` block; yields a function to be called with (done, total), 0 where unknown."""
    if logs_json():
        yield _Lines(unit)
        return
    console = Console(stderr=True)
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=60) as progress:
        task = progress.add_task(unit, total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield update


class _Lines:
    """A line of chatter every few seconds, and one at the end."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done != total and now - self._last < LINE_SECONDS:
            return
        self._last = now
        rate = round(done / (now - self._began), 2) if now > self._began else None
        text = f"{done} of {total} {self._unit}" if total else f"{done} {self._unit}"
        say(text, unit=self._unit, done=done, total=total or None, rate=rate)
