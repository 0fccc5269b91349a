"""Whether the figures that README and docs quote are those that the benchmarks kept. Changes nothing.

    python tools/figures.py

A benchmark keeps what it measured in benchmarks/results/CLASS/NAME.json. Where a text quotes it, a comment that readers
do not see says which number it is. Behind one in a sentence:

    seen 0.28 s<!-- = avx2/page: seconds > first --> after the upload

(the last number before it), and before a table, with what stands in each of its columns after the first:

    <!-- figures avx512-bf16/localisation: sets > dev-set > ways > {row} | mAP | small / medium | seconds * 1000 -->

Keys follow each other with ">"; {row} is what the first cell of a row says, without stars and backticks; several
numbers of a cell are divided by " / ", an empty cell quotes nothing, and neither does a column called "-". "* 100" or
"* 1000" turn shares into percent, and seconds into thousandths. A number is right when it is the one kept, rounded to
as many digits as are shown.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NUMBER = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?")
INLINE = re.compile(r"<!-- = ([^:>]+): (.*?) -->")
TABLE = re.compile(r"<!-- figures ([^:>]+): ([^|]*?) \| (.*?) -->")
TIMES = re.compile(r"(.*) \* (\d+)")


class Wrong(Exception):
    """What is wrong with a figure, in words."""


@cache
def kept(name: str) -> Any:
    """What a benchmark kept under CLASS/NAME."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise Wrong(f"there is no {path.relative_to(ROOT)}")
    return json.loads(path.read_text(encoding="utf-8"))


def number_at(name: str, keys: str) -> float:
    """The number that CLASS/NAME keeps under keys that follow each other with ">", times what may follow them."""
    scaled = TIMES.fullmatch(keys)
    keys, times = (scaled[1], int(scaled[2])) if scaled else (keys, 1)
    value = kept(name)
    for key in keys.split(" > "):
        try:
            value = value[int(key) if isinstance(value, list) else key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise Wrong(f"{name} keeps nothing under {keys!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"{name} keeps no number under {keys!r}")
    return value * times


def compare(shown: str, value: float) -> None:
    """Raise Wrong where a number as it is shown is not the value rounded to as many digits."""
    number = Decimal(shown.replace(",", "").replace("\u2212", "-"))
    step = Decimal(1).scaleb(int(number.as_tuple().exponent))
    if abs(number - Decimal(repr(value))) > step * Decimal("0.501"):
        raise Wrong(f"{shown} is quoted, and {value:g} was kept")


def check(text: str) -> Iterator[tuple[int, str | None]]:
    """Of each figure that a comment is about, its line from 1, and what is wrong with it or None."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        start = 0
        for found in INLINE.finditer(line):
            yield i + 1, _judge(line[start : found.start()], [(found[1], found[2])], last=True)
            start = found.end()
        if table := TABLE.match(line):
            yield from _check_table(lines, i + 1, *table.groups())


def _check_table(
    lines: Sequence[str], start: int, name: str, row: str, columns: str
) -> Iterator[tuple[int, str | None]]:
    """The same of the table whose first line has this index."""
    fields = [column.strip() for column in columns.split("|")]
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    if end < start + 3:
        yield start, "no table follows"
    for i in range(start + 2, end):
        label, *cells = [cell.strip() for cell in lines[i].strip().strip("|").split("|")]
        keys = row.replace("{row}", re.sub("[*`]", "", label))
        if len(cells) != len(fields):
            yield i + 1, f"{len(cells)} cells, and {len(fields)} columns are named"
        for cell, column in zip(cells, fields, strict=False):
            if cell and column != "-":
                yield i + 1, _judge(cell, [(name, f"{keys} > {field}") for field in column.split(" / ")])


def _judge(words: str, places: Sequence[tuple[str, str]], *, last: bool = False) -> str | None:
    """What is wrong with the numbers in words, in their order or the last alone; None where nothing is."""
    shown = NUMBER.findall(words)[-1 if last else 0 :]
    try:
        if len(shown) != len(places):
            raise Wrong(f"{words.strip()!r} has not {len(places)} numbers")
        for each, place in zip(shown, places, strict=True):
            compare(each, number_at(*place))
    except Wrong as wrong:
        return str(wrong)
    return None


def main() -> int:
    """Check all texts, and print what is wrong."""
    n, wrong = 0, 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for line, problem in check(path.read_text(encoding="utf-8")):
            n += 1
            if problem:
                wrong += 1
                sys.stderr.write(f"{path.relative_to(ROOT)}:{line}: {problem}\n")
    sys.stdout.write(f"{n} figures are those that were measured\n" if not wrong else f"{wrong} of {n} are wrong\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
