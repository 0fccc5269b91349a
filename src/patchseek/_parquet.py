"""Parquet and Arrow files through pyarrow, the optional extra `parquet`. The only file that imports it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Protocol

from ._arrow_stream import batches, read_head
from .errors import MissingExtra

ROWS = 65536
"""Rows in memory at once when a file is read."""
PICTURES = (
    *("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp"),
    *("bytes", "image_bytes", "content"),
)
"""What a column of pictures may be called, the likeliest first; see `_picture_column`."""
MOST_ROWS = 2_000_000
"""A file that claims more is not believed, nor one of more rows than it has bytes, unless these are few."""
_FEW_ROWS = 100_000

_BLOCK = 1 << 20


def require_parquet() -> None:
    """Raise MissingExtra without pyarrow."""
    _import_pyarrow()


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]], facts: Mapping[str, str] | None = None) -> None:
    """Columns of equal length as a Parquet file; facts: its metadata. Raises MissingExtra without pyarrow, OSError."""
    pyarrow = _import_pyarrow()
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table.replace_schema_metadata(dict(facts)) if facts else table, path)


def column_names(file: BinaryIO) -> list[str]:
    """The columns of a Parquet file. Raises MissingExtra, OSError, ValueError for what is no Parquet."""
    names: list[str] = _import_pyarrow().parquet.ParquetFile(file).schema_arrow.names
    return names


def read_column(file: BinaryIO, name: str) -> Iterator[Any]:
    """The values of one column, a block of rows at a time. Raises as column_names."""
    for batch in _import_pyarrow().parquet.ParquetFile(file).iter_batches(ROWS, columns=[name]):
        yield from batch.column(0).to_pylist()


# ---- columns of pictures


@dataclass(frozen=True)
class Group:
    """Rows that lie together in a file."""

    first: int
    # the number of its first row in the file, from 0
    n_rows: int
    n_bytes: int
    # that they take, unpacked, as the file says


class PictureColumn(Protocol):
    """The pictures of a file, a row each. For one thread at a time."""

    groups: list[Group]

    def rows(self, group: int) -> Iterator[tuple[bytes | None, str | None]]:
        """The bytes and the path of each row of a group, decoded as they are taken. Raises OSError, ValueError."""


def open_pictures(file: BinaryIO, *, is_stream: bool) -> PictureColumn | None:
    """The column of pictures of a file, which stays open; None where it has none.

    is_stream: an Arrow stream, as `datasets` saves them, instead of Parquet. Raises MissingExtra, OSError, ValueError
    for what is neither.
    """
    pyarrow = _import_pyarrow()
    with _foreign(pyarrow):
        column = _Stream.open(pyarrow, file) if is_stream else _Parquet.open(pyarrow, file)
        n_rows = sum(group.n_rows for group in column.groups) if column is not None else 0
        n_bytes = file.seek(0, os.SEEK_END)
        if n_rows > min(MOST_ROWS, max(_FEW_ROWS, n_bytes)):
            raise ValueError(f"{n_rows} rows in {n_bytes} bytes are more than there can be")
        return column


class _Parquet:
    """A column of a Parquet file."""

    def __init__(self, pyarrow: ModuleType, file: Any, name: str, leaves: list[str]) -> None:
        self._pyarrow, self._file, self._name, self._leaves = pyarrow, file, name, leaves
        self.groups: list[Group] = []
        first = 0
        for number in range(file.metadata.num_row_groups):
            # of all columns, since pyarrow ends the process where what a file says of one of them is damaged
            group = file.metadata.row_group(number)
            n_bytes = group.total_byte_size
            if group.num_rows < 0 or n_bytes < 0:
                raise ValueError("it says that it has less than no rows")
            self.groups.append(Group(first, group.num_rows, n_bytes))
            first += group.num_rows

    @classmethod
    def open(cls, pyarrow: ModuleType, file: BinaryIO) -> "_Parquet | None":
        """See open_pictures."""
        # pages are read as they are needed: pre-buffered, or without a buffer, all of a group would be at once
        opened = pyarrow.parquet.ParquetFile(file, buffer_size=_BLOCK, pre_buffer=False)
        field = _picture_column(pyarrow, opened.schema_arrow)
        return None if field is None else cls(pyarrow, opened, field.name, _leaves(pyarrow, field))

    def rows(self, group: int) -> Iterator[tuple[bytes | None, str | None]]:
        """A row at a time: a value that is written once and meant a thousand times is not had a thousand times."""
        with _foreign(self._pyarrow):
            for batch in self._file.iter_batches(1, row_groups=[group], columns=self._leaves, use_threads=False):
                yield from map(_content, batch.column(self._name))


class _Stream:
    """A column of an Arrow stream, whose batches are its groups."""

    def __init__(self, pyarrow: ModuleType, file: BinaryIO, name: str, head: bytes) -> None:
        self._pyarrow, self._file, self._name, self._head = pyarrow, file, name, head
        self._number = pyarrow.ipc.open_stream(pyarrow.BufferReader(head)).schema.get_field_index(name)
        self._places: list[tuple[int, int]] = []
        self.groups: list[Group] = []
        first = 0
        for at, length, n_rows in batches(file, len(head)):
            self._places.append((at, length))
            self.groups.append(Group(first, n_rows, length))
            first += n_rows

    @classmethod
    def open(cls, pyarrow: ModuleType, file: BinaryIO) -> "_Stream | None":
        """See open_pictures."""
        head = read_head(file)
        field = _picture_column(pyarrow, pyarrow.ipc.open_stream(pyarrow.BufferReader(head)).schema)
        return None if field is None else cls(pyarrow, file, field.name, head)

    def rows(self, group: int) -> Iterator[tuple[bytes | None, str | None]]:
        """All of a batch is read at once."""
        at, length = self._places[group]
        self._file.seek(at)
        with _foreign(self._pyarrow):
            both = self._pyarrow.py_buffer(self._head + self._file.read(length))
            options = self._pyarrow.ipc.IpcReadOptions(included_fields=[self._number], use_threads=False)
            batch = self._pyarrow.ipc.open_stream(both, options=options).read_next_batch()
            column = batch.column(self._name)
            column.validate(full=True)  # or its offsets could lead anywhere
            yield from map(_content, column)


def _picture_column(pyarrow: ModuleType, schema: Any) -> Any:
    """The field of a schema that is of pictures; None where none is.

    A struct of `bytes`, or binary values, called as one of PICTURES; else what `datasets` calls an Image. A struct that
    it calls something else, such as Audio, is none.
    """
    declared = _declared(schema.metadata or {})

    def fitness(field: Any) -> int | None:
        says, by_name = declared.get(field.name), field.name.lower() in PICTURES
        if pyarrow.types.is_struct(field.type):
            at = field.type.get_field_index("bytes")
            fits = at >= 0 and _is_binary(pyarrow, field.type.field(at).type)
            fits = fits and (says == "Image" or (says is None and by_name))
        else:
            fits = by_name and _is_binary(pyarrow, field.type)
        return (PICTURES.index(field.name.lower()) if by_name else len(PICTURES)) if fits else None

    fitting = [(number, field) for field in schema if (number := fitness(field)) is not None]
    return min(fitting, key=lambda each: each[0])[1] if fitting else None


def _is_binary(pyarrow: ModuleType, kind: Any) -> bool:
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _declared(metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    """What `datasets` says that the columns are, by name."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: str(feature["_type"]) for name, feature in features.items() if "_type" in feature}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _leaves(pyarrow: ModuleType, field: Any) -> list[str]:
    if not pyarrow.types.is_struct(field.type):
        return [field.name]
    return [f"{field.name}.{each.name}" for each in field.type if each.name in ("bytes", "path")]


def _content(value: Any) -> tuple[bytes | None, str | None]:
    """The bytes and the path of a row."""
    plain = value.as_py()
    if not isinstance(plain, dict):
        return plain, None
    path = plain.get("path")
    return plain.get("bytes"), path if isinstance(path, str) else None


@contextmanager
def _foreign(pyarrow: ModuleType) -> Iterator[None]:
    """Make pyarrow's own errors a ValueError where they are none yet."""
    try:
        yield
    except Exception as error:
        foreign = pyarrow.ArrowException, NotImplementedError, LookupError, TypeError, OverflowError
        if isinstance(error, OSError | ValueError | MemoryError) or not isinstance(error, foreign):
            raise
        raise ValueError(str(error)) from error


def _import_pyarrow() -> ModuleType:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    return pyarrow  # type: ignore[no-any-return]
