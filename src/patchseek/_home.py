"""Paths as people write them: ~ is somebody's home folder, where the system knows one."""

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ~ as somebody's home; unchanged where nobody is: a file may also be called so."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  pathlib raises where nobody is
