"""`patchseek query import`, `export` and `report`: saved queries, and what was found, as files. Parse, call, print."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._words import counted
from ..errors import QueryError
from ._collection import collection_option, open_collection
from ._exits import EXIT_INCOMPLETE
from ._formats import FORMATS, check_format, write_format
from ._log import say
from ._output import printable
from ._table import write_records
from ._targets import WrongUse, check_file

if TYPE_CHECKING:
    from ..saved import Imported, Saved, SavedQuery

_PATH = click.Path(path_type=Path)
_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
_BUNDLE = ".zip"
NONE_SAVED = "no query is saved; save one with: patchseek query add NAME PICTURE --box X,Y,W,H"


@click.command("import")
@click.argument("path", type=_PATH)
@click.option("--by", type=click.Choice(["category"]), help="All boxes of a category are pictures of one query.")
@click.option("--pictures", type=_PATH, metavar="FOLDER", help="Where the pictures of PATH are.")
@click.option("--note", default="", help="For people, with each of them.")
@click.option("--replace", is_flag=True, help="Put them in the place of queries of the same names.")
@collection_option
def import_command(path: Path, by: str | None, pictures: Path | None, collection: Path | None, **options: Any) -> None:
    """Keep all queries of a file or folder of annotations, a folder of pictures, or a file of `query export`.

    They are called what the annotations call the object. Exit code 3: some could not be kept.
    """
    from ..saved import Saved, read_queries
    from ._progress import progress

    is_bundle = path.suffix.lower() == _BUNDLE
    if is_bundle and (by or pictures or options["note"]):
        raise WrongUse(f"{path} brings its own pictures and notes: leave out --by, --pictures and --note")
    saved = Saved(open_collection(collection))
    with progress() as on_progress:
        if is_bundle:
            done = read_queries(saved, path, replace=options["replace"], on_progress=on_progress)
        else:
            done = _annotated(saved, path, pictures, is_by_label=bool(by), on_progress=on_progress, **options)
    _say_failed(done.problems)
    n = counted(len(done.saved), "query", "queries")
    say(f"saved {n}; ask them with: patchseek query run", saved=len(done.saved))
    if done.problems:
        sys.exit(EXIT_INCOMPLETE)


def _annotated(saved: "Saved", path: Path, pictures: Path | None, *, is_by_label: bool, **options: Any) -> "Imported":
    """Save the queries of annotations; what cannot be read of them is among the problems."""
    from ..formats import by_label, one_a_box, read_annotated
    from ..saved import save_set

    read = read_annotated(path, pictures)
    done = save_set(saved, by_label(read.rows) if is_by_label else one_a_box(read.rows), **options)
    return replace(done, problems=(*read.problems, *done.problems))


@click.command("export")
@_NAMES
@click.option("--accepted", is_flag=True, help="The finds that somebody accepted, with the boxes that were judged.")
@click.option("--finds", is_flag=True, help="Those, and what is probably there and nobody has refused.")
@click.option("--format", type=click.Choice(FORMATS), help="Of finds: for which program (docs/formats.md).")
@click.option("--output", type=_PATH, metavar="PATH", help="The file, FILE.zip of queries, or the folder of --format.")
@click.option("--base", default="", metavar="TEXT", help="Before the names of pictures where a format links to them.")
@collection_option
def export_command(names: tuple[str, ...], accepted: bool, finds: bool, collection: Path | None, **said: Any) -> None:
    """Write saved queries, or those of these names, with their pixels; or what they have found.

    Exit code 3: some were left out, such as files that are gone.
    """
    from ..saved import Saved, hand_in, write_queries

    form = _check_export(said, accepted=accepted, finds=finds)
    saved = Saved(open_collection(collection))
    queries = _queries(saved, names)
    if not (accepted or finds):
        problems: Sequence[str] = write_queries(saved, queries, said["output"])
        _say_failed(problems)
        n = counted(len(queries) - len(problems), "query", "queries")
        say(f"written: {printable(str(said['output']))}, {n}", queries=len(queries) - len(problems))
    else:
        done = hand_in(saved, queries, only_accepted=accepted, base=said["base"])
        _say_failed(done.problems)
        problems = [*done.problems, *write_format(said, done.answer)]
        if form:
            write_records(done.answer, form)
        told = f"{counted(len(queries), 'query', 'queries')}, {counted(len(done.answer.results), 'find')}"
        say(told, queries=len(queries), finds=len(done.answer.results))
    if problems:
        sys.exit(EXIT_INCOMPLETE)


def _check_export(said: dict[str, Any], *, accepted: bool, finds: bool) -> str | None:
    """What goes to standard output. Raises WrongUse for what cannot be."""
    if accepted and finds:
        raise WrongUse("--accepted are some of --finds: give one of them")
    if accepted or finds:
        if said["format"] is None and said["output"] is None:
            raise WrongUse("finds are written in a --format: give that, and --output PATH")
        said["sha256"] = True
        return check_format(said, None)
    if said["format"] or said["base"]:
        raise WrongUse("--format is of what was found: say which, --accepted or --finds")
    if said["output"] is None:
        raise WrongUse("saved queries are written to a file: name it by --output FILE.zip")
    check_file(said["output"], (_BUNDLE,))
    return None


@click.command("report")
@_NAMES
@click.option("--output", type=_PATH, required=True, metavar="FILE", help="An HTML file that needs nothing else.")
@collection_option
def report_command(names: tuple[str, ...], output: Path, collection: Path | None) -> None:
    """A report to hand in: queries, or those of these names, and each find that somebody accepted.

    The browser prints it, or keeps it as PDF. Exit code 3: some pictures could not be shown.
    """
    from ..saved import Saved, write_report

    check_file(output, (".html", ".htm"))
    saved = Saved(open_collection(collection))
    problems = write_report(saved, _queries(saved, names), output)
    _say_failed(problems)
    say(f"written: {printable(str(output))}")
    if problems:
        sys.exit(EXIT_INCOMPLETE)


def _queries(saved: "Saved", names: Sequence[str]) -> "list[SavedQuery]":
    """Those of these names, or all. Raises QueryError where there is none."""
    queries = saved.get(*names)
    if not queries:
        raise QueryError(NONE_SAVED)
    return queries


def _say_failed(problems: Sequence[str]) -> None:
    for problem in problems:
        say(f"failed: {printable(problem)}", problem=problem)
