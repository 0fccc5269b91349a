"""Files that take another's place, go, or have to be on the disk: as on POSIX systems, where nobody is in the way.

Windows refuses to replace or delete a file that some program has open, unless it said that this may be, or has mapped.
Virus scanners and indexers open new files for moments: those are waited for. What stays mapped is left.
"""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._system import is_windows

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

_IN_USE = (5, 32, 33, 1224)  # error codes of Windows: access denied, in use, locked, mapped
_WAITS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.3)  # seconds, 2.5 in all


def replace(source: Path, target: Path) -> None:
    """Give a file the name of another, which is gone then; at no moment is there none. Raises OSError."""
    _patiently(lambda: source.replace(target))


def rename(source: Path, target: Path) -> None:
    """Give a folder a name that nothing has. Raises OSError."""
    _patiently(lambda: source.rename(target))


def remove(path: Path) -> None:
    """Delete a file, which may be gone already. Raises OSError."""
    _patiently(lambda: path.unlink(missing_ok=True))


def discard(path: Path) -> bool:
    """Delete a file, which may be gone already, where nobody is in the way; whether that was so. Raises OSError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if not _is_in_use(error):
            raise
        return False
    return True


def put_first(source: Path, target: Path) -> None:
    """Give a file a name, unless another one has it: then that stays, and the file goes. Raises OSError.

    On a POSIX file system without hard links, the file takes the other's place.
    """
    try:
        link(source, target)
    except FileExistsError:
        discard(source)
    except OSError:
        if not is_windows():
            replace(source, target)
            return
        try:
            source.rename(target)  # which replaces nothing there
        except FileExistsError:
            discard(source)
    else:
        discard(source)


def temporary_folder(prefix: str = "patchseek-", place: Path | None = None) -> "TemporaryDirectory[str]":
    """A folder of a new name, for a `with` block, in a place or where the system keeps such. Raises OSError.

    What is in use at the end of the block stays on Windows, and is no error.
    """
    from tempfile import TemporaryDirectory

    return TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=is_windows())


def link(source: Path, target: Path) -> None:
    """Make a second name of a file. Raises OSError where that cannot be, as on exFAT; FileExistsError."""
    if not hasattr(os, "link"):
        raise OSError(errno.ENOTSUP, "no links here", str(target))
    os.link(source, target)


def sync_file(path: Path) -> None:
    """Have a file on the disk."""
    with path.open("r+b" if is_windows() else "rb") as file:  # Windows asks for the right to write
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut; nothing on Windows, which cannot be asked for that."""
    if is_windows():
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _patiently(act: Callable[[], object]) -> None:
    for seconds in _WAITS:
        try:
            act()
            return
        except OSError as error:
            if not _is_in_use(error):
                raise
        time.sleep(seconds)
    act()


def _is_in_use(error: OSError) -> bool:
    """Whether another program, or a map of our own, is in the way; never on POSIX systems."""
    return getattr(error, "winerror", None) in _IN_USE
