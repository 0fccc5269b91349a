"""Saved queries as a server has them: asked in a job, and told with what is new and what is to be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image as PillowImage

from .._progress import OnProgress, unheard
from ..boxes import BBOX_FORMAT, from_pixels, to_pixels
from ..errors import StoreDamaged
from ..images import from_image, read
from ..saved import Finding, Saved, SavedQuery, SavedView
from ._responses import told
from ._thumbnails import to_jpeg
from ._uploads import Refusal

DOING = "asking saved queries"
_AROUND = 0.15
# of a box's sides, that is shown on each side of it


class Sent(BytesIO):
    """A file that was sent before, open in binary under the name that its sender gave it."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


@dataclass(frozen=True)
class AskReport:
    """What became of asking saved queries."""

    queries: int = 0
    looked_at: int = 0
    # pictures, by the query that had to look at most
    new: int = 0
    # finds that are sure, were never found before, and that nobody has judged
    failed: tuple[Refusal, ...] = ()
    # queries that could not be asked in full


def ask(saved: Saved, names: Sequence[str], *, only_new: bool, on_progress: OnProgress = unheard) -> AskReport:
    """Ask those of these names, or all. What on_progress raises ends it; raises as Saved.run."""
    total, done = len(saved.get(*names)), 0

    def heard(n: int, total: int, _: str) -> None:
        nonlocal done
        done = n
        on_progress(n, total, DOING)

    def step() -> None:
        on_progress(done, total, DOING)

    answers = list(saved.run(*names, only_new=only_new, on_progress=heard, on_step=step)) if total else []
    failed = tuple(Refusal(each.query.name, str(problem)) for each in answers for problem in each.problems)
    looked_at = max((each.n_looked_at for each in answers), default=0)
    return AskReport(len(answers), looked_at, sum(len(each.new) for each in answers), failed)


def named(saved: Saved, name: str) -> SavedQuery | None:
    """The saved query of a name, or else of a key; None where there is none."""
    queries = saved.all()
    by_name = {told(query.name): query for query in queries}
    return by_name.get(name) or {query.key: query for query in queries}.get(name)


def is_open(found: Finding) -> bool:
    """Whether a find is sure and there, and nobody has judged it."""
    return found.is_sure and found.verdict is None and bool(found.images)


def is_new(found: Finding) -> bool:
    """Whether one that is open was found by a later run than the first."""
    return is_open(found) and found.find.first > 1


def query_record(saved: Saved, query: SavedQuery, found: Sequence[Finding]) -> dict[str, Any]:
    """What there is of a query and of its finds, as a JSON object."""
    record = saved.summary(query, found)
    return record | {
        "name": told(query.name),
        "note": told(query.note),
        "text": told(query.text),
        "who": told(query.who),
        "open": sum(map(is_open, found)),
        "new": sum(map(is_new, found)),
        "views": [_view_record(view) for view in query.views],
    }


def _view_record(view: SavedView) -> dict[str, Any]:
    return {
        "is_wanted": view.is_wanted,
        "image": told(view.file),
        "sha256": view.sha256,
        "box": list(view.box),
        "bbox_format": BBOX_FORMAT,
        "width": view.width,
        "height": view.height,
        "kept": view.kept,
        "kept_box": list(view.kept_box),
    }


def kept_size(saved: Saved, view: SavedView) -> tuple[int, int] | None:
    """Width and height of what is kept of a view; None where it is damaged."""
    if view.kept == view.sha256:  # the file itself
        return view.width, view.height
    try:
        with PillowImage.open(BytesIO(saved.picture(view))) as image:
            return image.size
    except (StoreDamaged, OSError):
        return None


def find_records(saved: Saved, found: Sequence[Finding], skip: int, limit: int) -> list[dict[str, Any]]:
    """Some of the finds as JSON objects, those that are sure first.

    "same_as" is the first one of them that shows nearly the same: more are not compared, which would take long.
    """
    ordered = sorted(found, key=lambda each: not each.is_sure)[skip : skip + limit]
    leaders = saved.twins(ordered)
    return [
        _find_record(skip + i + 1, each, ordered[leader])
        for i, (each, leader) in enumerate(zip(ordered, leaders, strict=True))
    ]


def _find_record(rank: int, found: Finding, leader: Finding) -> dict[str, Any]:
    record = found.record
    record |= {
        "rank": rank,
        "image": told(record["image"]),
        "images": [told(image.path) for image in found.images],
        "image_id": found.images[0].id if found.images else None,
        "is_sure": found.is_sure,
        "is_new": is_new(found),
        "same_as": leader.images[0].id if leader.images else None,
    }
    if said := found.judgement:
        record["judged_box"] = list(to_pixels(said.box, said.width, said.height))
    return record


def kept_jpeg(content: bytes, box: tuple[float, float, float, float] | None, size: int) -> bytes:
    """What is kept of a view as JPEG, or the part around a box x y w h in pixels of it. Raises ImageError, BoxError."""
    picture = read(content, need=None if box else max(1, size // 3), name="the picture of a saved query")
    if box is None:
        return to_jpeg(picture, size)
    left, top, right, bottom = from_pixels(box, picture.width, picture.height)
    across, down = _AROUND * (right - left), _AROUND * (bottom - top)
    shares = (max(0.0, left - across), max(0.0, top - down), min(1.0, right + across), min(1.0, bottom + down))
    x, y, w, h = to_pixels(shares, picture.width, picture.height)
    return to_jpeg(from_image(picture.image.crop((x, y, x + w, y + h))), size)
