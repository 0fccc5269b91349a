"""Many questions at once: encoded in full batches, compared with all features together, then looked at one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..answers import Searched, SearchOptions
from ..images import Picture
from ..queries import Asked
from ..store import Choice
from ._lot import Lot
from ._questions import AskedView, Outcome, Question, Views

__all__ = ["AT_ONCE", "AskedView", "Outcome", "Question", "Views", "answer_many"]

AT_ONCE = 1024
"""Queries that are compared with the features together."""
_MOST_HITS = 1 << 24
# of them; each takes 20 bytes


def answer_many(
    questions: Sequence[Question],
    options: SearchOptions,
    searched: Searched,
    read: Callable[[Asked], Picture],
    *,
    begin: int = 0,
) -> Iterator[Outcome]:
    """The outcome of each question from the number `begin` on, in order. read: see Collection.read.

    They are always taken together in the same lots, wherever it begins, so that every score is the same.
    """
    if not options.choice.is_all:
        nothing = Choice()
        searched = searched.of(options.choice)
        options = replace(options, under=nothing.under, tags=nothing.tags, since=nothing.since, until=nothing.until)
    n_hits = _depth(options, searched.snapshot.n_live, has_films=searched.has_films)
    size = max(min(AT_ONCE, _MOST_HITS // max(n_hits * (1 + len(options.lays)), 1)), 1)
    for start in range(begin // size * size, len(questions), size):
        lot = Lot(questions[start : start + size], options, searched, read, n_hits)
        for number in range(max(begin - start, 0), len(lot.questions)):
            yield lot.outcome(number)


def _depth(options: SearchOptions, n_live: int, *, has_films: bool) -> int:
    """The pictures that are asked of the index, as `answers` asks."""
    return max(min(max(options.n_ranked(n_live, has_films=has_films), options.depth), n_live), 1)
