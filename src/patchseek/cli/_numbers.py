"""Numbers of the command line that can be computed with: finite, and not of a thousand digits."""

import math
import sys
from typing import Any

import click


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
