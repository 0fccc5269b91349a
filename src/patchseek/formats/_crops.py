"""The boxes as picture files, whose names sort by query and rank. Opens the pictures of the collection."""

from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from .._platform import possible_name
from ..errors import ImageError
from ..originals import open_original
from ._answer import Answer, Place, by_picture
from ._files import plain_text, stem, write_bytes

_STEM = 60
# characters of a picture's name that are kept


def write_crops(answer: Answer, folder: Path) -> list[str]:
    """Write a PNG for each box, of the picture's own pixels; returns a line for each picture that cannot be cut.

    Raises PatchseekError where the folder cannot be written.
    """
    order = {str(query.get("id")): i for i, query in enumerate(answer.queries, 1)}
    problems = []
    for image_id, own in by_picture(answer).items():
        try:
            image = answer.image(image_id, own[0].name)
            pixels = open_original(image).pixels
        except ImageError as error:
            problems.append(str(error))
            continue
        for place in own:
            x, y, w, h = place.box
            write_bytes(folder / _name(place, order), _png(pixels[y : y + h, x : x + w], place, answer))
    return problems


def _png(pixels: np.ndarray, place: Place, answer: Answer) -> bytes:
    """The pixels as PNG; what they are and who found them stands in its texts."""
    told = PngInfo()
    facts = {
        "Source": place.name,
        "Box": ",".join(map(str, place.box)),
        "Label": place.label,
        "Software": answer.program,
    }
    for key, value in (facts | answer.maker).items():
        told.add_itxt(key, plain_text(value))
    content = BytesIO()
    PillowImage.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG", pnginfo=told)
    return content.getvalue()


def _name(place: Place, order: dict[str, int]) -> str:
    query = f"{order[place.query]:05}-" if place.query is not None else ""
    copy = f"-{place.copy}" if place.copy > 1 else ""
    name = PurePosixPath(stem(place.name.replace("\\", "/"))).name
    kept = plain_text(name).replace("\\", "_")[:_STEM]
    return possible_name(f"{query}{place.rank:05}{copy}-{kept}.png")
