"""Where pictures come from: folders, webdataset tars, lists in CSV or Parquet; on this machine or at a URL.

Lists names; reads no picture. Tars and lists are gone through as their pictures are needed, folders at once, since only
the whole of a folder tells what was moved.

    SOURCE                          root in the catalogue    path of a picture in it
    /data/pictures                  the folder               a/b.jpg
    s3://bucket/pictures            the URL                  s3://bucket/pictures/a/b.jpg
    /data/x-{000..099}.tar, *.tar   each tar                 x-000.tar/b.jpg
    /data/list.csv, list.parquet    the list                 /data/a/b.jpg, or the URL
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from .._home import expanded
from ..datasets import iter_members
from ..encode import NO_SUFFIX, SKIPPED_FOLDERS, Walked, find_pictures, is_file, is_there, visit
from ..errors import PatchseekError
from ..images import EXTENSIONS
from ..patterns import Exclusions, Given, seen_from
from ..store import FileState, Root
from ._files import expand, is_url, list_folder, open_file, state_of
from ._lists import LISTS, iter_list


@dataclass(frozen=True)
class Entry:
    """A picture that a source names."""

    path: str
    # as the catalogue knows it
    place: str
    # a path or URL to read
    state: FileState
    start: int = 0
    # its first byte there
    size: int | None = None
    # its bytes there, None for the whole file


@dataclass
class Source:
    """One root and its pictures."""

    root: Root
    entries: Iterable[Entry]
    is_whole: bool
    # whether entries are all known before the first is read, so that what is gone may turn out to have moved
    n_total: int = 0
    # entries, 0 where that is not known yet
    unreadable: dict[str, str] = field(default_factory=dict)
    # what could not be listed, and why; of tars, known when the entries are exhausted
    exclusions: dict[str, str] = field(default_factory=dict)
    # what was left out; see patterns.Exclusions.lines
    unmatched: dict[str, str | None] = field(default_factory=dict)
    # exclusions that nothing matched, each with what may have been meant
    passed_over: Counter[str] = field(default_factory=Counter)
    # see encode.Scan
    is_there: Callable[[Root, str], bool] = is_there
    # whether a file of a root is where it was
    under: str = ""
    # the part of the root that these are all of
    moved: frozenset[str] = frozenset()
    # see encode.Walked
    visit: Callable[..., Walked] | None = None
    # of a folder of this machine: walk it, once there is a writer; see encode.visit


def open_sources(
    source: str,
    *,
    exclude: Given | None = None,
    remembered: Callable[[Root], Given] = lambda _: (),
    hidden: bool = False,
    follow_symlinks: bool = False,
    may_be_empty: bool = False,
) -> Iterator[Source]:
    """The roots that a source stands for: one, or one a tar. Raises PatchseekError, before the first, for a bad one.

    exclude: what to leave out of each; None for what is remembered of a root. may_be_empty: leave it to the visit to
    look into a folder.
    """

    def left_out(root: Root) -> Given:
        return remembered(root) if exclude is None else exclude

    name = re.sub(r"[?#].*", "", source) if is_url(source) else source
    suffix = name.rpartition(".")[2].lower() if is_url(source) or not Path(source).is_dir() else ""
    if suffix == "tar":
        for tar in _find_tars(source):
            root = tar if is_url(tar) else Path(tar)
            yield _open_tar(tar, root, Exclusions(left_out(root), root))
    elif suffix in LISTS:
        place = source if is_url(source) else str(expanded(source).resolve())
        root = place if is_url(place) else Path(place)
        yield _open_list(place, root, suffix, Exclusions(left_out(root), place.rpartition("/")[0]))
    elif is_url(source):
        url = source.rstrip("/")
        yield _open_url(url, Exclusions(left_out(url), url), hidden)
    elif is_file(Path(source)):
        raise PatchseekError(f"{source}: a source is a folder, a .tar, .{' or .'.join(LISTS)} file, or a URL of these")
    else:
        folder = Path(source).resolve()
        found = None
        if not may_be_empty:
            found = find_pictures(folder, left_out(folder), hidden=hidden, follow_symlinks=follow_symlinks)
        files = {} if found is None else found.files
        entries = [Entry(path, f"{folder}/{path}", state) for path, state in files.items()]
        look = partial(visit, folder=folder, exclude=exclude, hidden=hidden, follow_symlinks=follow_symlinks)
        yield Source(folder, entries, True, len(entries), visit=look)


def folder_source(walked: Walked) -> Source:
    """A folder of this machine as the collection knows it."""
    root, found = walked.place.root, walked.found
    entries = [Entry(path, f"{root}/{path}", state) for path, state in found.files.items()]
    source = Source(root, entries, True, len(entries), found.unreadable, {}, found.unmatched, found.passed_over)
    source.under, source.moved = walked.place.under, walked.moved
    return source


def _open_url(url: str, left_out: Exclusions, hidden: bool) -> Source:
    def is_picture(relative: str) -> bool:
        *folders, name = relative.split("/")
        return (
            Path(name).suffix.lower() in EXTENSIONS
            and (hidden or not any(part.startswith(".") for part in (*folders, name)))
            and not any(folder.lower() in SKIPPED_FOLDERS for folder in folders)
        )

    found = list_folder(url)
    kept = [found[relative] for relative in left_out.kept(list(found)) if is_picture(relative)]
    entries = [Entry(own, own, state) for own, state in kept]
    if not entries:
        raise PatchseekError(f"{url}: no pictures found below this URL")
    listed = {own for own, _ in found.values()}

    def is_listed(root: Root, path: str) -> bool:
        return path in listed if root == url else is_there(root, path)

    others = [relative for relative in found if Path(relative).suffix.lower() not in EXTENSIONS]
    passed_over = Counter(Path(relative).suffix.lower() or NO_SUFFIX for relative in others)
    said = left_out.lines, left_out.unmatched(found)
    return Source(url, entries, True, len(entries), {}, *said, passed_over, is_listed)


def _open_list(place: str, root: Root, kind: str, left_out: Exclusions) -> Source:
    """A list. It is read once to the end beforehand, so that a bad line costs nothing."""
    folder = place.rpartition("/")[0]

    def places() -> Iterator[str]:
        for name in iter_list(place, kind):
            yield name if is_url(name) or name.startswith("/") else f"{folder}/{name}"

    source = Source(root, (), False)
    wanted: Callable[[], Iterable[str]] = places
    if left_out.lines:
        seen = {seen_from(folder, where): where for where in places()}
        kept = [seen[path] for path in left_out.kept(list(seen))]
        wanted = lambda: kept  # noqa: E731
        source.exclusions, source.unmatched = left_out.lines, left_out.unmatched(seen)
    source.n_total = sum(1 for _ in wanted())
    if not source.n_total:
        raise PatchseekError(f"{place}: names no pictures")
    source.entries = (
        Entry(where, where, FileState(0, 0) if is_url(where) else _local_state(where)) for where in wanted()
    )
    return source


def _local_state(path: str) -> FileState:
    try:
        return state_of(path)
    except PatchseekError:  # whoever reads it will say why
        return FileState(0, 0)


def _open_tar(place: str, root: Root, left_out: Exclusions) -> Source:
    """A tar. Its pictures change when the tar does: their time is the tar's."""
    changed = state_of(place).mtime_ns
    name = place if is_url(place) else Path(place).name
    source = Source(root, (), False)

    def skip(member: str, why: str) -> None:
        source.unreadable[f"{name}/{member}"] = why

    def members() -> Iterator[_Member]:
        with open_file(place) as raw:
            yield from iter_members(raw, place, on_skip=skip)

    found: Iterable[_Member] = members()
    if left_out.lines:
        found, source.unmatched = _leave_out(found, left_out)
        source.exclusions = left_out.lines
    source.entries = (
        Entry(f"{name}/{member}", place, FileState(size, changed), start, size) for member, start, size in found
    )
    return source


_Member = tuple[str, int, int]
"""Name, first byte and bytes of a file in a tar."""


def _leave_out(members: Iterable[_Member], left_out: Exclusions) -> tuple[Iterator[_Member], dict[str, str | None]]:
    """The members that are kept, and what matched none. All are gone through at once: which names there are decides."""
    listed: list[_Member] = []
    damage: PatchseekError | None = None
    try:
        for member in members:
            listed.append(member)  # what is before a damage counts
    except PatchseekError as error:
        damage = error
    names = [name for name, _, _ in listed]
    wanted = set(left_out.kept(names))

    def kept() -> Iterator[_Member]:
        yield from (member for member in listed if member[0] in wanted)
        if damage is not None:
            raise damage

    return kept(), left_out.unmatched(names)


def _find_tars(pattern: str) -> list[str]:
    """The tars that x-{000..099}.tar or *.tar stands for, all of which exist. Raises PatchseekError."""
    if not is_url(pattern):
        pattern = str(expanded(pattern).absolute())
        if Path(pattern).is_file():  # by that very name
            return [pattern]
    pieces = re.split(r"\{(\d+)\.\.(\d+)\}", pattern)  # text, first, last, text, ...
    ranges = [
        [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
        for first, last in zip(pieces[1::3], pieces[2::3], strict=True)
    ]
    names = []
    for chosen in product(*ranges):
        words = [word for pair in zip(pieces[::3], (*chosen, ""), strict=True) for word in pair]
        names.append("".join(words))
    tars = [tar for name in names for tar in (expand(name) if "*" in name else [name])]
    if not tars:
        raise PatchseekError(f"{pattern}: no such tar")
    for tar in tars:
        state_of(tar)
    return tars
