"""The locks: one writer a collection, and no shard removed while somebody copies them.

The system frees a lock when its process ends, however that ends.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from .._platform import Lock, LockableFolder
from ..errors import StoreError, StoreLocked


class WriteLock:
    """A file that is locked, until it is closed."""

    def __init__(self, file: IO[str], lock: Lock) -> None:
        self._file, self._lock = file, lock

    def close(self) -> None:
        """Give the lock back."""
        if not self._file.closed:
            self._lock.release()
            self._file.close()

    def __enter__(self) -> "WriteLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def take_lock(path: Path) -> WriteLock:
    """Lock the file at path for this process and return it; closing it gives the lock back.

    Raises StoreLocked, naming the other process, when it is taken, StoreError when the folder cannot be written.
    """
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path.parent}: the collection is read-only ({error.strerror})") from error
    lock = Lock(file.fileno())
    try:
        lock.take()
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StoreLocked(
            f"{path.parent}: process {holder} is writing to this collection; wait for it or stop it"
        ) from error
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return WriteLock(file, lock)


@contextmanager
def hold_shards(folder: Path) -> Iterator[None]:
    """Keep every shard in the folder where it is for the length of a `with` block; any number may hold at once.

    It is the folder itself that is locked, so that a collection which may not be written can be held as well.
    """
    with _opened(folder) as lock:
        with suppress(OSError):  # a file system that cannot lock folders: a copy that misses a shard says so
            lock.share()
        yield


def may_be_held(folder: Path) -> bool:
    """Whether somebody may hold a folder by `hold_shards`; yes where the file system cannot tell."""
    with _opened(folder) as lock:
        try:
            lock.take()
        except OSError:
            return True
    return False


@contextmanager
def may_remove(folder: Path) -> Iterator[bool]:
    """Whether shards may be removed from the folder: False while somebody holds them. Nobody can begin to meanwhile."""
    with _opened(folder) as lock:
        try:
            lock.take()
        except BlockingIOError:
            yield False
            return
        except OSError:  # as above
            pass
        yield True


@contextmanager
def _opened(folder: Path) -> Iterator[Lock]:
    """The lock of a folder. Raises OSError where the folder cannot be opened."""
    opened = LockableFolder(folder)
    try:
        yield opened.lock
    finally:
        opened.close()
