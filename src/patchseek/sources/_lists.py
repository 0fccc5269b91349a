"""Lists of pictures: the lines of a text file, a column of a CSV or Parquet file, IIIF manifests. Opens no picture."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader, BytesIO, RawIOBase, TextIOWrapper
from os.path import normpath
from pathlib import Path
from typing import Any

from .._addresses import is_url, is_web, masked, name_part
from .._parquet import column_names, open_pictures, read_column
from ..errors import MissingExtra, PatchseekError
from ._iiif import MOST_BYTES as MANIFEST_BYTES
from ._iiif import read_manifests
from ._names import REPEATED, is_picture
from ._paths import DOCUMENTS, FILMS, is_archive
from ._there import Kind, kind_of

LISTS = ("csv", "txt", "parquet", "json")
"""The kinds of lists, by suffix."""
COLUMNS = ("path", "url", "image")
"""A list has one of these columns, looked for in this order; others are passed over."""
OTHERS = frozenset(suffix[1:] for suffix in DOCUMENTS | FILMS)
"""Suffixes of what is no list and no picture, but holds some."""
COMMENTS = "comments"
"""Beside the keys of encode.Scan.passed_over: lines of a list that begin with #."""


@dataclass(frozen=True)
class Named:
    """What a list names."""

    places: list[str]
    # absolute paths, URLs and canvases (see _iiif), in the list's order
    passed_over: Counter[str]
    unreadable: dict[str, str]
    # lists that it names and that could not be had, and why


def list_kind(place: str) -> str | None:
    """Which of LISTS a file is by its name; None for any other. On the web, what has no other name is JSON."""
    name = name_part(place)
    suffix = name.rpartition(".")[2].lower()
    if is_web(place) and suffix not in LISTS:
        return None if is_picture(name) or is_archive(name) or suffix in OTHERS else "json"
    return suffix if suffix in LISTS else None


def folder_of_list(place: str) -> str:
    """Where what a list names without a folder lies."""
    return name_part(place).rpartition("/")[0]


def read_list(place: str, raw: RawIOBase | BytesIO) -> Named:
    """The paths and URLs that a list names, each once as it is first written.

    place: the list, an absolute path or a URL; raw: its bytes, which are closed. a.jpg and ./a.jpg are one file. A line
    of a list on this machine that begins with # says nothing, unless a file is called so; blanks around a name are none
    of its own, unless a file is called so. Raises PatchseekError naming the list and the line or row.
    """
    if list_kind(place) == "json":
        with raw, BufferedReader(raw) as file:
            manifests = read_manifests(place, file.read(MANIFEST_BYTES + 1))
        kept = list(dict.fromkeys(manifests.places))
        if n := len(manifests.places) - len(kept):
            manifests.passed_over[REPEATED] += n
        return Named(kept, manifests.passed_over, manifests.unreadable)
    folder = folder_of_list(place)
    found: dict[str, str] = {}
    passed_over: Counter[str] = Counter()
    for given in _iter_list(place, raw):
        name = given.strip()
        where = name if is_url(name) or name.startswith("/") else f"{folder}/{name}"
        if not is_url(where):
            if given != name and kind_of(Path(folder, given)) is Kind.OTHER:
                where = f"{folder}/{given}"
            elif name.startswith("#") and kind_of(Path(where)) is not Kind.OTHER:
                passed_over[COMMENTS] += 1
                continue
        plain = where if is_url(where) else normpath(where)
        if found.setdefault(where if plain == where else plain, where) is not where:
            passed_over[REPEATED] += 1
    return Named(list(found.values()), passed_over, {})


def _iter_list(place: str, raw: RawIOBase | BytesIO) -> Iterator[str]:
    """The paths and URLs as they are written, in the list's order."""
    label, kind = masked(place), list_kind(place)
    with raw, BufferedReader(raw) as file:
        if kind == "parquet":
            yield from _checked(label, "row", enumerate(_parquet(label, file), 1))
            return
        with TextIOWrapper(file, encoding="utf-8-sig", newline="" if kind == "csv" else None) as lines:
            yield from _checked(label, "line", _csv(label, lines) if kind == "csv" else _text(label, lines))


def _checked(place: str, unit: str, values: Iterable[tuple[int, Any]]) -> Iterator[str]:
    for number, value in values:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise PatchseekError(f"{place}: {unit} {number}: a path or URL is expected, found {str(value)[:80]!r}")
        yield value


def _text(place: str, lines: TextIOWrapper) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise PatchseekError(f"{place}: after line {number}: {error}") from error


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
        if open_pictures(file, is_stream=False) is not None:  # those of this machine are archives, see is_list
            raise PatchseekError(f"{place}: its rows hold pictures, not names; fetch it to this machine first")
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
