"""Queries that last: kept with their pixels, asked again when pictures come, each find judged once.

    saved = Saved(collection)
    saved.add("north meter", "meter.jpg", box=(40, 60, 200, 180))
    for told in saved.run(only_new=True):
        print(told.query.name, len(told.new))

A query is what its pictures and boxes are (`judgements.query_key`): whoever searches for the same on the page finds
what was said of it. Names are for people. Searches nothing itself: Collection.answer_many does.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from ..collection import Collection
from ..errors import QueryError
from ..judgements import VERDICTS, Judgements, ObjectView, query_key, user_name
from ..many import Question
from ..queries import Asked, paired
from ..records import moment
from ..store import SavedQuery, SavedView, kept_picture, last_run, remove_queries, save_query, saved_queries
from ._bundle import read_queries, write_queries
from ._finds import Finding, findings, twins
from ._hand_in import HandIn, accepted, hand_in
from ._judge import Said, judge
from ._keep import Kept, asked_view, keep
from ._report import write_report
from ._runs import Told, is_sure, run
from ._set import Imported, save_set

__all__ = [
    "Finding",
    "HandIn",
    "Imported",
    "Said",
    "Saved",
    "SavedQuery",
    "SavedView",
    "Told",
    "accepted",
    "hand_in",
    "is_sure",
    "judge",
    "read_queries",
    "save_set",
    "write_queries",
    "write_report",
]

_LONGEST = 200
# characters of a name


class Saved:
    """The saved queries of a collection. May be used from several threads, and while others search and index."""

    def __init__(self, collection: Collection, *, clock: Callable[[], float] = time.time) -> None:
        """clock: seconds since 1970."""
        self.collection, self._clock = collection, clock

    def add(
        self,
        name: str,
        query: Asked | Sequence[Asked] | None = None,
        *,
        box: Sequence[float] | Sequence[Sequence[float] | None] | None = None,
        text: str | None = None,
        exclude: Asked | Sequence[Asked] = (),
        note: str = "",
        who: str | None = None,
        replace: bool = False,
    ) -> SavedQuery:
        """Keep a query under a name, with its pixels; on the disk at return, or nothing is.

        query, box, text, exclude: as of Collection.search. note: for people. who: saves it; by default the system's
        name for the user. replace: the one of this name, whose judgements stay with what they were said of.
        Raises QueryError for a name that is taken or none, and as Collection.search; StoreLocked, StoreError.
        """
        _check_name(name)
        wanted = [keep(self.collection, asked, inner) for asked, inner in paired(query, box)]
        unwanted = [keep(self.collection, asked, None, is_wanted=False) for asked, _ in paired(exclude, None)]
        return self.put(name, (*wanted, *unwanted), text=text or "", note=note, who=who, replace=replace)

    def put(
        self,
        name: str,
        kept: Sequence[Kept],
        *,
        text: str = "",
        note: str = "",
        at: float | None = None,
        who: str | None = None,
        replace: bool = False,
    ) -> SavedQuery:
        """The same of views whose pictures have been read; at: when it was saved, by default now."""
        _check_name(name)
        views = tuple(view for view, _ in kept)
        asked = [ObjectView(view.sha256, view.page, view.box) for view in views if view.is_wanted]
        if not asked and not text:
            raise QueryError("nothing to look for: give a picture or words")
        at = self._clock() if at is None else at
        saved = SavedQuery(name, query_key(asked, text), text, note, at, who or user_name(), views)
        save_query(self.collection.store, saved, [content for _, content in kept], replace=replace)
        return saved

    def all(self) -> list[SavedQuery]:
        """The saved queries, by name."""
        return saved_queries(self.collection.store)

    def get(self, *names: str) -> list[SavedQuery]:
        """Those of these names, in this order; all of them where none is named. Raises QueryError for one not there."""
        known = {query.name: query for query in self.all()}
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else "see: patchseek query list"
                raise QueryError(f"no saved query is called {name!r}; {hint}")
        return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())

    def remove(self, *names: str) -> int:
        """Forget queries, but not what was said of their finds; returns how many there were. Raises QueryError."""
        return remove_queries(self.collection.store, [query.name for query in self.get(*names)]) if names else 0

    def picture(self, view: SavedView) -> bytes:
        """The file that is kept of a view: the picture, or what lies around the box. Raises StoreDamaged."""
        return kept_picture(self.collection.store, view.kept)

    @property
    def judgements(self) -> Judgements:
        """What was said of finds."""
        return Judgements(self.collection, clock=self._clock)

    def question(self, query: SavedQuery) -> Question:
        """What a saved query asks; its pictures are read from the collection when they are needed."""
        wanted, unwanted = (
            [asked_view(self.collection.store, view) for view in side] for side in (query.wanted, query.unwanted)
        )
        return Question(wanted, unwanted, text=query.text or None)

    def run(self, *names: str, **options: Any) -> Iterator[Told]:
        """Ask those of these names, or all; see `_runs.run` for options and what it raises."""
        queries = self.get(*names)
        yield from run(self.collection, queries, self.question, clock=self._clock, **options)

    def findings(self, query: SavedQuery) -> list[Finding]:
        """All that a query has found so far, best first."""
        return findings(self.collection, query)

    def summary(self, query: SavedQuery, found: Sequence[Finding] | None = None) -> dict[str, Any]:
        """What there is of a query, as a JSON object; "open": finds that are sure and that nobody has judged.

        found: its findings, where they are known.
        """
        found = self.findings(query) if found is None else found
        last = last_run(self.collection.store, query.key)
        return {
            "name": query.name,
            "note": query.note,
            "query_key": query.key,
            "saved": moment(query.at),
            "who": query.who,
            "asked": moment(last.at) if last else None,
            "images": last.n_pictures if last else 0,
            "finds": len(found),
            "sure": sum(each.is_sure for each in found),
            "open": sum(each.is_sure and each.verdict is None for each in found),
            "judged": {verdict: sum(each.verdict == verdict for each in found) for verdict in VERDICTS},
        }

    def twins(self, found: Sequence[Finding]) -> list[int]:
        """Which findings show nearly the same picture; see `_finds.twins`."""
        return twins(self.collection, found)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise QueryError(f"{name[:_LONGEST]!r}: a name is a line of 1 to {_LONGEST} characters")
