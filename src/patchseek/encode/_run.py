"""One pass over files: what is ready is committed shard by shard. Looks into none itself."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TypeVar

from .._progress import OnProgress
from ..encoders import Encoder
from ..errors import StoreError
from ..sources import Root, split_page
from ..store import Failure, Writer
from ._extractors import Extractor, extractors_of, features_of, points_of
from ._load import Loaded, Result, encode_tasks
from ._plan import FilePlan
from ._report import AddReport
from ._tasks import Place, Same

T = TypeVar("T")
ENCODING = "encoding pictures"
"""What a run says that it does; it counts files."""
SHARD_IMAGES = 256
"""Pictures in a full shard: 20 MB at 30 regions of 1280 numbers."""
SHARD_SECONDS = 20.0
"""A shard is committed after this time even if it is not full; a kill loses no more work than this."""


def keep(writer: Writer, root: Root, found: Sequence[Same]) -> None:
    """Note where files of a root are whose bytes the collection has, and drop pictures that they no longer hold."""
    if left := [image for same in found for image in same.left]:
        writer.remove(left)
    if moves := [move for same in found for move in same.moves]:
        writer.move(root, moves)


class Run:
    """One pass over a plan's tasks: collects what is ready and commits it shard by shard."""

    def __init__(
        self,
        writer: Writer,
        place: Place,
        n_total: int,
        on_progress: OnProgress,
        is_known: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """is_known: whether the collection had a picture under a path."""
        self.writer, self.place, self.n_total, self.on_progress = writer, place, n_total, on_progress
        self.is_known = is_known
        self.report = AddReport()
        self.n_done = 0
        self._start_shard()

    def _start_shard(self) -> None:
        self.loaded: list[Loaded] = []
        self.failures: list[Failure] = []
        self.same: list[Same] = []
        self.shard_began = time.monotonic()

    def begin(self, plan: FilePlan) -> None:
        """Note what a plan knows without a file having been read."""
        self.report.unchanged, self.report.moved = plan.unchanged, plan.moved
        self.report.failed = list(plan.still_failing)
        for same in plan.settled:
            self.report.count(same)
        self.same += [*plan.settled, *plan.noted]
        if plan.outdated:
            self.writer.forget_failures(self.place.root, plan.outdated)

    def encode(
        self,
        tasks: Iterable[T],
        load: Callable[[T, Sequence[Extractor]], Result],
        encoder: Encoder,
        n_workers: int | None,
    ) -> None:
        """Load (in threads) and encode every task, committing on the way, and also when interrupted."""
        extractors = extractors_of(self.writer.store.settings, encoder)
        self.on_progress(0, self.n_total, ENCODING)
        with closing(encode_tasks(tasks, load, extractors, n_workers, self._note)) as encoded:
            try:
                for loaded in encoded:
                    self.loaded.append(loaded)
                    is_changed = self.is_known(loaded.picture.path)
                    self.report.changed += is_changed
                    self.report.added += not is_changed
                    if loaded.note:
                        self.report.damaged[loaded.picture.path] = loaded.note
                    self._advance(loaded.picture.path)
                    self._commit_if_due()
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
            self.report.count(result)
        self._advance(result.path)
        self._commit_if_due()

    def _commit_if_due(self) -> None:
        if len(self.loaded) >= SHARD_IMAGES or time.monotonic() - self.shard_began > SHARD_SECONDS:
            self.commit()

    def _advance(self, path: str) -> None:
        if split_page(path)[1] > 1:  # the first page of a file is its last to be done
            return
        self.n_done += 1
        self.on_progress(self.n_done, self.n_total, ENCODING)

    def commit(self) -> None:
        """Make everything that is ready permanent."""
        if self.same:
            keep(self.writer, self.place.root, self.same)
        if self.loaded or self.failures:
            pictures, settings = [loaded.picture for loaded in self.loaded], self.writer.store.settings
            extracts = [loaded.extracts for loaded in self.loaded]
            features, points = features_of(extracts, settings), points_of(extracts, settings)
            self.writer.commit(self.place.root, pictures, features, self.failures, points)
        self._start_shard()
