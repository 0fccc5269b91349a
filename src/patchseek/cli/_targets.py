"""Whether a file or folder that a command is to write at its end can be written, judged before the work begins.

Nothing is made, opened or changed by looking.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import PatchseekError


class WrongUse(PatchseekError):
    """What a command was told cannot be done, which shows before the work: one line, exit code 2."""


def check_file(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Raise WrongUse unless a file can be written at path; suffixes: those it may have (".png"), any by default.

    What is there already may be overwritten.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        found = repr(path.suffix) if path.suffix else "no suffix"
        raise WrongUse(f"{path}: cannot be written as {found}; use one of {', '.join(suffixes)}")
    try:
        if path.is_dir():
            raise WrongUse(f"{path}: cannot be written (it is a folder); name a file")
        if path.exists() and not os.access(path, os.W_OK):
            raise WrongUse(f"{path}: cannot be written (it is read-only); name another file")
        if not path.parent.is_dir():
            raise WrongUse(f"{path}: cannot be written (there is no folder {path.parent}); make it first")
        path.lstat()
    except FileNotFoundError:
        pass  # as it should be, if its name is one that a file can have
    except OSError as error:
        raise WrongUse(f"{path}: cannot be written ({error.strerror}); name another file") from error
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK | os.X_OK):
        raise WrongUse(f"{path}: cannot be written (the folder {path.parent} is read-only); name another file")


def check_new(path: Path) -> None:
    """Raise WrongUse unless a file or folder that is not there yet can be made at path."""
    if path.exists() or path.is_symlink():
        raise WrongUse(f"{path}: already there; name a new one")
    check_file(path)


def attempt(write: Callable[..., object], *arguments: Any) -> list[PatchseekError]:
    """Write what a command has made, and go on where that fails: the error, or none."""
    try:
        write(*arguments)
    except PatchseekError as error:
        return [error]
    return []


def check_folder(path: Path) -> None:
    """Raise WrongUse unless files can be written in a folder at path, which is made where there is none."""
    try:
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        is_folder = there.is_dir()
    except OSError as error:
        raise WrongUse(f"{path}: cannot be written ({error.strerror}); name another folder") from error
    if not is_folder:
        raise WrongUse(f"{path}: cannot be written ({there} is not a folder); name another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise WrongUse(f"{path}: cannot be written (the folder {there} is read-only); name another folder")
