"""Paths as people write them, and as their system has them: ~ is somebody's home folder, where the system knows one."""

import os
from pathlib import Path

from ._platform import cache_place
from .errors import PatchseekError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ~ as somebody's home; unchanged where nobody is: a file may also be called so."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  pathlib raises where nobody is


def cache_folder() -> Path:
    """Where what can be made again is kept: $XDG_CACHE_HOME/patchseek, else in the folder that the system has for it.

    Raises PatchseekError where no home is known.
    """
    folder = expanded(os.environ.get("XDG_CACHE_HOME") or cache_place())
    if not folder.is_absolute():
        raise PatchseekError(f"{folder}: no folder for caches is known here; name one in XDG_CACHE_HOME")
    return folder / "patchseek"
