"""Opens a file that may hold pictures, and nothing else: no folder, pipe, socket or device. Knows no format."""

import hashlib
import os
from io import BufferedReader
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from ._platform import reading_flags
from .errors import ImageError

MAX_FILE_BYTES = 1 << 30
"""Larger files are no pictures."""


def open_regular(path: Path | str, label: object) -> BufferedReader:
    """The file of a path, links followed, for reading. Never waits, and never touches a device.

    Raises ImageError, named by the label, for what is no regular file; OSError for what cannot be opened.
    """
    _check(Path(path).stat().st_mode, label)  # before opening: to open a device may already do something
    descriptor = os.open(path, reading_flags())
    try:
        _check(os.fstat(descriptor).st_mode, label)  # it may be another one by now
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def hash_regular(path: Path | str, label: object) -> str:
    """SHA-256 of such a file's bytes, in hex. Raises as `open_regular` does."""
    with open_regular(path, label) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(mode: int, label: object) -> None:
    if not S_ISREG(mode):
        raise ImageError(label, "is a directory" if S_ISDIR(mode) else "is not a regular file")


def too_large(label: object, size: int) -> ImageError:
    """What is wrong with a file of so many bytes."""
    return ImageError(label, f"{size >> 20} MB is too large for a picture")
