"""Lists of pictures: one column of a CSV or Parquet file. Reads line after line, whatever the length."""

import csv
from collections.abc import Iterable, Iterator
from io import BufferedReader, TextIOWrapper
from typing import Any

from .._addresses import masked
from .._parquet import column_names, read_column
from ..errors import MissingExtra, PatchseekError
from ._files import open_file

LISTS = ("csv", "parquet")
"""The kinds of lists, by suffix."""
COLUMNS = ("path", "url", "image")
"""A list has one of these columns, looked for in this order; others are passed over."""


def iter_list(place: str, kind: str) -> Iterator[str]:
    """The paths and URLs of a list as they are written, in its order.

    Raises PatchseekError naming the file and the line or row.
    """
    label = masked(place)
    with open_file(place) as raw, BufferedReader(raw) as file:
        if kind == "csv":
            with TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
                yield from _checked(label, "line", _csv(label, lines))
        else:
            yield from _checked(label, "row", enumerate(_parquet(label, file), 1))


def _checked(place: str, unit: str, values: Iterable[tuple[int, Any]]) -> Iterator[str]:
    for number, value in values:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise PatchseekError(f"{place}: {unit} {number}: a path or URL is expected, found {str(value)[:80]!r}")
        yield value


def _csv(place: str, lines: TextIOWrapper) -> Iterator[tuple[int, str | None]]:
    reader = csv.DictReader(lines, strict=True, skipinitialspace=True)
    number = 1
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        column = _column(place, list(reader.fieldnames))
        for row in reader:
            number = reader.line_num
            own = row[column] or ""
            first = next((cell for cell in row.values() if cell), None)
            if not own.strip() and isinstance(first, str) and first.startswith("#"):
                own = first  # a comment that ends before the column
            if first:
                yield number, own
    except (csv.Error, UnicodeDecodeError) as error:
        line = max(number, reader.line_num)
        raise PatchseekError(f"{place}: after line {line}: {error}") from error


def _parquet(place: str, file: "BufferedReader[Any]") -> Iterator[Any]:
    try:
        yield from read_column(file, _column(place, column_names(file)))
    except MissingExtra:
        raise
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these
        raise PatchseekError(f"{place}: cannot be read as Parquet ({' '.join(str(error).split())[:200]})") from error


def _column(place: str, names: list[str]) -> str:
    column = next((name for name in COLUMNS if name in names), None)
    if column is None:
        raise PatchseekError(
            f"{place}: line 1: one column must be called {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}; "
            f"found {', '.join(names)[:120] or 'none'}"
        )
    return column
