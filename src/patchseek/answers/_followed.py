"""Frames of films that are looked at closely because others were: when an object is seen should not depend on how many
pictures a search looks at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from .._progress import OnProgress
from ..rank import REFINING, Candidate, Refinement
from ..search import Query
from ..store import Image, Store
from ._frames import Film, film_of, is_probable
from ._searched import Searched

BATCH = 20
"""Frames that come next in the order and are looked at together, at most, and no more than twice as many as before."""
GOES_ON = 0.25
"""They are, as long as the object is in this share of the frames before, which were chosen so."""
MOST = 400
"""Frames that are looked at beyond those that the search was told of."""
Found = Candidate[Image]


def follow(query: Query, candidates: Sequence[Found], step: Refinement, searched: Searched) -> list[Found]:
    """The candidates, the first step.n of which were refined, with further frames of films refined, best first.

    Those that stand in a film beside one in which the object probably is, until it is not; and those that come next in
    the order, as long as it is in a good share of those before.
    """
    looked, left = list(candidates[: step.n]), list(candidates[step.n :])
    beside, last = _Beside(searched.store), {each.picture.id for each in looked}
    n_first = len(looked)
    while len(looked) < n_first + MOST:
        seen = _seen_in(looked, searched)
        n_shown = sum(each.picture.id in last and film_of(each.picture) is not None for each in looked)
        n_seen = sum(each.picture.id in last for each in seen)
        following: list[Found] = []
        if n_seen and n_seen >= GOES_ON * n_shown:
            following = list(islice((each for each in left if film_of(each.picture)), min(BATCH, 2 * len(last))))
            last = {each.picture.id for each in following}
        chosen = {each.picture.id: each for each in (*beside.of(seen, left), *following)}
        if not chosen:
            break
        told = _further(step.on_progress, len(looked))
        found = replace(step, on_progress=told).look(query, searched.view, list(chosen.values()))
        looked += [replace(each, looks=looked[0].looks) for each in found]
        left = [each for each in left if each.picture.id not in chosen]
    return [*sorted(looked, key=lambda each: -each.score), *left]


def _seen_in(looked: Sequence[Found], searched: Searched) -> list[Found]:
    """The frames in which the object probably is."""
    best: dict[Film, float] = {}
    frames = [(film, each) for each in looked if (film := film_of(each.picture))]
    for film, each in frames:
        best[film] = max(each.score, best.get(film, each.score))
    background = searched.background
    return [
        each
        for film, each in frames
        if is_probable(background.confidence(each.evidence) if background else None, each.score, best[film])
    ]


class _Beside:
    """Which frame stands beside which."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages: dict[Film, list[int]] = {}

    def of(self, seen: Sequence[Found], left: Sequence[Found]) -> Iterator[Found]:
        """Those of the frames left that come just before or after one of the seen, in its film."""
        known = {(film_of(each.picture), each.picture.page): each for each in left}
        for each in seen:
            film = film_of(each.picture)
            assert film is not None
            if film not in self._pages:
                self._pages[film] = self._store.pages_of(each.picture)
            pages = self._pages[film]
            if each.picture.page not in pages:  # it was just removed
                continue
            at = pages.index(each.picture.page)
            for page in (*pages[max(0, at - 1) : at], *pages[at + 1 : at + 2]):
                if (film, page) in known:
                    yield known[film, page]


def _further(on_progress: OnProgress, before: int) -> OnProgress:
    """Progress of what is done beyond so many pictures."""

    def told(done: int, total: int, _: str) -> None:
        on_progress(before + done, before + total, REFINING)

    return told
