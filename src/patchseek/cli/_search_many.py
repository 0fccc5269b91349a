"""`search --queries`: every annotated box, or category, is a query; one file of results. Goes on where it was ended."""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._words import counted
from ..errors import PatchseekError
from ._exits import EXIT_INCOMPLETE, EXIT_NOTHING_FOUND
from ._formats import check_format, write_format
from ._log import say
from ._partial import Partial
from ._search_asked import check_choice
from ._targets import WrongUse

if TYPE_CHECKING:
    from ..collection import Collection
    from ..formats import BoxQuery
    from ..many import Outcome

_ONE_ALONE = ("text", "exclude", "save", "open", "preview", "why", "expand")
"""Options of a single search."""


def check_many(said: dict[str, Any], n_single: int, form: str | None, server: str | None) -> None:
    """Raise WrongUse for what does not go with --queries; the format is put into what was said where none is."""
    if n_single:
        raise WrongUse("--queries takes the place of QUERIES, --image-id and --box: give one of them")
    if short := form or ("parquet" if said["parquet"] else None):
        raise WrongUse(f"--{short} is for one search; of --queries it is --format {short} --output FILE")
    for name in _ONE_ALONE:
        if said[name]:
            raise WrongUse(f"--{'not' if name == 'exclude' else name} is for one search, and --queries asks many")
    if server:
        raise WrongUse("--queries: a server is asked with one picture from here")
    if said["output"] is None:
        raise WrongUse("--queries writes one file or folder: name it by --output PATH")
    if said["pictures"] and not said["pictures"].is_dir():
        raise WrongUse(f"--pictures {said['pictures']}: there is no such folder")
    check_choice(said)
    check_format(said, None)


def search_many(opened: "Collection", said: dict[str, Any], options: dict[str, Any]) -> None:
    """Search with every query of a file or folder, write the results, and leave with the exit code that they make."""
    from ..formats import OBJECT, Answer, by_label, one_a_box, read_annotated
    from ..records import collection_record

    read = read_annotated(said["queries_from"], said["pictures"])
    _say_failed(read.problems)
    if not read.rows:
        raise PatchseekError(f"{said['queries_from']}: no query is left in it")
    queries, label = by_label(read.rows) if said["by"] else one_a_box(read.rows), said["label"] or OBJECT
    facts = {"queries": _digest(queries), "label": label, "hashed": said["sha256"], "options": options}
    facts |= {"collection": collection_record(opened), "state": opened.store.catalogue.state()}
    state = Partial(said["output"], facts | {"runs_on": opened.encoder.runs_on})
    done = _answered(opened, queries, state, label, options, hashed=said["sha256"])
    problems = [problem for each in done for problem in each["problems"]]
    _say_failed(problems)
    results = [result for each in done for result in each["results"]]
    images = {image.id: image for image in opened.store.images(sorted({r["image_id"] for r in results})) if image}
    records = [each["query"] for each in done]
    answer = Answer(records, collection_record(opened), results, label, images, said["base"], is_many=True)
    problems += write_format(said, answer)
    state.remove()
    told = f"{counted(len(queries), 'query', 'queries')}, {counted(len(results), 'result')}"
    say(told, queries=len(queries), results=len(results))
    if read.problems or problems:
        sys.exit(EXIT_INCOMPLETE)
    if not results:
        sys.exit(EXIT_NOTHING_FOUND)


def _answered(
    opened: "Collection",
    queries: Sequence["BoxQuery"],
    state: Partial,
    label: str,
    options: Mapping[str, Any],
    *,
    hashed: bool,
) -> list[dict[str, Any]]:
    """The records of all queries, those that are in the state already and the others, which come to it."""
    from ._progress import progress

    done = state.read(len(queries))
    if done:
        say(f"going on after {len(done)} of {len(queries)} queries", done=len(done))
    outcomes = opened.answer_many([query.places for query in queries], begin=len(done), **options)
    with progress() as on_progress, state.writing() as write:
        on_progress(len(done), len(queries), "searching")
        for query, outcome in zip(queries[len(done) :], outcomes, strict=True):
            done.append(_record(query, outcome, label, hashed=hashed))
            write(done[-1])
            on_progress(len(done), len(queries), "searching")
    return done


def _digest(queries: Sequence["BoxQuery"]) -> str:
    """SHA-256 over the queries, and size and date of their pictures."""
    digest = hashlib.sha256()
    for query in queries:
        dates = []
        for picture, _ in query.places:
            with suppress(OSError):  # it is said to be missing when it is read
                status = os.stat(picture)  # noqa: PTH116
                dates.append((status.st_size, status.st_mtime_ns))
        digest.update(repr((query, dates)).encode())
    return digest.hexdigest()


def _say_failed(problems: Sequence[str]) -> None:
    from ._output import printable

    for problem in problems:
        say(f"failed: {printable(problem)}", problem=problem)


def _record(query: "BoxQuery", outcome: "Outcome", label: str, *, hashed: bool) -> dict[str, Any]:
    """What is kept of a query: its record, its results, and a line for each picture that could not be searched with."""
    from ..boxes import BBOX_FORMAT, to_pixels
    from ..formats import problem_line
    from ..records import match_record

    name = query.label or label
    views = [
        {
            "image": query.places[place][0],
            "box": view.box and list(to_pixels(view.box, view.width, view.height)),
            "bbox_format": BBOX_FORMAT,
            "width": view.width,
            "height": view.height,
        }
        for place, view in sorted(outcome.views.items())
    ]
    told: dict[str, Any] = {"id": query.id, "label": name}
    told |= views[0] if len(query.places) == 1 and views else {"views": views}
    problems = [problem_line(query.where[place], error) for place, error in sorted(outcome.problems.items())]
    matches = [match_record(rank, match, hashed=hashed) for rank, match in enumerate(outcome.matches, 1)]
    return {
        "query": told,
        "results": [{"query": query.id, "label": name, **match} for match in matches],
        "problems": problems,
    }


def many_options(command: Any) -> Any:
    """The options, put on a command."""
    path = click.Path(path_type=Path)
    options = (
        click.option(
            "--queries", "queries_from", type=path, metavar="PATH", help="Ask with all boxes of a file or folder."
        ),
        click.option(
            "--by", type=click.Choice(["category"]), help="All boxes of a category of --queries ask together."
        ),
        click.option("--pictures", type=path, metavar="FOLDER", help="Where the pictures of --queries are."),
    )
    for option in reversed(options):
        command = option(command)
    return command
