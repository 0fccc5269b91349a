"""What is written: the answer of a search as JSON objects, and every box of it as one place. Writes nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..errors import ImageError
from ..store import Image

OBJECT = "object"
"""What is found is called so in formats that give it a name, unless somebody names it."""
MAKER = ("encoder", "weights", "version")
"""Which encoder (its name, the SHA-256 of its weights) and which version of patchseek made an answer."""


@dataclass(frozen=True)
class Answer:
    """What one search found, or many; the objects are those of `records`."""

    queries: Sequence[Mapping[str, Any]]
    collection: Mapping[str, Any]
    results: Sequence[Mapping[str, Any]]
    # best first, those of a query beside each other
    label: str = OBJECT
    # what is found, where a result names no "label" of its own
    images: Mapping[int, Image] = field(default_factory=dict)
    # by id, for formats that look at the pictures; empty where they are on another machine
    base: str = ""
    # stands before the names of pictures in formats that link to them
    is_many: bool = False
    # whether it answers many queries, each result with the id of its own under "query"
    extra: tuple[str, ...] = ()
    # names of what else results have, as further columns of rows
    is_file: bool = False
    # whether rows are for a file, and say themselves what MAKER is

    def image(self, image_id: int, name: str) -> Image:
        """The picture of an id, for formats that look at it. Raises ImageError, which calls it so, where it is not."""
        found = self.images.get(image_id)
        if found is None:
            raise ImageError(name, "the picture is not at hand here")
        return found

    @property
    def maker(self) -> dict[str, str]:
        """See MAKER; what a server of an earlier version does not say is missing."""
        return {key: str(self.collection[key]) for key in MAKER if key in self.collection}

    @property
    def program(self) -> str:
        """The maker in one line for people, such as "patchseek 0.9.0, embedded (0123456789ab)"."""
        made = self.maker
        weights = f" ({made['weights'][:12]})" if "weights" in made else ""
        return f"patchseek {made.get('version', '')}".strip() + f", {made.get('encoder', 'unknown')}{weights}"


@dataclass(frozen=True)
class Place:
    """One box of one result."""

    name: str
    # of the picture, as the collection calls it
    image_id: int
    size: tuple[int, int]
    # width, height in pixels of the upright picture
    box: tuple[int, int, int, int]
    # x y w h in pixels of it
    label: str
    rank: int
    score: float
    confidence: float | None
    query: str | None = None
    # id, where there are many
    copy: int = 1
    # of the object in the picture, from 1
    outline: Sequence[Sequence[float]] = ()
    verdict: str | None = None
    # what somebody said of it, see judgements.VERDICTS

    @property
    def sureness(self) -> float:
        """In [0, 1], for formats that know one number: the confidence, or where there is none, the score."""
        return self.score_in_bounds if self.confidence is None else self.confidence

    @property
    def score_in_bounds(self) -> float:
        """The score, in [0, 1]."""
        return min(max(self.score, 0.0), 1.0)


def as_judged(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """A result with the box that somebody has corrected and said yes to; any other as it is.

    Outline and copies go with the box that was found. Results have "verdict" and "judged_box" where they were judged.
    """
    box = result.get("judged_box")
    if result.get("verdict") != "yes" or not box or list(box) == list(result["box"]):
        return result
    return {key: value for key, value in result.items() if key not in ("outline", "boxes")} | {"box": list(box)}


def places(answer: Answer) -> list[Place]:
    """All boxes of an answer: of each result its one, or where copies were asked for, these; see `as_judged`."""
    found: list[Place] = []
    for result in map(as_judged, answer.results):
        copies = result.get("boxes") or [result]
        found += [
            Place(
                result["image"],
                result["image_id"],
                (result["width"], result["height"]),
                tuple(copy["box"]),
                result.get("label") or answer.label,
                result["rank"],
                copy["score"],
                result.get("confidence"),
                result.get("query"),
                number,
                copy.get("outline", ()),
                result.get("verdict"),
            )
            for number, copy in enumerate(copies, 1)
        ]
    return found


def by_picture(answer: Answer) -> dict[int, list[Place]]:
    """The boxes by the picture that they are in, pictures in the order in which they are found first."""
    grouped: dict[int, list[Place]] = {}
    for place in places(answer):
        grouped.setdefault(place.image_id, []).append(place)
    return grouped


def labels(answer: Answer) -> list[str]:
    """The names of what is found, each once, sorted: the number of each is its place."""
    return sorted({place.label for place in places(answer)})


def link(answer: Answer, name: str) -> str:
    """The address of a picture: the base and the name, percent-encoded unless it is an address itself."""
    if "://" in name:
        return name
    return answer.base + quote(name.encode("utf-8", "surrogateescape"))
