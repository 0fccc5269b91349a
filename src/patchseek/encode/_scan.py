"""Walk a folder and list its pictures by name, size and time. Opens no file but the archives that it goes into."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ImageError, PatchseekError
from ..images import EXTENSIONS
from ..patterns import Exclusions, Given, is_utf8
from ..sources import (
    EXCLUDED,
    KINDS,
    LINKS,
    NO_SUFFIX,
    SKIPPED_FOLDERS,
    Kind,
    archive_of,
    as_folder,
    is_archive,
    kind_of,
    leads_out,
    member_path,
    open_archive,
    split_member,
    stored,
    suffix_of,
    tidy,
)
from ..store import Failure, FileState


@dataclass
class Scan:
    """What a walk found."""

    files: dict[str, FileState] = field(default_factory=dict)
    # path relative to the folder, forward slashes, in sorted order of folders and names
    unreadable: dict[str, str] = field(default_factory=dict)
    # folders (with a slash at the end), archives (with a ! or #, see member_path) and files that could not be looked
    # at, with the reason; what is known there is not known to be gone
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
            unreadable={prefix + path.removeprefix("!"): reason for path, reason in self.unreadable.items()},
            folders={(prefix + path).rstrip("/") for path in self.folders},
        )


@dataclass(frozen=True)
class LeftOut:
    """Exclusions that were said of the folder that is walked, or of one around it, or of one inside it."""

    exclusions: Exclusions
    under: str = ""
    # where the walk begins, as seen from the folder of the exclusions: "sub/"
    within: str = ""
    # where the folder of the exclusions is, as seen from the walk; an archive is a folder to all of these

    def leaves_out(self, path: str, is_folder: bool) -> bool:
        """Whether a path of the walk is left out, where the folder it is in is not."""
        if not path.startswith(self.within):
            return False
        return self.exclusions.leaves_out(self.under + path.removeprefix(self.within), is_folder)


@dataclass(frozen=True)
class Inside:
    """Which files of a walk are gone into, since they hold pictures: archives, documents, films."""

    suffixes: tuple[str, ...] = ()
    # in small letters
    known: frozenset[str] = frozenset()
    # paths, as the walk sees them, of those that are gone into in any case

    @classmethod
    def of(cls, kinds: Iterable[str], known: Iterable[str] = ()) -> "Inside":
        """Of keys of sources.KINDS. Raises PatchseekError for another."""
        if unknown := sorted(set(kinds := tuple(kinds)) - KINDS.keys()):
            raise PatchseekError(f"inside {', '.join(map(repr, unknown))}: there are {', '.join(KINDS)}")
        return cls(tuple(suffix for kind in sorted(kinds) for suffix in KINDS[kind]), frozenset(known))

    def __contains__(self, path: str) -> bool:
        return path in self.known or path.lower().endswith(self.suffixes)


@dataclass(frozen=True)
class Walk:
    """How a folder is walked."""

    left_out: Sequence[LeftOut] = ()
    hidden: bool = False
    # whether hidden folders are gone into too
    follow_symlinks: bool = False
    # links are followed; then every real folder is visited once
    inside: Inside = Inside()

    def leaves_out(self, path: str, is_folder: bool) -> bool:
        """Whether any of the exclusions leaves it out, where the folder it is in is not.

        Each is asked, unlike by any(), since each notes what it meant.
        """
        return sum(rules.leaves_out(path, is_folder) for rules in self.left_out) > 0

    def scan(self, folder: Path) -> Scan:
        """The pictures of a folder, or of an archive."""
        while True:
            found = Scan()
            if is_archive(folder.name) and is_file(folder):
                _enter(found, folder, FileState.of(folder.stat()), "", "", self)
            else:
                _walk(found, folder, self)
            if not sum(rules.exclusions.has_learned() for rules in self.left_out):  # each is asked here as well
                return found


def scan(
    folder: Path,
    exclude: Given = (),
    *,
    hidden: bool = False,
    follow_symlinks: bool = False,
    inside: Sequence[str] = (),
) -> Scan:
    """All files below folder whose suffix is a picture's; or all pictures in an archive.

    exclude: names of files and folders, or patterns (`raw/*`, `*.tif`, `thumbs`); see `patterns`. Links are not
    followed unless follow_symlinks; then every real folder is visited once. Collections are not gone into: they may
    hold pictures of their own. inside: keys of sources.KINDS, of what is gone into.
    """
    left_out = Exclusions(exclude, folder)
    found = Walk([LeftOut(left_out)], hidden, follow_symlinks, Inside.of(inside)).scan(folder)
    found.exclusions, found.unmatched = left_out.lines, left_out.unmatched([*map(as_folder, found.files)], folder)
    return found


def _walk(found: Scan, folder: Path, how: Walk) -> None:
    visited: set[str] = set()

    def walk(path: str, prefix: str) -> None:
        if how.follow_symlinks:
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
        is_folder, is_inside = _is_folder(entry), relative in how.inside
        is_out = how.leaves_out(relative, is_folder)  # of what is hidden too
        if entry.name.startswith(".") and not how.hidden:
            return
        if is_out or (entry.is_symlink() and not how.follow_symlinks):
            if is_folder or is_inside or suffix in EXTENSIONS:
                found.passed_over[EXCLUDED if is_out else LINKS] += 1
        elif "!" in entry.name and (is_folder or is_inside or suffix in EXTENSIONS) and split_member(f"{relative}/")[1]:
            found.unreadable[relative + "/" * is_folder] = "the name reads as one inside an archive; rename it"
        elif is_folder:
            if entry.name.lower() not in SKIPPED_FOLDERS:
                walk(entry.path, relative + "/")
        elif suffix in EXTENSIONS or is_inside:
            add(entry, relative, is_archive(entry.name))
        elif entry.is_file(follow_symlinks=False):
            found.passed_over[suffix or NO_SUFFIX] += 1

    def add(entry: os.DirEntry[str], relative: str, is_archive: bool) -> None:
        try:
            state = FileState.of(entry.stat())
        except FileNotFoundError:  # a link to nowhere, or gone since it was listed
            return
        except OSError as error:
            found.unreadable[relative] = f"cannot be looked at ({error.strerror})"
            return
        if is_archive:
            _enter(found, Path(entry.path), state, member_path(relative), f"{relative}/", how)
        else:
            found.files[relative] = state

    walk(str(folder), "")


def unread(unreadable: Mapping[str, str]) -> list[Failure]:
    """What could not be looked at, see Scan, as failures that pass."""
    return [Failure(archive_of(path), FileState(0, 0), why, True) for path, why in unreadable.items()]


def _enter(found: Scan, archive: Path, state: FileState, prefix: str, folder: str, how: Walk) -> None:
    """List what an archive holds, below a prefix such as "box.zip!"; folder: how exclusions see that. Its pictures have
    the dates of the archive.
    """
    try:
        listing = open_archive(archive).listing(hidden=how.hidden, follow_symlinks=how.follow_symlinks)
    except ImageError as error:
        found.unreadable[prefix or "!"] = error.reason
        return
    found.unreadable |= {prefix + name: why for name, why in listing.unreadable.items()}
    if listing.damage is not None:
        found.unreadable[prefix or "!"] = f"cannot be read to its end ({listing.damage})"
    found.passed_over += listing.passed_over
    is_out = {"": False}

    def leaves_out(path: str) -> bool:
        """Whether a folder of the archive is left out, or one that it is in."""
        if path not in is_out:
            is_out[path] = leaves_out(path.rpartition("/")[0]) or how.leaves_out(folder + path, is_folder=True)
        return is_out[path]

    for member in listing.pictures:
        name = tidy(member.name)
        if leads_out(member.name):
            found.unreadable[prefix + member.name] = "the name leads out of the archive"
        elif leaves_out(name.rpartition("/")[0]) or how.leaves_out(folder + name, is_folder=False):
            found.passed_over[EXCLUDED] += 1
        else:
            found.files[prefix + name] = FileState(member.size, state.mtime_ns, state.ctime_ns)


def is_file(path: Path) -> bool:
    """Whether something other than a folder is at a path. Never raises."""
    return kind_of(path) is Kind.OTHER


def is_there(root: Path | str, path: str) -> bool:
    """Whether a file is where it was, in an archive too.

    What cannot be told counts as there: at a URL, behind a closed door, in an archive that cannot be read.
    """
    if isinstance(root, str) or stored(root, path).is_there():
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
