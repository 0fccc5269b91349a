"""Walk a folder and list its pictures by name, size and time. Opens no file."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from ..images import EXTENSIONS
from ..patterns import Exclusions, Given
from ..store import FileState

SKIPPED_FOLDERS = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "node_modules", "__macosx", "lost+found"}
)
"""Folders (lower case) that systems and tools fill with copies and previews; hidden ones (.name) are skipped too."""


@dataclass
class Scan:
    """What a walk found."""

    files: dict[str, FileState] = field(default_factory=dict)
    # path relative to the folder, forward slashes, in sorted order of folders and names
    unreadable: dict[str, str] = field(default_factory=dict)
    # folders that could not be listed, with the reason; what is known below them is not known to be gone
    exclusions: dict[str, str] | None = None
    # what was left out, see patterns.Exclusions.lines; None: nobody has said, what a collection remembers stays
    unmatched: dict[str, str | None] = field(default_factory=dict)
    # exclusions that nothing matched, each with what may have been meant


def scan(folder: Path, exclude: Given = (), *, hidden: bool = False, follow_symlinks: bool = False) -> Scan:
    """All files below folder whose suffix is a picture's.

    exclude: names of files and folders, or patterns (`raw/*`, `*.tif`, `thumbs`); see `patterns`. Links are not
    followed unless follow_symlinks; then every real folder is visited once.
    """
    left_out = Exclusions(exclude, folder)
    found = _walk(folder, left_out, hidden=hidden, follow_symlinks=follow_symlinks)
    while left_out.has_learned():
        found = _walk(folder, left_out, hidden=hidden, follow_symlinks=follow_symlinks)
    found.exclusions, found.unmatched = left_out.lines, left_out.unmatched(found.files, folder)
    return found


def _walk(folder: Path, left_out: Exclusions, *, hidden: bool, follow_symlinks: bool) -> Scan:
    found = Scan()
    visited: set[str] = set()

    def wanted(entry: os.DirEntry[str], relative: str) -> bool:
        is_link = entry.is_symlink() and not follow_symlinks
        return is_wanted(relative, left_out, hidden, is_folder=entry.is_dir()) and not is_link

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
        for entry in entries:
            relative = prefix + entry.name
            if not _is_utf8(entry.name):
                found.unreadable[ascii(relative)] = "the name is not valid UTF-8; rename it"
                continue
            if not wanted(entry, relative):
                continue
            if entry.is_dir():
                if entry.name.lower() not in SKIPPED_FOLDERS:
                    walk(entry.path, relative + "/")
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:  # noqa: PTH122  # pathlib costs 5x here
                try:
                    status = entry.stat()
                except OSError:  # a link to nowhere, or gone since it was listed
                    continue
                found.files[relative] = FileState(status.st_size, status.st_mtime_ns)

    walk(str(folder), "")
    return found


def is_wanted(relative: str, left_out: Exclusions, hidden: bool, *, is_folder: bool) -> bool:
    """Whether a file or folder of this relative path is neither hidden nor left out; the folder it is in is wanted."""
    is_out = left_out.leaves_out(relative, is_folder)  # asked of what is hidden too: no pattern means that in vain
    return not is_out and (hidden or not relative.rpartition("/")[2].startswith("."))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
