"""What the page saves from results: a contact sheet, and a set of judged results for `patchseek eval`, as a zip."""

import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from .._addresses import is_url
from ..boxes import from_pixels
from ..collection import Collection
from ..draw import Tile, contact_sheet
from ..draw.thumbnails import thumbnail
from ..images import Picture
from ..rerank import OnStep
from ..store import Image
from ._responses import told

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shown:
    """A result as the page shows it."""

    image: Image
    box: Box
    # x y w h in pixels
    score: float | None = None
    confidence: float | None = None
    outline: Sequence[tuple[float, float]] | None = None
    # its four corners in pixels, where known


@dataclass(frozen=True)
class Judged:
    """An object somebody looked for, and what was right about the results."""

    name: str
    query: Picture
    box: Box | None
    # x y w h in pixels of the query; None for all of it
    right: tuple[Shown, ...]
    unsure: tuple[int, ...]
    # ids of pictures that were shown and not judged


def sheet(query: Picture | None, box: Box | None, results: Sequence[Shown], on_step: OnStep) -> bytes:
    """A contact sheet as PNG: the query with its box, and the results with theirs, in the given order.

    on_step: called before each picture; what it raises ends the work.
    """
    tile = None
    if query is not None:
        boxes = [] if box is None else [from_pixels(box, query.width, query.height)]
        tile = Tile(query.pixels, boxes=np.array(boxes).reshape(-1, 4))
    stream = BytesIO()
    PillowImage.fromarray(contact_sheet(tile, _tiles(results, on_step))).save(stream, "PNG")
    return stream.getvalue()


def _tiles(results: Sequence[Shown], on_step: OnStep) -> Iterator[Tile]:
    for shown in results:
        on_step()
        image = shown.image
        boxes = np.array([from_pixels(shown.box, image.width, image.height)])
        corners = None if shown.outline is None else np.array(shown.outline) / (image.width, image.height)
        yield Tile(
            thumbnail(image),
            told(image.path),
            boxes,
            score=shown.score,
            confidence=shown.confidence,
            outlines=[corners],
        )


def judged_set(collection: Collection, objects: Sequence[Judged], on_step: OnStep, *, show_paths: bool) -> bytes:
    """A zip of query.json, gallery.json and the query pictures, as `patchseek eval` reads them.

    Pictures marked right are the object's; those shown and not judged are ignored for it; all others count as not
    showing it. on_step: as of `sheet`. show_paths: name the gallery's files by where they are; else relative to their
    indexed folder.
    """
    stream = BytesIO()
    queries: list[dict[str, Any]] = []
    labels: dict[int, list[tuple[str, list[int]]]] = {}
    ignored: dict[int, list[str]] = {}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for number, judged in enumerate(objects, 1):
            on_step()
            file = f"queries/{number:02}-{_plain(judged.name)}.jpg"
            picture = BytesIO()
            PillowImage.fromarray(np.asarray(judged.query.pixels)).save(picture, "JPEG", quality=95, subsampling=0)
            archive.writestr(file, picture.getvalue())
            scale = judged.query.pixels.shape[1] / judged.query.width  # very large pictures are kept smaller
            bbox = None if judged.box is None else [round(v * scale) for v in judged.box]
            queries.append({"id": f"q-{number:02}", "image": file, "instance": judged.name, "bbox": bbox})
            for shown in judged.right:
                labels.setdefault(shown.image.id, []).append((judged.name, [round(v) for v in shown.box]))
            for image_id in judged.unsure:
                ignored.setdefault(image_id, []).append(judged.name)
        gallery = []
        for image_id, root, path in collection.store.paths():
            found = labels.get(image_id, [])
            place = str(root / path) if show_paths and not is_url(path) else told(path)
            row: dict[str, Any] = {"id": f"g-{image_id}", "image": place}
            row["instance"] = [name for name, _ in found] or None
            row["bbox"] = [box for _, box in found] or None
            if image_id in ignored:
                row["ignore"] = ignored[image_id]
            gallery.append(row)
        for file, rows in (("query.json", queries), ("gallery.json", gallery)):
            archive.writestr(file, "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    return stream.getvalue()


def _plain(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:40] or "object"
