"""A query's points beside those of many pictures: upright, and where that finds nothing, turned. Ranks none.

Points know their own turn to a few dozen degrees, so that those of another turn are taken from the query anew. That and
to compare them costs as much as the upright ones for each turn. So it is done only where the upright ones found nothing
sure, and then few pictures are glanced at before all are looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..points import Agreement, Points, QueryPoints, gains, glance, match
from ..rerank import OnStep
from ..search import CropPoints

SURE = 1.0
"""A gain from which a picture is found: no other turn is tried then."""
GLANCED = 60
"""So many of the first pictures are glanced at."""
PROMISING = 0.3
"""A gain at a glance from which all pictures are looked at."""
TURNS = ((90.0, 180.0, 270.0), (45.0, 135.0, 225.0, 315.0))
"""What is tried, one after the other till something is found."""


@dataclass(frozen=True, eq=False)
class Kept:
    """The stored points of the pictures."""

    points: Sequence[Points]
    sizes: Sequence[tuple[int, int]]
    # width, height in pixels
    side: int
    # see PointsIdentity

    def first(self, n: int) -> "Kept":
        """Those of the first n pictures."""
        return Kept(self.points[:n], self.sizes[:n], self.side)


@dataclass(frozen=True, eq=False)
class Look:
    """What points of the query found."""

    asked: int
    # which of the query's pictures they are of
    points: QueryPoints
    found: Sequence[Sequence[Agreement]]
    # see points.match

    @property
    def is_sure(self) -> bool:
        """Whether any picture is found."""
        return bool(gains(self.found).max(initial=0.0) >= SURE)


def look_at_all(asked: int, crop: CropPoints, kept: Kept, on_step: OnStep) -> Iterator[Look]:
    """What the points of one of the query's pictures find, in one turn after the other; at least that of the upright.

    on_step: called before each turn.
    """
    upright = Look(asked, crop.upright, match(crop.upright, kept.points, kept.sizes, kept.side))
    yield upright
    if crop.turned is None:
        return
    is_sure, few = upright.is_sure, kept.first(GLANCED)
    images = (False, True) if crop.mirrored else (False,)
    tried = [(0.0, True)] if crop.mirrored else []
    for turns in ((), *TURNS):
        tried += [(turn, mirrored) for turn in turns for mirrored in images if not is_sure]
        for turn, mirrored in tried:
            on_step()
            points = crop.turned([turn], mirrored)
            if glance(points, few.points, few.sizes, few.side) >= PROMISING:
                look = Look(asked, points, match(points, kept.points, kept.sizes, kept.side))
                is_sure |= look.is_sure
                yield look
        tried = []
