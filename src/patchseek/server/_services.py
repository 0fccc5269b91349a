"""What the routes share: the collection, its queues, caches and jobs. Opened with the application, closed with it."""

from fastapi import HTTPException

from ..collection import Collection
from ..errors import ImageError
from ..images import Picture
from ..store import Image
from ._batching import batching
from ._decode import Decoder
from ._jobs import Jobs
from ._metrics import Metrics
from ._queries import Queries, Query
from ._queue import WorkQueue
from ._settings import ServerSettings
from ._thumbnails import Thumbnails

_QUERY_BYTES = 256 << 20


class Services:
    """One server's parts. Each kind of work has its own threads, so that none waits for a slower kind."""

    def __init__(self, collection: Collection, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        encoder = batching(collection.encoder, self.metrics.batches.observe)
        self.collection = Collection(collection.store, encoder)
        self.searches = WorkQueue("search", settings.n_searches, settings.n_waiting)
        self.decodes = WorkQueue("decode", 2, settings.n_waiting)
        self.pictures = WorkQueue("picture", 2, 512)
        self.catalogue = WorkQueue("catalogue", 2, 512)
        self.decoder = Decoder(2, settings.max_pixels, settings.decode_seconds)
        self.queries = Queries(_QUERY_BYTES)
        self.thumbnails = Thumbnails()
        self.jobs = Jobs(self.discreet)
        watch = self.metrics.watch
        watch("search_queue", "Searches under way or waiting", lambda: self.searches.n_calls)
        watch("decode_queue", "Uploads being decoded or waiting", lambda: self.decodes.n_calls)
        watch("pictures", "Pictures of the collection", lambda: len(self.collection))
        watch("kept_query_bytes", "Decoded query pictures in memory", lambda: self.queries.n_bytes)
        watch("kept_thumbnail_bytes", "Thumbnails in memory", lambda: self.thumbnails.n_bytes)
        watch("jobs", "Jobs waiting or running", lambda: sum(not job.is_over for job in self.jobs.all()))

    def image(self, image_id: int) -> Image:
        """A picture of the collection. Raises HTTPException 404."""
        image = self.collection.store.images([image_id])[0]
        if image is None:
            raise HTTPException(404, f"the collection has no picture with id {image_id}")
        return image

    def query(self, query_id: str) -> Query:
        """A picture that was sent before. Raises HTTPException 404."""
        query = self.queries.get(query_id)
        if query is None:
            raise HTTPException(404, "this query picture is not kept any more: send it again")
        return query

    async def receive(self, content: bytes, name: str) -> Query:
        """Decode an uploaded picture, in a process that can be killed, and keep it. Raises ImageError, Busy."""
        picture = await self.decodes.run(self.decoder.decode, content, name)
        return self.queries.keep(name, picture)

    def member(self, image_id: int) -> tuple[str, Picture]:
        """Name and pixels of a picture of the collection. Raises HTTPException 404, ImageError."""
        path = self.image(image_id).path
        try:
            return path, self.collection.read(image_id)
        except ImageError as error:
            raise ImageError(path, error.reason) from error

    def discreet(self, text: str) -> str:
        """The text without where things are on this machine, unless whoever asks sits at it."""
        if not self.settings.is_local:
            for path in (self.collection.path, self.collection.path.resolve(), *self.settings.allow_dirs):
                text = text.replace(str(path), path.name)
        return text

    def close(self) -> None:
        """Stop jobs, threads and processes."""
        self.jobs.close()
        for queue in (self.searches, self.decodes, self.pictures, self.catalogue):
            queue.close()
        self.decoder.close()
