"""Lines on standard output, and what of a text may stand in one."""

import sys

from .._addresses import masked


def printable(text: str) -> str:
    """Text for a terminal: control characters of a file name cannot steer it, passwords in URLs are not shown."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in masked(text))


def print_line(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
