"""Whether the server can answer: its collection is there, and the database of its engine lets it in."""

import asyncio

from ..collection import Collection
from ._queue import WorkQueue


class Health:
    """Asked by machines that watch, often and by several: those who ask at once share one look."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._queue = WorkQueue("health", 1, 1)
        self._looking: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Raise PatchseekError, whose text says what is wrong, unless all is well. Takes a few seconds at most."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._queue.run(self._collection.ping))
            self._looking.add_done_callback(lambda look: look.cancelled() or look.exception())  # it is told below
        await asyncio.shield(self._looking)

    def close(self) -> None:
        """Ask no more."""
        self._queue.close()
