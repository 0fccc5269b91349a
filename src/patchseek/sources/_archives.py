"""Archives as places of pictures: which there are, and their bytes. The latest few stay open.

A zip and a Parquet file say at their end what they hold. The headers of a tar are gone through once: what they say is
kept in the cache folder, under the tar's name, size and dates.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from .._files import MAX_FILE_BYTES, open_regular
from .._home import cache_folder
from .._platform import replace
from ..errors import DatasetError, ImageError, PatchseekError
from ._gzips import Gunzipped
from ._listing import Listing
from ._paths import is_rows, member_path
from ._rows import RowsArchive
from ._tars import Members, scan_tar
from ._zips import ZipArchive

_GZIP = b"\x1f\x8b"
_MOST_OPEN = 8
_LEAST_KEPT = 1000
# members of a tar whose list is worth keeping


class Archive(Protocol):
    """An archive. Its members may be read by several threads."""

    def listing(self, *, hidden: bool = False, follow_symlinks: bool = False) -> Listing:
        """The pictures in it."""

    def has(self, name: str) -> bool:
        """Whether a file of this name is in it."""

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises ImageError."""


class TarArchive:
    """An open tar, maybe packed by gzip."""

    def __init__(self, file: Path) -> None:
        """Raises ImageError for what is no tar at its very beginning."""
        self._file, self._lock = file, threading.Lock()
        try:
            with open_regular(file, file) as opened:
                is_packed = opened.read(2) == _GZIP
            self._unpacked = Gunzipped(partial(open_regular, file, file)) if is_packed else None
            self._members = self._kept() or self._scanned()
        except OSError as error:
            raise ImageError(file, f"cannot be read ({error.strerror or error})") from error
        except DatasetError as error:
            raise ImageError(file, str(error).removeprefix(f"{file}: ")) from error

    @contextmanager
    def _open(self) -> Iterator[RawIOBase]:
        if self._unpacked is None:
            with open_regular(self._file, self._file).detach() as opened:
                yield opened
        else:  # its states are kept
            with self._lock:
                yield self._unpacked

    def listing(self, *, hidden: bool = False, follow_symlinks: bool = False) -> Listing:
        """The pictures of the tar, in its order."""
        return self._members.listing(hidden=hidden, follow_symlinks=follow_symlinks)

    def has(self, name: str) -> bool:
        """Whether a file of this name is in it."""
        return self._members.find(name) is not None

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises ImageError, named by the archive and it."""
        label, member = f"{self._file}!{name}", self._members.find(name)
        if member is None:
            raise ImageError(label, "is not in the archive any more")
        try:
            with self._open() as opened:
                content = _read(opened, member.start, member.size)
        except OSError as error:
            raise ImageError(
                label, f"cannot be read ({error.strerror or error})", passing=self._unpacked is None
            ) from error
        except MemoryError as error:
            raise ImageError(label, "too little memory to read it", passing=True) from error
        if len(content) != member.size:
            raise ImageError(label, f"is cut short ({len(content)} of {member.size} bytes)")
        return content

    def _scanned(self) -> Members:
        with self._open() as opened:
            members = scan_tar(opened, self._file, max_bytes=MAX_FILE_BYTES)
        if len(members) >= _LEAST_KEPT:
            self._keep(members)
        return members

    def _kept(self) -> Members | None:
        try:
            state, _, text = self._notes().read_text(encoding="utf-8").partition("\n")
            return Members.from_json(text) if state == _state(self._file) else None
        except (OSError, ValueError, TypeError, PatchseekError):  # never kept, or no more what it was
            return None

    def _keep(self, members: Members) -> None:
        """In the cache folder, where there is one that can be written."""
        try:
            notes = self._notes()
            notes.parent.mkdir(parents=True, exist_ok=True)
            unfinished = notes.with_suffix(f".{os.getpid()}.tmp")
            unfinished.write_text(f"{_state(self._file)}\n{members.to_json()}", encoding="utf-8")
            replace(unfinished, notes)
        except (OSError, PatchseekError):
            pass

    def _notes(self) -> Path:
        return cache_folder() / "tars" / f"{hashlib.sha256(os.fsencode(self._file)).hexdigest()[:32]}.txt"


def _read(opened: RawIOBase, start: int, size: int) -> bytes:
    opened.seek(start)
    content = bytearray(size)
    view, n = memoryview(content), 0
    while n < size and (more := opened.readinto(view[n:])):
        n += more
    return bytes(view[:n])


_open: OrderedDict[tuple[Path, str], Archive] = OrderedDict()
_lock = threading.Lock()
_opening: dict[tuple[Path, str], threading.Lock] = {}


def open_archive(file: Path) -> Archive:
    """An archive, opened anew where its size or dates are others than when it was opened last. Raises ImageError."""
    return _opened(file)[0]


def _opened(file: Path) -> tuple[Archive, str]:
    """The same, and the state of the file that it is of."""
    try:
        state = _state(file)
    except OSError as error:
        raise ImageError(file, f"cannot be read ({error.strerror})", passing=True) from error
    key = file, state
    with _lock:
        if key in _open:
            _open.move_to_end(key)
            return _open[key], state
        opening = _opening.setdefault(key, threading.Lock())
    with opening:  # two that ask at once do not both go through it
        archive = _open.get(key)
        if archive is None:
            archive = _kind(file.name)(file)
        with _lock:
            _open[key] = archive
            _opening.pop(key, None)
            while len(_open) > _MOST_OPEN:
                _open.popitem(last=False)
        return archive, state


def _kind(name: str) -> Callable[[Path], Archive]:
    if is_rows(name):
        return RowsArchive
    return ZipArchive if name.lower().endswith(".zip") else TarArchive


def read_member(file: Path, name: str) -> bytes:
    """The bytes of a member of an archive. Raises ImageError, also where somebody has written the archive meanwhile."""
    archive, state = _opened(file)
    try:
        content = archive.read(name)
    except ImageError:
        _require_same(file, name, state)
        raise
    _require_same(file, name, state)
    return content


def _require_same(file: Path, name: str, state: str) -> None:
    try:
        is_same = _state(file) == state
    except OSError:
        is_same = False
    if not is_same:
        raise ImageError(member_path(f"{file}", name), "changed while it was read", passing=True)


def _state(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
