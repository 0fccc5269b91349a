"""What `search` was told, judged before anything is opened: numbers, contradictions, and files to be written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .._words import counted
from ..errors import MissingExtra, QueryError
from ._numbers import positive
from ._targets import WrongUse, check_file

STDIN = Path("-")
FORMS = ("json", "jsonl", "csv")
"""Options that say how results are written; none: a table."""


def check(asked: Sequence[Path | int], n_boxes: int, form: str | None, said: Mapping[str, Any]) -> None:
    """Raise WrongUse for what cannot be, whatever is found. said: the options by name."""
    if [*asked, *said["exclude"]].count(STDIN) > 1:
        raise WrongUse("- is given more than once, and standard input holds one picture")
    if not asked and said["text"] is None:
        raise WrongUse("give a QUERY picture, --image-id or --text")
    if n_boxes > 1 and n_boxes != len(asked):
        pictures = counted(len(asked), "picture")
        raise WrongUse(f"{n_boxes} boxes for {pictures}: give one --box for each, in order")
    is_drawn = bool(said["save"] or said["preview"])
    if said["save"] and said["preview"]:
        raise WrongUse("--save names a file and --preview makes one up: give one of them")
    if is_drawn and not asked:
        raise WrongUse("words alone cannot be drawn: leave out --save, --preview and --open")
    if said["why"] and not (is_drawn or {form, said["format"]} & {"json", "jsonl"}):
        raise WrongUse("--why is said in a picture or in JSON: give --save, --preview, --open, --json or --jsonl")
    check_choice(said)
    _check_targets(said["parquet"], said["save"])


def check_choice(said: Mapping[str, Any]) -> None:
    """Raise WrongUse for options of depth and dates that cannot be."""
    _check_depth(said)
    _check_dates(said)


def _check_depth(said: Mapping[str, Any]) -> None:
    context = click.get_current_context(silent=True)
    is_given = context and context.get_parameter_source("depth") is click.core.ParameterSource.COMMANDLINE
    if said["no_points"] and is_given and said["depth"]:
        raise WrongUse("--no-points is --depth 0: give one of them")


def _check_dates(said: Mapping[str, Any]) -> None:
    if said["since"] is None and said["until"] is None:
        return
    from ..store import Choice

    try:
        Choice(since=said["since"], until=said["until"])
    except QueryError as error:
        raise WrongUse(str(error)) from error


def _check_targets(parquet: Path | None, save: Path | None) -> None:
    if parquet:
        from .._parquet import require_parquet

        check_file(parquet, (".parquet", ".pq"))
        try:
            require_parquet()
        except MissingExtra as error:
            raise WrongUse(f"--parquet: {error}") from error
    if save:
        from ..draw import SUFFIXES

        check_file(save, SUFFIXES)


def form_of(said: Mapping[str, Any]) -> str | None:
    """Which of FORMS was asked for, None for a table. Raises WrongUse for more than one."""
    forms = [form for form in FORMS if said[form]]
    if len(forms) > 1:
        options = " and ".join(f"--{form}" for form in forms)
        raise WrongUse(f"{options} both write to standard output: give one of them")
    return forms[0] if forms else None


def numbers_of(box: str) -> list[float]:
    """Four numbers x,y,w,h. Raises click.BadParameter."""
    try:
        numbers = [float(number) for number in box.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise click.BadParameter(f"{box!r}: four numbers X,Y,W,H", param_hint="--box")
    return numbers


def top_of(text: str) -> int | None:
    """How many pictures, None for all. Raises click.BadParameter."""
    if text == "all":
        return None
    if (n := positive(text)) is None:
        raise click.BadParameter(f"{text!r}: a positive number, or all", param_hint="--top")
    return n
