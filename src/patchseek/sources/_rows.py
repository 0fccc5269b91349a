"""Rows of Parquet and Arrow files as members of archives: the pictures of `datasets`. Knows neither format.

Such a file says which of its columns is of pictures; what has none is a list, or a table of something else. Rows are
numbered from 0 and decoded in order, group after group: who asks for them so has each decoded once.
"""

import os
import re
import threading
import weakref
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .._files import MAX_FILE_BYTES, open_regular, too_large
from .._parquet import Group, PictureColumn, open_pictures
from ..errors import ImageError, MissingExtra
from ._listing import Listing, Member
from ._names import is_picture, leads_out, suffix_of
from ._paths import member_path

MOST_BYTES = 1 << 30
"""Larger groups of rows are not read: each picture costs going through those of its group before it, and memory holds
pages of them, which may be as large as the group."""
_KEPT = 64 << 20
# bytes of the latest rows of a file that stay, since threads ask for them in nearly their order
_FEW = 64
# rows that are decoded before their turn rather than twice, where one of the next group is asked for
_ROW = re.compile(r"row=([0-9]{1,10})")

Row = tuple[bytes | None, str | None]
# a picture's bytes, and its path

_decoding = threading.Lock()
_at_hand: "weakref.ref[RowsArchive] | None" = None
# the one of all files that has a group open


class RowsArchive:
    """An open file of pictures. Its rows may be read by several threads."""

    def __init__(self, file: Path) -> None:
        """Raises ImageError for what cannot be read."""
        self._file = file
        opened, self._column = _opened(file)
        weakref.finalize(self, opened.close)
        self._size = opened.seek(0, os.SEEK_END)
        self._rows: Iterator[Row] = iter(())
        self._group = self._next = self._end = 0  # the group that is open, the row that comes next, and its end
        self._kept: OrderedDict[int, Row] = OrderedDict()
        self._n_bytes = 0
        self._broken: dict[int, tuple[int, str]] = {}
        # by a group's number, the row from which on it cannot be decoded, and why

    def listing(self, *, hidden: bool = False, follow_symlinks: bool = False) -> Listing:  # noqa: ARG002
        """All rows, whatever they hold: that is known when they are read. The size of each is that of the file."""
        listing = Listing()
        if self._column is None:
            listing.passed_over[f"{suffix_of(self._file.name)} without pictures"] += 1
            return listing
        for group in self._column.groups:
            if group.n_bytes > MOST_BYTES:
                listing.damage = self._flaw(group)
                continue
            rows = range(group.first, group.first + group.n_rows)
            listing.pictures += [Member(f"row={row}", row, self._size) for row in rows]
        return listing

    def has(self, name: str) -> bool:
        """Whether there is a row of this name."""
        return self._find(name) is not None

    def read(self, name: str) -> bytes:
        """The bytes of a row's picture. Raises ImageError, named by the file and it."""
        label, found = member_path(f"{self._file}", name), self._find(name)
        if found is None or self._column is None:
            raise ImageError(label, "is not in the file any more")
        number, row = found
        group = self._column.groups[number]
        if group.n_bytes > MOST_BYTES:
            raise ImageError(label, self._flaw(group))
        try:
            with _decoding:
                content, path = self._kept.get(row) or self._decoded(self._column, number, row)
        except MemoryError as error:
            raise ImageError(label, "too little memory to read it", passing=True) from error
        except (OSError, ValueError) as error:
            is_passing = isinstance(error, OSError) and error.errno is not None
            raise ImageError(label, f"cannot be read ({_reason(error)})", passing=is_passing) from error
        if content is None:
            return _beside(self._file, path, label)
        if len(content) > MAX_FILE_BYTES:
            raise too_large(label, len(content))
        return content

    def _find(self, name: str) -> tuple[int, int] | None:
        """The number of a row's group, and its own."""
        said = _ROW.fullmatch(name)
        if said is None or self._column is None:
            return None
        row = int(said[1])
        groups = self._column.groups
        number = bisect_right(groups, row, key=lambda group: group.first) - 1
        return (number, row) if number >= 0 and row < groups[number].first + groups[number].n_rows else None

    def _decoded(self, column: PictureColumn, number: int, row: int) -> Row:
        """A row, after those of its group that come before it. Raises OSError, ValueError, MemoryError."""
        global _at_hand  # of all files together, so that memory holds one group's pages
        if number in self._broken and row >= self._broken[number][0]:
            raise ValueError(self._broken[number][1])
        if not self._next <= row < self._end:
            other = None if _at_hand is None else _at_hand()
            if other is not None:
                other._leave()
            _at_hand = weakref.ref(self)
            group = column.groups[number]
            self._group, self._next, self._end = number, group.first, group.first + group.n_rows
            self._rows = column.rows(number)
        self._go_to(row + 1)
        return self._kept[row]

    def _leave(self) -> None:
        """Close the group that is open. The few rows at its end are kept: other threads are about to ask for them."""
        if self._end - self._next <= _FEW:
            with suppress(OSError, ValueError, MemoryError):  # told to those
                self._go_to(self._end)
        self._rows, self._end = iter(()), self._next

    def _go_to(self, row: int) -> None:
        """Decode the rows before one, of the group that is at hand."""
        try:
            while self._next < row:
                found = next(self._rows, None)
                if found is None:
                    raise ValueError("the file has fewer rows than it says")
                self._keep(self._next, found)
                self._next += 1
        except BaseException as error:
            self._rows, self._end = iter(()), self._next  # what failed is not gone on from
            if isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno is None):
                self._broken[self._group] = self._next, _reason(error)
            raise
        if self._next == self._end:
            self._rows = iter(())

    def _keep(self, row: int, found: Row) -> None:
        self._n_bytes -= _n_bytes(self._kept.pop(row, None))
        self._kept[row] = found
        self._n_bytes += _n_bytes(found)
        while self._n_bytes > _KEPT and len(self._kept) > 1:
            self._n_bytes -= _n_bytes(self._kept.popitem(last=False)[1])

    def _flaw(self, group: Group) -> str:
        rows = f"rows {group.first}-{group.first + group.n_rows - 1}"
        return f"{rows} lie in a group of {group.n_bytes >> 20} MB, which is too large; write smaller ones"


def holds_pictures(file: Path) -> bool:
    """Whether a file of rows has a column of pictures; False for what cannot be read. Raises MissingExtra."""
    try:
        opened, column = _opened(file, is_passing=False)
        opened.close()
    except ImageError:
        return False
    return column is not None


def _opened(file: Path, *, is_passing: bool = True) -> tuple[BinaryIO, PictureColumn | None]:
    """An open file of rows. Raises ImageError; is_passing: for want of an extra, too, which is MissingExtra else."""
    is_stream = file.name.lower().endswith(".arrow")
    try:
        opened = open_regular(file, file)
    except OSError as error:
        raise ImageError(file, f"cannot be read ({error.strerror or error})", passing=True) from error
    try:
        return opened, open_pictures(opened, is_stream=is_stream)
    except (MissingExtra, MemoryError, OSError, ValueError) as error:
        opened.close()
        if isinstance(error, MissingExtra):
            if not is_passing:
                raise
            raise ImageError(file, str(error), passing=True) from error
        what = "an Arrow stream" if is_stream else "Parquet"
        raise ImageError(file, f"cannot be read as {what} ({_reason(error)})") from error


def _beside(file: Path, path: str | None, label: str) -> bytes:
    """The bytes of a file that a row names instead of holding them. Only pictures below the folder are opened."""
    if path is None:
        raise ImageError(label, "holds no picture (null)")
    name = path.replace("\\", "/")
    folder = file.parent.resolve()
    if leads_out(name) or "\0" in name or not is_picture(name):
        raise ImageError(label, f"holds no bytes, and names no picture below its folder ({path[:80]!r})")
    try:
        place = (folder / name).resolve()
        if not place.is_relative_to(folder):
            raise ImageError(label, f"holds no bytes, and names no picture below its folder ({path[:80]!r})")
        with open_regular(place, label) as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ImageError(
            label, f"names {path[:80]!r}, which cannot be read ({error.strerror})", passing=True
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise too_large(label, len(content))
    return content


def _n_bytes(row: Row | None) -> int:
    """What a row takes in memory, roughly."""
    return 0 if row is None else 200 + len(row[0] or b"") + len(row[1] or "")


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())[:200]
