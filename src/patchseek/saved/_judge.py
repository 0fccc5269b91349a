"""Judging pictures of the collection for a saved query, and with them those that show nearly the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..boxes import WHOLE
from ..errors import QueryError
from ..store import Content, Image, Judgement, SavedQuery

if TYPE_CHECKING:
    from . import Saved


@dataclass(frozen=True)
class Said:
    """A judgement, and of which picture it was said."""

    judgement: Judgement
    image: Image
    twin_of: Image | None = None
    # the picture judged that it is nearly the same as; None for one that was judged itself


def judge(
    saved: "Saved",
    query: SavedQuery,
    image_ids: Sequence[int],
    verdict: str | None,
    *,
    box: Sequence[float] | None = None,
    twins: bool = False,
    who: str | None = None,
) -> list[Said]:
    """Say of pictures of the collection whether what a query looks for is there; see Judgements.add.

    box: x y w h in pixels, or shares; by default that of the find, where the picture is one, else all of it. twins:
    finds that show nearly the same picture are judged, too, each with its own box: those that nobody has judged, or
    where the verdict is None, those that somebody has. Of copies one is judged, and that counts for all.
    Raises QueryError, BoxError, StoreLocked, StoreError.
    """
    found = saved.findings(query)
    boxes = {each.find.content: _shares(each.record) for each in found}
    images = _distinct(saved, image_ids)
    done = [
        Said(_say(saved, query, image, verdict, box or boxes.get(content) or WHOLE, who), image)
        for content, image in images.items()
    ]
    if not twins:
        return done
    groups = saved.twins(found)
    first = {
        groups[number]: images[each.find.content] for number, each in enumerate(found) if each.find.content in images
    }
    for group, each in zip(groups, found, strict=True):
        is_open = (each.verdict is None) == (verdict is not None)
        if group in first and each.find.content not in images and is_open and each.images:
            image = each.images[0]
            said = _say(saved, query, image, verdict, _shares(each.record), who)
            done.append(Said(said, image, first[group]))
    return done


def _say(
    saved: "Saved", query: SavedQuery, image: Image, verdict: str | None, box: Sequence[float], who: str | None
) -> Judgement:
    return saved.judgements.add(query.key, image.id, verdict, box, who=who)


def _distinct(saved: "Saved", image_ids: Sequence[int]) -> dict[Content, Image]:
    """The pictures by content. Raises QueryError for an id that none has."""
    images: dict[Content, Image] = {}
    for number, image in zip(image_ids, saved.collection.store.images(image_ids), strict=True):
        if image is None:
            raise QueryError(f"the collection has no picture with id {number}")
        images.setdefault((image.sha256, image.page), image)
    return images


def _shares(record: dict[str, Any]) -> tuple[float, ...]:
    """The box of a record, x y w h in shares of the picture: pixels of one that is a pixel wide would be taken so."""
    x, y, w, h = record["box"]
    width, height = record["width"], record["height"]
    return x / width, y / height, w / width, h / height
