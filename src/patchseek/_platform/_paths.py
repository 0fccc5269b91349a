"""Names of files: in which letters the disk has them, and which a system can have at all."""

import os
import re
import sys
from pathlib import Path, PurePath
from unicodedata import normalize

from ._system import is_windows

_NEVER = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_PORTS = ("com", "lpt")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in _PORTS for n in "0123456789¹²³")})


def as_spelled(path: Path) -> Path:
    """The full path, links followed, each name in the letters in which the disk has it.

    So one folder is one, however it is typed. Linux has no two spellings, and Windows says itself which is right.
    """
    whole = path.resolve()
    return respelled(whole) if sys.platform == "darwin" else whole


def respelled(whole: Path) -> Path:
    """A full path in the letters of the folders that it goes through; unchanged from where nothing of it is there."""
    found = Path(whole.anchor)
    for name in whole.parts[1:]:
        found /= _own_name(found, name)
    return found


def own_name(folder: Path, name: str) -> str:
    """The letters in which the disk has what is in a folder under a name. On Linux, these."""
    return name if sys.platform == "linux" else _own_name(folder, name)


def _own_name(folder: Path, name: str) -> str:
    try:
        names = os.listdir(folder)  # noqa: PTH208  names alone
        alike = [] if name in names else [other for other in names if folded(other) == folded(name)]
        return next((other for other in alike if (folder / other).samefile(folder / name)), name)
    except OSError:
        return name


def folded(name: str) -> str:
    """A name or path as a file system sees it that tells no small letters from capitals, and composes them."""
    return normalize("NFC", name).casefold()


def is_spelled_so(folder: Path, path: str) -> bool:
    """Whether something is at a path (with slashes) in a folder in just these letters, not in others alone."""
    try:
        for name in path.split("/"):
            if name not in os.listdir(folder):  # noqa: PTH208
                return False
            folder /= name
    except OSError:
        return False
    return True


def file_uri(path: PurePath) -> str:
    """The file: URI of a full path as SQLite reads it: the server of a network drive is a part of the path there.

    \\\\nas\\photos is file:////nas/photos, not file://nas/photos.
    """
    uri = path.as_uri()
    return uri if uri.startswith("file:///") else "file://" + uri.removeprefix("file:")


def possible_name(name: str) -> str:
    """A name for a new file or folder: the same but where Windows has no such one, and would take it for a device."""
    if not is_windows():
        return name
    name = _NEVER.sub("_", name)
    if name.endswith((".", " ")):
        name = name[:-1] + "_"
    return f"_{name}" if name.partition(".")[0].rstrip().lower() in _DEVICES else name
