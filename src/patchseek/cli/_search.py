"""The `search` command. Parse, call, print; the head of it is in `cli`."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import PatchseekError
from ._collection import collection_option, open_collection, weights_option
from ._exits import EXIT_INCOMPLETE, EXIT_NOTHING_FOUND
from ._formats import check_format, format_options, write_format
from ._log import say
from ._numbers import FiniteRange
from ._search_asked import STDIN, check, form_of, numbers_of, top_of
from ._search_many import check_many, many_options, search_many
from ._targets import WrongUse, attempt

if TYPE_CHECKING:
    from ..collection import Collection
    from ..formats import Answer
    from ..images import Picture

_HERE_ALONE = (
    "weights",
    "engine",
    "precision",
    "calibration",
    "device",
    "index",
    "save",
    "open",
    "preview",
    "exclude",
)
"""Options that a server does not take."""
_PATH = click.Path(path_type=Path)
_COUNT = click.IntRange(0)


@click.command("search")
@click.argument("queries", nargs=-1, type=_PATH)
@click.option("--image-id", "image_ids", type=int, multiple=True, help="A picture of the collection; repeatable.")
@click.option("--text", help="Words instead of a picture, or beside one; for encoders with a text tower.")
@click.option(
    "--box",
    "boxes",
    multiple=True,
    metavar="X,Y,W,H",
    help="The object, in pixels or as shares; once a picture. Default: what stands on even ground, else all.",
)
@click.option("--not", "exclude", multiple=True, type=_PATH, metavar="FILE", help="Not like this; repeatable.")
@click.option("--top", default="10", show_default=True, metavar="N|all", help="How many pictures.")
@click.option("--refine", type=_COUNT, default=20, show_default=True, help="Finer boxes in the first so many; 0: none.")
@click.option("--depth", type=_COUNT, default=500, show_default=True, help="Look at the points of the first so many.")
@click.option("--no-points", is_flag=True, help="Leave points out of it: the same as --depth 0.")
@click.option(
    "--turned/--upright", default=True, show_default=True, help="Look for it turned, too, or as it lies alone."
)
@click.option("--mirrored", is_flag=True, help="Look for its mirror image, too.")
@click.option("--several", is_flag=True, help="All copies of the object in each picture.")
@click.option("--distinct", is_flag=True, help="One of several pictures that are nearly the same.")
@click.option("--frames", is_flag=True, help="Each frame of a film by itself, not its best with the times.")
@click.option("--expand", type=_COUNT, default=0, metavar="N", help="Search again with the best N results added.")
@click.option("--min-confidence", type=FiniteRange(0, 1), metavar="0..1", help="Leave out what is less sure than this.")
@click.option("--under", multiple=True, metavar="FOLDER", help="Only there: a folder, picture or '*.png'; repeatable.")
@click.option("--tag", "tags", multiple=True, metavar="NAME", help="Only pictures with this tag; repeatable.")
@click.option("--since", metavar="DATE", help="Only files changed on this day or later, e.g. 2024-05-31.")
@click.option("--until", metavar="DATE", help="Only files changed on this day or before.")
@collection_option
@weights_option
@click.option("--engine", type=click.Choice(["auto", "openvino", "torch", "onnxruntime"]), help="What computes.")
@click.option("--precision", type=click.Choice(["auto", "f32", "bf16", "f16", "int8"]), help="In which numbers.")
@click.option("--calibration", type=_PATH, help="A folder of pictures that int8 measures its ranges on.")
@click.option("--device", help="Where to encode, and to search exactly: cpu, cuda, cuda:1.  [a GPU, and the CPU]")
@click.option("--index", help="Search engine for this once.  [default: the collection's]")
@click.option("--json", is_flag=True, help="One JSON object.")
@click.option("--jsonl", is_flag=True, help="One JSON object a line.")
@click.option("--csv", is_flag=True, help="Comma-separated values.")
@click.option("--parquet", type=_PATH, metavar="FILE", help="Also write a Parquet file.")
@format_options
@many_options
@click.option("--save", type=_PATH, metavar="FILE", help="Also draw query and results into a picture.")
@click.option("--why", is_flag=True, help="Say by which points: lines in the picture drawn, partners in JSON.")
@click.option("--preview", is_flag=True, help="Like --save into a temporary file; prints its path and opens nothing.")
@click.option("--open", is_flag=True, help="Show what --save draws, or else --preview, in the system's viewer.")
@click.option(
    "--server", metavar="URL", help="Ask a `patchseek serve` there; its token: in the URL or PATCHSEEK_TOKEN."
)
def search_command(
    queries: tuple[Path, ...],
    image_ids: tuple[int, ...],
    boxes: tuple[str, ...],
    top: str,
    server: str | None,
    **said: Any,
) -> None:
    """Rank the collection's pictures by how surely they hold the object of QUERIES, and say where it is.

    Several pictures are taken for views of one object; - is a picture on standard input. With --queries, each box of a
    file of annotations is a query, and all results go into one --output. Exit code 3: some could not be asked or
    written; 4: nothing was found.

    \b
    patchseek search photo.jpg --box 420,310,160,200
    patchseek search photo.jpg --under holidays --since 2024-01-01 --top 50 --csv
    patchseek search front.jpg back.jpg --several --save found.png --why
    patchseek search --queries boxes.json --format coco --output found.json
    """
    asked: list[Path | int] = [*queries, *image_ids]
    form, n_most = form_of(said), top_of(top)
    said["preview"] = said["preview"] or (said["open"] and not said["save"])
    if said["queries_from"]:
        check_many(said, len(asked) + len(boxes), form, server)
        _search_many(n_most, said)
        return
    if said["by"] or said["pictures"]:
        raise WrongUse("--by and --pictures say more of --queries PATH: give that, too")
    form = check_format(said, form, is_there=bool(server))
    check(asked, len(boxes), form, said)
    said["depth"] = 0 if said["no_points"] else said["depth"]
    numbers: list[list[float] | None] = [numbers_of(box) for box in boxes]
    numbers += [None] * (len(asked) - len(numbers))
    parquet: Path | None = said["parquet"]
    draw = hint = None
    if server:
        answer = _search_there(server, asked, numbers, n_most, said)
    else:
        answer, draw, hint = _search_here(asked, numbers, n_most, said)
    from ..formats import write
    from ._table import write_records

    write_records(answer, form)  # first: nothing that goes wrong below takes the answer away
    results, left_out = answer.results, []
    problems = attempt(write, "parquet", answer, parquet) if parquet else []
    problems += attempt(lambda: left_out.extend(write_format(said, answer)))
    problems += attempt(draw) if draw else []
    _say_what_changed(results)
    if not results:
        say("nothing found")
    else:
        _say_if_doubtful(results[0])
    if hint:
        hint()
    if problems:
        raise PatchseekError("; ".join(map(str, problems))) from problems[0]
    if not results:
        sys.exit(EXIT_NOTHING_FOUND)
    if left_out:
        sys.exit(EXIT_INCOMPLETE)


def _search_many(top: int | None, said: dict[str, Any]) -> None:
    """Search with all of --queries."""
    opened = _open(said)
    said["depth"] = 0 if said["no_points"] else said["depth"]
    wanted = {"top": top, "index": _index(opened.index, said), **_options(said)}
    search_many(opened, said, wanted)


def _options(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of SearchOptions, but for `top`."""
    from ..answers import SearchOptions

    return {field.name: said[field.name] for field in fields(SearchOptions) if field.name != "top"}


def _search_here(
    asked: list[Path | int], boxes: Sequence[list[float] | None], top: int | None, said: dict[str, Any]
) -> tuple["Answer", Callable[[], None] | None, Callable[[], None]]:
    """Search a collection on this machine; what is found, what draws it where that was asked for, and what gives a hint
    at the end."""
    from ..formats import OBJECT, Answer
    from ..queries import asked_box
    from ..records import collection_record, match_record
    from ._hints import Stopwatch, hint_at_refine
    from ._progress import progress

    opened = _open(said)
    pictures = [_read_stdin() if each == STDIN else opened.read(each) for each in asked]
    began = time.monotonic()
    with progress(stays=False) as on_progress:
        watch = Stopwatch(on_progress)
        matches = opened.search(
            pictures,
            box=list(boxes),
            exclude=[_read_stdin() if each == STDIN else each for each in said["exclude"]],
            top=top,
            text=said["text"],
            index=_index(opened.index, said),
            on_progress=watch,
            **_options(said),
        )
    seconds = time.monotonic() - began
    shares = [asked_box(picture, box) for picture, box in zip(pictures, boxes, strict=True)]
    queries = _query_records(asked, pictures, shares, said["text"])
    why = queries if said["why"] else ()
    results = [match_record(rank, match, why, hashed=said["sha256"]) for rank, match in enumerate(matches, 1)]
    images = {match.image.id: match.image for match in matches}
    answer = Answer(queries, collection_record(opened), results, said["label"] or OBJECT, images, said["base"])
    hint = partial(hint_at_refine, seconds, watch.refining, said["refine"])
    if not (said["save"] or said["preview"]):
        return answer, None, hint

    def draw() -> None:
        from ._sheet import draw_matches

        path = said["save"] or _temporary_picture()
        draw_matches(pictures, shares, matches, path, why=said["why"])
        say(f"drawn: {path}")
        if said["open"]:
            show(path)

    return answer, draw, hint


def show(path: Path) -> None:
    """Show a picture in the system's viewer, or say that there is none."""
    from .._desktop import open_there

    if not open_there(path):
        say("nothing here shows pictures: no screen, or no program that opens files; open that file yourself")


def _read_stdin() -> "Picture":
    """The picture on standard input. Raises ImageError, for an empty one too."""
    from ..images import read

    return read(_stdin(), name="standard input")


def _stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin else b""  # closed, it is None


def _open(said: dict[str, Any]) -> "Collection":
    """The collection, with its encoder opened in a special way where that was asked for."""
    engine, precision, calibration, device = (said[name] for name in ("engine", "precision", "calibration", "device"))
    opened = open_collection(said["collection"], said["weights"])
    name = opened.store.settings.encoder.name
    if device and name.startswith("embedded"):
        device = None  # it runs on the CPU alone; the search need not
    if not (engine or precision or calibration or device):
        return opened
    from ..collection import Collection
    from ..encoders import open_encoder

    encoder = open_encoder(
        name,
        weights=said["weights"],
        engine=engine or "auto",
        precision=precision or "auto",
        calibration=calibration,
        device=device or "auto",
    )
    return Collection.open(opened.path, encoder=encoder)


def _index(chosen: str, said: dict[str, Any]) -> str | None:
    """The search engine: as said, and where that is the exact one, on the device that was said."""
    from ..indexes import EXACT, ON_DEVICE

    device, index = said["device"], said["index"]
    if device in (None, "auto", "cpu") or (index or chosen) != EXACT:
        return index  # type: ignore[no-any-return]
    return ON_DEVICE + device.partition(",")[0]  # type: ignore[no-any-return]


def _query_records(
    asked: Sequence[Path | int],
    pictures: Sequence["Picture"],
    shares: Sequence[tuple[float, float, float, float] | None],
    text: str | None,
) -> list[dict[str, Any]]:
    from ..records import query_record

    names = [f"image_id {each}" if isinstance(each, int) else str(each) for each in asked]
    records = [query_record(*each) for each in zip(names, pictures, shares, strict=True)]
    return records + ([{"text": text}] if text is not None else [])


def _say_what_changed(results: Sequence[Mapping[str, Any]]) -> None:
    from ._output import printable

    changed = [result["image"] for result in results if result.get("changed")]
    if changed:
        names = printable(", ".join(changed[:3]) + (", ..." if len(changed) > 3 else ""))
        text = f"changed since indexed, boxes are of the old pictures: {names}; run: patchseek index FOLDER"
        say(text, level=logging.WARNING, changed=changed)


def _say_if_doubtful(best: Mapping[str, Any]) -> None:
    """Of a refined find alone: of others, many are no surer though the object is there. A server may not say which."""
    from ..confidence import DOUBTFUL

    confidence = best.get("confidence")
    if best.get("refined") and confidence is not None and confidence < DOUBTFUL:
        say(f"probably not in this collection: the best match is only {confidence:.0%} sure", confidence=confidence)


def _search_there(
    url: str,
    asked: list[Path | int],
    boxes: Sequence[list[float] | None],
    top: int | None,
    said: dict[str, Any],
) -> "Answer":
    """Search through the server at url, whose answer is in the form of our own."""
    from ..formats import OBJECT, Answer
    from ..server.client import Client
    from ._progress import progress

    for name in _HERE_ALONE:
        if said[name]:
            raise click.UsageError(f"--{name}: a server searches its own collection in its own way, and draws nothing")
    if len(asked) != 1:
        raise click.UsageError("a server is asked with one picture from here; its page takes several")
    wanted: dict[str, Any] = {**_options(said), "text": said["text"], "why": said["why"]}
    wanted = {name: str(value).lower() if isinstance(value, bool) else value for name, value in wanted.items()}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    client = Client(url)
    if client.token is None:  # one in the address is that server's; the other may be of another
        client = Client(url, os.environ.get("PATCHSEEK_TOKEN"))
    query = _stdin() if asked[0] == STDIN else asked[0]
    with progress(stays=False) as on_progress:
        found = client.search(query, box=boxes[0], top=top or MOST, on_progress=on_progress, **wanted)
    return Answer([found["query"]], found["collection"], found["results"], said["label"] or OBJECT, base=said["base"])


MOST = 1000
"""Pictures that a server answers with at most."""


def _temporary_picture() -> Path:
    import tempfile

    handle, name = tempfile.mkstemp(prefix="patchseek-", suffix=".png")
    os.close(handle)
    return Path(name)
