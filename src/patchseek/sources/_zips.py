"""Zips: their pictures by the directory at their end, each unpacked by itself. Trusts nothing that a zip says.

A member is a picture by its last suffix; of several of one name the last counts. What is locked, packed in a way that
Python does not know, or named to lead out of the archive is listed with its reason. Links are not followed.
"""

import lzma
import stat
import zipfile
import zlib
from pathlib import Path

from .._files import MAX_FILE_BYTES, open_regular
from ..errors import ImageError
from ..patterns import is_utf8
from ._listing import Listing, Member
from ._names import LINKS, REPEATED, is_picture, leads_out, passing, tidy

MOST_PACKED = 200
"""A member of over 16 MB that is packed more than this many to one is no picture but a bomb."""
_LARGE = 16 << 20
_LOCKED = 0x1
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ERRORS = (
    *(OSError, EOFError, ValueError, OverflowError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What zipfile raises of a damaged zip."""


class ZipArchive:
    """An open zip. Members may be read by several threads."""

    def __init__(self, file: Path) -> None:
        """Raises ImageError for what is no zip, or is damaged at its end, where the directory is."""
        self._file = file
        try:
            open_regular(file, file).close()  # no pipe or device is opened
            self._zip = zipfile.ZipFile(file)
        except _ERRORS as error:
            raise ImageError(file, f"cannot be read as a zip ({_reason(error)})") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._n_repeated = 0
        for info in self._zip.infolist():
            if not info.filename or info.is_dir() or _name(info).endswith("/"):
                continue
            name = tidy(_name(info))
            self._n_repeated += name in self._members and is_picture(name)
            self._members.pop(name, None)  # its place in the order is the last one's
            self._members[name] = info

    def listing(self, *, hidden: bool = False, follow_symlinks: bool = False) -> Listing:  # noqa: ARG002
        """The pictures of the zip, in its order."""
        listing = Listing()
        if self._n_repeated:
            listing.passed_over[REPEATED] = self._n_repeated
        for name, info in self._members.items():
            is_link = stat.S_ISLNK(info.external_attr >> 16)
            reason = passing(name, hidden=hidden, is_link=is_link)
            if reason is not None:
                listing.passed_over[reason] += 1
                listing.links += [name] * (reason == LINKS)
            elif why := _flaw(info):
                said = _name(info)
                listing.unreadable[said if is_utf8(said) else ascii(said)] = why
            else:
                listing.pictures.append(Member(name, info.header_offset, info.file_size))
        return listing

    def has(self, name: str) -> bool:
        """Whether a file of this name is in it."""
        return name in self._members

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises ImageError, named by the archive and it."""
        label = f"{self._file}!{name}"
        info = self._members.get(name)
        if info is None:
            raise ImageError(label, "is not in the archive any more")
        if why := _flaw(info):
            raise ImageError(label, why)
        try:
            with self._zip.open(info) as member:
                content = member.read(info.file_size)
                member.read(1)  # so that the sum at the end is compared
        except MemoryError as error:
            raise ImageError(label, "too little memory to read it", passing=True) from error
        except _ERRORS as error:
            raise ImageError(label, f"cannot be unpacked ({_reason(error)})") from error
        if len(content) != info.file_size:
            raise ImageError(label, f"is cut short ({len(content)} of {info.file_size} bytes)")
        return content


def _name(info: zipfile.ZipInfo) -> str:
    """As it is in a zip that was made well: some that were made on Windows have backslashes."""
    return info.filename.replace("\\", "/")


def _flaw(info: zipfile.ZipInfo) -> str | None:
    """Why a member cannot be read, from the directory alone."""
    if info.flag_bits & _LOCKED:
        return "locked with a password"
    if info.compress_type not in _PACKINGS:
        return f"packed in a way that is not known here (method {info.compress_type})"
    if info.file_size > MAX_FILE_BYTES:
        return f"{info.file_size >> 20} MB is too large for a picture"
    if info.file_size > max(_LARGE, MOST_PACKED * info.compress_size):
        return f"{info.file_size >> 20} MB of {info.compress_size >> 10} KB packed, which no picture is"
    if leads_out(_name(info)):
        return "the name leads out of the archive"
    if not is_utf8(info.filename):
        return "the name is not valid UTF-8; rename it"
    return None


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())[:150]
