"""Locks on files and folders. The system frees them when the process that holds them ends, however that ends.

On POSIX systems this is flock, on the file or the folder itself. Windows locks parts of files, and other programs may
not even read a part that is locked. So parts far behind the end are, which nobody reads: whoever shares takes one of
many, whoever is alone all of them; and for a folder stands a file in it.
"""

import os
import time
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HELD = ".held"
"""The file that stands for a folder, on Windows."""
_FIRST, _N_PARTS = 1 << 30, 64  # bytes
_WAIT = 0.05  # seconds between two tries


class Lock:
    """The lock of an open file. It is given back by `release`, which comes before the file is closed."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._taken: tuple[int, int] | None = None
        # first and number of bytes, on Windows

    def take(self) -> None:
        """Be the only one. Raises BlockingIOError where somebody has it, OSError for a file system without locks."""
        if fcntl is not None:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif not self._lock_part(_FIRST, _N_PARTS):
            raise BlockingIOError(f"file {self._handle} is locked")

    def share(self) -> None:
        """Be one of any number (of 64 on Windows); waits for somebody who is alone. Raises OSError as above."""
        if fcntl is not None:
            fcntl.flock(self._handle, fcntl.LOCK_SH)
            return
        own = os.getpid() % _N_PARTS  # so that not all try the same ones
        while not any(self._lock_part(_FIRST + (own + i) % _N_PARTS, 1) for i in range(_N_PARTS)):
            time.sleep(_WAIT)

    def release(self) -> None:
        """Give it back; nothing where it is not taken. On POSIX systems, closing the file does."""
        if self._taken is not None:
            (first, n), self._taken = self._taken, None
            os.lseek(self._handle, first, os.SEEK_SET)
            _msvcrt().locking(self._handle, _msvcrt().LK_UNLCK, n)

    def _lock_part(self, first: int, n: int) -> bool:
        os.lseek(self._handle, first, os.SEEK_SET)
        try:
            _msvcrt().locking(self._handle, _msvcrt().LK_NBLCK, n)
        except PermissionError:
            return False
        self._taken = first, n
        return True


def _msvcrt() -> Any:
    import msvcrt

    return msvcrt


class LockableFolder:
    """A folder that is open so that it can be locked, until it is closed. Raises OSError where it cannot be.

    On POSIX systems one that may only be read can be; on Windows, a file is made in it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = None if fcntl is not None else folder / HELD
        flags = os.O_RDONLY if self._file is None else os.O_RDWR | os.O_CREAT
        self._handle = os.open(self._file or folder, flags)
        self.lock = Lock(self._handle)

    def close(self) -> None:
        """Give the lock back. On Windows, the file goes with the last one who has it open."""
        try:
            self.lock.release()
        finally:
            os.close(self._handle)
        if self._file is not None:
            try:
                self._file.unlink(missing_ok=True)
            except OSError:  # somebody else has it open
                return
