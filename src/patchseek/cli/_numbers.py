"""Numbers of the command line that can be computed with: finite, and not of a thousand digits."""

import math
import re
import sys
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600}
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)")


class FiniteRange(click.FloatRange):
    """A range of numbers that infinity and what is no number are never in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises click.BadParameter."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def positive(text: str) -> int | None:
    """The whole number of a text of plain digits, at most sys.maxsize; None for anything else, and for 0."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return min(int(digits[:30]), sys.maxsize) if digits else None


def seconds_of(text: str) -> float | None:
    """The seconds of a time such as 5, 0.5s, 10m or 2h; None for anything else."""
    found = _TIME.fullmatch(text.strip())
    return float(found[1]) * _UNITS.get(found[2], 1) if found else None
