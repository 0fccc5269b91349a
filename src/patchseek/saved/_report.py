"""A report to hand in: saved queries and their accepted finds as one HTML file, which the browser prints.

Made twice of the same, it is the same bytes but for the line that says when. What it looks like says `_page`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from .._words import counted
from ..draw import QUERY, RIGHT
from ..errors import ImageError, StoreDamaged
from ..formats import whole
from ..originals import open_original
from ..records import collection_record, moment
from ..store import SavedQuery, SavedView, last_run
from . import _page
from ._finds import Finding
from ._hand_in import accepted, image_at_hand

if TYPE_CHECKING:
    from . import Saved

_SIDE = 560
# pixels of the longer side of a picture
_CROP = 320
# of a crop


def write_report(
    saved: "Saved", queries: Sequence[SavedQuery], file: Path, *, clock: Callable[[], float] = time.time
) -> list[str]:
    """Write the report of queries; returns a line for each picture that cannot be shown, which the report says, too.

    clock: seconds since 1970. Raises PatchseekError where it cannot be written.
    """
    report = _Report(saved, queries)
    with whole(file) as partial, partial.open("w", encoding="utf-8", newline="\n") as to:
        for part in report.parts(moment(clock())):
            to.write(part)
    return report.problems


class _Report:
    """The parts of one report, in order."""

    def __init__(self, saved: "Saved", queries: Sequence[SavedQuery]) -> None:
        self._saved, self._queries = saved, queries
        self._record = collection_record(saved.collection)
        self.problems: list[str] = []

    def parts(self, now: str) -> Iterator[str]:
        record, n = self._record, len(self._queries)
        yield _page.head("Finds of saved queries")
        yield _page.facts(
            [
                ("Made", now),
                ("Collection", [record["path"], counted(record["images"], "picture")]),
                ("Encoder", [record["encoder"], f"SHA-256 {record['weights']}"]),
                ("Version", f"patchseek {__version__}"),
                ("Reported", counted(n, "saved query", "saved queries")),
            ]
        )
        counts = [self._counts(query) for query in self._queries]
        names = ("Query", "looked at", "runs", "finds", "accepted", "refused", "unsure", "not judged")
        rows = [
            (query.name, *(f"{count:,}" for count in each.values()))
            for query, each in zip(self._queries, counts, strict=True)
        ]
        yield _page.table(names, ((f"q{i}", row) for i, row in enumerate(rows, 1)))
        for number, (query, own) in enumerate(zip(self._queries, counts, strict=True), 1):
            yield from self._section(number, query, own)
        yield _page.END

    def _counts(self, query: SavedQuery) -> dict[str, int]:
        """What was looked at, found and judged; in the order of the table."""
        last, found = last_run(self._saved.collection.store, query.key), self._saved.findings(query)
        verdicts = [said.verdict for said in self._saved.judgements.standing(query.key).values()]
        return {
            "looked at": last.n_pictures if last else 0,
            "runs": last.number if last else 0,
            "finds": len(found),
            **{verdict: verdicts.count(verdict) for verdict in ("yes", "no", "unsure")},
            "open": sum(each.verdict is None for each in found),
        }

    def _section(self, number: int, query: SavedQuery, counts: dict[str, int]) -> Iterator[str]:
        found = accepted(self._saved, query)
        yield _page.begin_section(f"q{number}", query.name, is_short=not found)
        pictures = "".join(self._view(query, view) for view in query.views)
        yield _page.card("", pictures, _page.facts(self._of_query(query, counts)), "query")
        if not found:
            yield _page.paragraph("No find of it has been accepted.")
        for i, each in enumerate(found, 1):
            yield self._find(f"{number}.{i}", query, each)
        yield _page.END_SECTION

    def _of_query(self, query: SavedQuery, counts: dict[str, int]) -> list[_page.Row]:
        last = last_run(self._saved.collection.store, query.key)
        asked = f"{counted(counts['runs'], 'time')}, last on {moment(last.at)}" if last else "not yet"
        among = f"{counted(counts['looked at'], 'picture')} then" if last else ""
        return [
            ("Words", query.text),
            ("Note", query.note.splitlines()),
            ("Saved", f"{moment(query.at)} by {query.who}"),
            ("Asked", [asked, among] if among else asked),
            ("Finds", f"{counts['finds']:,}"),
            ("Accepted", f"{counts['yes']:,}"),
            ("Refused", f"{counts['no']:,}"),
            ("Unsure", f"{counts['unsure']:,}"),
            ("Not judged", f"{counts['open']:,}"),
            ("Query key", query.key),
        ]

    def _view(self, query: SavedQuery, view: SavedView) -> str:
        """A picture of a query, or what is kept of it."""
        x, y, w, h = view.box
        title = f"{'looked for' if view.is_wanted else 'not meant'}: {view.file or 'a picture'}"
        title += f", box {x},{y},{w},{h} of {view.width} x {view.height}, SHA-256 {view.sha256}"
        try:
            picture = self._saved.collection.read(self._saved.picture(view))
        except (StoreDamaged, ImageError) as error:
            self.problems.append(f"{query.name}: {error}")
            return _page.no_picture(str(error))
        box = _shares(view.kept_box, picture.width, picture.height) if view.is_wanted else None
        return _page.picture(picture.pixels, title, _SIDE, box, QUERY)

    def _find(self, number: str, query: SavedQuery, found: Finding) -> str:
        """A card: the picture with its box, what is in the box, and what is known of it."""
        record = found.record
        name = record["image"] or f"a picture of SHA-256 {found.find.content[0][:12]}"
        try:
            picture = open_original(image_at_hand(found))
            box = _shares(record["box"], picture.width, picture.height)
            shown = _page.picture(picture.pixels, name, _SIDE, box, RIGHT)
            shown += _page.crop(picture.pixels, "what is in the box", _CROP, tuple(record["box"]))
        except ImageError as error:
            self.problems.append(f"{query.name}: {error}; it is not shown")
            shown = _page.no_picture(str(error))
        return _page.card(f"{number} {name}", shown, _page.facts(self._of_find(found, record)))

    def _of_find(self, found: Finding, record: dict[str, Any]) -> list[_page.Row]:
        said, images = found.judgement, found.images
        assert said is not None, "it is accepted"
        sha256, page = found.find.content
        files = [
            f"{image.stored.name}{f', page {page}' if page > 1 else ''}{_time_of(image.state.mtime_ns)}"
            for image in images
        ]
        was_found = found.find.run > 0
        confidence = "not known" if record["confidence"] is None else f"{record['confidence']:.0%}"
        x, y, w, h = record["box"]
        return [
            ("In the collection", [f"{image.path} (id {image.id})" for image in images] or "no longer"),
            ("File", files),
            ("Copies", f"{len(images)} files of this content" if len(images) > 1 else ""),
            ("SHA-256", sha256),
            ("Box", f"x {x}, y {y}, {w} x {h} pixels of {record['width']} x {record['height']}"),
            ("Accepted", f"{moment(said.at)} by {said.who}"),
            ("Confidence", confidence if was_found else ""),
            (
                "Score",
                f"{record['score']:.4f}" if was_found else "judged by hand; the runs that are kept have not found it",
            ),
            ("Encoder", [self._record["encoder"], f"SHA-256 {self._record['weights']}"]),
            ("Version", f"patchseek {__version__}"),
        ]


def _shares(box: Sequence[int], width: int, height: int) -> tuple[float, float, float, float]:
    """x y w h in pixels as x0 y0 x1 y1 in [0, 1]."""
    x, y, w, h = box
    return x / width, y / height, (x + w) / width, (y + h) / height


def _time_of(ns: int) -> str:
    """When a file was last changed, in nanoseconds since 1970, which may lie beyond the calendar; 0: nobody knows."""
    try:
        return f", last changed {moment(ns / 1e9)}" if ns else ""
    except (OverflowError, ValueError, OSError):
        return f", last changed {ns / 1e9:.0f} seconds after 1970"
