"""Where in the collection the files of a folder belong, and which indexed folders have moved there as a whole.

A folder inside an indexed one is a part of that; one around others takes them in; and one that holds what an indexed
folder held which is gone takes its place. Each of these changes paths in the catalogue, in one transaction, and nothing
else; what was to be left out goes along. Looks at the disk, but reads files only to be sure of a move (see `_moved`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._platform import as_spelled
from .._words import counted
from ..errors import PatchseekError
from ..patterns import Exclusions, Given, moved_below
from ..sources import (
    EXCLUDED,
    KINDS,
    LISTS,
    SKIPPED_FOLDERS,
    Kind,
    as_folder,
    interval_of,
    is_archive,
    kind_of,
    member_path,
    say_interval,
    split_page,
)
from ..store import (
    Store,
    Writer,
    exclusions,
    gone_into,
    intervals,
    outdate_films,
    remember_exclusions,
    remember_inside,
    remember_intervals,
)
from ._moved import new_prefix
from ._scan import Inside, LeftOut, Scan, Walk, is_there, scan
from ._tasks import Place

_NO_FOLDERS = (".tar", *(f".{kind}" for kind in LISTS))


@dataclass(frozen=True)
class Walked:
    """What a walk of a folder found, by the paths of the place where its files belong."""

    place: Place
    found: Scan
    moved: frozenset[str] = frozenset()
    # paths under which pictures are known since their folder moved here as a whole


def find_pictures(
    folder: Path, exclude: Given, *, hidden: bool, follow_symlinks: bool, inside: Sequence[str] = ()
) -> Scan:
    """All pictures below a folder, or in an archive, by name. Raises PatchseekError where there is none.

    inside: keys of sources.KINDS, of what is gone into.
    """
    found = Scan()
    if _is_there(folder):
        found = scan(folder, exclude, hidden=hidden, follow_symlinks=follow_symlinks, inside=inside)
    if not found.files:
        _raise_for_nothing(folder, found)
    return found


def visit(
    writer: Writer,
    folder: Path,
    exclude: Given | None,
    *,
    hidden: bool,
    follow_symlinks: bool,
    prune: bool,
    inside: Sequence[str] | None = None,
    every: float | None = None,
) -> Walked:
    """Walk a folder, or an archive, and join to its place, in the catalogue, what belongs there.

    exclude: what to leave out, which is remembered; None for what was remembered. inside: keys of sources.KINDS, of
    what is gone into, likewise. every: of films, seconds for which a shot that goes on is not looked at again,
    likewise; 0 forgets. Raises PatchseekError for a folder without pictures; where some are known there, unless they
    are to be pruned.
    """
    store, folder = writer.store, as_spelled(folder)
    roots = [root for root in store.roots() if isinstance(root, Path) and _is_indexed_folder(root)]
    place, there = find_place(store, folder), _is_there(folder)
    kinds = set(gone_into(store, place.root) if inside is None or place.under else ()) | set(inside or ())
    into = _into(store, place, roots, folder, kinds)

    def walk(rules: _Rules) -> Scan:
        return Walk(rules.all, hidden, follow_symlinks, into).scan(folder) if there else Scan()

    rules = _Rules(store, place, folder, exclude, roots)
    found = walk(rules)
    inner = [
        root
        for root in roots
        if root != place.root and root.is_relative_to(folder)
        if not there or _prefix(root, folder).rstrip("/") in found.folders
    ]
    if not found.files:
        _require_known(store, folder, found, [place, *map(Place, inner)], prune=prune)
    unmatched = rules.remember(writer, found) if there else {}
    remember_inside(writer, place.root, kinds)
    for root in inner:
        _join(writer, root, place, _prefix(root, _folder(place)))
    if every is not None:
        look_every(writer, place, every)
    here = found.below(place.under)
    _join_tars(writer, place, here)
    others = [root for root in roots if root not in inner and not folder.is_relative_to(root)]
    moved: set[str] = set()
    if here.files and _join_moved(writer, place, here, others, moved, is_said=exclude is not None):
        here = walk(_Rules(store, place, folder, None, roots)).below(
            place.under
        )  # without what was to be left out there
    here.unmatched = unmatched
    return Walked(place, here, frozenset(moved))


def find_new(store: Store, folder: Path) -> tuple[int, int]:
    """How many picture files there are in a folder, and of how many of them the collection knows nothing yet.

    By their names alone; what is remembered to be left out counts in neither. Raises PatchseekError where no folder is.
    """
    folder = as_spelled(folder)
    if not _is_there(folder):
        _raise_for_nothing(folder, Scan())
    place = find_place(store, folder)
    roots = [root for root in store.roots() if isinstance(root, Path) and _is_indexed_folder(root)]
    into = _into(store, place, roots, folder, gone_into(store, place.root))
    walk = Walk(_Rules(store, place, folder, None, roots).all, inside=into)
    found = walk.scan(folder).below(place.under)
    inner = [root for root in roots if root != place.root and root.is_relative_to(folder)]
    known: set[str] = set()
    for root, prefix in [(_folder(place), ""), *((root, _prefix(root, _folder(place))) for root in inner)]:
        paths = store.known(root).keys() | store.taken_out(root) | {failure.path for failure in store.failures(root)}
        known |= {prefix + path for path in paths}
    return len(found.files), len(found.files.keys() - known)


def find_place(store: Store, folder: Path) -> Place:
    """The outermost indexed folder that a folder is part of; itself where there is none. An archive is part of its own.

    Hidden folders, those that are never gone into and those inside the collection are no parts of what is around them,
    unless pictures of them are known there; and never is what was to be left out there.
    """
    if is_archive(folder.name) and kind_of(folder) is not Kind.FOLDER:
        home = find_place(store, folder.parent)
        return Place(home.root, member_path(f"{home.under}{folder.name}"))
    around = [root for root in store.roots() if isinstance(root, Path) and _is_indexed_folder(root)]
    around = [root for root in around if folder != root and folder.is_relative_to(root)]
    for root in sorted(around, key=lambda root: len(root.parts)):
        if folder.is_relative_to(store.path.resolve()):
            break
        under = _prefix(folder, root)
        parts = folder.relative_to(root).parts
        is_seen = not any(part.startswith(".") or part.lower() in SKIPPED_FOLDERS for part in parts)
        if not _is_left_out(store, root, under) and (is_seen or store.known(root, under)):
            return Place(root, under)
    return Place(folder)


def look_every(writer: Writer, place: Place, every: float) -> None:
    """Look at the films of a place so often from now on; see sources.say_interval. Its `under` may be a film's path."""
    remember_intervals(writer, place.root, say_interval(intervals(writer.store, place.root), place.under, every))


def _folder(place: Place) -> Path:
    assert isinstance(place.root, Path), "a folder"
    return place.root


def _is_indexed_folder(root: Path) -> bool:
    """Whether a root is a folder rather than a tar or a list, as far as can be told of one that is gone."""
    kind = kind_of(root)
    return kind is Kind.FOLDER or (kind is not Kind.OTHER and root.suffix.lower() not in _NO_FOLDERS)


def _is_tar(root: Path) -> bool:
    """Whether a root is a tar that came through a cluster."""
    return root.suffix.lower() == ".tar"


def _is_there(folder: Path) -> bool:
    """Whether the folder or archive is there. Raises PatchseekError where that cannot be told, of a failing disk."""
    if kind_of(folder) is Kind.UNKNOWN:
        raise PatchseekError(f"{folder}: cannot be looked at; is its disk well, and may you read it?")
    return kind_of(folder) is Kind.FOLDER or (is_archive(folder.name) and kind_of(folder) is Kind.OTHER)


def _into(store: Store, place: Place, roots: Sequence[Path], folder: Path, said: Iterable[str]) -> Inside:
    """What a walk of a folder goes into: the kinds that are said, those remembered below it, the files known."""
    kinds, known = set(said), set[str]()
    for path in store.holders(place.root):
        known |= {path.removeprefix(place.under)} if path.startswith(place.under) else set()
    for root in roots:
        if root != place.root and root.is_relative_to(folder):
            kinds |= set(gone_into(store, root))
            known |= {_prefix(root, folder) + path for path in store.holders(root)}
    for tar in store.roots():  # that came through a cluster, each as a root of its own
        if isinstance(tar, Path) and _is_tar(tar) and tar.is_relative_to(folder):
            known.add(tar.relative_to(folder).as_posix())
    return Inside.of(kinds, known)


def _prefix(folder: Path, root: Path) -> str:
    relative = folder.relative_to(root).as_posix()
    return "" if relative == "." else relative + "/"


def _require_known(store: Store, folder: Path, found: Scan, places: list[Place], *, prune: bool) -> None:
    """Say what is wrong with a folder in which nothing was found, unless all that is known there is to be dropped."""
    n_known = sum(len({split_page(path)[0] for path in store.known(place.root, place.under)}) for place in places)
    if not n_known or found.unreadable or found.passed_over[EXCLUDED]:
        _raise_for_nothing(folder, found)
    if not prune:
        is_folder = kind_of(folder) is Kind.FOLDER
        what = "no pictures found below this folder" if is_folder else "no such folder now"
        raise PatchseekError(
            f"{folder}: {what}, {n_known} known: is a disk not mounted? They stay in the collection; "
            "drop them with --prune"
        )


def _raise_for_nothing(folder: Path, found: Scan) -> None:
    """Raise PatchseekError that says why a walk of a folder found no picture."""
    if not _is_there(folder):
        raise PatchseekError(f"{folder}: not a folder")
    why = [reason if path == "!" else f"{path}: {reason}" for path, reason in found.unreadable.items()]
    if found.passed_over[EXCLUDED]:
        why.append(f"{found.passed_over[EXCLUDED]} excluded")
    of_kinds = [(kind, sum(found.passed_over[suffix] for suffix in suffixes)) for kind, suffixes in KINDS.items()]
    why += [f"{counted(n, 'file')} that --inside {kind} goes into" for kind, n in of_kinds if n]
    where = "in this archive" if is_archive(folder.name) else "below this folder"
    raise PatchseekError(f"{folder}: no pictures found {where}" + (f" ({'; '.join(why)})" if why else ""))


# ---- what is left out


class _Rules:
    """All that is to be left out of a walk: what is said now, else remembered, and what was said of folders inside."""

    def __init__(self, store: Store, place: Place, folder: Path, exclude: Given | None, roots: Sequence[Path]) -> None:
        self._place, self._folder, self._under = place, folder, as_folder(place.under)
        remembered = exclusions(store, place.root)
        self._own = None if exclude is None else Exclusions(exclude, folder)
        if exclude is not None:  # instead of what was said of this folder before, but not of one around it
            remembered = _elsewhere(remembered, self._under) if self._under else {}
        self._around = Exclusions(remembered, _folder(place))
        self.all = [LeftOut(self._around, under=self._under)]
        if self._own is not None:
            self.all.append(LeftOut(self._own))
        for root in roots:
            if root != place.root and root.is_relative_to(folder):
                self.all.append(LeftOut(Exclusions(exclusions(store, root), root), within=_prefix(root, folder)))

    def remember(self, writer: Writer, found: Scan) -> dict[str, str | None]:
        """Leave it out the next time, too; what is said now and meant nothing, with what may have been meant."""
        lines = self._around.lines
        if self._own is not None:
            lines = lines | _below(self._own.lines, self._under)
        remember_exclusions(writer, self._place.root, lines)
        return {} if self._own is None else self._own.unmatched([*map(as_folder, found.files)], self._folder)


def _is_left_out(store: Store, root: Path, under: str) -> bool:
    """Whether a folder is left out of a root that it is in."""
    rules = Exclusions(exclusions(store, root), root)
    parts = under.rstrip("/").split("/")
    return any(rules.leaves_out("/".join(parts[: i + 1]), is_folder=True) for i in range(len(parts)))


def _elsewhere(lines: Mapping[str, str], under: str) -> dict[str, str]:
    """The lines that were not said of a part of the folder; see moved_below."""
    return {said: line for said, line in lines.items() if not said.removeprefix("!").startswith(f"/{under}")}


def _below(lines: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The lines as they are said of the folder around."""
    if not prefix:
        return dict(lines)
    moved = [moved_below(prefix, line) for line in lines.values()]
    return dict(zip(moved, moved, strict=True))


def _join(writer: Writer, root: Path, place: Place, prefix: str) -> bool:
    """Make a root part of a place; whether that brought more to be left out there."""
    before = exclusions(writer.store, place.root)
    after = before | _below(exclusions(writer.store, root), prefix)
    remember_exclusions(writer, place.root, after)
    kinds = {*gone_into(writer.store, place.root), *gone_into(writer.store, root)}
    own = intervals(writer.store, root)
    every = {prefix + of: seconds for of, seconds in own.items()} | intervals(writer.store, place.root)
    outdate_films(writer, root, lambda path: interval_of(own, path) != interval_of(every, prefix + path))
    writer.join(root, place.root, prefix)
    remember_inside(writer, place.root, kinds)
    remember_intervals(writer, place.root, every)
    return after != before


def _join_tars(writer: Writer, place: Place, found: Scan) -> None:
    """Make part of a place the tars in it that came through a cluster, each as a root of its own."""
    for root in writer.store.roots():
        if isinstance(root, Path) and _is_tar(root) and root.is_relative_to(_folder(place)):
            prefix = f"{root.relative_to(_folder(place)).as_posix()}!"
            if any(file.startswith(prefix) for file in found.files):
                writer.join(root, place.root, prefix, cut=len(f"{root.name}/"))


def _join_moved(
    writer: Writer, place: Place, found: Scan, roots: list[Path], moved: set[str], *, is_said: bool
) -> bool:
    """Join the roots that have moved here as a whole; whether that brought more to be left out.

    moved: their paths are put into it. is_said: what is to be left out of this very folder has been said just now, and
    holds instead of what was.
    """
    store, is_more = writer.store, False
    for root in roots:
        known = {file.path: file for file in store.known(root).values() if split_page(file.path)[1] == 1}
        if not known or any(is_there(root, path) for path in known):
            continue
        there = store.known(place.root, place.under)
        new = {path: state for path, state in found.files.items() if path not in there}
        prefix = new_prefix(_folder(place), known, new)
        if prefix == place.under and is_said:
            remember_exclusions(writer, root, {})
        if prefix is not None:
            is_more |= _join(writer, root, place, prefix)
            moved.update(prefix + path for path in known)
    return is_more
