"""What people said of finds, kept in the collection: yes, it is there; no; unsure. Compares no picture.

A query is known by what was looked for, not by when: the same box of the same picture finds its judgements again.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import _platform
from ._files import hash_regular
from ._home import expanded
from .boxes import from_pixels, to_pixels
from .collection import Collection
from .errors import QueryError
from .images import Picture
from .queries import Asked, as_id, asked_box, paired
from .store import Content, Image, Judgement, add_judgement, ids_of, judgements_of

VERDICTS = ("yes", "no", "unsure")
"""What can be said of a find."""
_KIND = "patchseek query 1"
# begins what a key is the hash of


@dataclass(frozen=True, order=True)
class ObjectView:
    """A picture of what is looked for."""

    sha256: str
    # of its file
    page: int
    box: tuple[int, int, int, int]
    # x y w h in whole pixels of it

    @classmethod
    def of(cls, sha256: str, page: int, picture: Picture, box: Sequence[float] | None) -> "ObjectView":
        """box: as somebody gave it, see queries.asked_box. Raises BoxError."""
        shares = asked_box(picture, box) or (0, 0, 1, 1)
        return cls(sha256, page, to_pixels(shares, picture.width, picture.height))


def content_of(collection: Collection, asked: Asked, picture: Picture) -> Content:
    """Which picture a query is; picture: its pixels. One that comes as such is known by these. Raises as search."""
    if isinstance(asked, str | os.PathLike):
        return hash_regular(expanded(asked), asked), 1
    if isinstance(asked, bytes | bytearray | memoryview):
        return hashlib.sha256(asked).hexdigest(), 1
    image_id = as_id(asked)
    if image_id is not None:
        image = _member(collection, image_id)
        return image.sha256, image.page
    return hashlib.sha256(f"{picture.pixels.shape}".encode() + picture.pixels.tobytes()).hexdigest(), 1


def _member(collection: Collection, image_id: int) -> Image:
    image = collection.store.images([image_id])[0]
    if image is None:
        raise QueryError(f"the collection has no picture with id {image_id}")
    return image


def query_key(views: Sequence[ObjectView], text: str | None = None) -> str:
    """What a query is known by, 64 hexadecimal digits: its views, in any order, and words.

    What else may be said with a query, such as what is not meant, or which pictures may answer, makes it no other one.
    """
    said = [_KIND, sorted([view.sha256, view.page, *view.box] for view in views), text or ""]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def user_name() -> str:
    """What the system calls whoever runs this process; a number where it has no name for them."""
    return _platform.user_name()


class Judgements:
    """The judgements of a collection. May be used from several threads, and while others search and index.

    said = Judgements(collection)
    key = said.key("photo.jpg", box=(420, 310, 160, 200))
    for match in collection.search("photo.jpg", box=(420, 310, 160, 200)):
        said.add(key, match.image.id, "yes", match.pixels)
    """

    def __init__(self, collection: Collection, *, clock: Callable[[], float] = time.time) -> None:
        """clock: seconds since 1970."""
        self._collection, self._clock = collection, clock

    def key(
        self,
        query: Asked | Sequence[Asked] | None = None,
        *,
        box: Sequence[float] | Sequence[Sequence[float] | None] | None = None,
        text: str | None = None,
    ) -> str:
        """What a query is known by; the arguments are those of Collection.search.

        A picture that comes as pixels or open in binary is known by its pixels, not by its file. Raises as search.
        """
        return query_key([self._view(each, inner) for each, inner in paired(query, box)], text)

    def _view(self, asked: Asked, box: Sequence[float] | None) -> ObjectView:
        picture = self._collection.read(asked)
        return ObjectView.of(*content_of(self._collection, asked, picture), picture, box)

    def add(
        self, key: str, image_id: int, verdict: str | None, box: Sequence[float], *, who: str | None = None
    ) -> Judgement:
        """Say of a picture of the collection whether what a query looks for is at a place of it; on the disk at return.

        verdict: one of VERDICTS, or None to take back what was said before. box: x y w h in pixels of the upright
        picture, or shares. who: says so; by default the system's name for the user. Nothing is lost: what was said
        before stays in `history`. Raises QueryError, BoxError, StoreLocked, StoreError.
        """
        if verdict is not None and verdict not in VERDICTS:
            raise QueryError(f"{verdict!r}: a verdict is one of {', '.join(VERDICTS)}, or none")
        image = _member(self._collection, image_id)
        place = from_pixels(box, image.width, image.height)
        content = image.sha256, image.page
        said = Judgement(key, *content, image.width, image.height, place, verdict, self._clock(), who or user_name())
        add_judgement(self._collection.store, said)
        return said

    def history(self, key: str) -> list[Judgement]:
        """All that was ever said of a query's finds, in the order in which it was."""
        return judgements_of(self._collection.store, key)

    def standing(self, key: str) -> dict[Content, Judgement]:
        """What stands, by the content of a picture: what was said last, and not taken back."""
        last = {said.content: said for said in self.history(key)}
        return {content: said for content, said in last.items() if said.verdict is not None}

    def ids(self, said: Sequence[Judgement]) -> dict[Content, list[int]]:
        """The ids of the pictures that were judged, as far as the collection has them now; of copies, several."""
        return ids_of(self._collection.store, [each.content for each in said])
