"""The command line: parse, call the library, print. Results on stdout, chatter on stderr.

Nothing heavy is imported before a command needs it, so that `patchseek --help` answers at once.
Exit codes: 0 done, 1 an error (one line on stderr), 2 wrong usage, 3 done but some pictures failed or are missing,
4 nothing found, 130 interrupted, 141 nobody reads the results any more.
"""

import logging
import math
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from .. import __version__, _platform
from .._addresses import masked
from ..errors import PatchseekError
from ._benchmarks import dataset_command, evaluate_command, score_command
from ._collection import remember
from ._compress import compress_command
from ._distributed import ClusterChoice, cluster_options
from ._encoder import EncoderChoice, encoder_options
from ._encoders import encoders_group
from ._exits import EXIT_INCOMPLETE
from ._judge import judge_command
from ._log import QUIET, hush, log_as_json, log_plainly, logs_json, say, say_crash
from ._maintenance import compact_command, info_command, remove_command, repair_command, tag_command, verify_command
from ._numbers import seconds_of
from ._operations import backup_command, restore_command, use_index_command
from ._output import printable
from ._plan import plan_command
from ._report import say_points, say_report, write_run_report
from ._saved import query_group
from ._saved_new import ask_of_new
from ._search import search_command
from ._serve import serve_command
from ._streams import flush_chatter, flush_results, mend_streams
from ._targets import WrongUse, check_file
from ._watch import watch_command

if TYPE_CHECKING:
    from ..regions import Pyramid

FAST = "embedded-fast"
"""The encoder of --fast."""
INSIDE = ("zip", "tar", "parquet", "pdf", "tif", "video")
"""The keys of sources.KINDS, which need not be imported for a help text."""
_ERROR = "patchseek: error: "


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="patchseek")
@click.option("--log-json", is_flag=True, envvar="PATCHSEEK_LOG_JSON", help="Say everything on stderr as JSON lines.")
@click.option("-q", "--quiet", is_flag=True, envvar=QUIET, help="Show no progress: no bars, no lines now and then.")
def cli(log_json: bool, quiet: bool) -> None:
    """Find an exact object in a collection of pictures and see where it is.

    \b
    patchseek serve ~/Pictures
    patchseek index ~/Pictures
    patchseek search photo.jpg --box 420,310,160,200 --save found.png
    """
    if log_json:
        log_as_json()
    if quiet:
        hush()


@cli.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "-c",
    "--collection",
    type=click.Path(path_type=Path),
    help="Where to keep it.  [default: SOURCE/.patchseek, of the first]",
)
@encoder_options
@cluster_options
@click.option(
    "--levels", help="3 for grids of 1x1 to 4x4, or a list such as 0,1,3.  [default: the collection's, 3 for a new one]"
)
@click.option(
    "--fast",
    is_flag=True,
    help="Of a new collection: index faster by more than half, about as well. The same as --encoder embedded-fast.",
)
@click.option(
    "--points/--no-points",
    default=True,
    help="Whether a new collection keeps points beside the features: better order and boxes, a third more bytes.",
)
@click.option("--with-points", is_flag=True, help="Add points to what an earlier version, or --no-points, indexed.")
@click.option("--overlap", type=float, help="Share of a cell that neighbours have in common.  [default: 0]")
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files or folders: a name or path, or a pattern as in .gitignore, e.g. '*.tif' or 'raw/*'; "
    "repeatable. It is remembered for SOURCE; '' forgets.",
)
@click.option(
    "--inside",
    multiple=True,
    type=click.Choice([*INSIDE, "all", ""]),
    help="Go into archives, documents or films below SOURCE, too: zip, tar, parquet, pdf, tif, video or all; "
    "repeatable. It is remembered for SOURCE; '' forgets.",
)
@click.option(
    "--every",
    metavar="TIME",
    help="Look at a shot of a film that goes on again after so long: 5, 0.5s, 1m. It is remembered for SOURCE; '' "
    "forgets.  [default: what is remembered, else 2s]",
)
@click.option("--hidden", is_flag=True, help="Go into hidden folders too.")
@click.option("--follow-symlinks", is_flag=True, help="Follow links to files and folders.")
@click.option("--retry", is_flag=True, help="Try files again that failed before because of what is in them.")
@click.option("--check-content", is_flag=True, help="Read every file and compare its hash, whatever its date.")
@click.option(
    "--prune",
    is_flag=True,
    help="Drop pictures whose files are gone, however many they are, instead of setting them aside for 30 days.",
)
@click.option("--with-removed", is_flag=True, help="Take in again what `patchseek remove` took out of SOURCE.")
@click.option(
    "--index",
    "index_engine",
    metavar="ENGINE",
    help="Search engine: exact, auto (by size), a FAISS factory string such as IVF256,PQ64, milvus:URI or postgresql://...",
)
@click.option("--saved/--no-saved", default=True, help="Whether saved queries are asked of what is new.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write counts and failures as JSON.")
def index(
    sources: tuple[str, ...],
    choice: EncoderChoice,
    cluster: ClusterChoice,
    collection: Path | None,
    levels: str | None,
    fast: bool,
    points: bool,
    with_points: bool,
    overlap: float | None,
    exclude: tuple[str, ...],
    inside: tuple[str, ...],
    every: str | None,
    hidden: bool,
    follow_symlinks: bool,
    retry: bool,
    check_content: bool,
    prune: bool,
    with_removed: bool,
    index_engine: str | None,
    saved: bool,
    report: Path | None,
) -> None:
    """Encode every picture below the folder SOURCE. Run it again after changes: only what is new is encoded.

    SOURCE may also be an archive (.zip, .tar, .tar.gz, or .parquet or .arrow with a column of pictures), a list of
    pictures (.txt, or .csv or .parquet with a column path or url), or a single picture, PDF or film: that is added to
    the collection of its folder, or brought up to date, and nothing else is.

    \b
    patchseek index ~/Pictures
    patchseek index ~/Pictures --exclude 'raw/*' --inside zip --inside pdf
    patchseek index ~/Pictures /mnt/archive --collection ~/all
    """
    from ..collection import Collection, find_collection
    from ..encode import AddReport, is_file
    from ..indexes import Refit, as_kept, judge_parameters
    from ..sources import is_archive, is_film, is_list
    from ..store import Store
    from ._progress import progress

    kinds = [*INSIDE] if "all" in inside else [kind for kind in inside if kind] if inside else None
    interval = _interval(every)
    if index_engine is not None:
        judge_parameters(index_engine)
        index_engine = as_kept(index_engine)
    if report:
        check_file(report)
    if with_points and not points:
        raise WrongUse("--with-points adds points and --no-points keeps none: give one of them")
    for source in sources:
        is_single = is_file(Path(source)) and not (is_archive(source) or is_list(Path(source)))
        if exclude and cluster.address is None and is_single:
            raise WrongUse(f"{source} is no folder: --exclude says what to leave out of one")
        if interval is not None and is_file(Path(source)) and not (is_film(source) or is_list(Path(source))):
            raise WrongUse(f"{source} is no film, nor a folder or list of some: --every is for these")
    home = collection or cluster.home(sources[0])
    there = find_collection(home)
    if fast:
        choice = choice.or_else(FAST)
        _require_fast(there)
    if not Store.exists(there):  # make none for a folder without pictures
        for source in sources:
            cluster.check(source, exclude or None, kinds, hidden, follow_symlinks)
    pyramid = _pyramid(levels, overlap)
    encoder, weights = choice.name_or_open(), choice.weights
    opened = Collection.open(home, encoder=encoder, pyramid=pyramid, weights=weights, points=points, create=True)
    done = AddReport()
    for source in sources:
        with progress() as on_progress:
            done += cluster.add(
                opened,
                source,
                choice,
                exclude=exclude or None,
                inside=kinds,
                every=interval,
                hidden=hidden,
                follow_symlinks=follow_symlinks,
                retry=retry,
                check_content=check_content,
                prune=prune,
                with_removed=with_removed,
                on_progress=on_progress,
            )
    remember(opened.path)
    if with_points:
        with progress() as on_progress:
            found = opened.add_points(on_progress=on_progress)
        say_points(found)
    say_report(opened, done, prune=prune, wants_points=points)
    asked = ask_of_new(opened) if saved else None
    if report:
        write_run_report(report, opened, done, asked)
    if index_engine is not None:
        with progress() as on_progress:
            opened.use_index(index_engine, Refit.WHERE_OUTGROWN, on_progress=on_progress)
    if done.failed or done.missing or (asked and asked["failed"]):
        sys.exit(EXIT_INCOMPLETE)


@cli.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_command(context: click.Context, names: tuple[str, ...]) -> None:
    """Say what patchseek does, or one of its commands: the same as COMMAND --help."""
    assert context.parent is not None
    at: click.Context = context.parent
    for name in names:
        inner = at.command.get_command(at, name) if isinstance(at.command, click.Group) else None
        if inner is None:
            raise click.UsageError(f"No such command {name!r}.", at)
        at = click.Context(inner, parent=at, info_name=name)
    click.echo(at.get_help())


for command in (
    *(info_command, remove_command, tag_command, verify_command, repair_command, compact_command),
    *(search_command, query_group, judge_command, watch_command, compress_command, serve_command, encoders_group),
    *(evaluate_command, score_command, dataset_command),
    *(backup_command, restore_command, use_index_command, plan_command),
):
    cli.add_command(command)


def _require_fast(path: Path) -> None:
    """Raise WrongUse for a collection that was begun with another encoder than that of --fast."""
    from ..store import Store

    if Store.exists(path) and (own := Store.open(path).settings.encoder.name) != FAST:
        raise WrongUse(
            f"{path} was indexed without --fast, which is for new collections (its encoder is {own}): "
            "leave --fast out, or begin another one with --collection"
        )


def _interval(text: str | None) -> float | None:
    """The seconds of --every, 0 where it forgets. Raises WrongUse."""
    from ..sources import require_interval

    if text is None or not text.strip():
        return None if text is None else 0.0
    seconds = seconds_of(text)
    if seconds is None:
        raise WrongUse(f"--every {text[:40]!r}: a time such as 5, 0.5s or 1m")
    try:
        require_interval(seconds or math.nan)
    except PatchseekError as error:
        raise WrongUse(f"--every {text[:40]!r}: {error}") from error
    return seconds


def _pyramid(levels: str | None, overlap: float | None) -> "Pyramid | None":
    from ..regions import Pyramid

    if levels is None and overlap is None:
        return None
    try:
        numbers = [int(level) for level in (levels or "3").split(",")]
    except ValueError as error:  # or a number of thousands of digits
        raise click.BadParameter(
            f"{str(levels)[:40]!r}: a level such as 3, or a list such as 0,1,3", param_hint="--levels"
        ) from error
    return Pyramid(tuple(numbers), overlap or 0.0) if len(numbers) > 1 else Pyramid.up_to(numbers[0], overlap or 0.0)


def main(command: click.Command = cli) -> None:
    """The `patchseek` command, or another of ours: run it, and turn our errors into one line and an exit code."""
    mend_streams()
    _platform.heed_break()
    log_plainly()
    try:
        _run(command)
    finally:
        flush_chatter()


def _run(command: click.Command) -> None:
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        if logs_json():
            _fail(error.format_message(), error.exit_code, error)
        with suppress(OSError):
            error.show()
        _end(error.exit_code)
    except PatchseekError as error:
        _fail(str(error), 2 if isinstance(error, WrongUse) else 1, error)
    except (KeyboardInterrupt, click.Abort) as error:
        text = "interrupted; what was finished is kept, run the same command again to go on"
        _fail(text, 130, error, prefix="patchseek: ")
    except SystemExit as error:
        _end(error.code if isinstance(error.code, int) else 0 if error.code is None else 1)
    except Exception as error:
        if isinstance(error, OSError):
            _end(None)  # where it is of stdout, this says so
        if not logs_json():
            raise
        say_crash(error)
        sys.exit(1)
    _end(0)


def _end(exit_code: int | None) -> None:
    """Leave with this code, or with 1 and a line where results could not be written. None: stay where they could."""
    error = flush_results()
    if isinstance(error, BrokenPipeError):
        sys.exit(141)  # whoever read the results has enough
    if error is not None:
        say(f"the results cannot be written to standard output ({error.strerror})", level=logging.ERROR, prefix=_ERROR)
        sys.exit(1)
    if exit_code is not None:
        sys.exit(exit_code)


def _fail(text: str, exit_code: int, error: BaseException, prefix: str = _ERROR) -> NoReturn:
    line = masked(text) if logs_json() else printable(text)
    say(line, level=logging.ERROR, prefix=prefix, error=type(error).__name__, exit_code=exit_code)
    flush_results()
    sys.exit(exit_code)
