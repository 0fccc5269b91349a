"""Query, collection and matches as JSON objects, the same at every edge. Boxes are x y w h pixels; prints nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from . import __version__
from .boxes import BBOX_FORMAT, to_pixels
from .collection import Collection
from .confidence import DOUBTFUL
from .errors import PatchseekError
from .images import Picture
from .search import Match, PartnerPoints
from .sources import canvas_of
from .store import Judgement


def match_record(
    rank: int, match: Match, why: Sequence[dict[str, Any]] = (), *, hashed: bool = False
) -> dict[str, Any]:
    """One result as the JSON object that every edge of patchseek writes.

    "boxes" is there when all copies were asked for; "confidence" is null where the collection is too small to say.
    "refined" says whether the picture was opened; only then is what lies below the collection's "doubtful_below"
    probably not there.
    "changed" is there, and true, where the file holds another picture than was indexed: "box" is of the old one.
    "outline" is there where somebody looked how the object lies: four corners x y in pixels, maybe beyond the picture,
    of the query's box, from its upper left one clockwise in the query.
    why: the query pictures, as query_record has them; "partners" is then there where points say where the object is:
    "query", whose place is that of its picture among them, and "points", rows of x y in pixels of that picture and x y
    in pixels of the one found, the first few of which lie all over the object.
    "seconds" is there on a frame of a film: when it is shown.
    "ranges" and "frames" are there for the best frame of a film: seconds from and to which the object is seen, and all
    frames that were found and in which it probably is, each with its box.
    "box_points" is there on a page of a document that can be opened: the box in 1/72 inch of the page as it is shown.
    "canvas" is there on a canvas of IIIF: its address with the box, #xywh= in its own units; and "crop", where an Image
    API serves it, is the address of what is in the box.
    hashed: with "sha256", that of the picture's file when it was indexed.
    """
    width, height = match.image.width, match.image.height
    record = {
        "rank": rank,
        "image": match.image.path,
        "image_id": match.image.id,
        "score": round(match.score, 6),
        "confidence": None if match.confidence is None else round(match.confidence, 4),
        "refined": match.is_refined,
        "box": list(match.pixels),
        "bbox_format": BBOX_FORMAT,
        "width": width,
        "height": height,
    }
    if points := _in_points(match):
        record["box_points"] = points
    if canvas := canvas_of(match.image.path):
        crop = canvas.crop(match.box)
        record |= {"canvas": canvas.place(match.box)} | ({} if crop is None else {"crop": crop})
    if hashed:
        record["sha256"] = match.image.sha256
    if match.changed:
        record["changed"] = True
    record |= _outline(match.outline, width, height)
    if match.image.stored.is_frame:
        record["seconds"] = (match.image.page - 1) / 1000
    if match.frames:
        record["ranges"] = [list(each) for each in match.ranges]
        record["frames"] = [
            {"image": frame.image.path, "image_id": frame.image.id, "box": list(frame.pixels)}
            | {"score": round(frame.score, 6), "confidence": frame.confidence and round(frame.confidence, 4)}
            for frame in match.frames
        ]
    if match.boxes:
        record["boxes"] = [
            {"box": list(to_pixels(found.box, width, height)), "score": round(found.score, 6)}
            | _outline(found.outline, width, height)
            for found in match.boxes
        ]
    if why and match.partners:
        asked = match.partners.asked
        record["partners"] = {"query": asked, "points": _partners(match.partners, why[asked], width, height)}
    return record


def _in_points(match: Match) -> list[float] | None:
    image = match.image
    if not image.stored.is_document:
        return None
    try:
        width, height = image.stored.size_in_points()
    except PatchseekError:
        return None
    x, y, w, h = match.pixels
    across, down = width / image.width, height / image.height
    return [round(value, 2) for value in (x * across, y * down, w * across, h * down)]


def _outline(corners: Sequence[tuple[float, float]], width: int, height: int) -> dict[str, Any]:
    return {"outline": [[round(x * width, 1), round(y * height, 1)] for x, y in corners]} if corners else {}


def _partners(partners: PartnerPoints, query: dict[str, Any], width: int, height: int) -> list[list[float]]:
    x, y, w, h = query["box"] or (0, 0, query["width"], query["height"])
    pixels = partners.spread() * np.array([w, h, width, height]) + np.array([x, y, 0, 0])
    rows: list[list[float]] = pixels.round(1).tolist()
    return rows


def query_record(name: str, picture: Picture, box: Sequence[float] | None) -> dict[str, Any]:
    """The query as a JSON object; box (x0 y0 x1 y1 in [0, 1]) is None for the whole picture."""
    return {
        "image": name,
        "box": None if box is None else list(to_pixels(box, picture.width, picture.height)),
        "bbox_format": BBOX_FORMAT,
        "width": picture.width,
        "height": picture.height,
    }


def collection_record(collection: Collection) -> dict[str, Any]:
    """What was searched, and with what, as a JSON object.

    "weights" is the SHA-256 of the encoder's. "outgrown" is there, and why, where the engine no longer fits.
    """
    settings = collection.store.settings
    record = {
        "path": str(collection.path),
        "encoder": settings.encoder.name,
        "weights": settings.encoder.weights,
        "version": __version__,
        "levels": list(settings.pyramid.levels),
        "overlap": settings.pyramid.overlap,
        "images": len(collection),
        "index": collection.index,
        "doubtful_below": DOUBTFUL,
    }
    return record | ({"outgrown": collection.outgrown} if collection.outgrown else {})


def moment(at: float) -> str:
    """Seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def judgement_record(said: Judgement) -> dict[str, Any]:
    """What somebody said of a find, as a JSON object. "at" is ISO 8601, in UTC."""
    return {
        "verdict": said.verdict,
        "box": list(to_pixels(said.box, said.width, said.height)),
        "bbox_format": BBOX_FORMAT,
        "width": said.width,
        "height": said.height,
        "sha256": said.sha256,
        "page": said.page,
        "at": moment(said.at),
        "who": said.who,
    }
