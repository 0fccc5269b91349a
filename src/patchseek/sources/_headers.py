"""The headers of a tar, one after another, whoever made them.

Whatever is wrong with a tar comes out as OSError or tarfile.TarError, or within `reading` as one DatasetError.
"""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from typing import Self

from ..errors import DatasetError

MAX_BYTES = 64 << 20
"""Largest member of a tar that is read by default, and largest extended header."""
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# by the first bytes of a file
_MAGIC, _PREFIX = slice(257, 265), slice(345, 500)
# where in a header it says whose it is, and where it has the folders of a name that is too long for its place


def check_tar(raw: RawIOBase, label: object) -> None:
    """Raise DatasetError unless an open file begins as a tar does; it stays open, at its beginning."""
    file = Bounded(raw, MAX_BYTES)
    try:
        with reading(label):
            open_tar(file)
            file.seek(0)
    finally:
        file.detach()


@contextmanager
def reading(label: object) -> Iterator[None]:
    """Make one kind of error of those of a disk and of a tar."""
    try:
        yield
    except (OSError, tarfile.TarError) as error:
        raise not_a_tar(label, reason_of(error)) from error


def not_a_tar(label: object, reason: str) -> DatasetError:
    """The error of a tar that cannot be read, or not to its end."""
    return DatasetError(f"{label}: cannot be read as a tar ({reason})")


def reason_of(error: Exception) -> str:
    """Why a disk or a tar cannot be read, in a clause."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def open_tar(file: "Bounded") -> tarfile.TarFile:
    """The tar, of which the first header has been read. Raises tarfile.ReadError."""
    try:
        with _damage(0):
            return tarfile.open(fileobj=file, mode="r:", tarinfo=_Header)
    except tarfile.ReadError as error:
        file.seek(0)
        head = file.read(8)
        packer = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
        if packer is None:
            raise
        why = f"it is packed with {packer}, in which no picture has a place of its own: unpack it to a plain .tar"
        raise tarfile.ReadError(why) from error


def next_member(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next member, None after the last. Raises tarfile.ReadError."""
    with _damage(tar.offset):
        member = tar.next()
    tar.members.clear()  # type: ignore[attr-defined]  # or it remembers all that it has seen
    if member is not None and (member.size < 0 or tar.offset <= member.offset):  # or it would go round in circles
        raise tarfile.ReadError(f"the header at byte {member.offset} is damaged")
    return member


class _Header(tarfile.TarInfo):
    """A header. In those of GNU tar, times may stand where others have the folders of a long name (`tar -g`)."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """As tarfile reads it, but for such times, which are no part of a name. Raises tarfile.HeaderError."""
        member = super().frombuf(buf, encoding, errors)
        if bytes(buf[_MAGIC]) == tarfile.GNU_MAGIC:
            taken = bytes(buf[_PREFIX]).split(b"\0", 1)[0].decode(encoding, errors)
            member.name = member.name.removeprefix(f"{taken}/") if taken else member.name
        return member


@contextmanager
def _damage(offset: int) -> Iterator[None]:
    """Make one kind of error of the many that a header made by an enemy can raise."""
    try:
        yield
    except (tarfile.TarError, OSError):
        raise
    except Exception as error:  # ValueError, OverflowError, RecursionError
        raise tarfile.ReadError(f"the header at byte {offset} is damaged") from error


class Bounded(BufferedReader):
    """A file that is never read by more than a picture's worth of bytes at once.

    tarfile reads the long names and attributes of a member whole, whatever size the tar claims for them.
    """

    def __init__(self, raw: RawIOBase, max_bytes: int) -> None:
        super().__init__(raw)
        self._max_bytes = max(max_bytes, 1 << 20)

    def read(self, size: int | None = -1, /) -> bytes:
        """At most size bytes. Raises tarfile.ReadError for a size beyond the limit."""
        if size is None or not 0 <= size <= self._max_bytes:
            raise tarfile.ReadError(f"it asks for {size} bytes at once, more than the limit of {self._max_bytes}")
        return super().read(size)
