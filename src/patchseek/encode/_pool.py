"""Files of the collection that are not where they were, and which file of the same bytes each of them now is."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..sources import Root
from ..store import KnownFile
from ._tasks import Task


@dataclass(eq=False)
class Lost:
    """A file of the collection that is not where it was; its pictures wait for one of the same bytes."""

    root: Root
    path: str
    pages: list[KnownFile] = field(default_factory=list)
    heir: str | None = None
    # a file that is to be looked into, at the same path and of the same size: whose the pictures are, if its bytes are

    def fitness(self, path: str) -> tuple[int, int]:
        """The more of a path's end is the same, the likelier it is the file that moved there."""
        mine, theirs = self.path.split("/"), path.split("/")
        n_same = next((i for i, (a, b) in enumerate(zip(mine[::-1], theirs[::-1], strict=False)) if a != b), None)
        return min(len(mine), len(theirs)) if n_same is None else n_same, -len(mine)


class Pool:
    """What waits for its file. `claim` may be called by several threads."""

    def __init__(self) -> None:
        self._by_hash: defaultdict[str, list[Lost]] = defaultdict(list)
        self._by_heir: defaultdict[str, list[Lost]] = defaultdict(list)
        self._lock = threading.Lock()

    def add(self, lost: Iterable[Lost], tasks: Sequence[Task]) -> None:
        """Let files wait. One at whose path a file of its size is to be looked into waits for that one first."""
        sizes = {task.path: task.state.size for task in tasks}
        for entry in lost:
            if sizes.get(entry.path) == entry.pages[0].state.size:
                entry.heir = entry.path
                self._by_heir[entry.path].append(entry)
            self._by_hash[entry.pages[0].sha256].append(entry)

    def waiting_at(self, path: str) -> Sequence[Lost]:
        """The files that wait for the one at a path first."""
        return self._by_heir.get(path, ())

    def take(self, entry: Lost) -> None:
        """It waits no more."""
        self._by_hash[entry.pages[0].sha256].remove(entry)

    def claim(self, path: str, sha256: str) -> Lost | None:
        """The file that a file of these bytes is, if one waits for them. It waits no more."""
        with self._lock:
            for entry in self._by_heir.pop(path, ()):
                if entry.pages[0].sha256 != sha256:
                    entry.heir = None
            waiting = [entry for entry in self._by_hash.get(sha256, ()) if entry.heir in (None, path)]
            best = max(waiting, key=lambda entry: (entry.heir is not None, entry.fitness(path)), default=None)
            if best is not None:
                self.take(best)
            return best

    def by_hash(self) -> dict[str, tuple[KnownFile, ...]]:
        """By SHA-256, one file that waits, a picture a page."""
        return {sha256: tuple(entries[0].pages) for sha256, entries in self._by_hash.items() if entries}
