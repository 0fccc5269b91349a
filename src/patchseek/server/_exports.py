"""Results as files of `formats`: of a search just made, or of what a page shows. Answers bytes, keeps nothing."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from ..boxes import BBOX_FORMAT, from_pixels, to_pixels
from ..collection import Collection
from ..errors import MissingExtra, QueryError
from ..formats import FORMATS, OBJECT, Answer, as_bytes, require_format
from ..records import collection_record
from ._responses import told
from ._shapes import FoundRef

MEDIA = ("application/octet-stream", "application/zip", "text/csv", "application/x-ndjson", "application/xml")
BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA}}
}
"""For the OpenAPI document: a file of any format. JSON of other programs is told as bytes: its shape is theirs."""


def check(name: str) -> None:
    """Raise QueryError for a format that is not known or cannot be written here."""
    if name not in FORMATS:
        raise QueryError(f"format: one of {', '.join(FORMATS)}, found {name[:40]!r}")
    try:
        require_format(name)
    except MissingExtra as error:
        raise QueryError(f"format {name}: {error}") from error


def exported(name: str, found: dict[str, Any], collection: Collection, label: str | None, base: str) -> Response:
    """An answer of `_answers` in a format; a folder as a zip. The header x-left-out counts pictures left out."""
    results = found["results"]
    ids = sorted({result["image_id"] for result in results})
    images = {image.id: image for image in collection.store.images(ids) if image}
    queries = found.get("queries") or [found["query"]]
    answer = Answer(queries, found["collection"], results, label or OBJECT, images, base)
    content, suffix, media, problems = as_bytes(name, answer)
    headers = {"content-disposition": f'attachment; filename="patchseek-{name}{suffix}"'}
    headers |= {"x-left-out": str(len(problems))} if problems else {}
    return Response(content, media_type=media if media in MEDIA else MEDIA[0], headers=headers)


def shown_answer(collection: Collection, shown: Sequence[FoundRef], path: str) -> dict[str, Any]:
    """What a page shows, as an answer. path: of the collection, as told. Raises BoxError; what is gone is left out."""
    images = collection.store.images([each.image_id for each in shown])
    results = []
    for rank, (each, image) in enumerate(zip(shown, images, strict=True), 1):
        if image is None:
            continue
        box = to_pixels(from_pixels(each.box, image.width, image.height), image.width, image.height)
        result: dict[str, Any] = {"rank": rank, "image": told(image.path), "image_id": image.id}
        result |= {"score": each.score or 0.0, "confidence": each.confidence, "box": list(box)}
        result |= {"bbox_format": BBOX_FORMAT, "width": image.width, "height": image.height}
        results.append(result | ({"outline": [list(corner) for corner in each.outline]} if each.outline else {}))
    return {"query": {}, "collection": collection_record(collection) | {"path": path}, "results": results}
