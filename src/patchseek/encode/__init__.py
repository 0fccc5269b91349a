"""The write path: a folder of pictures becomes committed features. Leaves pixels and SQL to others.

    scan -> read, decode, cut (threads) -> full batches across pictures -> encoder -> shard -> commit, and on

A shard is committed when it is full or old enough, so that an interruption costs seconds of work, whatever the encoder.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..encoders import Encoder, Features
from ..errors import ImageError, PatchseekError, StoreError
from ..images import EXTENSIONS
from ..patches import Feed
from ..patterns import Given
from ..regions import Pyramid
from ..store import Failure, FileState, NewPicture, Store, Writer, exclusions, remember_exclusions
from ._load import MAX_FILE_BYTES, Result, encode_tasks, load_content, read_file
from ._pipeline import encode_stream, map_ahead
from ._plan import Plan, Same, Task
from ._scan import SKIPPED_FOLDERS, Scan, is_wanted, scan

__all__ = [
    "MAX_FILE_BYTES",
    "SHARD_IMAGES",
    "SKIPPED_FOLDERS",
    "AddReport",
    "OnProgress",
    "Plan",
    "Result",
    "Same",
    "add_file",
    "add_files",
    "add_folder",
    "add_stream",
    "encode_stream",
    "encode_tasks",
    "find_pictures",
    "is_wanted",
    "load_content",
    "map_ahead",
    "read_file",
]

SHARD_IMAGES = 256
"""Pictures in a full shard: 20 MB at 30 regions of 1280 numbers."""
SHARD_SECONDS = 20.0
"""A shard is committed after this time even if it is not full; a kill loses no more work than this."""

T = TypeVar("T")
OnProgress = Callable[[int, int], None]
"""Called with (files done, files to do) after each file."""


@dataclass
class AddReport:
    """What became of a folder's files."""

    added: int = 0
    unchanged: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    failed: list[Failure] = field(default_factory=list)
    # those of this run and those known before and unchanged since
    unmatched: dict[str, str | None] = field(default_factory=dict)
    # exclusions that nothing matched, each with what may have been meant
    seconds: float = 0.0


def add_folder(
    store: Store,
    folder: Path,
    encoder: Encoder,
    *,
    exclude: Given | None = None,
    hidden: bool = False,
    follow_symlinks: bool = False,
    retry: bool = False,
    n_workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> AddReport:
    """Bring the collection up to date with a folder: encode what is new or changed, note what moved, drop what is gone.

    exclude: what to leave out, see `scan`; it is remembered for this folder and left out until something else is said
    (None says nothing). retry: try files again that failed before and have not changed since. n_workers: decoding
    threads, by default one a core. Raises PatchseekError for a folder without pictures, StoreLocked, DiskFull; what was
    committed before stays.
    """
    left_out = exclusions(store, folder) if exclude is None else exclude
    found = find_pictures(folder, left_out, hidden=hidden, follow_symlinks=follow_symlinks)
    return _update(store, folder, found, encoder, retry, n_workers, on_progress)


def add_file(store: Store, file: Path, encoder: Encoder, *, on_progress: OnProgress | None = None) -> AddReport:
    """Add one picture, or bring it up to date, and touch nothing else.

    It belongs to the folder that was indexed and that it lies in, the innermost of several, else to its own. Raises
    PatchseekError for a file that is no picture by its name, ImageError for one that is not there.
    """
    if file.suffix.lower() not in EXTENSIONS:
        raise PatchseekError(f"{file}: not a folder, nor a picture by its name")
    place = file.parent.resolve() / file.name
    roots = [root for root in store.roots() if isinstance(root, Path) and place.is_relative_to(root)]
    root = max(roots, key=lambda root: len(root.parts), default=place.parent)
    found = _look_at(root, [place.relative_to(root).as_posix()])
    return _update(store, root, found, encoder, True, None, on_progress, is_whole=False)


def add_files(
    store: Store,
    folder: Path,
    paths: Iterable[str],
    encoder: Encoder,
    *,
    n_workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> AddReport:
    """Make the collection hold exactly these files of a folder (paths relative to it); otherwise as add_folder.

    Raises ImageError for a file that is not there.
    """
    return _update(store, folder, _look_at(folder, paths), encoder, True, n_workers, on_progress)


def _look_at(folder: Path, paths: Iterable[str]) -> Scan:
    found = Scan()
    for path in paths:
        try:
            status = (folder / path).stat()
        except OSError as error:
            raise ImageError(folder / path, f"cannot be read ({error.strerror})") from error
        found.files[path] = FileState(status.st_size, status.st_mtime_ns)
    return found


def _update(
    store: Store,
    folder: Path,
    found: Scan,
    encoder: Encoder,
    retry: bool,
    n_workers: int | None,
    on_progress: OnProgress | None,
    is_whole: bool = True,
) -> AddReport:
    """is_whole: whether what was not found is gone."""
    began = time.monotonic()
    with Writer(store) as writer:
        if found.exclusions is not None:
            remember_exclusions(writer, folder, found.exclusions)
        plan = Plan(store, folder, retry=retry)
        tasks = [task for path, state in found.files.items() if (task := plan.look(path, state))]
        if is_whole:
            plan.close(list(found.unreadable))
        run = _Run(writer, folder, len(tasks), on_progress)
        run.report.unmatched = found.unmatched
        run.report.unchanged, run.report.failed = plan.unchanged, list(plan.still_failing)
        run.encode(tasks, lambda task, cuts, feed: _look_into(folder, task, plan, cuts, feed), encoder, n_workers)
        run.finish(plan)
    run.report.failed += [Failure(path, FileState(0, 0), reason) for path, reason in found.unreadable.items()]
    run.report.failed.sort(key=lambda failure: failure.path)
    run.report.seconds = time.monotonic() - began
    return run.report


def add_stream(
    store: Store,
    folder: Path,
    pictures: Iterable[tuple[str, bytes]],
    encoder: Encoder,
    *,
    n_workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> AddReport:
    """Add pictures (name, bytes of the file) that are not files of their own, such as those of a tar.

    folder: what the names are relative to; nothing is looked for there. A name that the collection has is passed over,
    so that a broken run goes on. Nothing is removed. on_progress hears a total of 0: it is not known.
    """
    began = time.monotonic()
    with Writer(store) as writer:
        known = {*store.known(folder), *(failure.path for failure in store.failures(folder))}
        run = _Run(writer, folder, 0, on_progress)

        def load(task: tuple[str, bytes], cuts: Pyramid, feed: Feed) -> Result:
            name, content = task
            try:
                return load_content(name, FileState(len(content), 0), content, cuts, feed)
            except ImageError as error:
                return Failure(name, FileState(len(content), 0), error.reason)

        run.encode(((name, content) for name, content in pictures if name not in known), load, encoder, n_workers)
    run.report.unchanged = len(known)
    run.report.seconds = time.monotonic() - began
    return run.report


def find_pictures(folder: Path, exclude: Given, *, hidden: bool, follow_symlinks: bool) -> Scan:
    """All pictures below a folder, by name. Raises PatchseekError when there is no folder or nothing in it."""
    if not folder.is_dir():
        raise PatchseekError(f"{folder}: not a folder")
    found = scan(folder, exclude, hidden=hidden, follow_symlinks=follow_symlinks)
    if not found.files:
        why = "; ".join(f"{path}: {reason}" for path, reason in found.unreadable.items())
        raise PatchseekError(f"{folder}: no pictures found below this folder" + (f" ({why})" if why else ""))
    return found


class _Run:
    """One pass over a plan's tasks: collects what is ready and commits it shard by shard."""

    def __init__(self, writer: Writer, folder: Path, n_total: int, on_progress: OnProgress | None) -> None:
        self.writer, self.folder, self.n_total, self.on_progress = writer, folder, n_total, on_progress
        self.report = AddReport()
        self.n_done = 0
        self._start_shard()

    def _start_shard(self) -> None:
        self.pictures: list[NewPicture] = []
        self.features: list[Features] = []
        self.failures: list[Failure] = []
        self.same: list[Same] = []
        self.shard_began = time.monotonic()

    def encode(
        self, tasks: Iterable[T], load: Callable[[T, Pyramid, Feed], Result], encoder: Encoder, n_workers: int | None
    ) -> None:
        """Load (in threads) and encode every task, committing on the way, and also when interrupted."""
        encoded = encode_tasks(tasks, load, encoder, self.writer.store.settings.pyramid, n_workers, self._note)
        with closing(encoded):
            try:
                for picture, features in encoded:
                    self.pictures.append(picture.picture)
                    self.features.append(features)
                    self.report.changed += picture.is_changed
                    self.report.added += not picture.is_changed
                    self._advance()
                    if len(self.pictures) >= SHARD_IMAGES or time.monotonic() - self.shard_began > SHARD_SECONDS:
                        self.commit()
            except StoreError:
                raise
            except BaseException:
                self.commit()
                raise
        self.commit()

    def _note(self, result: Failure | Same) -> None:
        """Keep what is not to be encoded for the next commit."""
        if isinstance(result, Failure):
            self.failures.append(result)
            self.report.failed.append(result)
        else:
            self.same.append(result)
            self.report.moved += result.moved
            self.report.unchanged += not result.moved
        self._advance()

    def _advance(self) -> None:
        self.n_done += 1
        if self.on_progress is not None:
            self.on_progress(self.n_done, self.n_total)

    def commit(self) -> None:
        """Make everything that is ready permanent."""
        if self.same:
            self.writer.move(self.folder, [(s.image.id, s.path, s.state) for s in self.same])
        if self.pictures or self.failures:
            settings = self.writer.store.settings
            shape = (len(self.pictures), settings.pyramid.n_regions, settings.encoder.dim)
            features = np.array(self.features, np.float16).reshape(shape)
            self.writer.commit(self.folder, self.pictures, features, self.failures)
        self._start_shard()

    def finish(self, plan: Plan) -> None:
        """Drop what is gone from the folder; called when everything that could have been a move has been read."""
        self.report.removed = self.writer.remove([file.id for file in plan.gone.values()])
        if plan.gone_failures:
            self.writer.forget_failures(self.folder, plan.gone_failures)


def _look_into(folder: Path, task: Task, plan: Plan, pyramid: Pyramid, feed: Feed) -> Result:
    """Read a file once: recognise it by its hash, or decode it and cut it into patches."""
    try:
        content = read_file(folder / task.path, task.path, task.state.size)
        sha256 = hashlib.sha256(content).hexdigest()
        same = plan.claim(task.path, task.state, task.known, sha256)
        if same is not None:
            return same
        loaded = load_content(task.path, task.state, content, pyramid, feed, sha256)
        return replace(loaded, is_changed=task.known is not None)
    except ImageError as error:
        return Failure(task.path, task.state, error.reason)
