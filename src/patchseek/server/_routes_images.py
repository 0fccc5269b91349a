"""Routes of the collection: what it is, its pictures by number, and the two changes to them, which are jobs."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Path, Query, Request, Response, UploadFile

from .._addresses import is_url
from .._desktop import open_there, opener
from .._progress import OnProgress
from ..encode import AddReport
from ..originals import has_changed
from ..patterns import plain
from ..records import collection_record
from ..store import Image, Writer, folders_in
from ._answers import OPTIONS, offered
from ._askers import Asker
from ._films import Film, open_film
from ._responses import FILM, PROBLEMS, Jpeg, told
from ._services import Services
from ._shapes import MOST_ID, CollectionShape, ImagePage, ImageShape, JobShape, PlacesShape
from ._uploads import FOLDER, drop_upload, is_upload

ImageId = Annotated[int, Path(ge=1, le=MOST_ID)]
_FAILURES = 1000
# failures that are listed
_PLACES = 500
# folders that are


def image_routes(services: Services) -> APIRouter:
    """The routes, for one server."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, tags=["pictures"])
    collection, settings = services.collection, services.settings

    @router.get("/collection", response_model=CollectionShape)
    async def describe() -> Any:
        """What the collection is, what failed, and what this server offers."""
        return await services.catalogue.run(_describe, services)

    @router.get("/places", response_model=PlacesShape)
    async def list_places(request: Request) -> Any:
        """Folders that pictures of the collection lie in, and tags that they have: what `under` and `tags` may be."""
        return await services.catalogue.run_for(Asker(request), _places, services)

    @router.get("/images", response_model=ImagePage)
    async def list_images(
        request: Request,
        skip: Annotated[int, Query(ge=0, le=MOST_ID)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 60,
        name: Annotated[str, Query(max_length=200, description="only paths that contain this")] = "",
    ) -> Any:
        """The collection's pictures in the order they were added."""

        def run() -> dict[str, Any]:
            wanted = plain(name).casefold()
            ids = [i for i, _, path in collection.store.paths() if wanted in plain(told(path)).casefold()]
            images = collection.store.images(ids[skip : skip + limit])
            return {"total": len(ids), "images": [_record(services, image) for image in images if image is not None]}

        return await services.catalogue.run_for(Asker(request), run)

    @router.get("/images/{image_id}", response_model=ImageShape)
    async def show_image(image_id: ImageId) -> Any:
        """Name and size of a picture."""
        return _record(services, await services.catalogue.run(services.image, image_id))

    @router.get("/images/{image_id}/thumbnail", response_class=Jpeg)
    async def thumbnail(
        request: Request, image_id: ImageId, large: Annotated[bool, Query(description="640 pixels, not 320")] = False
    ) -> Response:
        """A small version of a picture as JPEG, made anew: without metadata."""
        return await _jpeg(services, request, image_id, 640 if large else 320)

    @router.get("/images/{image_id}/picture", response_class=Jpeg)
    async def picture(request: Request, image_id: ImageId) -> Response:
        """A picture for the full view as JPEG, at most 2048 pixels a side, made anew: without metadata."""
        return await _jpeg(services, request, image_id, 2048)

    @router.get("/images/{image_id}/film", status_code=200, response_class=Film, responses=FILM)
    async def film(request: Request, image_id: ImageId) -> Response:
        """The film that a picture is a frame of: its file, or the one part of it that the header Range names.

        Whoever may see its frames may have it, with all that its file says.
        """

        def run() -> Response:
            return open_film(services.image(image_id), request.headers.get("range"))

        return await services.catalogue.run_for(Asker(request), run)

    @router.post("/images", status_code=202, response_model=JobShape)
    async def add_images(image: Annotated[list[UploadFile], File(description="pictures to add")]) -> Any:
        """Add pictures to the collection, in a folder of its own. Every one is decoded first, in a safe place.

        Those that cannot be added are among the job's failures from its beginning, and stop no other.
        """
        if len(image) > 1000:
            raise HTTPException(422, "at most 1000 pictures can be added at once")
        names, refused = await services.keep_uploads(image)

        def work(on_progress: OnProgress) -> AddReport:
            report = collection.add(collection.path / FOLDER, on_progress=on_progress)
            services.look_for_saved(report)
            return report

        title = names[0] if len(names) == 1 else f"{len(names)} pictures"
        return services.jobs.start("upload", title, work, refused).record()

    @router.delete("/images/{image_id}", status_code=202, response_model=JobShape)
    async def remove_image(image_id: ImageId) -> Any:
        """Take a picture out of the collection, also of later indexing; an upload's file is deleted, no other one."""
        image = await services.catalogue.run(services.image, image_id)

        def work(on_progress: OnProgress) -> AddReport:
            on_progress(0, 1, "removing")
            with Writer(collection.store) as writer:
                # the file of an upload goes too, and may be sent again
                removed = (writer.remove if is_upload(collection.store, image) else writer.take_out)([image_id])
            drop_upload(collection.store, image)
            on_progress(1, 1, "removing")
            return AddReport(removed=removed)

        return services.jobs.start("remove", told(image.path), work).record()

    @router.post("/images/{image_id}/reveal", status_code=204, response_class=Response)
    async def reveal(image_id: ImageId) -> None:
        """Open the folder of a picture on this machine's screen. Only where whoever asks sits at it."""
        if not settings.is_local or opener() is None:
            raise HTTPException(403, "folders can be opened only on the machine that runs patchseek")
        folder = (await services.catalogue.run(services.image, image_id)).file.parent
        if not folder.is_dir():
            raise HTTPException(404, "the folder is not there any more")
        open_there(folder)

    return router


def _describe(services: Services) -> dict[str, Any]:
    collection, settings = services.collection, services.settings
    record, failures = collection_record(collection), collection.store.failures()
    path = services.place.resolve()
    local, known = settings.is_local, offered(collection)
    return record | {
        "name": told(path.parent.name if path.name.startswith(".") else path.name),
        "path": told(services.place) if local else None,
        "runs_on": collection.encoder.runs_on,
        "bytes": collection.store.n_bytes(),
        "n_failures": len(failures),
        "failures": [{"image": told(f.path), "reason": f.reason} for f in failures[:_FAILURES]],
        "folders": [
            {
                "folder_id": number,
                "name": told(folder.resolve().name or "/"),
                "path": told(folder.resolve()) if local else None,
            }
            for number, folder in enumerate(settings.allow_dirs)
        ],
        "tags": list(collection.store.tags()),
        "features": {name: name in known for name in OPTIONS}
        | {"paths": local, "open_folder": local and opener() is not None},
        "limits": {"upload_bytes": settings.max_upload_bytes, "pixels": settings.max_pixels},
    }


def _places(services: Services) -> dict[str, Any]:
    """The folders nearest to what was indexed, where there are many. Those that nobody may be told are left out."""
    local, store = services.settings.is_local, services.collection.store
    paths = [path for path in folders_in(store) if told(path) == path and (local or not path.startswith("/"))]
    nearest = sorted(paths, key=lambda path: (path.count("/"), path))[:_PLACES]
    return {"folders": sorted(nearest), "n_folders": len(paths), "tags": list(store.tags())}


def _record(services: Services, image: Image) -> dict[str, Any]:
    return {
        "image_id": image.id,
        "image": told(image.path),
        "width": image.width,
        "height": image.height,
        "file": told(image.stored.name) if services.settings.is_local and not is_url(image.path) else None,
    }


async def _jpeg(services: Services, request: Request, image_id: int, size: int) -> Response:
    image = await services.catalogue.run(services.image, image_id)
    asker, make = Asker(request), services.thumbnails.jpeg
    if await services.pictures.run_for(asker, has_changed, image):  # what it shows is not the picture of that hash
        content = await services.pictures.run_for(asker, partial(make, keep=False), image, size)
        return Jpeg(content, headers={"cache-control": "no-store"})
    headers = {"etag": f'"{image.sha256[:32]}-{image.page}-{size}"', "cache-control": "private, max-age=3600"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Jpeg(await services.pictures.run_for(asker, make, image, size), headers=headers)
