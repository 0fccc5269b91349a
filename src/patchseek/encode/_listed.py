"""The write path of lists: files and addresses on the web that a text, CSV or Parquet file names.

What is on the web is fetched ahead of the decoders, in more threads than there are cores, since they wait.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from io import RawIOBase
from pathlib import Path

from .._addresses import is_url, is_web, masked
from .._files import open_regular
from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..errors import ImageError, MissingExtra, PatchseekError
from ..patterns import Exclusions, Given, seen_from
from ..sources import (
    DAY,
    folder_of_list,
    modified_ns,
    open_web,
    passing,
    read_list,
    split_page,
)
from ..store import Failure, FileState, KnownFile, Store, Writer, exclusions, remember_exclusions
from ._extractors import Extractor
from ._leave import let_in
from ._load import Result
from ._pipeline import map_ahead
from ._place import look_every
from ._plan import Plan
from ._report import AddReport
from ._run import Run
from ._scan import Scan
from ._tasks import Place, Same, Task
from ._update import Encode, look_into, update

N_FETCHING = 8
"""Addresses that are asked for at once, of all hosts together."""


@dataclass(frozen=True)
class Listed:
    """What a list names."""

    places: list[str]
    # absolute paths and URLs, in the list's order
    passed_over: Counter[str]
    exclusions: dict[str, str]
    # what was left out; see patterns.Exclusions.lines
    unmatched: dict[str, str | None]


def name_listed(place: str, raw: RawIOBase, left_out: Exclusions) -> Listed:
    """The pictures that a list names, but for those that are left out; see sources.read_list.

    Raises PatchseekError where there is none, or a bad line.
    """
    folder = folder_of_list(place)
    places, passed_over = read_list(place, raw)
    seen = {seen_from(folder, where): where for where in places} if left_out.lines else {}
    if left_out.lines:
        places = [seen[path] for path in left_out.kept(list(seen))]
    if not places:
        raise PatchseekError(f"{masked(place)}: names no pictures")
    return Listed(places, passed_over, left_out.lines, left_out.unmatched(seen))


def find_listed(file: Path, exclude: Given) -> Listed:
    """The same of a list of this machine."""
    place = str(file.resolve())
    try:
        raw = open_regular(place, place).detach()
    except OSError as error:
        raise PatchseekError(f"{place}: cannot be read ({error.strerror})") from error
    return name_listed(place, raw, Exclusions(exclude, folder_of_list(place)))


def add_list(
    store: Store,
    file: Path,
    encoder: Encoder,
    *,
    exclude: Given | None = None,
    every: float | None = None,
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
    began, root = time.monotonic(), file.resolve()
    listed = find_listed(root, exclusions(store, root) if exclude is None else exclude)
    with Writer(store) as writer:
        remember_exclusions(writer, root, listed.exclusions)
        if every is not None:
            look_every(writer, Place(root), every)
        if with_removed:
            let_in(writer, Place(root))
        plan = Plan(store, Place(root), retry=retry, check_content=check_content)
        states = _states(listed.places, store.known(root))
        found = Scan(states, passed_over=listed.passed_over, unmatched=listed.unmatched)
        encode = _fetching(encoder, n_workers, 0.0 if check_content else DAY)
        report = update(writer, plan, found, encode, on_progress, prune=prune)
    report.seconds = time.monotonic() - began
    return report


def _states(places: Sequence[str], known: Mapping[str, KnownFile]) -> dict[str, FileState]:
    """What tells whether each of them is as it was; an address that was asked today is as it is known."""
    fresh = _fresh([where for where in places if is_web(where) and where in known])
    return {where: known[where].state if where in fresh else state_of_listed(where) for where in places}


def _fresh(urls: Sequence[str]) -> frozenset[str]:
    """Those that need not be asked again; all of them where nobody can ask."""
    try:
        return open_web().fresh(urls) if urls else frozenset()
    except MissingExtra:
        return frozenset(urls)


def state_of_listed(where: str) -> FileState:
    """What tells whether a path is as it was.

    Zeros for an address, which has to be asked for, and for what is not there: whoever reads it says why. Nothing that
    was read or fetched has these.
    """
    try:
        return FileState(0, 0) if is_url(where) else FileState.of(Path(where).stat())
    except OSError:
        return FileState(0, 0)


@dataclass(frozen=True)
class _Fetched:
    """A task, and what a server said."""

    task: Task
    content: bytes | None = None
    outcome: Same | Failure | None = None
    # what becomes of it, where that is known without its bytes


def _fetching(encoder: Encoder, n_workers: int | None, max_age: float) -> Encode:
    """Encode pictures that are fetched ahead of the decoders."""

    def encode(plan: Plan, run: Run, tasks: Sequence[Task]) -> None:
        with closing(map_ahead(partial(_fetch, max_age), tasks, N_FETCHING, 2 * N_FETCHING)) as fetched:
            run.encode(fetched, partial(_load, plan), encoder, n_workers)

    return encode


def _fetch(max_age: float, task: Task) -> _Fetched:
    """Ask for what is on the web; of a picture that is known to have these bytes, they need not come."""
    if not is_web(task.path):
        return _Fetched(task)
    url = split_page(task.path)[0]
    try:
        with passing(url):
            answer, content = open_web().look(url, max_age=max_age)
            today = replace(task, state=FileState(answer.size, modified_ns(answer)))
            if content is None and (same := today.same(answer.sha256)):
                return _Fetched(today, outcome=same)
            return _Fetched(today, open_web().read(url) if content is None else content)
    except ImageError as error:
        return _Fetched(task, outcome=Failure(task.path, task.state, error.reason, error.passing))


def _load(plan: Plan, fetched: _Fetched, extractors: Sequence[Extractor]) -> Result:
    """Recognise a picture by its hash, or decode it and cut it into patches."""
    return fetched.outcome or look_into(plan, fetched.task, extractors, content=fetched.content)
