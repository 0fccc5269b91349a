"""Routes that answer: search, query pictures, contact sheets, judged sets."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Path, Request, Response, UploadFile
from pydantic import StringConstraints

from .._progress import OnProgress, unheard
from .._words import counted
from ..images import Picture
from ._answers import Found, QueryPicture, SearchRequest
from ._askers import Asker
from ._boxes import Box, parse_box
from ._exports import BINARY, check, exported, shown_answer
from ._lines import OnPage, Page, in_lines, wants_lines
from ._queries import SentPicture
from ._requests import ExportRequest, JudgedSet, QueryRef, ResultRef, SheetRequest
from ._responses import PROBLEMS, Jpeg, Png, Zip
from ._services import Services
from ._shapes import MOST_ID, QueryShape, SearchAnswer
from ._sheets import Judged, Shown, judged_set, sheet
from ._thumbnails import to_jpeg

Word = Annotated[str, StringConstraints(max_length=1000)]
Id = Annotated[int, Form(ge=1, le=MOST_ID)]


def search_routes(services: Services) -> APIRouter:
    """The routes, for one server."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, tags=["search"])

    @router.post("/search", response_model=SearchAnswer, response_model_exclude_unset=True, responses=BINARY)
    async def search(
        request: Request,
        image: Annotated[list[UploadFile], File(description="a picture of the object")] = [],  # noqa: B006
        query_id: Annotated[list[str], Form(description="a picture sent before")] = [],  # noqa: B006
        image_id: Annotated[list[Id], Form(description="a picture of the collection")] = [],  # noqa: B006
        box: Annotated[
            list[str],
            Form(
                description="x,y,w,h of the object in pixels or shares; one for each picture (images, then query_ids, "
                "then image_ids), or one empty text for the whole picture"
            ),
        ] = [],  # noqa: B006
        top: Annotated[int, Form(ge=1, le=1000, description="how many pictures")] = 10,
        skip: Annotated[int, Form(ge=0, le=100_000, description="how many better ones to leave out")] = 0,
        refine: Annotated[int | None, Form(ge=0, le=1000, description="results that get finer boxes")] = None,
        depth: Annotated[int | None, Form(ge=0, le=10_000, description="results looked at by their points")] = None,
        turned: Annotated[bool, Form(description="look for it turned, too")] = True,
        mirrored: Annotated[bool, Form(description="look for its mirror image, too")] = False,
        several: Annotated[bool, Form(description="look for several copies in a picture")] = False,
        text: Annotated[str | None, Form(max_length=500, description="words to look for")] = None,
        exclude: Annotated[list[Id], Form(description="pictures of the collection that are not meant")] = [],  # noqa: B006
        distinct: Annotated[bool, Form(description="show near-duplicates once")] = False,
        frames: Annotated[bool, Form(description="show each frame of a film by itself")] = False,
        expand: Annotated[
            int, Form(ge=0, le=20, description="search again with so many of the best results added")
        ] = 0,
        min_confidence: Annotated[float | None, Form(ge=0, le=1, description="leave out what is less sure")] = None,
        under: Annotated[
            list[Word], Form(max_length=20, description="only pictures in such a folder or of such a pattern")
        ] = [],  # noqa: B006
        tags: Annotated[list[Word], Form(max_length=20, description="only pictures with such a tag")] = [],  # noqa: B006
        since: Annotated[str | None, Form(max_length=40, description="only files changed on this day or later")] = None,
        until: Annotated[str | None, Form(max_length=40, description="only files changed until this day")] = None,
        why: Annotated[bool, Form(description="say by which points a picture was found (partners)")] = False,
        format: Annotated[str, Form(max_length=40, description="as of `patchseek search --format`")] = "json",
        label: Annotated[str | None, Form(max_length=200, description="what is found, in formats that name it")] = None,
        base: Annotated[str, Form(max_length=500, description="before names of pictures that a format links to")] = "",
    ) -> Any:
        """Rank the collection's pictures by how surely they hold an object, and say where it is.

        With `Accept: application/x-ndjson` the answer comes in lines: what is known at once, also where refinement has
        to wait for others, progress while boxes are refined, and the answer itself.
        """
        if len(image) + len(query_id) + len(image_id) + len(exclude) > 10:
            raise HTTPException(422, "at most 10 pictures can be searched with at once")
        if not services.settings.is_local and any(place.lstrip("!").startswith(("/", "~")) for place in under):
            raise HTTPException(422, "under: folders are named as they are seen from the indexed one")
        check(format)
        boxes = [parse_box(text) for text in box]
        asker = Asker(request)
        sent = [await services.receive(file, asker) for file in image]
        sent += [services.query(key) for key in query_id]
        queries = [
            QueryPicture(query.name, query.picture, None, (("query_id", query.id),), query.sha256) for query in sent
        ]

        def member(key: int) -> QueryPicture:
            image, picture = services.member(key, asker)
            return QueryPicture(image.path, picture, None, (("image_id", key),), image.sha256, image.page)

        def run(
            on_progress: OnProgress = unheard, on_page: OnPage | None = None, *, refine: int | None = refine
        ) -> Page:
            asked = SearchRequest(
                queries=_with_boxes([*queries, *map(member, image_id)], boxes),
                exclude=tuple(map(member, exclude)),
                text=text,
                top=top,
                skip=skip,
                refine=refine,
                depth=depth,
                turned=turned,
                mirrored=mirrored,
                several=several,
                distinct=distinct,
                frames=frames,
                expand=expand,
                min_confidence=min_confidence,
                under=tuple(under),
                tags=tuple(tags),
                since=since,
                until=until,
                why=why,
            )

            def page(found: Found) -> Page:
                judged = services.judgements.standing(found.query_key) if found.query_key else {}
                told = found.page(asked, judged)
                told["collection"]["path"] = services.discreet(told["collection"]["path"])
                return told

            on_found = None if on_page is None else lambda found: on_page(page(found))
            return page(services.answers.find(services.collection, asked, asker.require, on_progress, on_found))

        def run_for_file() -> Response:
            return exported(format, run(), services.collection, label, base)

        is_quick = refine == 0 and not (several or expand)
        queue = services.searches if is_quick else services.refined
        if format != "json":
            return await queue.run_for(asker, run_for_file)
        if not wants_lines(request):
            return await queue.run_for(asker, run)
        has_to_wait = queue.wait > 0 and not (is_quick or several or expand or skip)
        at_once = partial(services.searches.run_for, asker, partial(run, refine=0)) if has_to_wait else None
        return await in_lines(partial(queue.run_for, asker), run, services.problem_of, at_once)

    @router.post("/export", response_class=Response, responses=BINARY)
    async def export(request: Request, asked: ExportRequest) -> Response:
        """Results as a file for another program; formats that are folders as a zip."""
        check(asked.format)
        asker = Asker(request)

        def run() -> Response:
            collection = services.collection
            found = shown_answer(collection, asked, services.discreet(str(collection.path)))
            return exported(asked.format, found, collection, asked.label, asked.base)

        return await services.searches.run_for(asker, run)

    @router.post("/queries", status_code=201, response_model=QueryShape, response_model_exclude_unset=True)
    async def send_query(
        request: Request, image: Annotated[UploadFile, File(description="a picture of the object")]
    ) -> Any:
        """Send a picture once, to search with it often (`query_id`). It is kept in memory for a while."""
        if (n := len((await request.form()).getlist("image"))) > 1:
            raise HTTPException(422, f"image: one picture a request, found {n}")
        return _told(await services.receive(image, Asker(request)))

    @router.get("/queries/{query_id}", response_model=QueryShape, response_model_exclude_unset=True)
    async def show_query(query_id: Annotated[str, Path(max_length=100)]) -> Any:
        """What is kept of a picture sent before. The same file has the same id, as long as the server runs."""
        return _told(services.query(query_id))

    @router.get("/queries/{query_id}/picture", response_class=Jpeg)
    async def query_picture(request: Request, query_id: Annotated[str, Path(max_length=100)]) -> Response:
        """A picture sent before, upright, as JPEG."""
        query = services.query(query_id)
        made = await services.pictures.run_for(Asker(request), to_jpeg, query.picture, 2048)
        return Jpeg(made, headers={"cache-control": "private, max-age=600"})

    @router.post("/sheet", response_class=Png)
    async def draw_sheet(request: Request, asked: SheetRequest) -> Response:
        """A contact sheet of results, as PNG."""
        if asked.query is None and not asked.results:
            raise HTTPException(422, "a sheet needs a query or at least one result")
        asker = Asker(request)

        def run() -> bytes:
            query = None if asked.query is None else _picture(services, asked.query, asker)
            box = None if asked.query is None else asked.query.box
            return sheet(query, box, [_shown(services, ref) for ref in asked.results], asker.require)

        return Png(await services.searches.run_for(asker, run))

    @router.post("/judgements", response_class=Zip)
    async def save_judgements(request: Request, asked: JudgedSet) -> Response:
        """Judged results as a zip for `patchseek eval`: query.json, gallery.json and the query pictures."""
        asker = Asker(request)

        def run() -> bytes:
            objects = [
                Judged(
                    judged.name,
                    _picture(services, judged.query, asker),
                    judged.query.box,
                    tuple(_shown(services, ref) for ref in judged.right),
                    tuple(judged.unsure),
                )
                for judged in asked.objects
            ]
            return judged_set(services.collection, objects, asker.require, show_paths=services.settings.is_local)

        return Zip(await services.searches.run_for(asker, run))

    return router


def _told(query: SentPicture) -> dict[str, Any]:
    picture = query.picture
    return {"query_id": query.id, "image": query.name, "width": picture.width, "height": picture.height}


def _with_boxes(queries: list[QueryPicture], boxes: list[Box | None]) -> tuple[QueryPicture, ...]:
    """The pictures with their boxes. Raises HTTPException 422 when the numbers differ."""
    if boxes and len(boxes) != len(queries):
        raise HTTPException(422, f"a box for each of {counted(len(queries), 'picture')} is needed, found {len(boxes)}")
    return tuple(replace(query, box=box) for query, box in zip(queries, boxes or [None] * len(queries), strict=True))


def _picture(services: Services, ref: QueryRef, asker: Asker) -> Picture:
    if ref.query_id is not None:
        return services.query(ref.query_id).picture
    if ref.image_id is None:
        raise HTTPException(422, "a query is named by query_id or image_id")
    return services.member(ref.image_id, asker)[1]


def _shown(services: Services, ref: ResultRef) -> Shown:
    return Shown(services.image(ref.image_id), ref.box, ref.score, ref.confidence, ref.outline)
