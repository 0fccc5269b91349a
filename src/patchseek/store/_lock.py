"""The locks: one writer a collection, and no shard removed while somebody copies them.

The system frees a lock when its process ends, however that ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import StoreError, StoreLocked


def take_lock(path: Path) -> IO[str]:
    """Lock the file at path for this process and return it; closing it gives the lock back.

    Raises StoreLocked, naming the other process, when it is taken, StoreError when the folder cannot be written.
    """
    try:
        lock = path.open("a+")
    except OSError as error:
        raise StoreError(f"{path.parent}: the collection is read-only ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StoreLocked(
            f"{path.parent}: process {holder} is writing to this collection; wait for it or stop it"
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


@contextmanager
def hold_shards(folder: Path) -> Iterator[None]:
    """Keep every shard in the folder where it is for the length of a `with` block; any number may hold at once.

    It is the folder itself that is locked, so that a collection which may not be written can be held as well.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system that cannot lock folders: a copy that misses a shard says so
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def may_be_held(folder: Path) -> bool:
    """Whether somebody may hold a folder by `hold_shards`; yes where the file system cannot tell."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def may_remove(folder: Path) -> Iterator[bool]:
    """Whether shards may be removed from the folder: False while somebody holds them. Nobody can begin to meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # as above
            pass
        yield True
    finally:
        os.close(handle)
