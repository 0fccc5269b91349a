"""The write path: a folder of pictures becomes committed features. Leaves pixels and SQL to others.

    scan -> read, decode, cut (threads) -> full batches across pictures -> encoder -> shard -> commit, and on

A shard is committed when it is full or old enough, so that an interruption costs seconds of work, whatever the encoder.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .._platform import as_spelled, own_name
from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..errors import ImageError, PatchseekError
from ..patterns import Given
from ..sources import may_be_added
from ..store import Failure, FileState, Store, Writer
from ._extractors import Extractor, Regions, extractors_of, features_of, features_of_regions, points_of
from ._find_listed import Listed, find_in_store, find_listed, name_listed
from ._leave import let_in, take_leave
from ._listed import add_list
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
from ._pipeline import encode_stream
from ._place import Walked, find_new, find_pictures, find_place, look_every, visit
from ._plan import FilePlan, Missing
from ._points import PointsReport, add_points
from ._report import AddReport
from ._run import ENCODING, SHARD_IMAGES, Run, keep
from ._scan import Scan, is_file, is_there, unread
from ._tasks import Place, Same, Task
from ._update import IsReady, always, reading, update

__all__ = [
    "ENCODING",
    "MAX_FILE_BYTES",
    "SHARD_IMAGES",
    "AddReport",
    "Content",
    "Extractor",
    "FilePlan",
    "IsReady",
    "Listed",
    "Missing",
    "Place",
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
    "find_in_store",
    "find_listed",
    "find_new",
    "find_pictures",
    "find_place",
    "in_turn",
    "is_file",
    "is_there",
    "keep",
    "let_in",
    "load_content",
    "look_every",
    "name_listed",
    "points_of",
    "read_file",
    "require_own",
    "take_leave",
    "unread",
    "visit",
]


def add_folder(
    store: Store,
    folder: Path,
    encoder: Encoder,
    *,
    exclude: Given | None = None,
    inside: Sequence[str] | None = None,
    every: float | None = None,
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
    every: of films, seconds (0.1 to 3600) for which a shot that goes on is not looked at again, 2 where nothing was
    said; remembered likewise, 0 forgets. Films of which that is changed are gone through again.
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
            writer,
            folder,
            exclude,
            hidden=hidden,
            follow_symlinks=follow_symlinks,
            prune=prune,
            inside=inside,
            every=every,
        )
        if with_removed:
            let_in(writer, walked.place)
        plan = FilePlan(store, walked.place, retry=retry, check_content=check_content, moved=walked.moved)
        encode = reading(encoder, n_workers)
        report = update(writer, plan, walked.found, encode, on_progress, prune=prune, is_ready=is_ready)
    report.seconds = time.monotonic() - began
    return report


def add_file(
    store: Store, file: Path, encoder: Encoder, *, every: float | None = None, on_progress: OnProgress = unheard
) -> AddReport:
    """Add one picture, or bring it up to date, and touch nothing else.

    It belongs to the folder that was indexed and that it is seen in from there, else to its own. every: of a film, see
    `add_folder`. Raises PatchseekError for a file that is no picture by its name, ImageError for one that is not there.
    """
    if not may_be_added(file.name):
        raise PatchseekError(f"{file}: not a folder, nor a picture by its name")
    folder = as_spelled(file.parent)
    name = own_name(folder, file.name)
    found = _look_at(folder, [name])
    with Writer(store) as writer:
        place = find_place(store, folder)
        writer.let_in(place.root, found.below(place.under).files)  # whoever names it wants it
        if every is not None:
            look_every(writer, Place(place.root, place.under + name), every)
        plan = FilePlan(store, place, retry=True)
        return update(writer, plan, found.below(place.under), reading(encoder, None), on_progress, is_whole=False)


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
        plan = FilePlan(store, Place(folder), retry=True)
        encode = reading(encoder, n_workers, has_pages=False)
        return update(writer, plan, found, encode, on_progress, alone=True, prune=True)


def _look_at(folder: Path, paths: Iterable[str]) -> Scan:
    found = Scan()
    for path in paths:
        try:
            found.files[path] = FileState.of((folder / path).stat())
        except OSError as error:
            raise ImageError(folder / path, f"cannot be read ({error.strerror})") from error
    return found


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
