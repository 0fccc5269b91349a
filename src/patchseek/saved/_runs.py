"""Asking saved queries of all pictures, or of those that came since. Finds are kept before the next query is asked."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._progress import OnProgress, unheard
from ..answers import SearchOptions
from ..collection import Collection
from ..confidence import DOUBTFUL
from ..errors import PatchseekError
from ..many import Outcome, Question
from ..records import match_record
from ..rerank import OnStep, go_on
from ..store import Find, Run, SavedQuery, add_run, finds_of, judgements_of, last_id, last_run
from ._keep import KeptFile
from ._learn import n_learned, taught

TOP = 50
"""Pictures that a query finds at most in one run, unless told otherwise."""
Asking = Callable[[SavedQuery], Question]
"""What a saved query asks."""


@dataclass(frozen=True)
class Told:
    """What a run of one query said."""

    query: SavedQuery
    n_looked_at: int = 0
    # pictures of the collection; 0 where all have been looked at before
    finds: tuple[Find, ...] = ()
    # of this run, best first
    new: tuple[Find, ...] = ()
    # those that are sure, were never found before, and that nobody has judged
    gone: tuple[Find, ...] = ()
    # those of before that were sure and are not found any more, since it was asked in another way
    learned: tuple[int, int] = (0, 0)
    # from so many accepted and refused finds
    problems: tuple[PatchseekError, ...] = ()
    # of pictures of the query that could not be searched with


def is_sure(record: dict[str, Any], least: float = DOUBTFUL) -> bool:
    """Whether a find's object is probably there, as far as that is known: at least so sure."""
    confidence = record["confidence"]
    return confidence is None or bool(confidence >= least)


def run(
    collection: Collection,
    queries: Sequence[SavedQuery],
    asking: Asking,
    *,
    only_new: bool = False,
    again: bool = False,
    learn: str | None = None,
    on_progress: OnProgress = unheard,
    on_step: OnStep = go_on,
    clock: Callable[[], float] = time.time,
    **options: Any,
) -> Iterator[Told]:
    """Ask queries, and keep what each finds before the next is asked: whoever is ended goes on there the next time.

    only_new: look only at pictures that came since a query was asked last, in the same way and by the same encoder;
    what is found comes to what was. A query that has looked at all pictures is not asked, unless again.
    learn: from what was said of finds, see LEARN. It and options, those of Collection.search but for dates and places,
    are by default those of the query's last run, else none and top=50, and remembered. clock: seconds since 1970.
    Raises as Collection.search.
    """
    given = {"learn": learn, **options}
    given = {name: value for name, value in given.items() if value is not None}
    SearchOptions(**_of_search(given))  # raises before anything is done
    mark, n = last_id(collection.store), len(collection)
    lots: dict[tuple[int, str], list[tuple[SavedQuery, Question, Run]]] = {}
    for query in queries:
        before = last_run(collection.store, query.key)
        how = {"top": TOP} | (before.options if before else {}) | given
        question = taught(collection, query, asking(query), how.get("learn", "no"))
        wanted = SearchOptions(**_of_search(how))
        now = Run(mark, n, how, _digest(collection, question, wanted), clock())
        after = 0 if again else _looked_at(before, now, only_new=only_new)
        lots.setdefault((after, json.dumps(how, sort_keys=True)), []).append((query, question, now))
    done = 0
    for (after, _), lot in sorted(lots.items(), key=lambda item: item[0]):
        if mark and after == mark:
            yield from (Told(query) for query, _, _ in lot)
            done += len(lot)
            continue
        questions, how = [question for _, question, _ in lot], _of_search(lot[0][2].options)
        outcomes = collection.answer_many(questions, after=after, on_step=on_step, **how)
        n_looked_at = collection.store.n_after(after)
        on_progress(done, len(queries), "asking saved queries")
        for (query, question, now), outcome in zip(lot, outcomes, strict=True):
            told = _kept(collection, query, now, outcome, is_whole=not after)
            yield replace(told, n_looked_at=n_looked_at, learned=n_learned(query, question))
            done += 1
            on_progress(done, len(queries), "asking saved queries")


def _of_search(options: dict[str, Any]) -> dict[str, Any]:
    """Those of Collection.search."""
    return {name: value for name, value in options.items() if name != "learn"}


def _looked_at(before: Run | None, now: Run, *, only_new: bool) -> int:
    """The largest id that need not be looked at: pictures up to it have been, in the same way; 0 for all anew."""
    if before is None or before.made_by != now.made_by:
        return 0
    is_same = before.mark == now.mark and before.n_pictures == now.n_pictures
    return before.mark if only_new or is_same else 0


def _kept(collection: Collection, query: SavedQuery, now: Run, outcome: Outcome, *, is_whole: bool) -> Told:
    """Keep what a query found, and tell it."""
    store = collection.store
    finds = [
        Find((match.image.sha256, match.image.page), match_record(rank, match, hashed=True))
        for rank, match in enumerate(outcome.matches, 1)
    ]
    before, judged = finds_of(store, query.key), {said.content for said in judgements_of(store, query.key)}
    known, found = {find.content for find in before} | judged, {find.content for find in finds}
    if outcome.views or not outcome.problems:  # else nothing was asked
        add_run(store, query.key, now, finds, is_whole=is_whole)
    new = [find for find in finds if is_sure(find.record) and find.content not in known]
    gone = [find for find in before if is_whole and is_sure(find.record) and find.content not in found | judged]
    return Told(query, 0, tuple(finds), tuple(new), tuple(gone), problems=tuple(outcome.problems.values()))


def _digest(collection: Collection, question: Question, options: SearchOptions) -> str:
    """What answers depend on beside the pictures: encoder, options, the pictures of the question."""
    settings = collection.store.settings
    sides = [
        [[asked.sha256 if isinstance(asked, KeptFile) else str(asked), box] for asked, box in side]
        for side in (question.views, question.refused, question.barred)
    ]
    said = [settings.to_json(), sorted(vars(options).items()), sides, question.text]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()
