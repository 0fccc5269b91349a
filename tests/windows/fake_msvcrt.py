"""What patchseek uses of the module msvcrt: locks on parts of files, by those of Linux that belong to an open file.

As on Windows: a part that overlaps one that another has is refused, in the same process as well; a lock goes with the
file that is closed and with the process that ends; a place behind the end of a file can be locked.
"""

import errno
import fcntl
import os
import struct

LK_UNLCK, LK_NBLCK = 0, 2


def locking(handle: int, mode: int, n_bytes: int) -> None:
    """Lock so many bytes from where the file is, or give them back. Raises PermissionError where somebody has any."""
    kind = fcntl.F_UNLCK if mode == LK_UNLCK else fcntl.F_WRLCK
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_CUR, 0, n_bytes, 0) + bytes(4))
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None
