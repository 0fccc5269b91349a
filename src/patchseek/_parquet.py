"""Parquet files through pyarrow, the optional extra `parquet`. The only file that imports it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from .errors import MissingExtra

ROWS = 65536
"""Rows in memory at once when a file is read."""


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


def _import_pyarrow() -> ModuleType:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    return pyarrow  # type: ignore[no-any-return]
