"""CSV with a header: a line is one copy of one object in one picture; what the columns hold says `datasets`."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from ..errors import DatasetError
from ._annotations import Annotations, parse_four, parse_number, shorten
from ._labelled import Label, Row, noted, object_name

COLUMNS = ("image", "instance", "x", "y", "w", "h", "role")


def csv_lines(annotations: Annotations, path: Path, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, cell by column) of each line that is not empty, the cells of COLUMNS always; needed: in the header."""
    reader = csv.DictReader(StringIO(annotations.text(path), newline=""), strict=True, skipinitialspace=True)
    try:
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(
                f"{path}: line 1: no column {', '.join(missing)}; the header is {','.join(COLUMNS)}, "
                f"found {shorten(','.join(reader.fieldnames or ()))}"
            )
        for line in reader:
            if any(line.values()):
                cell = {name: (line.get(name) or "").strip() for name in (*COLUMNS, *needed, "label")}
                yield f"{path}: line {reader.line_num}", cell
    except csv.Error as error:
        raise DatasetError(f"{path}: line {reader.reader.line_num}: {error}") from error


def csv_box(cell: dict[str, str], where: str) -> tuple[float, float, float, float] | None:
    """The box of a line's cells, None where they are empty."""
    numbers = [cell[k] for k in "xywh" if cell[k]]
    if len(numbers) not in (0, 4):
        raise DatasetError(f"{where}: x, y, w, h are four numbers or all empty, found {len(numbers)} of them")
    return parse_four([parse_number(word, where) for word in numbers], where) if numbers else None


def read_csv(annotations: Annotations, path: Path, problems: list[str]) -> Iterator[Row]:
    """A row a line that asks: `image`, the others where they are; lines of the roles gallery and ignore do not ask."""
    for where, cell in csv_lines(annotations, path, ("image",)):
        with noted(problems):
            if cell["role"].lower() in ("gallery", "ignore"):
                continue
            if not cell["image"]:
                raise DatasetError(f"{where}: no image")
            name = object_name(cell["instance"] or cell["label"])
            yield Row(where, cell["image"], cell["image"].replace("\\", "/"), (Label(name, csv_box(cell, where)),))
