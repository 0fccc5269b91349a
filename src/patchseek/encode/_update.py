"""Bring one place of the collection up to date with what was found there."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .._progress import OnProgress
from ..encoders import Encoder
from ..errors import ImageError
from ..sources import TAKEN_OUT, Root, Stored, stored
from ..store import Failure, FileState, Writer
from ._extractors import Extractor
from ._leave import take_leave
from ._load import Content, Result, in_turn, load_content
from ._plan import FilePlan
from ._report import AddReport
from ._run import Run
from ._scan import Scan, is_there, unread
from ._tasks import Task

IsReady = Callable[[Path, FileState], bool]
"""Whether a file that is to be read may be, or whether it is left as it is this time, since it may still grow."""
Encode = Callable[[FilePlan, Run, Sequence[Task]], None]
"""Has a run encode the tasks of a plan."""


def always(_file: Path, _state: FileState) -> bool:
    """An IsReady for files that are whole."""
    return True


def update(
    writer: Writer,
    plan: FilePlan,
    found: Scan,
    encode: Encode,
    on_progress: OnProgress,
    *,
    alone: bool = False,
    is_whole: bool = True,
    prune: bool = False,
    is_ready: IsReady = always,
    is_there: Callable[[Root, str], bool] = is_there,
) -> AddReport:
    """Do what a plan says about files of its place.

    alone: exactly these are asked for, whatever else is there. is_whole: what was not found is gone.
    is_there: whether a file of a root is where it was.
    """
    began = time.monotonic()
    looked = [task for path, state in found.files.items() if (task := plan.look(path, state))]
    tasks = [task for task in looked if _is_ready(is_ready, stored(plan.place.root, task.path), task.state)]
    n_waiting = len(looked) - len(tasks)
    there = _nowhere if alone else is_there
    tasks = plan.close(tasks, list(found.unreadable), there, alone=alone, is_whole=is_whole)
    run = Run(writer, plan.place, len(tasks), on_progress, is_known=plan.is_known)
    run.begin(plan)
    encode(plan, run, tasks)
    report = run.report
    report.waiting = n_waiting
    if is_whole:
        take_leave(writer, plan, report, prune=prune)
    report.failed += unread(found.unreadable)
    report.failed.sort(key=lambda failure: failure.path)
    report.passed_over, report.unmatched = found.passed_over + Counter({TAKEN_OUT: plan.taken_out}), found.unmatched
    report.seconds = time.monotonic() - began
    return report


def _is_ready(is_ready: IsReady, place: Stored, state: FileState) -> bool:
    """Whether a file may be read, or the archive that it is in."""
    try:
        return is_ready(place.file, state if place.member is None else FileState.of(place.file.stat()))
    except OSError:  # gone; whoever reads it says so
        return True


def _nowhere(_root: object, _path: str) -> bool:
    return False


def reading(encoder: Encoder, n_workers: int | None, *, has_pages: bool = True) -> Encode:
    """Encode files as the decoders read them. has_pages: whether further pages are wanted."""

    def encode(plan: FilePlan, run: Run, tasks: Sequence[Task]) -> None:
        run.encode(tasks, partial(look_into, plan, has_pages=has_pages), encoder, n_workers)

    return encode


def look_into(
    plan: FilePlan, task: Task, extractors: Sequence[Extractor], *, has_pages: bool = True, content: bytes | None = None
) -> Result:
    """Read a file once: recognise it by its hash, or decode it and cut it into patches.

    content: its bytes, where they have come already.
    """
    place = stored(plan.place.root, task.path)
    try:
        with in_turn(0 if place.is_rendered or place.is_row else task.state.size):
            if content is None:
                given = Content.at(place, task.path, task.state, has_pages=has_pages, every=task.every)
            else:
                given = Content.of(task.path, task.state, content, has_pages=has_pages)
            same = task.same(given.sha256) or plan.claim(task, given.sha256)
            return load_content(given, same, extractors)
    except ImageError as error:
        return Failure(task.path, task.state, error.reason, error.passing)
