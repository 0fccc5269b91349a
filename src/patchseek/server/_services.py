"""What the routes share: the collection, its queues, caches and jobs. Opened with the application, closed with it."""

import hashlib
import logging
import threading
from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import HTTPException, UploadFile

from .._progress import OnProgress
from ..collection import Collection
from ..encode import AddReport
from ..errors import ImageError, PatchseekError, StoreError
from ..images import Picture
from ..judgements import Judgements
from ..saved import Saved
from ..store import Image
from ._answers import Answers
from ._askers import Asker
from ._asking import AskReport, ask
from ._batching import BatchingEncoder
from ._decode import Decoder
from ._health import Health
from ._jobs import Job, Jobs
from ._lru import BoundedCache
from ._metrics import Metrics
from ._queries import Content, Queries, SentPicture
from ._queue import Busy, WorkQueue
from ._responses import status_of, told
from ._settings import ServerSettings
from ._thumbnails import Thumbnails
from ._uploads import NothingAdded, Refusal, write_upload

_log = logging.getLogger(__name__)
_QUERY_BYTES = 256 << 20
_MEMBER_BYTES = 128 << 20
_NAME = 200
# characters of a file name that are kept


class Services:
    """One server's parts. Each kind of work has its own threads, so that none waits for a slower kind."""

    def __init__(self, collection: Collection, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        encoder = BatchingEncoder(collection.encoder, self.metrics.batches.observe)
        store = copy(collection.store)  # not the caller's, which may fetch
        store.may_fetch = settings.may_fetch
        self.collection = Collection(store, encoder)
        self._begin_at, self._beginning = settings.begin_at, threading.Lock()
        self.searches = WorkQueue("search", settings.n_searches, settings.n_waiting, settings.patience)
        self.refined = WorkQueue("refined", settings.n_refined, settings.n_waiting, settings.patience)
        self.decodes = WorkQueue("decode", 2, settings.n_waiting)
        self.pictures = WorkQueue("picture", 2, 512)
        self.catalogue = WorkQueue("catalogue", 2, 512)
        self.decoder = Decoder(2, settings.max_pixels, settings.decode_seconds)
        self.queries = Queries(_QUERY_BYTES)
        self.answers = Answers()
        self.judgements = Judgements(self.collection)
        self.saved = Saved(self.collection)
        self._members: BoundedCache[tuple[str, int], Picture] = BoundedCache(_MEMBER_BYTES)
        self.thumbnails = Thumbnails()
        self.jobs = Jobs(self.discreet)
        self.health = Health(self.collection)
        watch = self.metrics.watch
        watch("search_queue", "Searches under way or waiting, without refinement", lambda: self.searches.n_calls)
        watch("refined_queue", "Searches under way or waiting, refined", lambda: self.refined.n_calls)
        watch("decode_queue", "Uploads being decoded or waiting", lambda: self.decodes.n_calls)
        watch("pictures", "Pictures of the collection", lambda: len(self.collection))
        watch("kept_query_bytes", "Decoded query pictures in memory", lambda: self.queries.n_bytes)
        watch("kept_thumbnail_bytes", "Thumbnails in memory", lambda: self.thumbnails.n_bytes)
        watch("jobs", "Jobs waiting or running", lambda: sum(not job.is_over for job in self.jobs.all()))

    @property
    def place(self) -> Path:
        """Where the collection is, or will be once something is added."""
        return self._begin_at or self.collection.path

    def begin(self) -> None:
        """Make the collection where it is to be, unless that has been done. Raises StoreError."""
        with self._beginning:
            if self._begin_at is not None:
                made = Collection.open(self._begin_at, encoder=self.collection.encoder, create=True)
                made.store.may_fetch = self.settings.may_fetch
                self.collection.move_to(made.store)
                self._begin_at = None

    def image(self, image_id: int) -> Image:
        """A picture of the collection. Raises HTTPException 404."""
        image = self.collection.store.images([image_id])[0]
        if image is None:
            raise HTTPException(404, f"the collection has no picture with id {image_id}")
        return image

    def query(self, query_id: str) -> SentPicture:
        """A picture that was sent before. Raises HTTPException 404."""
        query = self.queries.get(query_id)
        if query is None:
            raise HTTPException(404, "this query picture is not kept any more: send it again")
        return query

    async def receive(self, file: UploadFile, asker: Asker) -> SentPicture:
        """Decode an uploaded picture, in a process that can be killed, and keep it. Raises ImageError, Busy, Gone."""
        name = shown_name(file)

        def decode() -> Content:
            content = file.file.read()
            sha256 = hashlib.sha256(content).hexdigest()
            query_id = self.queries.id_of(sha256)
            known = self.queries.get(query_id)
            picture = known.picture if known else self.decoder.decode(content, name)
            return query_id, picture, sha256, content

        return self.queries.keep(await self.decodes.run_for(asker, decode), name)

    async def keep_upload(self, file: UploadFile) -> str:
        """Check an uploaded picture as `receive` does and write it into the collection's folder of uploads; its name.

        One at a time is in memory, however many were sent. What has come in whole is kept, also of somebody who has
        gone since.
        """
        name = shown_name(file)

        def check_and_write() -> None:
            self.begin()
            content = file.file.read()
            self.decoder.decode(content, name)
            write_upload(self.collection.path, name, content)

        await self.decodes.run(check_and_write)
        return name

    async def keep_uploads(self, files: Sequence[UploadFile]) -> tuple[list[str], list[Refusal]]:
        """The names of those that `keep_upload` kept, and why it kept the others not.

        Where it kept none, raises NothingAdded, or what is the server's own trouble.
        """
        self.jobs.require_room()
        names: list[str] = []
        refused: list[Refusal] = []
        trouble: PatchseekError | None = None
        for file in files:
            try:
                names.append(await self.keep_upload(file))
            except (StoreError, Busy):  # they stand in the way of all
                if not names:
                    raise
                rest = files[len(names) + len(refused) :]
                refused += [Refusal(shown_name(each), "the server cannot take it now") for each in rest]
                break
            except PatchseekError as error:
                refused.append(Refusal(shown_name(file), self._reason(error)))
                trouble = trouble if isinstance(error, ImageError) else error
        if not names:
            raise trouble or NothingAdded(refused)
        return names, refused

    def _reason(self, error: PatchseekError) -> str:
        return self.discreet(error.reason if isinstance(error, ImageError) else str(error))

    def member(self, image_id: int, asker: Asker) -> tuple[Image, Picture]:
        """A picture of the collection and its pixels. Raises HTTPException 404, ImageError, Gone."""
        asker.require()
        image = self.image(image_id)
        key = image.sha256, image.page
        picture = self._members.get(key)
        if picture is None:
            try:
                picture = self.collection.read(image_id)
            except ImageError as error:
                raise ImageError(image.path, error.reason) from error
            self._members.put(key, picture, picture.pixels.nbytes)
        return image, picture

    @property
    def who(self) -> str | None:
        """Who judges and saves: whoever has the token, or else the system's user, None."""
        return "token" if self.settings.token else None

    def ask_saved(self, names: Sequence[str] = (), *, only_new: bool) -> Job:
        """Ask saved queries in a job, none named: all; where that waits already, it is the job. Raises Busy."""
        title = f"Saved queries: {', '.join(map(told, names))}" if names else "Saved queries"
        title = title[:_NAME] + (", new pictures" if only_new else "")
        waiting = (job for job in self.jobs.all() if job.kind == "saved" and job.state == "waiting")
        same = None if names else next((job for job in waiting if job.title == title), None)
        return same or self.jobs.start("saved", title, partial(self._ask, tuple(names), only_new))

    def _ask(self, names: Sequence[str], only_new: bool, on_progress: OnProgress) -> AskReport:
        return ask(self.saved, names, only_new=only_new, on_progress=on_progress)

    def look_for_saved(self, report: AddReport) -> None:
        """Have saved queries look at what an adding job has brought. At the latest, the next one does."""
        try:
            if (report.added or report.changed) and self.saved.all():
                self.ask_saved(only_new=True)
        except (PatchseekError, Busy, RuntimeError):  # too much waits, or the server is being closed
            _log.info("saved queries look at what is new the next time")

    def problem_of(self, error: Exception) -> dict[str, Any]:
        """{"status", "detail"} of what went wrong while an answer was under way."""
        if isinstance(error, PatchseekError):
            return {"status": status_of(error), "detail": self.discreet(str(error))}
        _log.error("an answer was not finished", exc_info=error)
        return {"status": 500, "detail": f"unexpected: {type(error).__name__}"}

    def discreet(self, text: str) -> str:
        """The text without where things are on this machine, unless whoever asks sits at it."""
        if not self.settings.is_local:
            for path in (self.place, self.place.resolve(), *self.settings.allow_dirs):
                text = text.replace(str(path), path.name)
        return told(text)

    def close(self) -> None:
        """Stop jobs, threads and processes."""
        self.jobs.close()
        for queue in (self.searches, self.refined, self.decodes, self.pictures, self.catalogue):
            queue.close()
        self.health.close()
        self.decoder.close()


def shown_name(file: UploadFile) -> str:
    """What the sender calls a file."""
    return (file.filename or "picture")[:_NAME]
