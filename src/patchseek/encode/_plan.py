"""What is to be done about files, from names, sizes and times alone. Opens no file."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..store import Failure, FileState, KnownFile, Root, Store


@dataclass(frozen=True)
class Task:
    """A file to look into."""

    path: str
    state: FileState
    known: KnownFile | None


@dataclass(frozen=True)
class Same:
    """A file whose bytes the collection already has, under this or another path."""

    path: str
    state: FileState
    image: KnownFile
    moved: bool


class Plan:
    """The files of one root beside what the collection knows of it: `look` at each that is there, then `close`."""

    def __init__(self, store: Store, root: Root, *, retry: bool) -> None:
        self._known, self._failures = store.known(root), {f.path: f for f in store.failures(root)}
        self._retry = retry
        self._seen: set[str] = set()
        self.unchanged = 0
        self.still_failing: list[Failure] = []
        self.gone: dict[str, KnownFile] = {}
        self.gone_failures: list[str] = []
        self.by_hash: dict[str, str] = {}

    def look(self, path: str, state: FileState) -> Task | None:
        """What is to be done about a file; None where nothing is, or where it was seen before."""
        if path in self._seen:
            return None
        self._seen.add(path)
        known, failure = self._known.get(path), self._failures.get(path)
        if known is not None and known.state == state:
            self.unchanged += 1
        elif not self._retry and failure is not None and failure.state == state:
            self.still_failing.append(failure)
        else:
            return Task(path, state, known)
        return None

    def close(self, unseen: Sequence[str] = ()) -> None:
        """All files have been looked at: what is known and was not there is gone. unseen: prefixes left unread."""
        prefixes = tuple(unseen)
        gone = [p for p in (*self._known, *self._failures) if p not in self._seen and not p.startswith(prefixes)]
        self.gone = {path: self._known[path] for path in gone if path in self._known}
        self.gone_failures = [path for path in gone if path in self._failures]
        self.by_hash = {file.sha256: path for path, file in self.gone.items()}

    def claim(self, path: str, state: FileState, known: KnownFile | None, sha256: str) -> Same | None:
        """The picture that a file's bytes already are: its own unchanged self, or one that is gone from its old path.

        Called by several threads; `dict.pop` gives each gone picture to one of them.
        """
        if known is not None and known.sha256 == sha256:
            return Same(path, state, known, moved=False)
        old_path = self.by_hash.pop(sha256, None) if known is None else None
        return None if old_path is None else Same(path, state, self.gone.pop(old_path), moved=True)
