"""Results as rows: CSV, JSON Lines, Parquet. A row holds the first box; further copies are in JSON alone."""

import csv
import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from .._parquet import write_columns
from ..errors import PatchseekError
from ..matches import COLUMNS
from ._answer import MAKER, Answer, as_judged


def columns(answer: Answer) -> tuple[str, ...]:
    """COLUMNS, before them whose results they are where many were asked for, after them what else a file says."""
    first = ("query", "label") if answer.is_many else ()
    hashes = ("sha256",) if any("sha256" in result for result in answer.results) else ()
    return first + COLUMNS + hashes + answer.extra + (MAKER if answer.is_file else ())


def flat(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result, as it was judged, with the box as four columns x y w h."""
    return {**result, **dict(zip("xywh", as_judged(result)["box"], strict=True))}


def rows(answer: Answer) -> list[dict[str, Any]]:
    """A row a result, with `columns`."""
    names, maker = columns(answer), answer.maker if answer.is_file else {}
    return [{name: {**flat(result), **maker}.get(name) for name in names} for result in answer.results]


def csv_text(answer: Answer, delimiter: str = ",") -> str:
    """A header and a row a result."""
    text = StringIO()
    writer = csv.DictWriter(text, columns(answer), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(answer))
    return text.getvalue()


def jsonl_text(answer: Answer) -> str:
    """One object a line."""
    maker = answer.maker if answer.is_file else {}
    return "".join(json.dumps({**as_judged(result), **maker}) + "\n" for result in answer.results)


def write_parquet(answer: Answer, path: Path) -> list[str]:
    """The CSV's columns; the maker is in the file's metadata. Raises MissingExtra without pyarrow, PatchseekError."""
    names = [name for name in columns(answer) if name not in MAKER]
    found = [flat(result) for result in answer.results]
    try:
        write_columns(path, {name: [row.get(name) for row in found] for name in names}, answer.maker)
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be written ({error})") from error
    return []
