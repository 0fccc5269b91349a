"""Routes of judgements: what was said of a query's finds, and saying it. Searches for nothing."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request

from ..judgements import ObjectView, query_key
from ..records import judgement_record
from ._askers import Asker
from ._boxes import parse_box
from ._requests import Judging, QueryRef
from ._responses import PROBLEMS
from ._services import Services
from ._shapes import MOST_ID, JudgementList, JudgementShape, QueryKey

_PICTURES = 10
# of one query

Id = Annotated[int, Query(ge=1, le=MOST_ID)]
Ref = Annotated[str, Query(max_length=100)]


def judge_routes(services: Services) -> APIRouter:
    """The routes, for one server."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, tags=["judgements"])
    judgements = services.judgements

    @router.get("/judgements", response_model=JudgementList)
    async def list_judgements(
        request: Request,
        query_key: Annotated[QueryKey | None, Query(description="of an answer; or else its fields:")] = None,
        query_id: Annotated[list[Ref], Query(description="a picture sent before")] = [],  # noqa: B006
        image_id: Annotated[list[Id], Query(description="a picture of the collection")] = [],  # noqa: B006
        box: Annotated[list[str], Query(description="as of a search: one for each picture, or none at all")] = [],  # noqa: B006
        text: Annotated[str | None, Query(max_length=500, description="words that were looked for")] = None,
        history: Annotated[bool, Query(description="all that was ever said, and not only what stands")] = False,
    ) -> Any:
        """What was said of a query's finds, in the order in which it was.

        The query is another one where a picture or its box is, and no other one for limits and pictures not meant.
        """
        refs = [QueryRef.model_construct(query_id=each) for each in query_id]
        refs += [QueryRef.model_construct(image_id=each) for each in image_id]
        boxes = [parse_box(each) for each in box] or [None] * len(refs)
        if len(boxes) != len(refs):
            raise HTTPException(422, f"as many boxes as pictures are needed: {len(refs)}, found {len(boxes)}")
        refs = [ref.model_copy(update={"box": each}) for ref, each in zip(refs, boxes, strict=True)]
        asker = Asker(request)

        def run() -> dict[str, Any]:
            key = query_key or _key(services, refs, text, asker)
            said = judgements.history(key) if history else list(judgements.standing(key).values())
            ids = judgements.ids(said)
            found = [judgement_record(each) | {"image_ids": ids.get(each.content, [])} for each in said]
            return {"query_key": key, "judgements": found}

        return await services.catalogue.run_for(asker, run)

    @router.put("/judgements", response_model=JudgementShape)
    async def judge(request: Request, asked: Judging) -> Any:
        """Say whether what was looked for is at a place of a picture. It is on the disk when this answers.

        What was said before stays in the history; the last word stands. `verdict` null takes it back.
        """
        asker = Asker(request)

        def run() -> dict[str, Any]:
            key = asked.query_key or _key(services, asked.queries, asked.text, asker)
            services.image(asked.image_id)
            return judgement_record(judgements.add(key, asked.image_id, asked.verdict, asked.box, who=services.who))

        return await services.catalogue.run(run)

    return router


def _key(services: Services, refs: list[QueryRef], text: str | None, asker: Asker) -> str:
    """What a query is known by. Raises HTTPException, BoxError, ImageError, Gone."""
    if len(refs) > _PICTURES:
        raise HTTPException(422, f"at most {_PICTURES} pictures can be searched with at once")
    if not refs and not text:
        raise HTTPException(422, "which query? name it by query_key, or by query_id, image_id, box and text")
    return query_key([_view(services, ref, asker) for ref in refs], text)


def _view(services: Services, ref: QueryRef, asker: Asker) -> ObjectView:
    if ref.query_id is not None:
        query = services.query(ref.query_id)
        return ObjectView.of(query.sha256, 1, query.picture, ref.box)
    if ref.image_id is None:
        raise HTTPException(422, "a query is named by query_id or image_id")
    image, picture = services.member(ref.image_id, asker)
    return ObjectView.of(image.sha256, image.page, picture, ref.box)
