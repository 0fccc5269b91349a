"""Where in the collection the files of a folder belong, and which indexed folders have moved there as a whole.

A folder inside an indexed one is a part of that; one around others takes them in; and one that holds what an indexed
folder held which is gone takes its place. Each of these changes paths in the catalogue, in one transaction, and nothing
else. Looks at the disk; reads files only to be sure of a move.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR

from ..errors import PatchseekError
from ..store import FileState, KnownFile, Store, Writer, hash_file, split_page
from ._plan import Place, is_alarming
from ._scan import EXCLUDED, SKIPPED_FOLDERS, Scan, is_there, scan

_SAMPLE = 100  # files by which the new place of a folder is looked for
_PROOFS = 5  # files that are read to be sure of it
_NO_FOLDERS = (".tar", ".csv", ".parquet")


def walk(folder: Path, exclude: Sequence[str] = (), *, hidden: bool = False, follow_symlinks: bool = False) -> Scan:
    """What a walk of a folder finds; nothing where it is not there. Raises PatchseekError where that cannot be told."""
    try:
        is_folder = S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return Scan()
    except OSError as error:
        raise PatchseekError(f"{folder}: cannot be looked at ({error.strerror})") from error
    return scan(folder, exclude, hidden=hidden, follow_symlinks=follow_symlinks) if is_folder else Scan()


def find_pictures(folder: Path, exclude: Sequence[str], *, hidden: bool, follow_symlinks: bool) -> Scan:
    """All pictures below a folder, by name. Raises PatchseekError when there is no folder or nothing in it."""
    found = walk(folder, exclude, hidden=hidden, follow_symlinks=follow_symlinks)
    if not found.files:
        _raise_for_nothing(folder, found)
    return found


def settle(writer: Writer, folder: Path, found: Scan, *, prune: bool = False) -> Place:
    """The place of a folder's files, with all that belongs there joined to it. found: what a walk of the folder found.

    Raises PatchseekError for a folder without pictures; where some are known there, unless they are to be pruned.
    """
    store, folder = writer.store, folder.resolve()
    roots = [root for root in store.roots() if isinstance(root, Path) and _is_folder(root)]
    place = _place(store, folder, roots)
    assert isinstance(place.root, Path), "a folder"
    there = folder.is_dir()
    inner = [
        root
        for root in roots
        if root != place.root and root.is_relative_to(folder)
        if not there or _prefix(root, folder).rstrip("/") in found.folders
    ]
    if not found.files:
        n_known = len({split_page(path)[0] for path in store.known(place.root, place.under)})
        n_known += sum(len({split_page(path)[0] for path in store.known(root)}) for root in inner)
        _require_known(folder, found, n_known, prune=prune)
    for root in inner:
        writer.join(root, place.root, _prefix(root, place.root))
    if found.files:
        others = [root for root in roots if root not in inner and not folder.is_relative_to(root)]
        _join_moved(writer, place, found.below(place.under).files, others)
    return place


def _is_folder(root: Path) -> bool:
    """Whether a root is a folder rather than a tar or a list, as far as can be told of one that is gone."""
    return root.is_dir() or (root.suffix.lower() not in _NO_FOLDERS and not root.exists())


def _place(store: Store, folder: Path, roots: list[Path]) -> Place:
    """The outermost indexed folder that a folder is part of; itself where there is none.

    Hidden folders, those that are never gone into and those inside the collection are no parts of what is around them,
    unless pictures of them are known there.
    """
    if not folder.is_relative_to(store.path.resolve()):
        around = [root for root in roots if folder != root and folder.is_relative_to(root)]
        for root in sorted(around, key=lambda root: len(root.parts)):
            under = _prefix(folder, root)
            parts = folder.relative_to(root).parts
            is_seen = not any(part.startswith(".") or part.lower() in SKIPPED_FOLDERS for part in parts)
            if is_seen or store.known(root, under):
                return Place(root, under)
    return Place(folder)


def _prefix(folder: Path, root: Path) -> str:
    relative = folder.relative_to(root).as_posix()
    return "" if relative == "." else relative + "/"


def _require_known(folder: Path, found: Scan, n_known: int, *, prune: bool) -> None:
    why = "; ".join(f"{path}: {reason}" for path, reason in found.unreadable.items())
    if n_known and not why and not found.passed_over[EXCLUDED]:
        if prune:
            return
        what = "no pictures found below this folder" if folder.is_dir() else "no such folder now"
        raise PatchseekError(
            f"{folder}: {what}, {n_known} known: is a disk not mounted? They stay in the collection; "
            "drop them with --prune"
        )
    _raise_for_nothing(folder, found)


def _raise_for_nothing(folder: Path, found: Scan) -> None:
    """Raise PatchseekError that says why a walk of a folder found no picture."""
    if not folder.is_dir():
        raise PatchseekError(f"{folder}: not a folder")
    why = [f"{path}: {reason}" for path, reason in found.unreadable.items()]
    if found.passed_over[EXCLUDED]:
        why.append(f"{found.passed_over[EXCLUDED]} excluded")
    raise PatchseekError(f"{folder}: no pictures found below this folder" + (f" ({'; '.join(why)})" if why else ""))


# ---- folders that moved


def _join_moved(writer: Writer, place: Place, files: dict[str, FileState], roots: list[Path]) -> None:
    """Join to the place every root of which nothing is where it was and most is here now, under the same paths."""
    store = writer.store
    new: dict[str, FileState] | None = None
    for root in roots:
        known = {file.path: file for file in store.known(root).values() if split_page(file.path)[1] == 1}
        if not known or any(is_there(root, path) for path in known):
            continue
        if new is None:
            there = store.known(place.root, place.under)
            new = {path: state for path, state in files.items() if path not in there}
        prefix = _new_prefix(known, new)
        if prefix is not None and _is_proven(place, prefix, known, new):
            writer.join(root, place.root, prefix)


def _new_prefix(known: dict[str, KnownFile], new: dict[str, FileState]) -> str | None:
    """What stands before the paths of known files now, so that not alarmingly many of them are missing; else None."""
    by_name: dict[str, list[str]] = {}
    for path in new:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    found: Counter[str] = Counter()
    for path in list(known)[:: max(len(known) // _SAMPLE, 1)]:
        for other in by_name.get(path.rpartition("/")[2], ()):
            if f"/{other}".endswith(f"/{path}"):
                found[other.removesuffix(path)] += 1
    for prefix, _ in found.most_common(1):
        n_here = len(_pairs(prefix, known, new))
        if n_here and not is_alarming(len(known) - n_here, len(known)):
            return prefix
    return None


def _pairs(prefix: str, known: dict[str, KnownFile], new: dict[str, FileState]) -> list[tuple[KnownFile, str]]:
    """Known files and the paths where files of their size are now."""
    pairs = [(file, prefix + path) for path, file in known.items() if prefix + path in new]
    return [(file, path) for file, path in pairs if file.state.size == new[path].size]


def _is_proven(place: Place, prefix: str, known: dict[str, KnownFile], new: dict[str, FileState]) -> bool:
    """Whether most of a few files are the very ones: untouched, or else of the same bytes."""
    assert isinstance(place.root, Path), "a folder"
    pairs = _pairs(prefix, known, new)
    proofs = pairs[:: max(len(pairs) // _PROOFS, 1)][:_PROOFS]
    n_same = 0
    for file, path in proofs:
        if file.state.ctime_ns is not None and file.state == new[path]:
            n_same += 1
            continue
        try:
            n_same += hash_file(place.root / path) == file.sha256
        except OSError:
            continue
    return 2 * n_same > len(proofs)
