"""The pictures that a source names, as values. Opens nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..encode import Walked, is_there
from ..sources import Root
from ..store import FileState


@dataclass(frozen=True)
class Entry:
    """A picture that a source names."""

    path: str
    # as the catalogue knows it
    place: str
    # an absolute path of this machine, as of sources.stored, or a URL to read
    state: FileState
    start: int = 0
    # its first byte there
    size: int | None = None
    # its bytes there, None for the whole file


@dataclass
class ListedRoot:
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
    every: float | None = None
    # how often films of a list are looked at from now on, where that is said; see encode.visit
    visit: Callable[..., Walked] | None = None
    # of a folder or archive of this machine: walk it, once there is a writer; see encode.visit


def walked_source(walked: Walked, *, is_whole: bool) -> ListedRoot:
    """A folder or archive of this machine as the collection knows it."""
    root, found = walked.place.root, walked.found
    entries = [Entry(path, f"{root}/{path}", state) for path, state in found.files.items()]
    source = ListedRoot(root, entries, is_whole, len(entries), found.unreadable, {}, found.unmatched, found.passed_over)
    source.under, source.moved = walked.place.under, walked.moved
    return source
