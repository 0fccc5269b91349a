"""Results as files of `formats`: of a search just made, or of what a page shows. Answers bytes, keeps nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from ..boxes import BBOX_FORMAT, from_pixels, to_pixels
from ..collection import Collection
from ..errors import MissingExtra, QueryError
from ..formats import FORMATS, OBJECT, Answer, as_bytes, as_judged, require_format
from ..records import collection_record
from ..store import Image
from ._requests import AskedRef, CopyRef, ExportRequest, FoundRef
from ._responses import told

EXTRA = ("copy", "verdict", "query_image", "query_box", "limits")
"""What rows say beside a box, where it is known what was searched with: which copy of its picture, from 1; yes, no or
unsure; the picture searched with and x y w h in its pixels; which pictures might answer."""
_ROWS = ("csv", "jsonl", "parquet")
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
    extra = tuple(name for name in EXTRA if any(name in result for result in results))
    answer = Answer(queries, found["collection"], results, label or OBJECT, images, base, extra=extra)
    content, suffix, media, problems = as_bytes(name, answer)
    headers = {"content-disposition": f'attachment; filename="patchseek-{name}{suffix}"'}
    headers |= {"x-left-out": str(len(problems))} if problems else {}
    return Response(content, media_type=media if media in MEDIA else MEDIA[0], headers=headers)


def shown_answer(collection: Collection, asked: ExportRequest, path: str) -> dict[str, Any]:
    """What a page shows, as an answer. path: of the collection, as told. Raises BoxError; what is gone is left out."""
    images = collection.store.images([each.image_id for each in asked.results])
    results: list[Mapping[str, Any]] = []
    for rank, (each, image) in enumerate(zip(asked.results, images, strict=True), 1):
        if image is not None:
            result = _record(each, image, rank)
            if asked.query and asked.format in _ROWS:
                results += _rows(as_judged(result), each, asked.query)
            else:
                results.append(result)
    return {"query": {}, "collection": collection_record(collection) | {"path": path}, "results": results}


def _rows(result: Mapping[str, Any], shown: FoundRef, query: AskedRef) -> list[dict[str, Any]]:
    """A row for every place of a result, with what EXTRA names."""
    apart = ("box", "score", "outline", "boxes", "judged_box")
    whole = {key: value for key, value in result.items() if key not in apart}
    places = [{key: place[key] for key in apart[:3] if key in place} for place in result.get("boxes") or [result]]
    return [{**whole, **place, **_beside(query, shown, number)} for number, place in enumerate(places, 1)]


def _record(shown: FoundRef, image: Image, rank: int) -> dict[str, Any]:
    """A result as a search tells it. Raises BoxError."""
    found: Sequence[CopyRef | FoundRef] = shown.boxes or [shown]
    places = [_place(each, image) for each in found]
    result = {"rank": shown.rank or rank, "image": told(image.path), "image_id": image.id, **places[0]}
    result |= {"confidence": shown.confidence, "bbox_format": BBOX_FORMAT, "width": image.width, "height": image.height}
    result |= {"boxes": places} if shown.boxes else {}
    result |= {"verdict": shown.verdict} if shown.verdict else {}
    return result | ({"judged_box": _pixels(shown.judged_box, image)} if shown.judged_box else {})


def _place(found: CopyRef | FoundRef, image: Image) -> dict[str, Any]:
    """Box in whole pixels, score, and outline where known."""
    outline = {"outline": [list(corner) for corner in found.outline]} if found.outline else {}
    return {"box": _pixels(found.box, image), "score": found.score or 0.0, **outline}


def _pixels(box: Sequence[float], image: Image) -> list[int]:
    return list(to_pixels(from_pixels(box, image.width, image.height), image.width, image.height))


def _beside(query: AskedRef, shown: FoundRef, copy: int) -> dict[str, Any]:
    """What EXTRA names, of one box."""
    box = "" if query.box is None else " ".join(f"{number:.10g}" for number in query.box)
    values = (copy, shown.verdict or "", query.image, box, query.limits)
    return dict(zip(EXTRA, values, strict=True))
