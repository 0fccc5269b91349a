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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from .._home import expand_home
from ..datasets import iter_members
from ..encode import SKIPPED_FOLDERS, find_pictures, is_wanted
from ..errors import PatchseekError
from ..images import EXTENSIONS
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


def open_sources(
    source: str, *, exclude: Sequence[str] = (), hidden: bool = False, follow_symlinks: bool = False
) -> Iterator[Source]:
    """The roots that a source stands for: one, or one a tar. Raises PatchseekError, before the first, for a bad one."""
    suffix = re.sub(r"[?#].*", "", source).rpartition(".")[2].lower()
    if suffix == "tar":
        yield from map(_open_tar, _find_tars(source))
    elif suffix in LISTS:
        yield _open_list(source, suffix)
    elif is_url(source):
        yield _open_url(source.rstrip("/"), exclude, hidden)
    elif Path(source).is_file():
        raise PatchseekError(f"{source}: a source is a folder, a .tar, .{' or .'.join(LISTS)} file, or a URL of these")
    else:
        folder = Path(source)
        found = find_pictures(folder, exclude, hidden=hidden, follow_symlinks=follow_symlinks)
        entries = [Entry(path, str(folder.resolve() / path), state) for path, state in found.files.items()]
        yield Source(folder, entries, True, len(entries), found.unreadable)


def _open_url(url: str, exclude: Sequence[str], hidden: bool) -> Source:
    def is_picture(relative: str) -> bool:
        *folders, name = relative.split("/")
        prefixes = ["/".join(folders[: i + 1]) for i in range(len(folders))]
        return (
            Path(name).suffix.lower() in EXTENSIONS
            and all(is_wanted(prefix, exclude, hidden) for prefix in (*prefixes, relative))
            and not any(folder.lower() in SKIPPED_FOLDERS for folder in folders)
        )

    found = list_folder(url)
    entries = [Entry(own, own, state) for relative, (own, state) in found.items() if is_picture(relative)]
    if not entries:
        raise PatchseekError(f"{url}: no pictures found below this URL")
    return Source(url, entries, True, len(entries))


def _open_list(place: str, kind: str) -> Source:
    """A list. It is read once to the end beforehand, so that a bad line costs nothing."""
    place = place if is_url(place) else str(expand_home(place).resolve())
    folder = place.rpartition("/")[0]
    n_total = sum(1 for _ in iter_list(place, kind))
    if not n_total:
        raise PatchseekError(f"{place}: names no pictures")

    def entries() -> Iterator[Entry]:
        for name in iter_list(place, kind):
            where = name if is_url(name) or name.startswith("/") else f"{folder}/{name}"
            yield Entry(where, where, FileState(0, 0) if is_url(where) else _local_state(where))

    return Source(place if is_url(place) else Path(place), entries(), False, n_total)


def _local_state(path: str) -> FileState:
    try:
        return state_of(path)
    except PatchseekError:  # whoever reads it will say why
        return FileState(0, 0)


def _open_tar(place: str) -> Source:
    """A tar. Its pictures change when the tar does: their time is the tar's."""
    changed = state_of(place).mtime_ns
    name = place if is_url(place) else Path(place).name
    source = Source(place if is_url(place) else Path(place), (), False)

    def skip(member: str, why: str) -> None:
        source.unreadable[f"{name}/{member}"] = why

    def entries() -> Iterator[Entry]:
        with open_file(place) as raw:
            for member, start, size in iter_members(raw, place, on_skip=skip):
                yield Entry(f"{name}/{member}", place, FileState(size, changed), start, size)

    source.entries = entries()
    return source


def _find_tars(pattern: str) -> list[str]:
    """The tars that x-{000..099}.tar or *.tar stands for, all of which exist. Raises PatchseekError."""
    if not is_url(pattern):
        pattern = str(expand_home(pattern).absolute())
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
