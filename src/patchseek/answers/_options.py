"""What a search may be told, each a word of the command line too. Searches nothing."""

from dataclasses import dataclass

from ..errors import QueryError
from ..lays import Lay, lays_of
from ..rank import DEPTH
from ..store import Choice, Moment, OneOrSeveral

FRAMES = 500
"""Candidates from which the frames of films are gathered."""


@dataclass(frozen=True)
class SearchOptions:
    """How to answer. Every field is an option of `patchseek search` and an argument of Collection.search."""

    top: int | None = 10
    # pictures to answer with, None for all
    refine: int = 20
    # of the first so many pictures, boxes are refined and the order is settled anew; 0: none. Of films, further frames
    # as long as the object is seen in them
    depth: int = DEPTH
    # of the first so many pictures, the points that are kept are looked at before; 0: none
    turned: bool = True
    # look for it turned, too, by quarters and with points by any angle
    mirrored: bool = False
    # look for its mirror image, too
    several: bool = False
    # find every copy in each picture answered with
    distinct: bool = False
    # answer with one of several pictures that are nearly identical
    frames: bool = False
    # answer with each frame of a film by itself, instead of with its best one
    expand: int = 0
    # search again with the best so many results as further queries; 0: no
    min_confidence: float | None = None
    # leave out what is less sure
    under: OneOrSeveral = ()
    tags: OneOrSeveral = ()
    since: Moment | None = None
    until: Moment | None = None
    # which pictures may answer; see store.Choice

    @property
    def lays(self) -> tuple[Lay, ...]:
        """The lays other than upright in which the query is looked for."""
        return lays_of(turned=self.turned, mirrored=self.mirrored)

    @property
    def choice(self) -> Choice:
        """Which pictures may answer."""
        return Choice(self.under, self.tags, self.since, self.until)

    def n_ranked(self, n_live: int, *, has_films: bool = False) -> int:
        """How many candidates the answer is chosen from, in a collection of so many pictures that can be found.

        has_films: whether many of them may be frames of one film.
        """
        n = max((self.top or n_live) * (3 if self.distinct else 1), self.refine)
        return max(n, FRAMES) if has_films and not self.frames else n

    def __post_init__(self) -> None:
        self.choice  # noqa: B018  raises for dates that are none
        if self.top is not None and self.top < 1:
            raise QueryError(f"the number of pictures asked for must be at least 1, found {self.top}")
        if min(self.refine, self.depth, self.expand) < 0:
            found = f"{self.refine}, {self.depth} and {self.expand}"
            raise QueryError(f"refine, depth and expand must be at least 0, found {found}")
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise QueryError(f"min_confidence must lie in [0, 1], found {self.min_confidence}")
