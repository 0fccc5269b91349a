"""Progress on stderr: bars on a terminal, elsewhere and with --log-json a line now and then. Says what is done."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._progress import OnProgress, unheard
from ._log import is_quiet, logs_json, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SECONDS = 12.0
"""Between two lines where stderr is no terminal; a command that is sooner done says none."""
JSON_SECONDS = 5.0
"""The same with --log-json."""
_SHORT = 1.0
# seconds; what is done in less, and counts nothing, leaves no bar behind


@contextmanager
def progress(*, stays: bool = True) -> Iterator[OnProgress]:
    """Show what the block is told, for its length. stays: whether bars are left standing at its end."""
    if is_quiet():
        yield unheard
    elif logs_json():
        with _lines(JSON_SECONDS) as lines:
            yield lines
    elif not sys.stderr.isatty():
        with _lines(LINE_SECONDS) as lines:
            yield lines
    else:
        with _bars(stays=stays) as bars:
            yield bars


# ---- a terminal


@contextmanager
def _bars(*, stays: bool) -> Iterator["_Bars"]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Facts(ProgressColumn):
        """How many are done, how many a second, and how long it has taken or will take."""

        def render(self, task: Task) -> Text:
            is_over, total = task.stop_time is not None, task.fields["n"] or int(task.total or 0)
            return Text(facts(int(task.completed), total, task.elapsed or 0.0, is_over=is_over))

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), Facts())
    shown = Progress(*columns, console=console, transient=not stays, redirect_stdout=False)
    with shown, _logs_above():
        bars = _Bars(shown)
        yield bars
        bars.end()


@contextmanager
def _logs_above() -> Iterator[None]:
    """While bars are shown, what is logged goes through them, so that neither writes over the other."""
    handlers = [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler) and h.stream is sys.__stderr__]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(sys.__stderr__)


class _Bars:
    """A bar for each thing that is done, one after the other."""

    def __init__(self, shown: "Progress") -> None:
        self._shown = shown
        self._doing: str | None = None
        self._bar: TaskID | None = None

    def __call__(self, done: int, total: int, doing: str) -> None:
        if doing != self._doing or self._bar is None:
            self.end()
            self._doing, self._bar = doing, self._shown.add_task(doing, total=None, n=0)
        # before the first is done the bar moves, as where nobody knows how many there are
        self._shown.update(self._bar, completed=done, total=total if done and total else None, n=total)

    def end(self) -> None:
        """Stop the bar that is shown: where nothing was counted it becomes full, or goes where that took no time."""
        if self._bar is None:
            return
        bar = next(task for task in self._shown.tasks if task.id == self._bar)
        self._shown.stop_task(self._bar)
        if bar.total is None and not bar.completed and (bar.elapsed or 0.0) < _SHORT:
            self._shown.remove_task(self._bar)
        elif bar.total is None:
            self._shown.update(self._bar, total=bar.completed)
        self._doing = self._bar = None


# ---- no terminal


@contextmanager
def _lines(seconds: float) -> Iterator["_Lines"]:
    lines, is_over = _Lines(seconds), threading.Event()

    def watch() -> None:
        while not is_over.wait(seconds / 8):
            lines.look()

    watcher = threading.Thread(target=watch, daemon=True, name="progress")
    watcher.start()
    try:
        yield lines
    finally:
        is_over.set()
        watcher.join()
        lines.end()


class _Lines:
    """A line every so many seconds, also while nothing is heard, and one as what is done ends that had some."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._lock = seconds, threading.Lock()
        self._doing: str | None = None
        self._done = self._total = 0
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int, doing: str) -> None:
        if doing != self._doing:
            self.end()
            with self._lock:
                self._doing, self._began = doing, time.monotonic()
        self._done, self._total = done, total

    def look(self) -> None:
        """Say how far it is, if it is time for that."""
        with self._lock:
            if self._doing is not None and time.monotonic() - self._said >= self._seconds:
                self._say(self._doing, is_over=False)

    def end(self) -> None:
        """What is done is over."""
        with self._lock:
            doing, self._doing = self._doing, None
            is_worth_it = self._done if logs_json() else time.monotonic() - self._began >= self._seconds
            if doing is not None and is_worth_it:
                self._say(doing, is_over=True)
            self._done = self._total = 0

    def _say(self, doing: str, *, is_over: bool) -> None:
        self._said = time.monotonic()
        elapsed = self._said - self._began
        done, total, rate = self._done, self._total or None, round(self._done / elapsed, 2) if elapsed else None
        text = f"{doing}: {facts(self._done, self._total, elapsed, is_over=is_over)}"
        say(text, doing=doing, done=done, total=total, rate=rate)


# ---- words


def facts(done: int, total: int, elapsed: float, *, is_over: bool) -> str:
    """How far something is, in words: 512 of 9,000, 19.2/s, 7 min to go. total: 0 where nobody knows."""
    parts = [f"{done:,} of {total:,}" if total else f"{done:,}"] if done or total else []
    if done and elapsed > 0:
        rate = done / elapsed
        parts.append(f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s")
    if is_over:
        parts.append(f"took {duration(elapsed)}")
    elif done and total:
        parts.append(f"{duration(elapsed * (total - done) / done)} to go")
    else:
        parts.append(f"{duration(elapsed)} so far")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time in words, in one unit or two: 12 s, 3 min 5 s, 2 h 40 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
