"""From a query to the list a person sees: rank, judge, collapse. To read a search, begin with `answer`."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .._progress import OnProgress, unheard
from ..originals import has_changed
from ..rank import Candidate, Refinement, closer_looks, look_closer, rank
from ..rerank import OnStep, Recipe
from ..search import Match, Query
from ..store import Image
from ._copies import may_have_copies, with_copies
from ._followed import follow
from ._frames import by_film
from ._near import Without, distinct, expand, less_like
from ._near import same_pictures as same_pictures
from ._options import SearchOptions as SearchOptions
from ._order import in_order, not_rising
from ._order import scale_below as scale_below
from ._searched import Searched as Searched

MAX_CHECKED = 1000
"""Of the pictures answered with, so many are held against their files, which may have changed."""
OnAnswer = Callable[[Sequence[Match]], None]
"""Is told of the answer so far, see `answer`."""
_TWINS = 10
# near-duplicates of a refused picture that may be found before others


def answer(
    query: Query,
    options: SearchOptions,
    searched: Searched,
    on_progress: OnProgress = unheard,
    on_answer: OnAnswer | None = None,
) -> list[Match]:
    """The matches of a query, best first, as the options say. on_progress: what is done and how far it is.

    on_answer: told of the answer as patches have it, before points are compared and files are opened, which takes
    longest, and then as it is before further copies are looked for. It leaves out nobody for low confidence yet, and
    has looked at no file's date.
    """
    searched = searched.of(options.choice)
    if options.expand:
        first = _refined(query, options, searched, _found(query, options, searched, on_progress), on_progress)
        query = expand(query, first[: options.expand], searched.snapshot)

    def tell(found: list[Candidate[Image]]) -> None:
        if on_answer and (options.refine or (options.depth and searched.snapshot.has_points)):
            on_answer([match for match, _ in _judged(found, replace(options, min_confidence=None), searched)])

    ranked = _found(query, options, searched, on_progress, tell)
    if searched.background:
        away = less_like(query, ranked, searched.snapshot)
        searched = replace(searched, background=searched.background.lowered(away))
    if options.refine:
        ranked = _refined(query, options, searched, ranked, on_progress)
    judged = _judged(ranked, options, searched)
    matches = [match for match, _ in judged]
    if options.several:
        if on_answer:
            on_answer(matches)
        matches = _several(query, judged, searched, on_progress)
    return [*(_checked(match, searched.on_step) for match in matches[:MAX_CHECKED]), *matches[MAX_CHECKED:]]


def _found(
    query: Query,
    options: SearchOptions,
    searched: Searched,
    on_progress: OnProgress,
    tell: Callable[[list[Candidate[Image]]], None] | None = None,
) -> list[Candidate[Image]]:
    """The candidates, best first, as far as they are known without their files. tell: hears them before points do."""
    searched.on_step()
    on_progress(0, 0, "comparing patches")
    copies = Recipe.max_copies if options.several else 1
    looks = closer_looks(
        searched.encoder, 0, depth=options.depth, copies=copies, on_step=searched.on_step, on_progress=on_progress
    )
    n = max([options.n_ranked(searched.snapshot.n_live, has_films=searched.has_films), *(look.n for look in looks)])
    barred: list[Without] = []
    if searched.refused is not None:
        n += _TWINS * len(searched.refused)
        barred = [Without(n, searched.refused)]
    found = rank(query, searched.view, barred, n)
    if tell:
        tell(found)
    return look_closer(query, searched.view, looks, found)


def _refined(
    query: Query,
    options: SearchOptions,
    searched: Searched,
    found: list[Candidate[Image]],
    on_progress: OnProgress,
) -> list[Candidate[Image]]:
    """The candidates with the first of them looked at in their files."""
    if not options.refine:
        return found
    step = Refinement(options.refine, searched.encoder, on_step=searched.on_step, on_progress=on_progress)
    refined = look_closer(query, searched.view, [step], found)
    return follow(query, refined, step, searched) if searched.has_films else refined


def _judged(
    ranked: Sequence[Candidate[Image]], options: SearchOptions, searched: Searched
) -> list[tuple[Match, Candidate[Image]]]:
    """The candidates that are answered with, as matches: neither score nor confidence rises down the list."""
    listed = in_order(ranked[: options.n_ranked(searched.snapshot.n_live, has_films=searched.has_films)])
    if options.distinct:
        listed = distinct(listed, searched.snapshot)
    sure = [searched.background.confidence(each.evidence) if searched.background else None for each in listed]
    known = iter(not_rising([each for each in sure if each is not None]))
    sure = [each if each is None else next(known) for each in sure]
    least = options.min_confidence
    judged = [
        (_match(candidate, each), candidate)
        for candidate, each in zip(listed, sure, strict=True)
        if least is None or each is None or each >= least
    ]
    if searched.has_films and not options.frames:
        judged = by_film(judged, searched.store)
    return judged[: options.top]


def _match(candidate: Candidate[Image], confidence: float | None) -> Match:
    return Match(
        candidate.picture,
        candidate.score,
        candidate.box,
        confidence,
        likeness=candidate.likeness,
        changed=False if candidate.finer else None,
        is_refined=candidate.finer is not None,
        outline=candidate.outline,
        partners=candidate.partners,
    )


def _several(
    query: Query, judged: Sequence[tuple[Match, Candidate[Image]]], searched: Searched, on_progress: OnProgress
) -> list[Match]:
    """The matches with all copies in their pictures, of those that are sure enough to be worth it."""
    asked = sum(may_have_copies(match) for match, _ in judged)
    matches: list[Match] = []
    done = 0
    for match, candidate in judged:
        if may_have_copies(match):
            on_progress(done, asked, "looking for copies")
            match, done = with_copies(query, match, candidate, searched), done + 1
        matches.append(match)
    return matches


def _checked(match: Match, on_step: OnStep) -> Match:
    """The match held against its file, unless it has been already, which takes reading it where its date is another."""
    if match.changed is not None:
        return match
    on_step()
    return replace(match, changed=has_changed(match.image))
