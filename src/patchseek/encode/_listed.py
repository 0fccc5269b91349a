"""The write path of what names pictures, see _find_listed: lists, IIIF manifests, folders of stores.

What is on the web or in a store is fetched ahead of the decoders, in more threads than there are cores, as they wait.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .._addresses import is_url, is_web, masked
from .._ahead import map_ahead
from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..errors import ImageError, MissingExtra, PatchseekError
from ..patterns import Given
from ..sources import DAY, Root, canvas_of, modified_ns, open_web, passing, split_page
from ..sources.stores import read_kept, require_open, state_of
from ..store import Failure, FileState, KnownFile, Store, Writer, exclusions, remember_exclusions
from ._extractors import Extractor
from ._find_listed import Listed, find_listed, place_of
from ._leave import let_in
from ._load import Result
from ._place import look_every
from ._plan import FilePlan
from ._report import AddReport
from ._run import Run
from ._scan import Scan
from ._tasks import Place, Same, Task
from ._update import Encode, look_into, update

N_FETCHING = 8
"""Addresses that are asked for at once, of all hosts together."""


def add_list(
    store: Store,
    source: str | Path,
    encoder: Encoder,
    *,
    exclude: Given | None = None,
    hidden: bool = False,
    every: float | None = None,
    retry: bool = False,
    check_content: bool = False,
    prune: bool = False,
    with_removed: bool = False,
    n_workers: int | None = None,
    on_progress: OnProgress = unheard,
) -> AddReport:
    """Bring the collection up to date with a list, as `add_folder` does with a folder; see there and `find_listed`.

    A picture on the web is asked for again where that was not done for a day, or with check_content; then only its
    changed bytes come. Raises PatchseekError for a list that cannot be read, before anything else is done.
    """
    began, place = time.monotonic(), place_of(source)
    root: Root = place if is_url(place) else Path(place)
    listed = find_listed(place, exclusions(store, root) if exclude is None else exclude, hidden=hidden)
    with Writer(store) as writer:
        remember_exclusions(writer, root, listed.exclusions)
        if every is not None:
            look_every(writer, Place(root), every)
        if with_removed:
            let_in(writer, Place(root))
        plan = FilePlan(store, Place(root), retry=retry, check_content=check_content)
        states = _states(listed, store.known(root))
        found = Scan(states, listed.unreadable, passed_over=listed.passed_over, unmatched=listed.unmatched)
        encode = _fetching(encoder, n_workers, 0.0 if check_content else DAY)
        how: dict[str, Any] = {"prune": prune, "is_whole": not listed.unreadable, "is_there": listed.is_there}
        report = update(writer, plan, found, encode, on_progress, **how)
    report.seconds = time.monotonic() - began
    return report


def _states(listed: Listed, known: Mapping[str, KnownFile]) -> dict[str, FileState]:
    """What tells whether each of them is as it was; an address that was asked today is as it is known."""
    asked = {where: address for where in listed.places if where in known and (address := _web_address(where))}
    fresh = _fresh(list(asked.values()))
    return {where: known[where].state if asked.get(where) in fresh else listed.state(where) for where in listed.places}


def _web_address(path: str) -> str | None:
    """What is asked of a web server for a picture; None for what is not on the web."""
    canvas = canvas_of(path)
    return canvas.image if canvas else path if is_web(path) else None


def _fresh(urls: Sequence[str]) -> frozenset[str]:
    """Those that need not be asked again; all of them where nobody can ask."""
    try:
        return open_web().fresh(urls) if urls else frozenset()
    except MissingExtra:
        return frozenset(urls)


@dataclass(frozen=True)
class _Fetched:
    """A task, and what a server said."""

    task: Task
    content: bytes | None = None
    outcome: Same | Failure | None = None
    # what becomes of it, where that is known without its bytes


def _fetching(encoder: Encoder, n_workers: int | None, max_age: float) -> Encode:
    """Encode pictures that are fetched ahead of the decoders."""

    def encode(plan: FilePlan, run: Run, tasks: Sequence[Task]) -> None:
        with closing(map_ahead(partial(_fetch, max_age), tasks, N_FETCHING, 2 * N_FETCHING)) as fetched:
            run.encode(fetched, partial(_load, plan), encoder, n_workers)

    return encode


def _fetch(max_age: float, task: Task) -> _Fetched:
    """Ask for what is on the web, or in a store; of a picture that is known to have these bytes, they need not come."""
    url = _web_address(split_page(task.path)[0])
    try:
        with passing(masked(task.path)):
            if url is None:
                return _read(task, is_checked=not max_age) if is_url(task.path) else _Fetched(task)
            answer, content = open_web().look(url, max_age=max_age)
            today = replace(task, state=FileState(answer.size, modified_ns(answer)))
            if content is None and (same := today.same(answer.sha256)):
                return _Fetched(today, outcome=same)
            return _Fetched(today, open_web().read(url) if content is None else content)
    except ImageError as error:
        return _Fetched(task, outcome=Failure(task.path, task.state, error.reason, error.passing))
    except PatchseekError as error:  # of a store, in which it is not found
        reason = str(error).removeprefix(f"{masked(task.path)}: ")
        return _Fetched(task, outcome=Failure(task.path, task.state, reason, passing=True))


def _read(task: Task, *, is_checked: bool) -> _Fetched:
    """Read what is in a store, but where size and date are those that are known. is_checked: even then."""
    require_open(task.path)
    state = task.state if task.state.size else FileState(*state_of(task.path))
    known = tuple(file for file in task.known if state.mtime_ns and file.state.is_like(state))
    if known and not is_checked:
        return _Fetched(task, outcome=Same(task.path, state, known, moved=task.has_moved))
    return _Fetched(replace(task, state=state), read_kept(task.path, anew=True))


def _load(plan: FilePlan, fetched: _Fetched, extractors: Sequence[Extractor]) -> Result:
    """Recognise a picture by its hash, or decode it and cut it into patches."""
    return fetched.outcome or look_into(plan, fetched.task, extractors, content=fetched.content)
