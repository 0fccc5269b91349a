"""The commands about encoders: which there are, and their weights. Parse, call, print."""

from pathlib import Path

import click

from .._words import counted
from ..errors import EncoderError


@click.group("encoders", invoke_without_command=True)
@click.pass_context
def encoders_group(context: click.Context) -> None:
    """List the encoders, what this processor offers, and how those that ship run on it."""
    from .._platform import n_cores
    from ..encoders import ENCODERS
    from ..encoders._cpu import read_processor
    from ..encoders._embedded import FAST, open_embedded
    from ._output import print_line

    if context.invoked_subcommand is None:
        for name, description in ENCODERS.items():
            print_line(f"{name:26} {description}")
        print_line(f"\nprocessor: {read_processor()}; {n_cores()} cores used")
        for name in ("embedded", FAST):
            encoder = open_embedded(name=name)
            print_line(f"{name} runs on {encoder.runs_on} ({encoder.why}): {encoder.measure():.0f} crops/s")


@encoders_group.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to.  [default: the models folder]")
def fetch(name: str, folder: Path | None) -> None:
    """Download the weights of encoder NAME, to be carried to a machine without a network."""
    from ..encoders import models_folder
    from ..encoders._fetch import fetch as fetch_weights
    from ._output import print_line
    from ._targets import check_folder

    check_folder(folder or models_folder())
    print_line(str(fetch_weights(name, folder)))


@encoders_group.command("verify")
@click.option("--folder", type=click.Path(path_type=Path), help="Which.  [default: the models folder]")
def verify_weights(folder: Path | None) -> None:
    """Check downloaded weights against the hashes noted when they were fetched."""
    from ..encoders import models_folder
    from ..encoders._fetch import fetched
    from ..encoders._fetch import verify as problems_of
    from ._output import print_line

    folder = folder or models_folder()
    if not fetched(folder):
        print_line(f"{folder}: nothing has been fetched; `patchseek encoders fetch NAME` does")
        return
    problems = problems_of(folder)
    for problem in problems:
        print_line(problem)
    if problems:
        raise EncoderError(f"{counted(len(problems), 'problem')} with the weights; fetch them again")
    print_line(f"{folder}: all weights are as they were fetched ({', '.join(fetched(folder))})")
