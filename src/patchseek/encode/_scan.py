"""Walk a folder and list its pictures by name, size and time. Opens no file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from ..images import EXTENSIONS
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


def scan(folder: Path, exclude: Sequence[str] = (), *, hidden: bool = False, follow_symlinks: bool = False) -> Scan:
    """All files below folder whose suffix is a picture's.

    exclude: shell patterns (`raw/*`, `*.tif`, `thumbs`) matched against the relative path and the bare name, of files
    and folders. Links are not followed unless follow_symlinks; then every real folder is visited once.
    """
    found = Scan()
    visited: set[str] = set()

    def wanted(entry: os.DirEntry[str], relative: str) -> bool:
        return is_wanted(relative, exclude, hidden) and (follow_symlinks or not entry.is_symlink())

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


def is_wanted(relative: str, exclude: Sequence[str], hidden: bool) -> bool:
    """Whether a file or folder of this relative path is neither hidden nor left out by a pattern; see scan."""
    name = relative.rpartition("/")[2]
    if name.startswith(".") and not hidden:
        return False
    return not any(fnmatch(relative, pattern) or fnmatch(name, pattern) for pattern in exclude)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
