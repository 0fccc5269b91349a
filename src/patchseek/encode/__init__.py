"""The write path: a folder of pictures becomes committed features. Leaves pixels and SQL to others.

    scan -> read, decode, cut (threads) -> full batches across pictures -> encoder -> shard -> commit, and on

A shard is committed when it is full or old enough, so that an interruption costs seconds of work, whatever the encoder.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..errors import ImageError, PatchseekError
from ..patterns import Given
from ..sources import TAKEN_OUT, Stored, may_be_added, stored
from ..store import Failure, FileState, Store, Writer
from ._extractors import Extractor, Regions, extractors_of, features_of, features_of_regions, points_of
from ._leave import let_in, take_leave
from ._listed import add_list, find_listed
from ._load import (
    MAX_FILE_BYTES,
    Content,
    Result,
    Several,
    encode_tasks,
    in_turn,
    load_content,
    load_page,
    read_file,
)
from ._own import require_own
from ._pipeline import encode_stream, map_ahead
from ._place import Walked, find_new, find_pictures, find_place, visit
from ._plan import Missing, Plan
from ._points import PointsReport, add_points
from ._report import AddReport
from ._run import ENCODING, SHARD_IMAGES, Run
from ._scan import Scan, is_file, is_there, unread
from ._tasks import Place, Same, Task

__all__ = [
    "ENCODING",
    "MAX_FILE_BYTES",
    "SHARD_IMAGES",
    "AddReport",
    "Content",
    "Extractor",
    "IsReady",
    "Missing",
    "Place",
    "Plan",
    "PointsReport",
    "Regions",
    "Result",
    "Same",
    "Scan",
    "Several",
    "Task",
    "Walked",
    "add_file",
    "add_files",
    "add_folder",
    "add_list",
    "add_points",
    "add_stream",
    "always",
    "encode_stream",
    "encode_tasks",
    "extractors_of",
    "features_of",
    "features_of_regions",
    "find_listed",
    "find_new",
    "find_pictures",
    "find_place",
    "in_turn",
    "is_file",
    "is_there",
    "let_in",
    "load_content",
    "map_ahead",
    "points_of",
    "read_file",
    "require_own",
    "take_leave",
    "unread",
    "visit",
]

IsReady = Callable[[Path, FileState], bool]
"""Whether a file that is to be read may be, or whether it is left as it is this time, since it may still grow."""


def always(_file: Path, _state: FileState) -> bool:
    """An IsReady for files that are whole."""
    return True


def add_folder(
    store: Store,
    folder: Path,
    encoder: Encoder,
    *,
    exclude: Given | None = None,
    inside: Sequence[str] | None = None,
    hidden: bool = False,
    follow_symlinks: bool = False,
    retry: bool = False,
    check_content: bool = False,
    prune: bool = False,
    with_removed: bool = False,
    is_ready: IsReady = always,
    n_workers: int | None = None,
    on_progress: OnProgress = unheard,
) -> AddReport:
    """Bring the collection up to date with a folder, or an archive: encode what is new or changed, note what moved, set
    aside what is gone.

    What is set aside is not found any more, and taken back with its tags when the same bytes return, here or elsewhere.
    Where so much is gone that a disk may not be mounted, it stays in, and the report says so. A folder inside an
    indexed one updates that part of it; one that holds what another held takes its place.

    exclude: what to leave out, see `scan`; it is remembered for this folder and left out until something else is said
    (None says nothing). inside: keys of sources.KINDS, of the files below the folder that are gone into, since they
    hold pictures (archives, documents, films); remembered likewise. What was gone into once is looked into again.
    retry: try files again that failed before because of their content and have not changed since.
    check_content: read every file and compare its hash, whatever its date. prune: drop what is gone, however much it
    is, and what was set aside here. with_removed: take in again what somebody took out. is_ready: of a file
    that is not, what was known stays. n_workers: decoding threads, by default one a core.
    Raises PatchseekError for a folder without pictures (unless some are known there and prune), StoreLocked, DiskFull;
    what was committed before stays.
    """
    began = time.monotonic()
    with Writer(store) as writer:
        on_progress(0, 0, "looking for pictures")
        walked = visit(
            writer, folder, exclude, hidden=hidden, follow_symlinks=follow_symlinks, prune=prune, inside=inside
        )
        if with_removed:
            let_in(writer, walked.place)
        plan = Plan(store, walked.place, retry=retry, check_content=check_content, moved=walked.moved)
        report = _update(writer, plan, walked.found, encoder, n_workers, on_progress, prune=prune, is_ready=is_ready)
    report.seconds = time.monotonic() - began
    return report


def add_file(store: Store, file: Path, encoder: Encoder, *, on_progress: OnProgress = unheard) -> AddReport:
    """Add one picture, or bring it up to date, and touch nothing else.

    It belongs to the folder that was indexed and that it is seen in from there, else to its own. Raises PatchseekError
    for a file that is no picture by its name, ImageError for one that is not there.
    """
    if not may_be_added(file.name):
        raise PatchseekError(f"{file}: not a folder, nor a picture by its name")
    folder = file.parent.resolve()
    found = _look_at(folder, [file.name])
    with Writer(store) as writer:
        place = find_place(store, folder)
        writer.let_in(place.root, found.below(place.under).files)  # whoever names it wants it
        plan = Plan(store, place, retry=True)
        return _update(writer, plan, found.below(place.under), encoder, None, on_progress, is_whole=False)


def add_files(
    store: Store,
    folder: Path,
    paths: Iterable[str],
    encoder: Encoder,
    *,
    n_workers: int | None = None,
    on_progress: OnProgress = unheard,
) -> AddReport:
    """Make the collection hold exactly these files of a folder (paths relative to it), and drop all others of it.

    Of a file with pages, the first.
    Raises ImageError for a file that is not there.
    """
    found = _look_at(folder, paths)
    with Writer(store) as writer:
        plan = Plan(store, Place(folder), retry=True)
        return _update(writer, plan, found, encoder, n_workers, on_progress, alone=True, prune=True)


def _look_at(folder: Path, paths: Iterable[str]) -> Scan:
    found = Scan()
    for path in paths:
        try:
            found.files[path] = FileState.of((folder / path).stat())
        except OSError as error:
            raise ImageError(folder / path, f"cannot be read ({error.strerror})") from error
    return found


def _update(
    writer: Writer,
    plan: Plan,
    found: Scan,
    encoder: Encoder,
    n_workers: int | None,
    on_progress: OnProgress,
    *,
    alone: bool = False,
    is_whole: bool = True,
    prune: bool = False,
    is_ready: IsReady = always,
) -> AddReport:
    """Do what a plan says about files of its place.

    alone: exactly these are asked for, whatever else is there. is_whole: what was not found is gone.
    """
    began = time.monotonic()
    assert isinstance(plan.place.root, Path), "a folder"
    looked = [task for path, state in found.files.items() if (task := plan.look(path, state))]
    tasks = [task for task in looked if _is_ready(is_ready, stored(plan.place.root, task.path), task.state)]
    n_waiting = len(looked) - len(tasks)
    there = _nowhere if alone else is_there
    tasks = plan.close(tasks, list(found.unreadable), there, alone=alone, is_whole=is_whole)
    run = Run(writer, plan.place, len(tasks), on_progress, is_known=plan.is_known)
    run.begin(plan)
    run.encode(tasks, partial(_look_into, plan, has_pages=not alone), encoder, n_workers)
    report = run.report
    report.waiting = n_waiting
    if is_whole:
        take_leave(writer, plan, report, prune=prune)
    report.failed += unread(found.unreadable)
    report.failed.sort(key=lambda failure: failure.path)
    report.passed_over, report.unmatched = found.passed_over + Counter({TAKEN_OUT: plan.taken_out}), found.unmatched
    report.seconds = time.monotonic() - began
    return report


def _is_ready(is_ready: IsReady, place: Stored, state: FileState) -> bool:
    """Whether a file may be read, or the archive that it is in."""
    try:
        return is_ready(place.file, state if place.member is None else FileState.of(place.file.stat()))
    except OSError:  # gone; whoever reads it says so
        return True


def _nowhere(_root: object, _path: str) -> bool:
    return False


def add_stream(
    store: Store,
    folder: Path,
    pictures: Iterable[tuple[str, bytes]],
    encoder: Encoder,
    *,
    n_workers: int | None = None,
    on_progress: OnProgress = unheard,
) -> AddReport:
    """Add pictures (name, bytes of the file) that are not files of their own, such as those of a tar.

    folder: what the names are relative to; nothing is looked for there. A name that the collection has with these very
    bytes is passed over, so that a broken run goes on; with others, it is encoded anew. Nothing is removed but what
    fails now. on_progress hears that 0 are to be done: it is not known.
    """
    began = time.monotonic()
    with Writer(store) as writer:
        known = store.known(folder)
        run = Run(writer, Place(folder), 0, on_progress, is_known=known.__contains__)

        def changed() -> Iterator[tuple[str, bytes]]:
            for name, content in pictures:
                if name in known and known[name].sha256 == hashlib.sha256(content).hexdigest():
                    run.report.unchanged += 1
                else:
                    yield name, content

        def load(task: tuple[str, bytes], extractors: Sequence[Extractor]) -> Result:
            name, content = task
            state = FileState(len(content), 0)
            try:
                return load_page(Content.of(name, state, content), extractors)
            except ImageError as error:
                return Failure(name, state, error.reason, error.passing)

        run.encode(changed(), load, encoder, n_workers)
    run.report.seconds = time.monotonic() - began
    return run.report


def _look_into(plan: Plan, task: Task, extractors: Sequence[Extractor], *, has_pages: bool) -> Result:
    """Read a file once: recognise it by its hash, or decode it and cut it into patches."""
    assert isinstance(plan.place.root, Path), "a folder"
    place = stored(plan.place.root, task.path)
    try:
        with in_turn(0 if place.is_rendered else task.state.size):
            given = Content.at(place, task.path, task.state, has_pages=has_pages)
            same = task.same(given.sha256) or plan.claim(task, given.sha256)
            return load_content(given, same, extractors)
    except ImageError as error:
        return Failure(task.path, task.state, error.reason, error.passing)
