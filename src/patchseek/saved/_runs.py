"""Asking saved queries of all pictures, or of those that came since. Finds are kept before the next query is asked."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    problems: tuple[PatchseekError, ...] = ()
    # of pictures of the query that could not be searched with


def is_sure(record: dict[str, Any]) -> bool:
    """Whether a find's object is probably there, as far as that is known."""
    confidence = record["confidence"]
    return confidence is None or bool(confidence >= DOUBTFUL)


def run(
    collection: Collection,
    queries: Sequence[SavedQuery],
    asking: Asking,
    *,
    only_new: bool = False,
    again: bool = False,
    on_progress: OnProgress = unheard,
    on_step: OnStep = go_on,
    clock: Callable[[], float] = time.time,
    **options: Any,
) -> Iterator[Told]:
    """Ask queries, and keep what each finds before the next is asked: whoever is ended goes on there the next time.

    only_new: look only at pictures that came since a query was asked last, with the same options and by the same
    encoder; what is found comes to what was. A query that has looked at all pictures is not asked, unless again.
    options: of Collection.search, by default top=50. clock: seconds since 1970. Raises as Collection.search.
    """
    options = {"top": TOP} | options
    SearchOptions(**options)  # raises before anything is done
    mark, n = last_id(collection.store), len(collection)
    lots: dict[int, list[tuple[SavedQuery, Question, Run]]] = {}
    for query in queries:
        question = asking(query)
        before = last_run(collection.store, query.key)
        now = Run(mark, n, _digest(collection, question, options), clock())
        after = 0 if again else _looked_at(before, now, only_new=only_new)
        lots.setdefault(after, []).append((query, question, now))
    done = 0
    for after, lot in sorted(lots.items()):
        if mark and after == mark:
            yield from (Told(query) for query, _, _ in lot)
            done += len(lot)
            continue
        questions = [question for _, question, _ in lot]
        outcomes = collection.answer_many(questions, after=after, on_step=on_step, **options)
        n_looked_at = collection.store.n_after(after)
        on_progress(done, len(queries), "asking saved queries")
        for (query, _, now), outcome in zip(lot, outcomes, strict=True):
            yield _kept(collection, query, now, outcome, n_looked_at, is_whole=not after)
            done += 1
            on_progress(done, len(queries), "asking saved queries")


def _looked_at(before: Run | None, now: Run, *, only_new: bool) -> int:
    """The largest id that need not be looked at: pictures up to it have been, in the same way; 0 for all anew."""
    if before is None or before.made_by != now.made_by:
        return 0
    is_same = before.mark == now.mark and before.n_pictures == now.n_pictures
    return before.mark if only_new or is_same else 0


def _kept(
    collection: Collection, query: SavedQuery, now: Run, outcome: Outcome, n_looked_at: int, *, is_whole: bool
) -> Told:
    """Keep what a query found, and tell it."""
    store = collection.store
    finds = [
        Find((match.image.sha256, match.image.page), match_record(rank, match, hashed=True))
        for rank, match in enumerate(outcome.matches, 1)
    ]
    known = {find.content for find in finds_of(store, query.key)}
    known |= {said.content for said in judgements_of(store, query.key)}
    if outcome.views or not outcome.problems:  # else nothing was asked
        add_run(store, query.key, now, finds, is_whole=is_whole)
    new = tuple(find for find in finds if is_sure(find.record) and find.content not in known)
    return Told(query, n_looked_at, tuple(finds), new, tuple(outcome.problems.values()))


def _digest(collection: Collection, question: Question, options: dict[str, Any]) -> str:
    """What answers depend on beside the pictures: encoder, options, the pictures of the question."""
    settings = collection.store.settings
    sides = [
        [[asked.sha256 if isinstance(asked, KeptFile) else str(asked), box] for asked, box in side]
        for side in (question.views, question.refused)
    ]
    said = [settings.to_json(), sorted(options.items()), sides, question.text]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()
