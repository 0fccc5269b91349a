"""Routes of saved queries: keep one, list them, ask them in a job, and what they have found."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from .._words import counted
from ..errors import QueryError
from ..queries import Asked
from ..saved import Finding, SavedQuery
from ._answers import offered
from ._askers import Asker
from ._asking import Sent, find_records, is_open, kept_jpeg, kept_size, named, query_record
from ._boxes import parse_box
from ._requests import QueryRef
from ._responses import PROBLEMS, Jpeg
from ._services import Services
from ._shapes import MOST_ID, JobShape
from ._shapes_saved import Removed, RunRequest, SavedList, SavedPage, SavedShape, SaveRequest

Named = Annotated[str, Path(min_length=1, max_length=200, description="the name of a saved query, or its query_key")]
_FOREVER = "private, max-age=31536000, immutable"


def saved_routes(services: Services) -> APIRouter:
    """The routes, for one server."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, tags=["saved queries"])
    saved = services.saved

    def query_of(name: str) -> SavedQuery:
        query = named(saved, name)
        if query is None:
            raise HTTPException(404, f"no saved query is called {name!r}")
        return query

    @router.get("/saved", response_model=SavedList)
    async def list_saved(request: Request) -> Any:
        """The saved queries, and how much of what they have found is new and is to be judged."""

        def run() -> dict[str, Any]:
            return {"queries": [query_record(saved, query, saved.findings(query)) for query in saved.all()]}

        return await services.catalogue.run_for(Asker(request), run)

    @router.post("/saved", status_code=201, response_model=SavedShape)
    async def save(asked: SaveRequest) -> Any:
        """Keep a query under a name, with its pixels. It is on the disk when this answers. It is asked by no more."""

        def run() -> dict[str, Any]:
            services.begin()
            query = _save(services, asked)
            return query_record(saved, query, saved.findings(query))

        return await services.pictures.run(run)

    @router.post("/runs", status_code=202, response_model=JobShape)
    async def run_saved(asked: RunRequest) -> Any:
        """Ask saved queries, in a job: one after another, and what each finds is kept before the next is asked."""
        names = [(await services.catalogue.run(query_of, name)).name for name in dict.fromkeys(asked.names)]
        return services.ask_saved(names, only_new=asked.only_new).record()

    @router.get("/kept/{sha256}", response_class=Jpeg)
    async def kept_picture(
        request: Request,
        sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
        box: Annotated[str, Query(max_length=100, description="x,y,w,h in pixels of it: cut out what is there")] = "",
        small: Annotated[bool, Query(description="320 pixels a side, not 2048")] = False,
    ) -> Response:
        """The picture that is kept of a saved query, by its content, as JPEG, made anew: without metadata."""
        part, size = parse_box(box), 320 if small else 2048
        headers = {"etag": f'"{sha256[:32]}-{box}-{size}"' if part else f'"{sha256[:32]}-{size}"'}
        headers["cache-control"] = _FOREVER

        def run() -> bytes:
            view = next((view for query in saved.all() for view in query.views if view.kept == sha256), None)
            if view is None:
                raise HTTPException(404, "no saved query has this picture")
            return kept_jpeg(saved.picture(view), part, size)

        return Jpeg(await services.pictures.run_for(Asker(request), run), headers=headers)

    @router.get("/saved/{name:path}", response_model=SavedPage, response_model_exclude_unset=True)
    async def show_saved(
        request: Request,
        name: Named,
        which: Annotated[Literal["all", "open", "unjudged"], Query(description="open: sure and not judged")] = "all",
        skip: Annotated[int, Query(ge=0, le=MOST_ID)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Any:
        """What a saved query looks for, and what it has found so far, the sure finds first."""

        def run() -> dict[str, Any]:
            query = query_of(name)
            found = saved.findings(query)
            chosen = [each for each in found if _CHOICE[which](each)]
            told = query_record(saved, query, found)
            for view, record in zip(query.views, told["views"], strict=True):
                record["kept_width"], record["kept_height"] = kept_size(saved, view) or (None, None)
            return {"query": told, "total": len(chosen), "finds": find_records(saved, chosen, skip, limit)}

        return await services.catalogue.run_for(Asker(request), run)

    @router.delete("/saved/{name:path}", response_model=Removed)
    async def remove_saved(name: Named) -> Any:
        """Forget a saved query, but not what was said of its finds: saved again, it has its finds again."""

        def run() -> int:
            return saved.remove(query_of(name).name)

        return {"removed": await services.catalogue.run(run)}

    return router


def _is_unjudged(found: Finding) -> bool:
    return found.verdict is None and bool(found.images)


def _is_any(_: Finding) -> bool:
    return True


_CHOICE = {"all": _is_any, "open": is_open, "unjudged": _is_unjudged}


def _save(services: Services, asked: SaveRequest) -> SavedQuery:
    """Keep what was asked. Raises QueryError, BoxError, ImageError, HTTPException."""
    if asked.name in (".", ".."):  # no address can hold them
        raise QueryError(f"{asked.name!r}: a name is more than dots")
    if asked.text and "text" not in offered(services.collection):
        raise QueryError("this collection cannot be asked with words")
    if (n := len(asked.queries) + len(asked.exclude)) > 10:
        raise QueryError(f"at most 10 pictures can be searched with at once, found {counted(n, 'picture')}")
    pictures = [_asked(services, ref) for ref in asked.queries]
    boxes: Sequence[Any] = [ref.box for ref in asked.queries]
    return services.saved.add(
        asked.name,
        pictures,
        box=boxes,
        text=asked.text or None,
        exclude=asked.exclude,
        note=asked.note,
        who=services.who,
        replace=asked.replace,
    )


def _asked(services: Services, ref: QueryRef) -> Asked:
    """A picture as Saved.add takes it: its file, as it was sent, or its id."""
    if ref.query_id is not None:
        query = services.query(ref.query_id)
        return Sent(query.content, query.name)
    if ref.image_id is None:
        raise HTTPException(422, "a query is named by query_id or image_id")
    return services.image(ref.image_id).id
