"""Finds to hand in: those that somebody accepted, or all that are probably there, as an answer that formats write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..boxes import BBOX_FORMAT, to_pixels
from ..errors import ImageChanged, ImageError
from ..formats import Answer
from ..originals import has_changed
from ..records import collection_record, moment
from ..store import Find, Image, Judgement, SavedQuery
from ._finds import Finding

if TYPE_CHECKING:
    from . import Saved

JUDGED = ("verdict", "judged_by", "judged_at")
"""What is said of a find beside what a search says."""


@dataclass(frozen=True)
class HandIn:
    """What is handed in."""

    answer: Answer
    problems: tuple[str, ...]
    # a line for each find that is left out


def hand_in(saved: "Saved", queries: Sequence[SavedQuery], *, only_accepted: bool = True, base: str = "") -> HandIn:
    """The accepted finds of queries, with the boxes that were judged; a query's under its name.

    only_accepted: else also what is probably there and nobody has refused. base: see Answer. Left out, with a line, is
    what has gone from the collection or from the disk, or holds another picture now.
    """
    results: list[dict[str, Any]] = []
    images: dict[int, Image] = {}
    problems: list[str] = []
    for query in queries:
        rank = 0
        for each in accepted(saved, query) if only_accepted else probable(saved, query):
            try:
                image = image_at_hand(each)
            except ImageError as error:
                problems.append(f"{query.name}: {error}; left out")
                continue
            rank += 1
            images[image.id] = image
            results.append({"query": query.name, "label": query.name, **_result(each, image, rank)})
    told = collection_record(saved.collection)
    asked = [_asked(query) for query in queries]
    answer = Answer(asked, told, results, images=images, base=base, is_many=True, extra=JUDGED)
    return HandIn(answer, tuple(problems))


def accepted(saved: "Saved", query: SavedQuery) -> list[Finding]:
    """What stands as accepted, best first; behind it, by content, what was accepted and no run has found."""
    found = saved.findings(query)
    return [*(each for each in found if each.verdict == "yes"), *_not_found(saved, query, found)]


def probable(saved: "Saved", query: SavedQuery) -> list[Finding]:
    """What is probably there and not refused, and what is accepted; in the same order."""
    found = saved.findings(query)
    likely = [each for each in found if each.verdict == "yes" or (each.is_sure and each.verdict != "no")]
    return [*likely, *_not_found(saved, query, found)]


def _not_found(saved: "Saved", query: SavedQuery, found: Sequence[Finding]) -> list[Finding]:
    """What was accepted and is not among the finds: judged by hand, or found by runs of other options alone."""
    known = {each.find.content for each in found}
    standing = sorted(saved.judgements.standing(query.key).items())
    accepted = [said for content, said in standing if said.verdict == "yes" and content not in known]
    ids = saved.judgements.ids(accepted)
    findings = []
    for said in accepted:
        own = [image for image in saved.collection.store.images(ids.get(said.content, [])) if image]
        findings.append(Finding(Find(said.content, _by_hand(said, own)), tuple(own), said, is_latest=False))
    return findings


def image_at_hand(found: Finding) -> Image:
    """The first of a find's copies whose file is there as it was indexed. Raises ImageError, which says why none is."""
    name = found.record["image"] or found.find.content[0]
    problem = ImageError(name, "is no longer in the collection")
    for image in found.images:
        is_file = image.state.mtime_ns and "://" not in image.path  # and no member of a tar, nor at an address
        if is_file and not image.file.exists():
            problem = ImageError(name, "its file is gone")
        elif has_changed(image):
            problem = ImageChanged(image.stored.name)
        else:
            return image
    raise problem


def _by_hand(said: Judgement, images: Sequence[Image]) -> dict[str, Any]:
    """What is known of a picture that was judged and not found: no confidence, and a score of 0."""
    return {
        "rank": 0,
        "image": images[0].path if images else "",
        "image_id": images[0].id if images else 0,
        "score": 0.0,
        "confidence": None,
        "refined": False,
        "box": list(to_pixels(said.box, said.width, said.height)),
        "bbox_format": BBOX_FORMAT,
        "width": said.width,
        "height": said.height,
        "sha256": said.sha256,
    }


def _result(found: Finding, image: Image, rank: int) -> dict[str, Any]:
    record = found.record | {"rank": rank, "image": image.path, "image_id": image.id, "sha256": image.sha256}
    record.pop("changed", None)
    said = found.judgement
    facts = (said.verdict, said.who, moment(said.at)) if said else (None, None, None)
    return record | dict(zip(JUDGED, facts, strict=True))


def _asked(query: SavedQuery) -> Mapping[str, Any]:
    """A saved query as the record that formats have of a query."""
    views = [
        {
            "image": view.file,
            "sha256": view.sha256,
            "box": list(view.box),
            "bbox_format": BBOX_FORMAT,
            "width": view.width,
            "height": view.height,
        }
        for view in query.wanted
    ]
    told = {"id": query.name, "label": query.name, "query_key": query.key, "note": query.note, "text": query.text}
    return told | (views[0] if len(views) == 1 else {"views": views})
