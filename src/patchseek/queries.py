"""What somebody may search with, as pixels, and which box of them: files, bytes, images, arrays. Encodes nothing."""

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from ._home import expanded
from ._words import counted
from .boxes import WHOLE, from_pixels
from .errors import QueryError
from .foreground import foreground
from .images import Picture, from_image, read

Asked = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | PillowImage.Image
    | NDArray[np.uint8]
    | int
    | np.integer[Any]
    | Picture
)
"""A query picture: a file, its bytes, a file open in binary, pixels, or the id of a picture of the collection."""

_TAKEN = (
    "a query is a file (its path, its bytes, or open in binary), an image of Pillow's, an array of uint8 (h, w), "
    "(h, w, 3) or (h, w, 4), the id of a picture of the collection, or a list of these"
)
_MOST_ID = 2**63 - 1  # that a catalogue can hold


def paired(query: Asked | Sequence[Asked] | None, box: Any) -> list[tuple[Asked, Sequence[float] | None]]:
    """Each picture with its box, of one or several. Raises QueryError when there are not as many boxes as pictures."""
    if query is None:
        return []
    if not is_several(query):
        return [(query, box)]  # type: ignore[list-item]
    boxes = [None] * len(query) if box is None else list(box)  # type: ignore[arg-type]
    if len(boxes) != len(query):  # type: ignore[arg-type]
        raise QueryError(f"a box for each of {counted(len(query), 'picture')} is needed, found {len(boxes)}")  # type: ignore[arg-type]
    return list(zip(query, boxes, strict=True))  # type: ignore[arg-type]


def is_several(query: Asked | Sequence[Asked]) -> bool:
    """Whether a query is a list of pictures rather than one."""
    return isinstance(query, Sequence) and not isinstance(query, str | bytes | bytearray | memoryview)


def as_id(asked: Asked) -> int | None:
    """The id that a query is; None where it is something else. Raises QueryError for one that no picture can have."""
    if isinstance(asked, bool) or not isinstance(asked, int | np.integer):
        return None
    if not 0 < asked <= _MOST_ID:
        raise QueryError(f"the collection has no picture with id {asked}")
    return int(asked)


def read_query(asked: Asked) -> Picture:
    """The upright picture of anything but an id. Raises QueryError for what is none of _TAKEN, ImageError."""
    if isinstance(asked, Picture):
        return asked
    if isinstance(asked, str | os.PathLike):
        if not os.fspath(asked):
            raise _not_taken("an empty text")
        return read(expanded(asked))
    if isinstance(asked, PillowImage.Image):
        if 0 in asked.size:
            raise _not_taken(f"an image of {asked.width} x {asked.height} pixels")
        return from_image(asked)
    if isinstance(asked, np.ndarray):
        return from_image(_image_of(asked))
    content = asked if isinstance(asked, bytes | bytearray | memoryview) else _content_of(asked)
    if not len(content):
        raise _not_taken("no bytes")
    return read(bytes(content))


def asked_box(picture: Picture, box: Sequence[float] | None) -> tuple[float, float, float, float] | None:
    """The box x0 y0 x1 y1 in [0, 1] that is asked for; None for the whole picture.

    box: as somebody gave it, x y w h; else it is that of what stands on even ground. Raises BoxError.
    """
    if box is not None:
        return from_pixels(box, picture.width, picture.height)
    found = foreground(picture)
    return None if found == WHOLE else found


def _image_of(pixels: NDArray[Any]) -> PillowImage.Image:
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not is_picture or not pixels.size:
        raise _not_taken(f"an array of {pixels.dtype} {pixels.shape}")
    return PillowImage.fromarray(np.ascontiguousarray(pixels))


def _content_of(file: Any) -> bytes | bytearray | memoryview:
    if not callable(getattr(file, "read", None)):
        raise _not_taken(type(file).__name__)
    try:
        content = file.read()
    except Exception as error:  # whatever is behind it
        raise QueryError(f"the file to search with cannot be read ({error or type(error).__name__})") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise _not_taken(f"a file that gives {type(content).__name__}")
    return content


def _not_taken(found: str) -> QueryError:
    return QueryError(f"{_TAKEN}; found {found}")
