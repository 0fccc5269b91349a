"""Judge the numbers of an engine's string: `;name=number` parts against what each may be. Knows no engine.

What is chosen now is judged strictly. What was chosen once, by an earlier version perhaps, is only refused where it
cannot have worked: a larger number than makes sense, a fraction or a name said twice does no harm there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import EngineError

_SHOWN = 40  # characters of a wrong value


@dataclass(frozen=True)
class Range:
    """What a parameter may be: a number from least to most, both included."""

    least: int
    most: int
    why: str = ""
    # what the bounds are, where that is not plain
    is_whole: bool = True

    def __str__(self) -> str:
        kind = "whole number" if self.is_whole else "number"
        return f"a {kind} from {self.least:,} to {self.most:,}{f' ({self.why})' if self.why else ''}"


def split_parts(engine: str, parts: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of "name=value" parts, blank ones left out. Raises EngineError for a part that is none."""
    pairs = []
    for part in filter(None, map(str.strip, parts)):
        name, equals, value = (text.strip() for text in part.partition("="))
        if not equals or not name:
            raise EngineError(f"{_short(engine)}: a parameter is written name=value, found {_short(part)}")
        pairs.append((name, value))
    return pairs


def require_once(engine: str, pairs: Sequence[tuple[str, str]], *, kept: bool) -> dict[str, str]:
    """The parameters by name. Raises EngineError where one is said twice; of one that is kept, the last one holds."""
    said: dict[str, str] = {}
    for name, value in pairs:
        if name in said and not kept:
            raise EngineError(f"{_short(engine)}: {name} is said twice, {_short(said[name])} and {_short(value)}")
        said[name] = value
    return said


def read_numbers(
    engine: str, said: Mapping[str, str], ranges: Mapping[str, Range], *, of: str, kept: bool
) -> dict[str, float]:
    """The numbers that parameters say. Raises EngineError with the parameter, what it may be, and what was found.

    of: what the parameters are of, for people. kept: see the head of this file.
    """
    numbers = {}
    for name, text in said.items():
        if name not in ranges:
            offered = ", ".join(ranges) if ranges else "none"
            raise EngineError(f"{_short(engine)}: {_short(name)} is no parameter of {of}; there are {offered}")
        numbers[name] = _number(engine, name, text, ranges[name], kept=kept)
    return numbers


def said_number(said: Mapping[str, str], name: str, default: int) -> int:
    """A whole number as it is said, where it may bound another one; the default where it is none."""
    text = said.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else default


def _number(engine: str, name: str, text: str, allowed: Range, *, kept: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    is_written_well = text.isascii() and "_" not in text and (not allowed.is_whole or text.lstrip("-").isdigit())
    is_right = allowed.least <= number <= allowed.most and is_written_well
    if is_right or (kept and allowed.least <= number < math.inf):
        return number
    advice = "; choose another engine with: patchseek use-index" if kept else ""
    raise EngineError(f"{_short(engine)}: {name} must be {allowed}, found {_short(text)}{advice}")


def _short(text: str) -> str:
    """The text quoted, in one line that is not long."""
    return ascii(text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}...")
