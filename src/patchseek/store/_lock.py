"""The write lock: one writer a collection. The system frees it when its process ends, however that ends."""

import fcntl
import os
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
