"""`patchseek query`: queries that are kept in the collection, and asked again. Parse, call, print."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._words import counted
from ._collection import collection_option, open_collection, weights_option
from ._exits import EXIT_INCOMPLETE
from ._log import say
from ._numbers import FiniteRange
from ._output import print_line, printable
from ._saved_files import NONE_SAVED, export_command, import_command, report_command
from ._search_asked import numbers_of

if TYPE_CHECKING:
    from ..saved import Saved, Told

_PATH = click.Path(path_type=Path)
_COUNT = click.IntRange(0)
LEARN = ("no", "accepted", "refused", "all")
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON, one object a line.")


@click.group("query")
def query_group() -> None:
    """Queries that are kept in a collection, with their pixels, and asked again when pictures come."""


for command in (import_command, export_command, report_command):
    query_group.add_command(command)


@query_group.command("add")
@click.argument("name")
@click.argument("pictures", nargs=-1, type=_PATH)
@click.option("--image-id", "image_ids", type=int, multiple=True, help="A picture of the collection; repeatable.")
@click.option("--box", "boxes", multiple=True, metavar="X,Y,W,H", help="The object; once a picture, as of `search`.")
@click.option("--not", "exclude", multiple=True, type=_PATH, metavar="FILE", help="Not like this; repeatable.")
@click.option("--text", help="Words instead of a picture, or beside one; for encoders with a text tower.")
@click.option("--note", default="", help="For people.")
@click.option("--replace", is_flag=True, help="Put it in the place of the query of this name.")
@collection_option
@weights_option
def add_command(
    name: str,
    pictures: tuple[Path, ...],
    image_ids: tuple[int, ...],
    boxes: tuple[str, ...],
    exclude: tuple[Path, ...],
    text: str | None,
    note: str,
    replace: bool,
    collection: Path | None,
    weights: Path | None,
) -> None:
    """Keep a query under NAME: one picture or several of one object. Its files may go away then."""
    asked: list[Path | int] = [*pictures, *image_ids]
    numbers = [numbers_of(box) for box in boxes] if boxes else None
    query = _open(collection, weights).add(
        name, asked, box=numbers, text=text, exclude=list(exclude), note=note, replace=replace
    )
    command = f"patchseek query run {shlex.quote(query.name)}"
    say(f"saved {printable(query.name)}; ask it with: {printable(command)}", name=query.name)


@query_group.command("list")
@_JSON
@collection_option
def list_command(as_json: bool, collection: Path | None) -> None:
    """The saved queries: how much each has found, and what is to be judged."""
    saved = _open(collection)
    queries = saved.all()
    for query in queries:
        record = saved.summary(query)
        if as_json:
            print_line(json.dumps(record))
        else:
            print_line(
                f"{printable(query.name):30} {_counts(record)}{'  ' + printable(query.note) if query.note else ''}"
            )
    if not queries:
        say(NONE_SAVED)


def _counts(record: dict[str, Any]) -> str:
    if record["asked"] is None:
        return "not asked yet"
    judged = ", ".join(f"{n} {verdict}" for verdict, n in record["judged"].items() if n) or "none judged"
    return f"{counted(record['finds'], 'find')}, {record['sure']} sure, {record['open']} of these to judge; {judged}"


@query_group.command("show")
@click.argument("name")
@click.option("--all", "every", is_flag=True, help="Unsure finds, too.")
@_JSON
@collection_option
def show_command(name: str, every: bool, as_json: bool, collection: Path | None) -> None:
    """What a saved query looks for, and what it has found so far."""
    saved = _open(collection)
    (query,) = saved.get(name)
    whole = saved.findings(query)
    summary, found = saved.summary(query, whole), [each for each in whole if every or each.is_sure or each.verdict]
    if as_json:
        print_line(json.dumps(summary))
        for each in found:
            print_line(json.dumps(each.record))
        return
    print_line(f"{printable(query.name)}: {_counts(summary)}")
    for view in query.views:
        box = ",".join(map(str, view.box))
        print_line(f"  {'' if view.is_wanted else 'not '}{printable(view.file or 'a picture')} {box}")
    for each in found:
        record = each.record
        sure = "" if record["confidence"] is None else f"{100 * record['confidence']:3.0f} %"
        box, said = ",".join(map(str, record["box"])), each.verdict or ("new" if each.is_latest else "")
        gone = "" if each.images else "  (not in the collection any more)"
        print_line(f"  {sure:5} {said:7} {printable(record['image'])} {box}{gone}")


@query_group.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@collection_option
def remove_command(names: tuple[str, ...], collection: Path | None) -> None:
    """Forget saved queries. What was said of their finds stays in the collection."""
    n = _open(collection).remove(*names)
    say(f"removed {counted(n, 'saved query', 'saved queries')}", removed=n)


@query_group.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--new", "only_new", is_flag=True, help="Look only at pictures that came since a query was asked last.")
@click.option("--again", is_flag=True, help="Ask those, too, that have looked at all pictures.")
@click.option("--learn", type=click.Choice(LEARN), help="From what was judged: accepted finds are views of it, too.")
@click.option("--top", type=click.IntRange(1), help="Finds of a query, at most.  [default: 50]")
@click.option("--refine", type=_COUNT, help="Finer boxes in the first so many; 0: none.  [default: 20]")
@click.option("--depth", type=_COUNT, help="Look at the points of the first so many.  [default: 500]")
@click.option(
    "--turned/--upright", default=None, help="Look for it turned, too, or as it lies alone.  [default: turned]"
)
@click.option("--mirrored/--no-mirrored", default=None, help="Look for its mirror image, too.")
@click.option("--min-confidence", type=FiniteRange(0, 1), metavar="0..1", help="Keep no find that is less sure.")
@_JSON
@collection_option
@weights_option
def run_command(
    names: tuple[str, ...], as_json: bool, collection: Path | None, weights: Path | None, **options: Any
) -> None:
    """Ask saved queries, or those of these names, and keep what they find.

    How it is asked is remembered for each: options that are left out are those of its last run. Whatever moment it is
    ended at, the same command goes on there. Exit code 3: some could not be asked.
    """
    from ._progress import progress

    saved, told = _open(collection, weights), []
    with progress() as on_progress:
        for each in saved.run(*names, on_progress=on_progress, **options):
            told.append(each)
            for problem in each.problems:
                say_failed(each.query.name, problem)
    for each in told:
        for find in each.new:
            if as_json:
                print_line(json.dumps({"query": each.query.name, **find.record}))
            else:
                box = ",".join(map(str, find.record["box"]))
                print_line(f"{printable(each.query.name)}: {printable(find.record['image'])} {box}")
        if any(each.learned):
            accepted, refused = each.learned
            changed = f"{len(each.new)} came, {len(each.gone)} went"
            say(f"{printable(each.query.name)}: learned from {accepted} accepted and {refused} refused: {changed}")
    say(summary_of(told), **facts_of(told))
    if any(each.problems for each in told):
        sys.exit(EXIT_INCOMPLETE)


def say_failed(name: str, problem: object) -> None:
    """Say what could not be asked of the query of a name."""
    say(f"failed: {printable(f'{name}: {problem}')}", query=name)


def facts_of(told: Sequence["Told"]) -> dict[str, Any]:
    """What a run comes to, in numbers."""
    return {
        "queries": len(told),
        "failed": sum(bool(each.problems) for each in told),
        "asked": sum(each.n_looked_at > 0 for each in told),
        "new_finds": sum(len(each.new) for each in told),
        "queries_with_new_finds": sum(bool(each.new) for each in told),
    }


def summary_of(told: Sequence["Told"]) -> str:
    """The same in one line."""
    facts = facts_of(told)
    if not told:
        return NONE_SAVED
    if not facts["asked"]:
        return f"{counted(len(told), 'saved query', 'saved queries')}: no picture has come since"
    found = counted(facts["new_finds"], "new find")
    return f"{found} for {counted(facts['queries_with_new_finds'] or len(told), 'saved query', 'saved queries')}"


def _open(collection: Path | None, weights: Path | None = None) -> "Saved":
    from ..saved import Saved

    return Saved(open_collection(collection, weights))
