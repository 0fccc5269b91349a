"""The search engine of a collection: which one was chosen, opened, tried, and opened anew when it finds other things.

Knows the store and the engines of `indexes`; asks for no picture.
"""

import logging
import shlex
import threading
from pathlib import Path

from ._progress import OnProgress, unheard
from .errors import PatchseekError
from .indexes import (
    EXACT,
    Held,
    Index,
    Refit,
    as_kept,
    compare,
    discard_saved,
    in_database,
    judge_parameters,
    note_trial,
    open_index,
    ping,
    try_again,
    try_engine,
    why_outgrown,
)
from .store import Snapshot, Store, Writer

_log = logging.getLogger(__name__)


class Engine:
    """The engine of one collection, opened no more often than it must be. May be used from several threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._opened: tuple[tuple[int, ...], str, Snapshot, Index] | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The collection's choice, as `indexes.open_index` takes it."""
        return self.store.option("index") or EXACT

    @property
    def folder(self) -> Path:
        """Where engines are kept from one process to the next."""
        return self.store.path / "indexes"

    def command_for(self, engine: str) -> str:
        """The command line that builds an engine and makes it the collection's choice."""
        return f"patchseek use-index {shlex.quote(engine)} -c {shlex.quote(str(self.store.path))}"

    def open(self, engine: str | None = None, refit: Refit = Refit.WHERE_SOON_DONE) -> tuple[Snapshot, Index]:
        """Vectors and engine of the moment, by default the choice.

        The engine is opened again when what it can find has changed, or when it no longer fits, since somebody may have
        built it anew.
        """
        state, kept = self.store.catalogue.state(), engine is None
        engine = as_kept(engine or self.name)
        with self._lock:
            is_as_asked = refit is Refit.WHERE_SOON_DONE
            if self._opened is None or self._opened[:2] != (state, engine) or not is_as_asked:
                self.store.require_unchanged()
                snapshot, index = self.store.snapshot(), None
                if self._opened is not None and self._opened[1] == engine and is_as_asked:
                    _, _, before, opened = self._opened
                    index = None if opened.outgrown or not snapshot.finds_the_same(before) else opened
                if index is None:
                    index = open_index(engine, snapshot, self.folder, refit=refit, kept=kept)
                    if kept and not index.outgrown:
                        index.outgrown = try_again(engine, index, snapshot, self.folder)
                self._opened = (state, engine, snapshot, index)
            return self._opened[2:]

    def let_go(self) -> None:
        """Have no shard mapped: Windows deletes none that is."""
        with self._lock:
            self._opened = None

    def discard_saved(self) -> int:
        """Delete what was built of features that lie elsewhere now; returns the bytes freed."""
        return discard_saved(self.folder)

    def choose(self, engine: str, refit: Refit, on_progress: OnProgress = unheard) -> Index:
        """Build an engine, try it and make it the choice; see Collection.use_index."""
        judge_parameters(engine)
        engine = as_kept(engine)
        with Writer(self.store) as writer:
            on_progress(0, 0, "building the index")
            snapshot, index = self.open(engine, refit)
            on_progress(0, 0, "trying the index")
            if index.name != EXACT and (trial := try_engine(index, snapshot)):
                _log.info("%s: %s", index.name, trial)
                note_trial(engine, snapshot, self.folder)
            writer.set_option("index", engine)
        return index

    @property
    def outgrown(self) -> str | None:
        """Why the engine that was opened last no longer fits the collection, see Index; None where it does."""
        opened = self._opened
        return opened[-1].outgrown if opened else None

    def why_outgrown(self) -> str | None:
        """The same of the choice, without a search: looks at what is kept of it on disk."""
        return why_outgrown(self.name, self.store.snapshot(), self.folder)

    def ping(self, seconds: int) -> None:
        """Raise EngineError unless the server of the engine answers, if it has one, within these seconds."""
        ping(self.name, seconds)

    def held(self, *, every: bool = False) -> Held | None:
        """What the database of the engine holds; see Collection.held."""
        return compare(self.name, self.store.snapshot(), self.folder, every=every)

    def problems(self, on_progress: OnProgress = unheard) -> list[str]:
        """What is wrong with what the engine keeps in a database, a line each."""
        if in_database(self.name):
            on_progress(0, 0, "comparing with the database")
        try:
            held = self.held(every=True)
        except PatchseekError as error:
            return [str(error)]
        if held is None or not held.n_lost:
            return []
        return [f"{self.name}: {held.n_lost} of {held.n_pictures} pictures are gone there or differ"]

    def restock(self) -> None:
        """Send to the database of the engine what it has lost."""
        held = self.held(every=True)
        if held is not None and held.n_lost:
            open_index(self.name, self.store.snapshot(), self.folder, is_altered=True, kept=True)
