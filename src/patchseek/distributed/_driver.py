"""What is left to be done, and the commits: the only one that writes to the collection. Knows no cluster."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from .._progress import OnProgress
from ..encode import ENCODING, AddReport, FilePlan, Place, Same, keep, let_in, look_every, take_leave, unread
from ..errors import PatchseekError, StoreDamaged
from ..sources import TAKEN_OUT, Root, is_film
from ..store import Failure, KnownFile, Writer, outdate_films, remember_exclusions
from ._entries import ListedRoot, walked_source
from ._ray import Died
from ._staging import Record, Staging
from ._work import Item, Work

CRASHED = "whatever worker decodes this picture crashes or hangs"
"""The reason given for a picture that no worker survived."""


class Driver:
    """One run: `recover`; then `next_work` and `take` until there is nothing left; then `finish`."""

    def __init__(
        self,
        writer: Writer,
        staging: Staging,
        sources: Iterable[ListedRoot],
        *,
        shard_images: int,
        retry: bool,
        on_progress: OnProgress,
        check_content: bool = False,
        prune: bool = False,
        with_removed: bool = False,
    ) -> None:
        self.staging, self.report = staging, AddReport()
        self._writer, self._retry, self._on_progress = writer, retry, on_progress
        self._check_content, self._prune, self._with_removed = check_content, prune, with_removed
        self._shard_images = shard_images
        self._new = self._works(sources)
        self._again: deque[Work] = deque()  # what was lost, before anything new
        self._in_flight: dict[str, Work] = {}
        self._plan: FilePlan | None = None  # of the source that is known as a whole
        self._error: PatchseekError | None = None  # of a source, on the way
        self._n_done = self._n_total = 0

    # ---- what is to be done

    def has_work(self) -> bool:
        """Whether anything is to be encoded. Raises PatchseekError for a bad source."""
        work = next(self._new, None)
        if work is not None:
            self._again.append(work)
        return work is not None

    def next_work(self) -> Work | None:
        """The next shard to encode, None where there is none for now."""
        if self._again:
            work: Work | None = self._again.popleft()
        else:
            try:
                work = next(self._new, None)
            except PatchseekError as error:  # a tar that is damaged half way: what is before it counts
                self._error, work = error, None
        if work is not None:
            self._in_flight[work.key] = work
        return work

    def gone(self) -> dict[str, tuple[KnownFile, ...]]:
        """By SHA-256, pictures that are gone from where they were, a page each; call it after `has_work`."""
        return {} if self._plan is None else self._plan.claimable()

    def _works(self, sources: Iterable[ListedRoot]) -> Iterator[Work]:
        unmatched: dict[str, str | None] | None = None
        for source in sources:
            if source.visit is not None:
                source = walked_source(source.visit(self._writer, prune=self._prune), is_whole=source.is_whole)
            else:
                remember_exclusions(self._writer, source.root, source.exclusions)
                if source.every is not None:
                    look_every(self._writer, Place(source.root), source.every)
            unmatched = {
                said: near for said, near in source.unmatched.items() if unmatched is None or said in unmatched
            }
            self.report.unmatched = unmatched  # in no source at all
            place = Place(source.root, source.under)
            if self._with_removed:
                let_in(self._writer, place)
            plan = FilePlan(
                self._writer.store,
                place,
                retry=self._retry,
                check_content=self._check_content,
                streams=not source.is_whole,
                moved=source.moved,
            )
            if source.is_whole:
                items = self._whole(source, plan)
                self._n_total = self._n_done + len(items)
                self._plan = plan
                yield from self._cut(source.root, iter(items))
            else:
                self._n_total = source.n_total
                yield from self._cut(source.root, self._items(source, plan))
                plan.close([], list(source.unreadable), source.is_there)
                take_leave(self._writer, plan, self.report, prune=self._prune)
            self._keep(plan.place.root, plan.noted)
            self.report.unchanged += plan.unchanged
            self.report.moved += plan.moved
            self.report.failed += plan.still_failing
            self.report.failed += unread(source.unreadable)
            self.report.passed_over += source.passed_over + Counter({TAKEN_OUT: plan.taken_out})

    def _whole(self, source: ListedRoot, plan: FilePlan) -> list[Item]:
        """What is to be looked into, now that all is known that is there."""
        items = {item.entry.path: item for item in self._items(source, plan)}
        tasks = plan.close([item.task for item in items.values()], list(source.unreadable), source.is_there)
        for same in plan.settled:
            self.report.count(same)
        self._keep(plan.place.root, plan.settled)
        return [items[task.path] for task in tasks]

    def _items(self, source: ListedRoot, plan: FilePlan) -> Iterator[Item]:
        for entry in source.entries:
            task = plan.look(entry.path, entry.state)
            if plan.outdated:
                self._writer.forget_failures(source.root, plan.outdated)
                plan.outdated.clear()
            if task is not None:
                yield Item(entry, task.known, source.is_whole, task.has_moved, task.every)
            elif not source.is_whole:
                self._n_done += 1

    def _cut(self, root: Root, items: Iterator[Item]) -> Iterator[Work]:
        while shard := tuple(islice(items, self._shard_images)):
            yield Work(root, shard)

    def _keep(self, root: Root, found: Sequence[Same]) -> None:
        keep(self._writer, root, found)

    # ---- what was done

    def recover(self) -> None:
        """Commit what a run that broke off left finished. Those pictures then count as unchanged."""
        for record in list(self.staging.finished()):
            known = self._writer.store.known(record.root)
            committed = {(path, file.state, file.sha256) for path, file in known.items()}
            if not record.failures and all((p.path, p.state, p.sha256) in committed for p in record.pictures):
                self.staging.remove(record)  # all that was left to do when it broke off
                continue
            try:
                self._enter(record)
            except (StoreDamaged, FileNotFoundError):  # torn: its pictures are encoded again
                self.staging.remove(record)

    def take(self, outcome: Record | Died[Work]) -> None:
        """Commit a finished shard, or decide what becomes of one whose worker died."""
        if isinstance(outcome, Died):
            self._take_death(self._in_flight.pop(outcome.argument.key), outcome.is_node)
            return
        work = self._in_flight.pop(outcome.key)
        items = {item.entry.path: item for item in work.items}
        self._enter(outcome)
        known = {k.path for item in items.values() for k in item.known or () if not k.is_aside}
        n_changed = sum(picture.path in known for picture in outcome.pictures)
        self.report.changed += n_changed
        self.report.added += len(outcome.pictures) - n_changed
        self.report.failed += outcome.failures
        again = self._keep_same(work.root, outcome, items)
        if again:
            self._again.append(Work(work.root, tuple(again)))
        self._advance(len(items) - len(again))

    def _keep_same(self, root: Root, record: Record, items: dict[str, Item]) -> list[Item]:
        """Note pictures whose bytes the collection has; those of a gone picture that another has claimed meanwhile."""
        kept: list[Same] = []
        again: list[Item] = []
        for same in record.same:
            task = items[same.path].task
            claimed: Same | None = same
            if same.images[0] not in task.known:
                assert self._plan is not None
                claimed = self._plan.claim(task, same.images[0].sha256)
            if claimed is None:
                again.append(replace(items[same.path], may_be_moved=False))
            else:
                kept.append(claimed)
                self.report.count(claimed)
        self._keep(root, kept)
        moved = {same.path for same in kept if same.moved and is_film(same.path)}
        if moved:  # perhaps to where another interval holds: the next run looks into them
            outdate_films(self._writer, root, moved.__contains__)
        return again

    def _take_death(self, work: Work, is_node: bool) -> None:
        """A lost machine is nobody's fault; a shard that takes two workers with it is halved; one picture is failed."""
        if is_node:
            self._again.append(work)
        elif work.n_deaths == 0:
            self._again.append(replace(work, n_deaths=1))
        elif len(work.items) > 1:
            middle = len(work.items) // 2
            for part in (work.items[:middle], work.items[middle:]):
                self._again.append(Work(work.root, part, n_deaths=int(len(part) > 1)))
        else:
            entry = work.items[0].entry
            failure = Failure(entry.path, entry.state, CRASHED)
            self._commit_failures(work.root, [failure])
            self.report.failed.append(failure)
            self._advance(1)

    def _enter(self, record: Record) -> None:
        """Commit a record's features and failures, and forget it at the staging place."""
        if record.files:
            with self.staging.fetched(record, self._writer.store.folder) as (features, *others):
                points = others[0] if others else None
                self._writer.adopt(record.root, record.pictures, *features, record.failures, points)
        elif record.failures:
            self._commit_failures(record.root, record.failures)
        self.staging.remove(record)

    def _commit_failures(self, root: Root, failures: Iterable[Failure]) -> None:
        settings = self._writer.store.settings
        nothing = np.empty((0, settings.pyramid.n_regions, settings.encoder.dim), np.float16)
        self._writer.commit(root, [], nothing, list(failures))

    def _advance(self, n: int) -> None:
        self._n_done += n
        self._on_progress(self._n_done, self._n_total, ENCODING)

    def finish(self) -> AddReport:
        """Drop what is gone for good; the report. Raises what went wrong with a source on the way."""
        if self._error is not None:
            raise self._error
        if self._plan is not None:
            take_leave(self._writer, self._plan, self.report, prune=self._prune)
        self.staging.clear()
        self.report.failed.sort(key=lambda failure: failure.path)
        return self.report
