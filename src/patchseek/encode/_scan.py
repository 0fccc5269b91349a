"""Walk a folder and list its pictures by name, size and time. Opens no file."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from stat import S_ISDIR

from ..images import EXTENSIONS
from ..patterns import Exclusions, Given, is_utf8
from ..store import FileState

SKIPPED_FOLDERS = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "node_modules", "__macosx", "lost+found"}
)
"""Folders (lower case) that systems and tools fill with copies and previews; hidden ones (.name) are skipped too."""

EXCLUDED, LINKS, NO_SUFFIX = "excluded", "links", "no suffix"
HIDDEN, REPEATED, TAKEN_OUT = "hidden", "repeated", "taken out"
"""Keys of passed_over beside suffixes such as ".cr2": the first two are of tars and lists alone, the last of what
somebody took out of the collection."""


def suffix_of(name: str) -> str:
    """The last suffix of a file's name, in small letters, which decides whether it is worth trying: see EXTENSIONS."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # pathlib costs 5x here


@dataclass
class Scan:
    """What a walk found."""

    files: dict[str, FileState] = field(default_factory=dict)
    # path relative to the folder, forward slashes, in sorted order of folders and names
    unreadable: dict[str, str] = field(default_factory=dict)
    # folders (with a slash at the end) and files that could not be looked at, with the reason; what is known there is
    # not known to be gone
    folders: set[str] = field(default_factory=set)
    # paths of the folders that were listed, "" for the first
    passed_over: Counter[str] = field(default_factory=Counter)
    # files that are no picture's by suffix, folders and pictures left out by a pattern, links to folders and pictures
    exclusions: dict[str, str] = field(default_factory=dict)
    # what was left out, as `scan` was told; see patterns.Exclusions.lines
    unmatched: dict[str, str | None] = field(default_factory=dict)
    # exclusions that nothing matched, each with what may have been meant

    def below(self, prefix: str) -> "Scan":
        """The same with its paths put below a prefix such as "sub/"."""
        if not prefix:
            return self
        return replace(
            self,
            files={prefix + path: state for path, state in self.files.items()},
            unreadable={prefix + path: reason for path, reason in self.unreadable.items()},
            folders={(prefix + path).rstrip("/") for path in self.folders},
        )


@dataclass(frozen=True)
class LeftOut:
    """Exclusions that were said of the folder that is walked, or of one around it, or of one inside it."""

    exclusions: Exclusions
    under: str = ""
    # where the walk begins, as seen from the folder of the exclusions: "sub/"
    within: str = ""
    # where the folder of the exclusions is, as seen from the walk

    def leaves_out(self, path: str, is_folder: bool) -> bool:
        """Whether a path of the walk is left out, where the folder it is in is not."""
        if not path.startswith(self.within):
            return False
        return self.exclusions.leaves_out(self.under + path.removeprefix(self.within), is_folder)


def scan(folder: Path, exclude: Given = (), *, hidden: bool = False, follow_symlinks: bool = False) -> Scan:
    """All files below folder whose suffix is a picture's.

    exclude: names of files and folders, or patterns (`raw/*`, `*.tif`, `thumbs`); see `patterns`. Links are not
    followed unless follow_symlinks; then every real folder is visited once. Collections are not gone into: they may
    hold pictures of their own.
    """
    left_out = Exclusions(exclude, folder)
    found = scan_without(folder, [LeftOut(left_out)], hidden=hidden, follow_symlinks=follow_symlinks)
    found.exclusions, found.unmatched = left_out.lines, left_out.unmatched(found.files, folder)
    return found


def scan_without(folder: Path, left_out: Sequence[LeftOut], *, hidden: bool, follow_symlinks: bool) -> Scan:
    """The same without what any of these leave out."""
    while True:
        found = _walk(folder, left_out, hidden=hidden, follow_symlinks=follow_symlinks)
        if not sum(rules.exclusions.has_learned() for rules in left_out):  # each is asked, unlike by any()
            return found


def _walk(folder: Path, left_out: Sequence[LeftOut], *, hidden: bool, follow_symlinks: bool) -> Scan:
    found = Scan()
    visited: set[str] = set()

    def walk(path: str, prefix: str) -> None:
        if follow_symlinks:
            real = os.path.realpath(path)
            if real in visited:
                return
            visited.add(real)
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.unreadable[prefix or "."] = f"folder cannot be listed ({error.strerror})"
            return
        if prefix and {"catalogue.sqlite", "shards"} <= {entry.name for entry in entries}:
            return
        found.folders.add(prefix.rstrip("/"))
        for entry in entries:
            look(entry, prefix + entry.name)

    def look(entry: os.DirEntry[str], relative: str) -> None:
        if not is_utf8(entry.name):
            found.unreadable[ascii(relative)] = "the name is not valid UTF-8; rename it"
            return
        suffix = suffix_of(entry.name)
        is_folder = _is_folder(entry)
        # each is asked, unlike by any(), and of what is hidden too: no pattern means that in vain
        is_out = sum(rules.leaves_out(relative, is_folder) for rules in left_out) > 0
        if entry.name.startswith(".") and not hidden:
            return
        if is_out or (entry.is_symlink() and not follow_symlinks):
            if is_folder or suffix in EXTENSIONS:
                found.passed_over[EXCLUDED if is_out else LINKS] += 1
        elif is_folder:
            if entry.name.lower() not in SKIPPED_FOLDERS:
                walk(entry.path, relative + "/")
        elif suffix in EXTENSIONS:
            add(entry, relative)
        elif entry.is_file(follow_symlinks=False):
            found.passed_over[suffix or NO_SUFFIX] += 1

    def add(entry: os.DirEntry[str], relative: str) -> None:
        try:
            found.files[relative] = FileState.of(entry.stat())
        except FileNotFoundError:  # a link to nowhere, or gone since it was listed
            pass
        except OSError as error:
            found.unreadable[relative] = f"cannot be looked at ({error.strerror})"

    walk(str(folder), "")
    return found


class Kind(Enum):
    """What is at a path."""

    NOTHING = auto()
    FOLDER = auto()
    OTHER = auto()
    UNKNOWN = auto()
    # behind a closed door, or on a disk that fails


def kind_of(path: Path) -> Kind:
    """What is at a path, links followed. Never raises, unlike Path.is_dir."""
    try:
        return Kind.FOLDER if S_ISDIR(path.stat().st_mode) else Kind.OTHER
    except (FileNotFoundError, NotADirectoryError):
        return Kind.NOTHING
    except OSError:
        return Kind.UNKNOWN


def is_file(path: Path) -> bool:
    """Whether something other than a folder is at a path. Never raises."""
    return kind_of(path) is Kind.OTHER


def is_there(root: Path | str, path: str) -> bool:
    """Whether a file is where it was. What cannot be told counts as there: at a URL, in a tar, behind a closed door."""
    if isinstance(root, str) or kind_of(root / path) is not Kind.NOTHING:
        return True
    return kind_of(root) in (Kind.OTHER, Kind.UNKNOWN)


def emptied_folder(root: Path, folder: str) -> str | None:
    """A folder (relative to root, and below it), or the first around it that is there, if nothing is in it; else None.

    So looks the place of a disk that is not mounted. A link that leads nowhere counts as such a folder.
    """
    while folder:
        place = root / folder
        try:
            if not place.is_dir():
                if place.is_symlink():
                    return folder
            elif any(place.iterdir()):
                return None
            else:
                return folder
        except OSError:
            return None
        folder = folder.rpartition("/")[0]
    return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to where nobody may look
        return False
