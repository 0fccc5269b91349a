"""What is printed on standard output: results in one of `formats`, or as `_table` has them for people."""

import sys
from typing import TYPE_CHECKING

from .._addresses import masked

if TYPE_CHECKING:
    from ..formats import Answer


def write_records(answer: "Answer", form: str | None) -> None:
    """Results on stdout in a format of text, such as json, or (None) as a table."""
    if form is None:
        from ._table import write_table

        write_table(answer.results)
        return
    from ..formats import FORMATS

    text = FORMATS[form].text
    assert text is not None
    sys.stdout.write(text(answer))


def printable(text: str) -> str:
    """Text for a terminal: control characters of a file name cannot steer it, passwords in URLs are not shown."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in masked(text))


def print_line(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
