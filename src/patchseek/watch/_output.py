"""A file of JSON Lines that each line comes into once, whatever moment its writer is killed at."""

import os
from pathlib import Path
from typing import IO, Protocol

from ..errors import PatchseekError


class Output(Protocol):
    """Where finds are written."""

    place: str
    # its path; "" for what cannot be read again

    def size(self) -> int:
        """Bytes that are there already."""

    def put(self, text: str, begin: int) -> None:
        """Write lines of ASCII; begin: bytes that were there before they were written first. Raises PatchseekError."""


class LinesFile:
    """An Output that is a file, to which others may append as well.

    Before anything is appended, what has come into the file since `begin` is read: lines that are there stay there
    once, and of a line that was broken off, the rest is written.
    """

    def __init__(self, path: Path) -> None:
        self.place, self._path = str(path.resolve()), path

    def size(self) -> int:
        """See Output."""
        try:
            return self._path.stat().st_size
        except OSError:  # not there yet, or put says what is wrong
            return 0

    def put(self, text: str, begin: int) -> None:
        """See Output. On the disk at return."""
        try:
            with self._path.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                file.write(_missing(file, text.encode("ascii").splitlines(), begin if begin <= end else 0))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise PatchseekError(f"{self._path}: cannot be written ({error.strerror})") from error


def _missing(file: IO[bytes], lines: list[bytes], begin: int) -> bytes:
    """What is to be appended to a file so that it has all the lines, after `begin` bytes of others."""
    before = max(begin - 1, 0)
    file.seek(before)
    *whole, torn = file.read().split(b"\n")
    there = set(whole)
    left = [line for line in lines if line not in there]
    is_ours = file.tell() - len(torn) >= begin
    half = next((line for line in left if torn and is_ours and line.startswith(torn)), None)
    if half is None:
        return (b"\n" if torn and left else b"") + b"".join(line + b"\n" for line in left)
    left.remove(half)
    return half[len(torn) :] + b"\n" + b"".join(line + b"\n" for line in left)
