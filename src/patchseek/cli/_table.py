"""Results on standard output: as one of `formats`, or as a table for a terminal of any width.

A box is never cut: where it does not fit, rows become blocks.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._output import print_line, printable

if TYPE_CHECKING:
    from ..formats import Answer

_HEAD = ("rank", "sure", "score", "picture", "box x,y,w,h", "of")
_NAME = _HEAD.index("picture")
_LEAST = 12
"""Columns of the terminal that a picture's name needs at least; else it stands on a line of its own."""
_GAP = 2


def write_records(answer: "Answer", form: str | None) -> None:
    """Results on stdout in a format of text, such as json, or (None) as a table."""
    if form is None:
        write_table(answer.results)
        return
    from ..formats import FORMATS

    text = FORMATS[form].text
    assert text is not None
    sys.stdout.write(text(answer))


def write_table(results: Sequence[Mapping[str, Any]]) -> None:
    """A table on stdout; tab-separated values when that is no terminal."""
    if not sys.stdout.isatty():
        from ..formats import Answer, csv_text

        sys.stdout.write(csv_text(Answer((), {}, results), "\t"))
        return
    from rich.console import Console

    console = Console()
    rows = [_cells(result) for result in results]
    fixed = sum(_width(rows, i) + _GAP for i in range(len(_HEAD)) if i != _NAME)
    if console.width - fixed >= _LEAST:
        _print_wide(rows, console)
    else:
        _print_narrow(rows)


def _cells(result: Mapping[str, Any]) -> tuple[str, ...]:
    """What stands in the columns of _HEAD; several boxes are several lines."""
    boxes = [found["box"] for found in result.get("boxes", [])] or [result["box"]]
    sure = "" if result["confidence"] is None else f"{result['confidence']:.0%}"
    size = f"{result['width']}x{result['height']}"
    lines = "\n".join(",".join(map(str, box)) for box in boxes)
    name = printable(result["image"]) + "".join(f"\n{_clock(a)}-{_clock(b)}" for a, b in result.get("ranges", ()))
    return str(result["rank"]), sure, f"{result['score']:.3f}", name, lines, size


def _clock(seconds: float) -> str:
    """As 00:01:07."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _width(rows: list[tuple[str, ...]], column: int) -> int:
    cells = [_HEAD[column], *(line for row in rows for line in row[column].split("\n"))]
    return max(map(len, cells))


def _print_wide(rows: list[tuple[str, ...]], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, _GAP, 0, 0), pad_edge=False)
    for i, head in enumerate(_HEAD):
        is_name = i == _NAME
        table.add_column(head, no_wrap=not is_name, overflow="fold", min_width=None if is_name else _width(rows, i))
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    console.print(table)


def _print_narrow(rows: list[tuple[str, ...]]) -> None:
    """Each match as a block of lines, which the terminal itself may break."""
    for rank, sure, score, name, boxes, size in rows:
        name, *times = name.split("\n")
        print_line("  ".join(part for part in (rank, sure, score, name) if part))
        for time in times:
            print_line(f"  {time}")
        for box in boxes.split("\n"):
            print_line(f"  {box}")
        print_line(f"  of {size}")
