"""A picture and its box as they are kept: the file itself, or losslessly what lies around the box. Stores nothing."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath
from typing import Any

from PIL import Image as PillowImage

from .._home import expanded
from ..boxes import to_pixels
from ..collection import Collection
from ..errors import QueryError
from ..images import Picture
from ..judgements import content_of
from ..queries import Asked, as_id, asked_box
from ..store import Image, SavedView, Store, kept_picture

SMALL = 1 << 20
"""Bytes of a file that is kept as it is, unless what lies around the box takes fewer."""
MARGIN = 0.25
"""Of the box's sides, kept on each side of it, for people."""
MOST = 64 << 20
"""Bytes that are kept of one picture at most."""
Pixels = tuple[int, int, int, int]
"""x y w h in pixels of the upright picture."""
Kept = tuple[SavedView, bytes]
"""A view of a saved query, and the picture file that is kept of it."""


def keep(
    collection: Collection, asked: Asked, box: Sequence[float] | None, *, is_wanted: bool = True, name: str = ""
) -> Kept:
    """The view of a query picture and the file that is kept of it.

    asked, box: as of Collection.search; without a box, what stands on even ground or else all of the picture is meant.
    Of a picture that is not wanted, all is kept. name: for people, where the picture has none.
    Raises ImageError, BoxError, QueryError, also for a picture that is too large to be kept.
    """
    if callable(read := getattr(asked, "read", None)):
        if isinstance(file := getattr(asked, "name", None), str):
            name = name or PurePath(file).name
        asked = read()  # once: a second time there is nothing left
    picture = collection.read(asked)
    sha256, page = content_of(collection, asked, picture)
    image = collection.store.images([number])[0] if (number := as_id(asked)) is not None else None
    inside = to_pixels(asked_box(picture, box) or (0, 0, 1, 1), picture.width, picture.height)
    kept, corner = _smallest(picture, _file(asked, image) if page == 1 else None, inside if is_wanted else None)
    name = name or (image.path if image else PurePath(asked).name if isinstance(asked, str | os.PathLike) else "")
    if len(kept) > MOST:
        raise QueryError(f"{name}: {len(kept) >> 20} MB would be kept, more than {MOST >> 20}; give it a smaller box")
    digest, size = hashlib.sha256(kept).hexdigest(), (picture.width, picture.height)
    name = name.encode(errors="backslashreplace").decode()  # of bytes that are no text, it is for people alone
    return SavedView(is_wanted, name, sha256, page, *size, inside, digest, corner), kept


@dataclass(frozen=True)
class KeptFile:
    """The picture file of a view, as a file open in binary that is read from the collection each time anew."""

    store: Store
    sha256: str

    def read(self, _: int = -1) -> bytes:
        """All of it. Raises StoreDamaged."""
        return kept_picture(self.store, self.sha256)


def asked_view(store: Store, view: SavedView) -> tuple[Any, Pixels]:
    """The kept picture and the box in it, as Collection.search takes them."""
    return KeptFile(store, view.kept), view.kept_box


def _file(asked: Any, image: Image | None) -> bytes | None:
    """The bytes of the file that a query picture is; None where it comes as pixels."""
    if isinstance(asked, bytes | bytearray | memoryview):
        return bytes(asked)
    if image is None and not isinstance(asked, str | os.PathLike):
        return None
    return image.stored.read_bytes() if image else expanded(asked).read_bytes()


def _smallest(picture: Picture, file: bytes | None, inside: Pixels | None) -> tuple[bytes, tuple[int, int]]:
    """What is kept, and where its upper left corner lies in the picture; inside: the box, None where all counts."""
    if file is not None and (inside is None or len(file) <= SMALL):
        return file, (0, 0)
    x, y, w, h = _around(inside or (0, 0, picture.width, picture.height), picture)
    cut = BytesIO()
    PillowImage.fromarray(picture.pixels[y : y + h, x : x + w]).save(cut, "PNG")
    content = cut.getvalue()
    return (file, (0, 0)) if file is not None and len(file) <= len(content) else (content, (x, y))


def _around(box: Pixels, picture: Picture) -> Pixels:
    """The box with a margin, within the picture."""
    x, y, w, h = box
    across, down = round(MARGIN * w), round(MARGIN * h)
    left, top = max(x - across, 0), max(y - down, 0)
    return left, top, min(x + w + across, picture.width) - left, min(y + h + down, picture.height) - top
