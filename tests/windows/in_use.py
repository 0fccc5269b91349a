"""Which files some processes have open or mapped, as Linux tells, and the errors by which Windows would say so."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def refused(code: int, path: Any = "") -> PermissionError:
    """The error of Windows with a number: 5 denied, 32 in use."""
    error = PermissionError(errno.EACCES, "Access is denied", os.fspath(path))
    error.winerror = code  # type: ignore[attr-defined]
    return error


def is_in_use(path: Any, processes: Iterable[str] = ("self",)) -> bool:
    """Whether one of the processes has the file open or mapped."""
    try:
        there = Path(path).stat()
    except OSError:
        return False
    for process in (Path("/proc", number) for number in processes):
        try:
            maps = (process / "maps").read_text().splitlines()
        except OSError:  # it has ended
            continue
        if any(line.split(maxsplit=5)[4] == str(there.st_ino) for line in maps):
            return True
        for handle in (process / "fd").iterdir():
            try:
                own = handle.stat()
            except OSError:
                continue
            if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino) and stat.S_ISREG(own.st_mode):
                return True
    return False
