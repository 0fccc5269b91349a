"""`patchseek judge`: say whether what a saved query looks for is in a picture. Parse, call, print."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._words import counted
from ._collection import collection_option, open_collection
from ._exits import EXIT_INCOMPLETE
from ._log import say
from ._output import print_line, printable
from ._search_asked import numbers_of
from ._targets import WrongUse

if TYPE_CHECKING:
    from ..saved import Said, Saved
    from ..store import Judgement, SavedQuery

_VERDICTS = {"yes": "yes", "no": "no", "unsure": "unsure", "take_back": None}


@click.command("judge")
@click.argument("query")
@click.argument("pictures", nargs=-1, metavar="[PICTURE]...")
@click.option("--image-id", "image_ids", type=int, multiple=True, help="A picture of the collection; repeatable.")
@click.option("--yes", is_flag=True, help="It is there.")
@click.option("--no", is_flag=True, help="It is not.")
@click.option("--unsure", is_flag=True, help="Nobody can say.")
@click.option("--take-back", is_flag=True, help="What was said before does not stand any more.")
@click.option("--box", metavar="X,Y,W,H", help="Where it is.  [default: the find's box, else all of the picture]")
@click.option("--twins", is_flag=True, help="Finds that show nearly the same picture, too.")
@click.option("--who", metavar="NAME", help="Who says so.  [default: the system's name for you]")
@click.option("--list", "listed", is_flag=True, help="Say what stands.")
@click.option("--history", is_flag=True, help="Say all that was ever said.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a line.")
@collection_option
def judge_command(
    query: str,
    pictures: tuple[str, ...],
    image_ids: tuple[int, ...],
    box: str | None,
    twins: bool,
    who: str | None,
    as_json: bool,
    collection: Path | None,
    **said: bool,
) -> None:
    """Say whether what the saved QUERY looks for is in a PICTURE of the collection: a path, a folder or a pattern.

    A judgement belongs to the picture's content: it stays when the file moves. Exit code 3: some were none.
    """
    from ..saved import Saved

    verdict = _check(said, [*pictures, *image_ids], box)
    numbers = numbers_of(box) if box else None
    saved = Saved(open_collection(collection))
    (asked,) = saved.get(query)
    if said["listed"] or said["history"]:
        _print_said(saved, asked, as_json=as_json, is_all=said["history"])
        return
    ids, n_failed = _ids(saved, pictures, image_ids)
    if numbers and len(ids) > 1:
        raise WrongUse(f"--box is of one picture, and these are {len(ids)}")
    done, more = _judge(saved, asked, ids, verdict, numbers, twins=twins, who=who)
    for each in done:
        print_line(_line(each.judgement, [each.image.path], each, as_json=as_json))
    say(f"judged {counted(len(done), 'picture')}", judged=len(done))
    if n_failed + more:
        sys.exit(EXIT_INCOMPLETE)


def _check(said: dict[str, bool], pictures: list[Any], box: str | None) -> str | None:
    """The verdict. Raises WrongUse for what does not go together."""
    verdicts = [name for name in _VERDICTS if said[name]]
    if said["listed"] or said["history"]:
        if verdicts or pictures or box or (said["listed"] and said["history"]):
            raise WrongUse("--list and --history say what was said: give one of them, and nothing to judge")
        return None
    if len(verdicts) != 1:
        raise WrongUse("say one of --yes, --no, --unsure and --take-back; or see what was said by --list")
    if not pictures:
        raise WrongUse("say which pictures: paths, folders, patterns, or --image-id")
    return _VERDICTS[verdicts[0]]


def _ids(saved: "Saved", pictures: tuple[str, ...], image_ids: tuple[int, ...]) -> tuple[list[int], int]:
    """The ids of the pictures meant, each once, and how many places are none, each of which is said."""
    from ..errors import QueryError
    from ..store import Choice

    ids, n_failed, store = list[int](), 0, saved.collection.store
    for place in pictures:
        try:
            if not place:
                raise QueryError("an empty text names no pictures; all of them are '.'")
            ids += Choice(under=place).ids(store).tolist()
        except QueryError as error:
            n_failed += _say_failed(error)
    for number, image in zip(image_ids, store.images(image_ids), strict=True):
        if image is None:
            n_failed += _say_failed(f"the collection has no picture with id {number}")
        else:
            ids.append(number)
    return list(dict.fromkeys(ids)), n_failed


def _judge(
    saved: "Saved", query: "SavedQuery", ids: list[int], verdict: str | None, box: Any, **options: Any
) -> tuple[list["Said"], int]:
    """What was said, and how often it could not be: of a box that is none."""
    from ..errors import BoxError
    from ..saved import judge

    try:
        return judge(saved, query, ids, verdict, box=box, **options), 0
    except BoxError as error:
        return [], _say_failed(error)


def _print_said(saved: "Saved", query: "SavedQuery", *, as_json: bool, is_all: bool) -> None:
    """What stands, or all that was said, in the order in which it was."""
    judgements = saved.judgements
    said = judgements.history(query.key) if is_all else list(judgements.standing(query.key).values())
    ids = judgements.ids(said)
    for each in said:
        own = saved.collection.store.images(ids.get(each.content, []))
        print_line(_line(each, [image.path for image in own if image], as_json=as_json))
    if not said:
        say(f"nothing was said of what {printable(query.name)} has found")


def _line(said: "Judgement", paths: list[str], done: "Said | None" = None, *, as_json: bool) -> str:
    """A judgement and where its picture is now; done: that it was said just now."""
    from ..records import judgement_record

    record = judgement_record(said)
    twin = done.twin_of.path if done and done.twin_of else None
    if as_json:
        return json.dumps(record | {"images": paths} | ({"nearly_the_same_as": twin} if twin else {}))
    box = ",".join(map(str, record["box"]))
    where = ", ".join(map(printable, paths)) or f"{said.sha256[:12]} (not in the collection any more)"
    tail = f"  nearly the same as {printable(twin)}" if twin else ""
    when = "" if done else f"  {record['at']} by {printable(said.who)}"
    return f"{said.verdict or 'taken back':10} {where} {box}{tail}{when}"


def _say_failed(problem: object) -> int:
    say(f"failed: {printable(str(problem))}", problem=str(problem))
    return 1
