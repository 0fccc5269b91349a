"""The write path of what names pictures: lists and IIIF manifests, here or at a URL, and folders of stores.

What is on the web or in a store is fetched ahead of the decoders, in more threads than there are cores, as they wait.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import Any

from .._addresses import is_url, is_web, masked, name_part
from .._home import expanded
from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..errors import ImageError, MissingExtra, PatchseekError
from ..patterns import Exclusions, Given, seen_from
from ..sources import (
    ARCHIVES,
    DAY,
    Root,
    canvas_of,
    folder_of_list,
    is_picture,
    list_kind,
    modified_ns,
    open_web,
    passed_over_as,
    passing,
    read_list,
    split_page,
)
from ..sources.stores import list_folder, open_file, read_kept, require_open, state_of
from ..store import Failure, FileState, KnownFile, Store, Writer, exclusions, remember_exclusions
from ._extractors import Extractor
from ._leave import let_in
from ._load import Result
from ._pipeline import map_ahead
from ._place import look_every
from ._plan import Plan
from ._report import AddReport
from ._run import Run
from ._scan import Scan, is_there
from ._tasks import Place, Same, Task
from ._update import Encode, look_into, update

N_FETCHING = 8
"""Addresses that are asked for at once, of all hosts together."""


@dataclass(frozen=True)
class Listed:
    """What a list names, or a folder of a store holds."""

    root: Root
    # the list, a file or its URL
    places: list[str]
    # absolute paths and URLs, in the list's order
    passed_over: Counter[str]
    exclusions: dict[str, str]
    # what was left out; see patterns.Exclusions.lines
    unmatched: dict[str, str | None]
    unreadable: dict[str, str] = field(default_factory=dict)
    # lists that it names and that could not be had, and why
    states: Mapping[str, FileState] = field(default_factory=dict)
    # of the places, where the store has told
    all_there: frozenset[str] | None = None
    # all that lies below a URL, pictures or not; None of a list

    def is_there(self, root: Root, path: str) -> bool:
        """Whether a picture of a root is where it was, see _scan.is_there: of a store, what it has listed says so."""
        return path in self.all_there if self.all_there is not None and root == self.root else is_there(root, path)

    def state(self, place: str) -> FileState:
        """What tells whether a place is as it was.

        Zeros for an address, which has to be asked for, and for what is not there: whoever reads it says why. Nothing
        that was read or fetched has these.
        """
        try:
            return self.states.get(place) or (FileState(0, 0) if is_url(place) else FileState.of(Path(place).stat()))
        except OSError:
            return FileState(0, 0)


def name_listed(place: str, raw: RawIOBase | BytesIO, left_out: Exclusions) -> Listed:
    """The pictures that a list names, but for those that are left out; see sources.read_list.

    Raises PatchseekError where there is none, or a bad line.
    """
    folder = folder_of_list(place)
    named = read_list(place, raw)
    places = named.places
    seen = {seen_from(folder, where): where for where in places} if left_out.lines else {}
    if left_out.lines:
        places = [seen[path] for path in left_out.kept(list(seen))]
    if not places:
        raise PatchseekError(f"{masked(place)}: names no pictures")
    if strange := next((where for where in places if _leads_out(place, where)), None):
        raise PatchseekError(f"{masked(place)}: names {masked(strange)}, which a list from elsewhere may not")
    root: Root = place if is_url(place) else Path(place)
    return Listed(root, places, named.passed_over, left_out.lines, left_out.unmatched(seen), named.unreadable)


def _leads_out(place: str, where: str) -> bool:
    """Whether a list at a URL names what is on this machine, or one on the web what is not."""
    if is_web(place):
        return not is_web(where)
    is_here = not is_url(where) or where.lower().startswith("file:")
    return is_url(place) and is_here and not place.lower().startswith("file:")


def find_listed(source: str | Path, exclude: Given, *, hidden: bool = False) -> Listed:
    """The same of a list of this machine, or at a URL; of a picture at a web address, itself; of any other URL, what
    lies below it in a store. Raises PatchseekError.
    """
    place = place_of(source)
    left_out = Exclusions(exclude, folder_of_list(place))
    if is_web(place):
        if list_kind(place) is None:
            if not is_picture(name_part(place)):  # an archive, a document, a film
                raise PatchseekError(f"{masked(place)}: is not read from the web; fetch it first")
            return Listed(place, [place], Counter(), {}, {})
        return name_listed(place, BytesIO(open_web().get(place, max_age=0.0)), left_out)
    if is_url(place):
        require_open(place)
    if is_url(place) and list_kind(place) is None:
        if name_part(place).lower().endswith(ARCHIVES):
            raise PatchseekError(f"{masked(place)}: a tar at a URL is read on a Ray cluster alone; add: --ray local")
        return find_in_store(place.rstrip("/"), Exclusions(exclude, place.rstrip("/")), hidden=hidden)
    return name_listed(place, open_file(place), left_out)


def place_of(source: str | Path) -> str:
    """A source as it is known: a URL as it is, or an absolute path."""
    return str(source) if is_url(str(source)) else str(expanded(source).resolve())


def find_in_store(url: str, left_out: Exclusions, *, hidden: bool = False) -> Listed:
    """The pictures that lie below a URL of a store. Raises PatchseekError where there is none."""
    found = list_folder(url)
    passed = {relative: passed_over_as(relative, hidden=hidden, is_link=False) for relative in found}
    kept = [found[relative] for relative in left_out.kept(list(found)) if passed[relative] is None]
    if not kept:
        raise PatchseekError(f"{masked(url)}: no pictures found below this URL")
    passed_over = Counter(reason for reason in passed.values() if reason is not None)
    states = {own: FileState(*dated) for own, dated in kept}
    everything = frozenset(own for own, _ in found.values())
    return Listed(url, list(states), passed_over, left_out.lines, left_out.unmatched(found), {}, states, everything)


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
    root = listed.root
    with Writer(store) as writer:
        remember_exclusions(writer, root, listed.exclusions)
        if every is not None:
            look_every(writer, Place(root), every)
        if with_removed:
            let_in(writer, Place(root))
        plan = Plan(store, Place(root), retry=retry, check_content=check_content)
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

    def encode(plan: Plan, run: Run, tasks: Sequence[Task]) -> None:
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


def _load(plan: Plan, fetched: _Fetched, extractors: Sequence[Extractor]) -> Result:
    """Recognise a picture by its hash, or decode it and cut it into patches."""
    return fetched.outcome or look_into(plan, fetched.task, extractors, content=fetched.content)
