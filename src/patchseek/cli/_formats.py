"""The options of `search` that choose a format for its results, and what they mean. `formats` writes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import MissingExtra
from ._log import say
from ._targets import WrongUse, check_file, check_folder

if TYPE_CHECKING:
    from ..formats import Answer

FORMATS = (
    *("json", "jsonl", "csv", "parquet", "coco", "coco-results", "yolo", "voc", "label-studio", "cvat", "fiftyone"),
    *("annotations", "xmp", "crops"),
)  # those of formats.FORMATS, which is not imported for a --help
Command = Callable[..., Any]


def format_options(command: Command) -> Command:
    """The options, put on a command; `said` has them by name."""
    options = (
        click.option(
            "--format", type=click.Choice(FORMATS), help="Write results for another program (docs/formats.md)."
        ),
        click.option(
            "--output",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="Its file or folder; .json, .jsonl, .csv, .parquet, .xml (CVAT) and .jsonld say the format, too.  "
            "[default: standard output; of xmp, beside the pictures]",
        ),
        click.option("--label", metavar="NAME", help="What is found, in formats that name it.  [default: object]"),
        click.option(
            "--base", default="", metavar="TEXT", help="Before the names of pictures where a format links to them."
        ),
        click.option("--sha256", is_flag=True, help="Each result with the SHA-256 of its file."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def check_format(said: dict[str, Any], form: str | None, *, is_there: bool = False) -> str | None:
    """What goes to standard output: `form`, or the format that has no --output. Raises for what cannot be written.

    The format of an --output without one is put into what was said. is_there: whether a server is asked, and the
    pictures are on its machine.
    """
    from .. import formats

    output = said["output"]
    if said["format"] is None and output is not None:
        said["format"] = _format_by_suffix(output)
    name = said["format"]
    if name is None:
        return form
    chosen = formats.FORMATS[name]
    if is_there and chosen.needs_pictures:
        raise WrongUse(f"--format {name} looks at the pictures, and those of a server are not here")
    if is_there and said["sha256"]:
        raise WrongUse("--sha256: a server does not say it")
    try:
        formats.require_format(name)
    except MissingExtra as error:
        raise WrongUse(f"--format {name}: {error}") from error
    if output is None and chosen.text:
        if form:
            raise WrongUse(f"--{form} and --format {name} both write to standard output: give --output PATH")
        return str(name)
    if output is None and name != "xmp":
        kind = "folder" if chosen.is_folder else "file"
        raise WrongUse(f"--format {name} is a {kind}: name it by --output")
    if output is not None and chosen.is_folder:
        check_folder(output)
    elif output is not None:
        check_file(output, chosen.suffixes)
    return form


def _format_by_suffix(output: Path) -> str:
    """The first of the formats that such a file may be. Raises WrongUse where it may be none, as a folder."""
    from .. import formats

    by_suffix: dict[str, str] = {}
    for name, chosen in formats.FORMATS.items():
        by_suffix = dict.fromkeys(chosen.suffixes, name) | by_suffix
    if (suffix := output.suffix.lower()) in by_suffix:
        return by_suffix[suffix]
    folders = ", ".join(name for name, chosen in formats.FORMATS.items() if chosen.is_folder)
    known = ", ".join(sorted(by_suffix))
    raise WrongUse(f"{output}: in which format? {known} say it; else name it by --format: folders are {folders}")


def write_format(said: Mapping[str, Any], answer: "Answer") -> list[str]:
    """Write what goes to a file or folder; the line, each said, of every picture that is left out."""
    from .. import formats
    from ._output import printable

    name, output = said["format"], said["output"]
    if name is None or (output is None and formats.FORMATS[name].text):
        return []
    problems = formats.write(name, answer, output)
    for problem in problems:
        say(f"failed: {printable(problem)}", problem=problem)
    say(f"written: {printable(str(output or 'sidecars beside the pictures'))}", format=name)
    return problems
