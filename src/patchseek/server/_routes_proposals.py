"""Routes that propose boxes of a picture before anything is searched with."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from ..boxes import BBOX_FORMAT, to_pixels
from ..images import Picture
from ..proposals import propose
from ._askers import Asker
from ._responses import PROBLEMS
from ._services import Services
from ._shapes import MOST_ID, ProposalsShape


def proposal_routes(services: Services) -> APIRouter:
    """The routes, for one server. Boxes are worked out when they are asked for, in a fraction of a search's time."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, tags=["search"])

    def told(picture: Picture) -> dict[str, Any]:
        boxes = propose(picture, services.collection.encoder)
        width, height = picture.width, picture.height
        shown = [to_pixels(box, width, height) for box in boxes]
        return {"boxes": shown, "bbox_format": BBOX_FORMAT, "width": width, "height": height}

    @router.get("/queries/{query_id}/proposals", response_model=ProposalsShape)
    async def propose_for_query(request: Request, query_id: Annotated[str, Path(max_length=100)]) -> Any:
        """Boxes that may be meant in a picture sent before, the likeliest first: at most three, maybe none."""
        query = services.query(query_id)
        return await services.pictures.run_for(Asker(request), told, query.picture)

    @router.get("/images/{image_id}/proposals", response_model=ProposalsShape)
    async def propose_for_image(request: Request, image_id: Annotated[int, Path(ge=1, le=MOST_ID)]) -> Any:
        """Boxes that may be meant in a picture of the collection, the likeliest first: at most three, maybe none."""
        asker = Asker(request)
        return await services.pictures.run_for(asker, lambda: told(services.member(image_id, asker)[1]))

    return router
