"""The `watch` command. Parse, call, print."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._home import expanded
from .._platform import as_spelled
from .._words import counted
from ..errors import PatchseekError
from ._collection import remember, weights_option
from ._exits import EXIT_INCOMPLETE
from ._log import say
from ._numbers import FiniteRange, seconds_of
from ._output import printable
from ._report import say_report
from ._saved import say_failed
from ._saved_files import NONE_SAVED
from ._targets import WrongUse, check_file

if TYPE_CHECKING:
    from ..collection import Collection
    from ..watch import Address, Look, Output

_MOST = 7 * 86400
# seconds of --every


@click.command("watch")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-c", "--collection", type=click.Path(path_type=Path), help="Where it is kept.  [default: FOLDER/.patchseek]"
)
@click.option(
    "--every",
    default="10m",
    show_default=True,
    metavar="TIME",
    help="Look again after so long (30s, 10m, 2h) though nothing was heard: network drives tell nothing.",
)
@click.option(
    "--min-confidence",
    type=FiniteRange(0, 1),
    metavar="0..1",
    help="Hand on no find that is known to be less sure.  [default: 0.8]",
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Append finds to FILE.  [default: stdout]"
)
@click.option("--post", metavar="URL", help="Post finds to this address, too.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), metavar="FILE", help="Sign what is posted with the key in FILE."
)
@click.option("--once", is_flag=True, help="Look once, and end.")
@weights_option
def watch_command(
    folder: Path,
    collection: Path | None,
    every: str,
    min_confidence: float | None,
    output: Path | None,
    post: str | None,
    key_file: Path | None,
    once: bool,
    weights: Path | None,
) -> None:
    """Index what comes into FOLDER, ask saved queries of it, and tell what they find: a JSON object a line.

    A file is read when it has stopped growing. Killed at any moment, the same command goes on there. Exit codes: 0
    ended by SIGTERM, 130 by Ctrl-C; with --once as those of `index`.
    """
    from ..confidence import DOUBTFUL
    from ..watch import Changes, Watcher, alone
    from ._progress import progress

    place, to, address = as_spelled(expanded(folder)), _output(output), _address(post, key_file)
    options: dict[str, Any] = {"min_confidence": DOUBTFUL if min_confidence is None else min_confidence}
    options["every"] = _seconds(every)
    opened = _opened(place, collection, weights)
    with alone(opened.store):
        opened.store.require_current()
        opened.encoder  # noqa: B018  what is wrong with it shows before the first look
        teller = _Teller(opened)
        watcher = Watcher(opened, place, to, address=address, tell=_say_trouble, **options)
        if once:
            is_done = watcher.once(teller.hear, progress)
            if teller.n_waiting:
                say(f"waiting: {counted(teller.n_waiting, 'file')} may still grow", waiting=teller.n_waiting)
            if teller.is_incomplete or not is_done:
                sys.exit(EXIT_INCOMPLETE)
            return
        with _ended_by_sigterm(), Changes(place, opened.path.resolve(), _say_trouble) as changes:
            say(f"watching {printable(str(place))}: what changes there, and all of it every {every}")
            watcher.run(changes, teller.hear, progress)


class _Teller:
    """Says what a look came to where that is something, and what failed when it is heard of for the first time."""

    def __init__(self, collection: "Collection") -> None:
        self._collection = collection
        self._said: set[Any] = set()
        self.n_waiting = 0
        # files that may still grow
        self.is_incomplete = False
        # whether something failed or is missing

    def hear(self, look: "Look") -> None:
        """Say it."""
        report = look.report
        self.n_waiting = report.waiting
        problems = [(told.query.name, str(problem)) for told in look.told for problem in told.problems]
        self.is_incomplete = bool(report.failed or report.missing or problems)
        failed = [each for each in report.failed if self._is_new((each.path, each.reason))]
        gone = [] if report.waiting else [each for each in report.missing_from if self._is_new(each)]  # or just moved
        if failed or gone or report.added + report.changed + report.moved + report.returned + report.removed:
            shown = replace(report, failed=failed, missing_from=gone, passed_over=Counter(), unmatched={})
            say_report(self._collection, shown, prune=False, wants_points=False)
        for name, problem in problems:
            if self._is_new((name, problem)):
                say_failed(name, problem)
        if not look.told and self._is_new("none"):
            say(NONE_SAVED)
        if any(told.n_looked_at for told in look.told) or look.n_finds:
            queries = counted(len(look.told), "saved query", "saved queries")
            say(f"{counted(look.n_finds, 'new find')}, {queries} asked", new_finds=look.n_finds, queries=len(look.told))

    def _is_new(self, what: Any) -> bool:
        is_new = what not in self._said
        self._said.add(what)
        return is_new


class _Stdout:
    """An Output that cannot be read again."""

    place = ""

    def size(self) -> int:
        """See watch.Output."""
        return 0

    def put(self, text: str, _begin: int) -> None:
        """See watch.Output. Where nobody reads any more, the command ends."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            sys.exit(1)


def _opened(folder: Path, collection: Path | None, weights: Path | None) -> "Collection":
    """The collection, made where there is none."""
    from ..collection import FOLDER, Collection

    if not folder.is_dir():
        raise PatchseekError(f"{folder}: not a folder")
    opened = Collection.open(collection or folder / FOLDER, weights=weights, create=True)
    remember(opened.path)
    return opened


def _seconds(text: str) -> float:
    """The seconds of a time such as 10m."""
    is_whole = text.strip()[-1:].isalpha() and "." not in text
    seconds = seconds_of(text) if is_whole else None
    if seconds is None or not 1 <= seconds <= _MOST:
        raise WrongUse(f"--every {text!r}: a time such as 30s, 10m or 2h, at most {_MOST // 3600}h")
    return seconds


def _output(path: Path | None) -> "Output":
    from ..watch import LinesFile

    if path is None:
        return _Stdout()
    path = expanded(path)
    check_file(path)
    if path.exists() and not path.is_file():
        raise WrongUse(f"{path}: cannot be appended to (it is no regular file); name a file")
    return LinesFile(path)


def _address(url: str | None, key_file: Path | None) -> "Address | None":
    import time

    from ..watch import Address, read_key

    if url is None:
        if key_file is not None:
            raise WrongUse("--key-file signs what is posted: say where with --post URL")
        return None
    try:
        return Address(url, read_key(expanded(key_file)) if key_file else None, time.time)
    except PatchseekError as error:
        raise WrongUse(str(error)) from error


def _say_trouble(text: str) -> None:
    say(printable(text))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """For the length of the block, SIGTERM leaves it, and the command ends well."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
