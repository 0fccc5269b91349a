"""What saved queries have found, as people go through it: where it is now, what was said of it, what looks the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..answers import same_pictures
from ..boxes import to_pixels
from ..collection import Collection
from ..store import Find, Image, Judgement, SavedQuery, finds_of, ids_of, judgements_of, last_run
from ._runs import is_sure

_OF_THE_BOX = ("outline", "boxes", "partners")


@dataclass(frozen=True)
class Finding:
    """A picture that a query found."""

    find: Find
    images: tuple[Image, ...]
    # that have this content now: none where it is gone, several where there are copies
    judgement: Judgement | None
    # what stands
    is_latest: bool
    # whether the last run found it first

    @property
    def is_sure(self) -> bool:
        """Whether the object is probably there, as far as that is known."""
        return is_sure(self.find.record)

    @property
    def verdict(self) -> str | None:
        """What stands of what was said; None where nobody has judged it."""
        return self.judgement.verdict if self.judgement else None

    @property
    def record(self) -> dict[str, Any]:
        """As records.match_record has it, with the place and the id that it has now, and "verdict" where there is one.

        The box is the one that was judged, where somebody has said that it is there.
        """
        record = dict(self.find.record)
        if self.images:
            record |= {"image": self.images[0].path, "image_id": self.images[0].id}
        if self.judgement and self.verdict == "yes":
            record = _corrected(record, self.judgement)
        return record | ({"verdict": self.verdict} if self.verdict else {})


def _corrected(record: dict[str, Any], said: Judgement) -> dict[str, Any]:
    """A record with the box that was judged. What else was said of the place goes with a box that was another one."""
    box = list(to_pixels(said.box, said.width, said.height))
    if box == record["box"]:
        return record
    return {key: value for key, value in record.items() if key not in _OF_THE_BOX} | {"box": box}


def findings(collection: Collection, query: SavedQuery) -> list[Finding]:
    """All that a query has found so far, best first."""
    store = collection.store
    finds = sorted(finds_of(store, query.key), key=_worth, reverse=True)
    said = {each.content: each for each in judgements_of(store, query.key)}
    ids = ids_of(store, [find.content for find in finds])
    images = store.images([number for own in ids.values() for number in own])
    by_id = {image.id: image for image in images if image}
    latest = last_run(store, query.key)
    return [
        Finding(
            find,
            tuple(by_id[number] for number in ids.get(find.content, ()) if number in by_id),
            judgement if (judgement := said.get(find.content)) and judgement.verdict else None,
            latest is not None and find.first == latest.number,
        )
        for find in finds
    ]


def _worth(find: Find) -> tuple[float, float, str]:
    """Larger is better; runs are joined by it. Of equal ones, the content decides."""
    confidence = find.record["confidence"]
    return (-1.0 if confidence is None else confidence), find.record["score"], find.content[0]


def twins(collection: Collection, found: Sequence[Finding]) -> list[int]:
    """For each of the findings (n,), the number of the first one whose picture is nearly the same; maybe its own."""
    snapshot = collection.store.snapshot()
    places = dict(zip(snapshot.ids.tolist(), range(snapshot.n_positions), strict=True))
    there = [i for i, each in enumerate(found) if each.images and each.images[0].id in places]
    positions = np.array([places[found[i].images[0].id] for i in there], np.int64)
    first = list(range(len(found)))
    if not there:
        return first
    for i, leader in zip(there, same_pictures(snapshot, positions), strict=True):
        first[i] = there[leader]
    return first
