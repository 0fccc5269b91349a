"""The standard streams of the command: closed, full, or of an encoding that lacks a letter, none of it is a crash."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from .._platform import output_encoding


def mend_streams() -> None:
    """Make stdout and stderr usable for the length of the process.

    What their encoding lacks is written as an escape. A closed stdout fails when it is written to, as a full one does;
    a closed stderr swallows what is said. No file that is opened later can take the number of a closed stream.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=output_encoding(), errors="backslashreplace")


def flush_results() -> OSError | None:
    """Write out what is still held back; why stdout cannot be written, or None.

    After a failure what is held back is dropped: the interpreter would try again at its end.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _replace(1, sys.stdout)
        return error
    return None


def flush_chatter() -> None:
    """The same of stderr, whose failures are nobody's business: there is no place left to tell them."""
    try:
        sys.stderr.flush()
    except OSError:
        _replace(2, sys.stderr)


def _replace(number: int, stream: TextIO) -> None:
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
        stream.flush()
