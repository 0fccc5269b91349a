"""What is to be done about files, from names, sizes and times alone. Opens no file.

    look at each file that is there -> close: what is not there is gone -> claim by hash, as files are read -> leave

A file is known by the path of its first page; the pictures of further pages go with it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from .._platform import folded, is_spelled_so
from ..sources import Root, interval_of, is_film, may_have_pages, split_member, split_page
from ..store import Failure, FileState, KnownFile, Store, intervals
from ._pool import Lost, Pool
from ._tasks import Place, Same, Task

MOST_GONE = 0.5
"""Where more than this share of what is known is gone at once, and at least LEAST_GONE files, they may be elsewhere."""
LEAST_GONE = 3


@dataclass(frozen=True)
class Missing:
    """A folder so many of whose files are gone that it looks like a disk which is not mounted. They stay in."""

    folder: str
    n: int
    n_known: int
    # files, before


@dataclass
class Leave:
    """What becomes of the files that are gone for good."""

    ids: list[int] = field(default_factory=list)
    # pictures to be taken out
    failures: list[str] = field(default_factory=list)
    # notes to be forgotten
    missing: list[Missing] = field(default_factory=list)


class FilePlan:
    """The files of one place beside what the collection knows of it."""

    def __init__(
        self,
        store: Store,
        place: Place,
        *,
        retry: bool = False,
        check_content: bool = False,
        streams: bool = False,
        moved: Collection[str] = (),
    ) -> None:
        """retry: look into files again that failed. check_content: look into all. streams: files are looked into before
        all have been looked at, so that nothing can be claimed; what was set aside is known by its path. moved: paths
        that are known since their folder moved here as a whole.
        """
        self.place = place
        self._store, self._retry, self._check = store, retry or check_content, check_content
        self._streams, self._moved, self._every = streams, moved, intervals(store, place.root)
        self._known = _by_file(store.known(place.root, place.under).values())
        self._aside = _by_file(store.aside(place.root, place.under))
        self._failures: defaultdict[str, list[Failure]] = defaultdict(list)
        for failure in store.failures(place.root):
            if failure.path.startswith(place.under):
                self._failures[split_page(failure.path)[0]].append(failure)
        self._taken_out = store.taken_out(place.root, place.under) - self._known.keys()
        self._seen: set[str] = set()
        self._gone: dict[str, list[KnownFile]] = {}
        self._left_out: dict[str, list[KnownFile]] = {}
        self._pool = Pool()
        self._unseen: tuple[str, ...] = ()
        self.unchanged = self.moved = self.taken_out = 0
        self.still_failing: list[Failure] = []
        self.settled: list[Same] = []  # known to be back, or moved, without having been read
        self.noted: list[Same] = []  # unchanged; more of their state is known now than before
        self.outdated: list[str] = []  # failures of pages that are tried again
        self.robbed: set[Root] = set()  # other roots that pictures were claimed from

    def look(self, path: str, state: FileState) -> Task | None:
        """What is to be done about a file; None where nothing is, or where it was seen before."""
        if path in self._seen:
            return None
        self._seen.add(path)
        if path in self._taken_out:
            self.taken_out += 1
            return None
        known, failures = self._known.get(path, []), self._failures.get(path, [])
        first = next((file for file in known if file.path == path), None)
        is_passing = any(failure.passing for failure in failures)
        if (
            first is not None
            and self._is_unchanged(first, state)
            and not is_passing
            and self._is_whole(known, failures)
        ):
            if path in self._moved:
                self.moved += len(known)
            else:
                self.unchanged += len(known)
            self.still_failing += failures
            if first.state != state:
                self.noted.append(Same(path, state, tuple(known), moved=False))
            return None
        if first is None and not is_passing and any(f.path == path and self._is_final(f, state) for f in failures):
            self.unchanged += len(known)
            self.still_failing += failures
            return None
        self.outdated += [failure.path for failure in failures if failure.path != path]
        known = known or (self._aside.get(path, []) if self._streams else [])
        return Task(path, state, tuple(known), path in self._moved, interval_of(self._every, path))

    def _is_unchanged(self, known: KnownFile, state: FileState) -> bool:
        return not self._check and known.state.is_like(state)

    def _is_whole(self, known: Sequence[KnownFile], failures: Sequence[Failure]) -> bool:
        """Whether every page of a file, whose first comes first, is known, or known to be no picture."""
        first = known[0]
        if not may_have_pages(first.path):
            return True
        there = {split_page(file.path)[1] for file in known}
        there |= {split_page(failure.path)[1] for failure in failures if self._is_final(failure, first.state)}
        if first.n_pages is None:
            return False
        if is_film(first.path):  # whose pages are times
            return len(there) >= first.n_pages
        return there >= set(range(1, first.n_pages + 1))

    def _is_final(self, failure: Failure, state: FileState) -> bool:
        return not self._retry and not failure.passing and failure.state.is_like(state)

    def is_known(self, path: str) -> bool:
        """Whether the collection had a picture under this path that could be found."""
        return any(file.path == path for file in self._known.get(split_page(path)[0], ()))

    def close(
        self,
        tasks: Sequence[Task],
        unseen: Sequence[str],
        is_there: Callable[[Root, str], bool],
        *,
        alone: bool = False,
        is_whole: bool = True,
    ) -> list[Task]:
        """All files have been looked at: what is known and was not there is gone. Returns the tasks that are left.

        unseen: prefixes left unread. is_there: whether a file of a root is where it was. alone: look for no pictures in
        other roots or set aside. is_whole: False where only some files have been looked at; then nothing is gone, but
        what is not where it was may have been moved.
        """
        self._unseen = tuple(unseen) if is_whole else ("",)
        sizes = {task.state.size for task in tasks}
        for path, files in self._known.items():
            if path in self._seen or path.startswith(tuple(unseen)) or not (is_whole or files[0].state.size in sizes):
                continue
            stays = is_there(self.place.root, path) and not self._is_respelled(path)
            (self._left_out if stays else self._gone)[path] = files
        lost = [Lost(self.place.root, path, files) for path, files in self._gone.items()]
        if not is_whole:
            self._left_out, self._gone = {}, {}
        if not (alone or self._streams):
            lost += self._set_aside() + self._strays(sizes, is_there)
        self._pool.add(lost, tasks)
        return [task for task in tasks if not self._settle(task)]

    def _is_respelled(self, path: str) -> bool:
        """Whether a file is there in other letters alone, and was seen so: to some file systems a.jpg is A.jpg."""
        root = self.place.root
        if not isinstance(root, Path) or folded(path) not in self._folded:
            return False
        return not is_spelled_so(root, split_member(path)[0])

    @cached_property
    def _folded(self) -> set[str]:
        return set(map(folded, self._seen))

    def _set_aside(self) -> list[Lost]:
        return [
            Lost(self.place.root, path, files)
            for path, all_files in self._aside.items()
            for files in _versions(all_files)
        ]

    def _strays(self, sizes: set[int], is_there: Callable[[Root, str], bool]) -> list[Lost]:
        """Files of other roots that are not where they were, or were set aside."""
        files: dict[tuple[Root, str], list[KnownFile]] = {}
        for root, file in self._store.strays(self.place.root, self.place.under, sizes) if sizes else ():
            files.setdefault((root, split_page(file.path)[0]), []).append(file)
        return [
            Lost(root, path, version)
            for (root, path), found in files.items()
            for version in _versions(found)
            if version[0].is_aside or not is_there(root, path)
        ]

    def _settle(self, task: Task) -> bool:
        """Take back, without reading it, a file that is at its path again and has not been touched meanwhile."""
        for entry in self._pool.waiting_at(task.path):
            first = entry.pages[0]
            untouched = first.state == task.state and first.state.ctime_ns is not None and first.path == entry.path
            if untouched and not self._check and not task.known and self._is_whole(entry.pages, ()):
                self._pool.take(entry)
                self.settled.append(self._found(task, entry))
                return True
        return False

    def claimable(self) -> dict[str, tuple[KnownFile, ...]]:
        """By SHA-256, pictures that wait for their file, a page each."""
        return self._pool.by_hash()

    def claim(self, task: Task, sha256: str) -> Same | None:
        """The pictures that a file's bytes already are, if they wait for their file. Called by several threads."""
        entry = self._pool.claim(task.path, sha256)
        return None if entry is None else self._found(task, entry)

    def _found(self, task: Task, entry: Lost) -> Same:
        """Note that a file is gone no more."""
        if entry.root != self.place.root:
            self.robbed.add(entry.root)
        elif not entry.pages[0].is_aside:
            self._gone.pop(entry.path, None)
        moved = (entry.root, entry.path) != (self.place.root, task.path)
        return Same(task.path, task.state, tuple(entry.pages), moved)

    def leave(self, emptied: Callable[[str], str | None], *, all_of_it: bool = False) -> Leave:
        """What becomes of the files that are still gone, now that every file has been read that could have been one.

        emptied: of a folder, itself or the one around it that is there, if nothing is in that any more. all_of_it:
        however many they are, as always of what streams.
        """
        gone = {} if all_of_it or self._streams else self._missing_folders(cache(emptied))
        leave = Leave(missing=[Missing(folder, n, n_known) for folder, (n, n_known) in gone.items()])
        for path, files in (*self._left_out.items(), *self._gone.items()):
            if path in self._left_out or not _is_below(path, gone):
                leave.ids += [file.id for file in files]
        for path, failures in self._failures.items():
            if path not in self._seen and not path.startswith(self._unseen) and not _is_below(path, gone):
                leave.failures += [failure.path for failure in failures]
        return leave

    def _missing_folders(self, emptied: Callable[[str], str | None]) -> dict[str, tuple[int, int]]:
        """Folders of which too much is gone, with the files that are and those that were known there; "" for all."""
        n_known = len(self._known) - len(self._left_out)
        if is_alarming(len(self._gone), n_known):
            return {self.place.under.rstrip("/"): (len(self._gone), n_known)}
        folders: defaultdict[str, int] = defaultdict(int)
        for path in self._gone:
            folder = emptied(path.rpartition("/")[0])
            if folder is not None:
                folders[folder] += 1
        n_there: defaultdict[str, int] = defaultdict(int)
        for path in self._known if folders else ():
            while path := path.rpartition("/")[0]:
                n_there[path] += path in folders
        return {folder: (n, n_there[folder]) for folder, n in folders.items() if is_alarming(n, n_there[folder])}


def is_alarming(n_gone: int, n_known: int) -> bool:
    """Whether so many files are gone that they have hardly been deleted."""
    return n_gone >= LEAST_GONE and n_gone > MOST_GONE * n_known


def _by_file(files: Iterable[KnownFile]) -> dict[str, list[KnownFile]]:
    found: dict[str, list[KnownFile]] = {}
    for file in files:
        found.setdefault(split_page(file.path)[0], []).append(file)
    return found


def _versions(files: Iterable[KnownFile]) -> list[list[KnownFile]]:
    """Files that had one path at different times, each with its pages; what is found and what is set aside apart."""
    found: dict[tuple[str, bool], list[KnownFile]] = {}
    for file in files:
        found.setdefault((file.sha256, file.is_aside), []).append(file)
    return list(found.values())


def _is_below(path: str, folders: Mapping[str, object]) -> bool:
    return any(not folder or path.startswith(folder + "/") for folder in folders)
