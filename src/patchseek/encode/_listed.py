"""The write path of lists: files and addresses on the web that a text, CSV or Parquet file names.

What is on the web is fetched ahead of the decoders, in more threads than there are cores, since they wait.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from .._addresses import is_url, is_web
from .._files import open_regular
from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..errors import ImageError, MissingExtra, PatchseekError
from ..patterns import Exclusions, Given, seen_from
from ..sources import (
    DAY,
    TAKEN_OUT,
    Answer,
    folder_of_list,
    modified_ns,
    open_web,
    passing,
    read_list,
    split_page,
    stored,
)
from ..store import Failure, FileState, KnownFile, Store, Writer, exclusions, remember_exclusions
from ._extractors import Extractor
from ._leave import let_in, take_leave
from ._load import Content, Result, in_turn, load_content
from ._pipeline import map_ahead
from ._plan import Plan
from ._report import AddReport
from ._run import Run
from ._scan import is_there
from ._tasks import Place, Task

N_FETCHING = 8
"""Addresses that are asked for at once, of all hosts together."""


@dataclass(frozen=True)
class Listed:
    """What a list names."""

    file: Path
    places: list[str]
    # absolute paths and URLs, in the list's order
    passed_over: Counter[str]
    exclusions: dict[str, str]
    unmatched: dict[str, str | None]


def find_listed(file: Path, exclude: Given) -> Listed:
    """The pictures that a list of this machine names. Raises PatchseekError where there is none, or a bad line."""
    file = file.resolve()
    folder = folder_of_list(str(file))
    try:
        places, passed_over = read_list(str(file), open_regular(file, file).detach())
    except OSError as error:
        raise PatchseekError(f"{file}: cannot be read ({error.strerror})") from error
    left_out = Exclusions(exclude, folder)
    seen = {seen_from(folder, where): where for where in places}
    if left_out.lines:
        places = [seen[path] for path in left_out.kept(list(seen))]
    if not places:
        raise PatchseekError(f"{file}: names no pictures")
    return Listed(file, places, passed_over, left_out.lines, left_out.unmatched(seen))


def add_list(
    store: Store,
    file: Path,
    encoder: Encoder,
    *,
    exclude: Given | None = None,
    retry: bool = False,
    check_content: bool = False,
    prune: bool = False,
    with_removed: bool = False,
    n_workers: int | None = None,
    on_progress: OnProgress = unheard,
) -> AddReport:
    """Bring the collection up to date with a list, as `add_folder` does with a folder; see there.

    A picture on the web is asked for again where that was not done for a day, or with check_content; then only its
    changed bytes come. Raises PatchseekError for a list that cannot be read, before anything else is done.
    """
    began = time.monotonic()
    listed = find_listed(file, exclusions(store, file.resolve()) if exclude is None else exclude)
    with Writer(store) as writer:
        place = Place(listed.file)
        remember_exclusions(writer, listed.file, listed.exclusions)
        if with_removed:
            let_in(writer, place)
        plan = Plan(store, place, retry=retry, check_content=check_content)
        states = _states(listed.places, store.known(listed.file))
        tasks = [task for where, state in states.items() if (task := plan.look(where, state))]
        tasks = plan.close(tasks, [], is_there)
        run = Run(writer, place, len(tasks), on_progress, plan.is_known)
        run.begin(plan)
        max_age = 0.0 if check_content else DAY
        with closing(map_ahead(partial(_fetch, max_age), tasks, N_FETCHING, 2 * N_FETCHING)) as fetched:
            run.encode(fetched, partial(_look_into, plan, listed.file), encoder, n_workers)
        report = run.report
        take_leave(writer, plan, report, prune=prune)
    report.failed.sort(key=lambda failure: failure.path)
    report.passed_over, report.unmatched = listed.passed_over + Counter({TAKEN_OUT: plan.taken_out}), listed.unmatched
    report.seconds = time.monotonic() - began
    return report


def _states(places: Sequence[str], known: Mapping[str, KnownFile]) -> dict[str, FileState]:
    """What tells whether each of them is as it was: of a file its state; of an address that was asked today, as known.

    A file that is not there has none: whoever reads it says why.
    """
    fresh = _fresh([where for where in places if is_web(where) and where in known])
    return {where: known[where].state if where in fresh else _state(where) for where in places}


def _fresh(urls: Sequence[str]) -> frozenset[str]:
    """Those that need not be asked again; all of them where nobody can ask."""
    try:
        return open_web().fresh(urls) if urls else frozenset()
    except MissingExtra:
        return frozenset(urls)


def _state(where: str) -> FileState:
    """Zeros for what has to be asked for; nothing that was fetched has these."""
    try:
        return FileState(0, 0) if is_url(where) else FileState.of(Path(where).stat())
    except OSError:
        return FileState(0, 0)


@dataclass(frozen=True)
class _Fetched:
    """A task, and what a server said."""

    task: Task
    answer: Answer | None = None
    content: bytes | None = None
    error: ImageError | None = None


def _fetch(max_age: float, task: Task) -> _Fetched:
    """Ask for what is on the web; of a picture that is known to have these bytes, they need not come."""
    if not is_web(task.path):
        return _Fetched(task)
    url = split_page(task.path)[0]
    try:
        with passing(url):
            answer, content = open_web().look(url, max_age=max_age)
            if content is None and task.same(answer.sha256) is None:
                content = open_web().read(url)
    except ImageError as error:
        return _Fetched(task, error=error)
    return _Fetched(replace(task, state=FileState(answer.size, modified_ns(answer))), answer, content)


def _look_into(plan: Plan, root: Path, fetched: _Fetched, extractors: Sequence[Extractor]) -> Result:
    """Recognise a picture by its hash, or decode it and cut it into patches."""
    task, answer = fetched.task, fetched.answer
    try:
        if fetched.error is not None:
            raise fetched.error
        if answer is not None and fetched.content is None:
            same = task.same(answer.sha256)
            assert same is not None, "else its bytes have come"
            return same
        with in_turn(task.state.size):
            if fetched.content is None:
                given = Content.at(stored(root, task.path), task.path, task.state)
            else:
                given = Content.of(task.path, task.state, fetched.content)
            same = task.same(given.sha256) or plan.claim(task, given.sha256)
            return load_content(given, same, extractors)
    except ImageError as error:
        return Failure(task.path, task.state, error.reason, error.passing)
