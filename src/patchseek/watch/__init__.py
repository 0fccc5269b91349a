"""Watching a folder: what is new in it is indexed, saved queries are asked of it, and what they find is handed on.

    settled? -> index -> ask (finds are in the catalogue) -> put down as news, in one transaction -> write -> post

Each find becomes news once, in the catalogue; what was not written or not posted when a watcher ends, however it ends,
the next one writes and posts. A file has each find once. Who reads standard output, or is posted to, may be told twice
where the watcher was killed just then; "id" is the same both times.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from .._progress import OnProgress, unheard
from ..collection import Collection
from ..confidence import DOUBTFUL
from ..encode import AddReport
from ..errors import PatchseekError
from ..saved import Saved, Told
from ..store import News, begin_telling, note_posted, note_written, waiting_news
from ._changes import Changes
from ._finds import body_of, put_down
from ._lock import alone
from ._output import LinesFile, Output
from ._patience import Patience
from ._post import Address, read_key, signature
from ._settling import Settling

__all__ = [
    "EVERY",
    "Address",
    "Changes",
    "LinesFile",
    "Look",
    "Output",
    "Watcher",
    "alone",
    "read_key",
    "signature",
]

EVERY = 600.0
"""Seconds after which a folder is looked at again though nothing was heard of it."""
SETTLED = 5.0
"""Seconds for which a file must have been the same before it is read."""
_LONGEST = 3600.0
# seconds between two tries to post
_TURN = 60.0
# seconds after which posting makes way for a look, however much waits
_SOON = 1.0
# seconds after which it goes on then

Progress = Callable[[], AbstractContextManager[OnProgress]]
"""A block for each look, which shows how far that is."""
OnLook = Callable[["Look"], None]
"""Told of each look."""


class Hears(Protocol):
    """What tells of changes; see Changes."""

    def listen(self) -> None:
        """From now on, changes are heard."""

    def wait(self, seconds: float) -> set[Path]:
        """What has changed, as soon as something has, or nothing after so many seconds."""


@dataclass(frozen=True)
class Look:
    """What one look at the folder came to."""

    report: AddReport
    told: tuple[Told, ...]
    # of each saved query
    n_finds: int
    # that are new and are handed on


@contextmanager
def _unseen() -> Iterator[OnProgress]:
    yield unheard


class Watcher:
    """Looks at a folder again and again. One a collection: see `alone`."""

    def __init__(
        self,
        collection: Collection,
        folder: Path,
        output: Output,
        *,
        address: Address | None = None,
        min_confidence: float = DOUBTFUL,
        every: float = EVERY,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """every: seconds after which it looks though nothing is heard. tell: hears a line of each trouble, once, and
        of its end. clock: seconds since 1970; now: seconds, of a clock that nobody sets. options: as of Saved.run.
        """
        self._collection, self._folder, self._output, self._address = collection, folder, output, address
        self._least, self._every, self._options = min_confidence, every, options
        self._tell, self._clock, self._now = tell, clock, now
        self._saved, self._settled = Saved(collection, clock=clock), SETTLED
        self._settling = Settling(self._settled, now)
        self._looking = Patience(str(folder), every, tell, now)
        self._writing = Patience(output.place or "standard output", every, tell, now)
        self._posting = Patience(address.shown if address else "", _LONGEST, tell, now)

    def look(self, on_progress: OnProgress = unheard) -> Look:
        """Index what is new and has settled, ask saved queries of what is new, and put down what is to be handed on.

        Whatever moment it is ended at, the next look goes on there. Raises as Collection.add and Saved.run.
        """
        store, began = self._collection.store, self._now()
        begin_telling(store, [query.key for query in self._saved.all()])
        report = self._collection.add(self._folder, is_ready=self._settling, on_progress=on_progress)
        self._settling.forget(began)
        told = tuple(self._saved.run(only_new=True, on_progress=on_progress, **self._options))
        n, n_given_up = put_down(
            self._collection,
            self._saved.all(),
            self._least,
            self._clock(),
            self._output.place,
            self._output.size(),
            posts=self._address is not None,
        )
        if n_given_up:
            self._tell(f"too many finds wait to be posted: the oldest {n_given_up:,} are given up")
        return Look(report, told, n)

    def hand_on(self) -> bool:
        """Write what is not written yet, post what is not posted, where it is time for that; whether nothing waits."""
        store, until = self._collection.store, self._now() + _TURN
        try:
            waiting = waiting_news(store)
            for news in waiting:
                if not news.is_written and self._writing.is_due:
                    self._writing.attempt(partial(self._write, news))
            for news in waiting:
                if self._address and not news.is_posted and self._posting.is_due and self._now() < until:
                    self._posting.attempt(partial(self._post, news))
            left = waiting_news(store) if waiting else []
            return all(news.is_written and (news.is_posted or not self._address) for news in left)
        except PatchseekError:  # the collection cannot be read: the next look says so
            return False

    def _write(self, news: News) -> None:
        begin = news.size if news.place == self._output.place else 0
        self._output.put(news.text, begin)
        note_written(self._collection.store, news.number)

    def _post(self, news: News) -> None:
        assert self._address is not None
        self._address.post(*body_of(news.text))
        note_posted(self._collection.store, news.number)

    def once(self, on_look: OnLook, progress: Progress = _unseen, sleep: Callable[[float], None] = time.sleep) -> bool:
        """One pass: a look, and another one where files have come, which may still grow. Returns as `hand_on`.

        Raises as `look`.
        """
        self.hand_on()
        look = self._look(on_look, progress)
        if look.report.waiting:
            sleep(self._settled)
            self._look(on_look, progress)
        return self.hand_on()

    def run(self, changes: Hears, on_look: OnLook, progress: Progress = _unseen) -> None:
        """Look for ever, whatever may be in the way."""
        due = self._now()
        while True:
            if self._now() >= due:
                changes.listen()
                due = self._look_patiently(on_look, progress)
            is_done, now = self.hand_on(), self._now()
            later = [each.due for each in (self._writing, self._posting) if each.due > now]
            later += [] if is_done or later else [now + _SOON]
            if heard := changes.wait(max(min([due, *later]) - now, 0.0)):
                self._settling.note(heard)
                due = min(due, self._now() + self._settled)

    def _look_patiently(self, on_look: OnLook, progress: Progress) -> float:
        """Look, and say when to do so again."""
        began = self._now()
        try:
            look = self._look(on_look, progress)
        except (PatchseekError, OSError) as error:
            self._looking.failed(str(error))
            return self._looking.due
        self._looking.worked()
        now = self._now()
        return now + (min(max(self._settled, now - began), self._every) if look.report.waiting else self._every)

    def _look(self, on_look: OnLook, progress: Progress) -> Look:
        with progress() as on_progress:
            look = self.look(on_progress)
        on_look(look)
        return look
