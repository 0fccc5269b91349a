"""A query's points beside those of many pictures: upright, and where that finds nothing sure, turned. Ranks none.

Points know their own turn to a few dozen degrees, so that those of another turn are taken from the query anew. To take
them and to compare them costs as much as the upright ones for each turn. So it is done only where the upright ones find
nothing sure; few pictures are then glanced at in several turns, and more in the one that promises most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..points import Agreement, PicturePoints, QueryPoints, gains, glance, match
from ..rerank import OnStep
from ..search import CropPoints

GLANCED = 60
"""So many of the first pictures are glanced at."""
PROMISING = 0.8
"""A gain at a glance from which a turn is looked at; the best of that many strangers gains 0.6 to 1.4."""
ENOUGH = 1.5
"""A gain from which what another turn finds counts: strangers have more chances there, as there are more turns."""
TURNED_DEPTH = 250
"""So many of the first pictures are looked at in another turn."""
LESS = 0.5
"""A turn whose best gain is so much below the best of all turns is left out: strangers gain as much by chance."""
TURNS = ((2.5, (90.0, 180.0, 270.0)), (2.0, (45.0, 135.0, 225.0, 315.0)))
"""What is tried, one after the other, where nothing has gained so much. The best of hundreds of strangers gains 1 to 2.

Between the quarters points that were taken in one of them still find a little, and it takes a picture more to try.
"""


Turned = Callable[[Sequence[float], bool], QueryPoints]
"""See CropPoints."""


@dataclass(frozen=True, eq=False)
class Kept:
    """The stored points of the pictures."""

    points: Sequence[PicturePoints]
    sizes: Sequence[tuple[int, int]]
    # width, height in pixels
    side: int
    # see PointsIdentity
    copies: int = 1
    # of the query that are looked for in each

    def first(self, n: int) -> "Kept":
        """Those of the first n pictures."""
        return replace(self, points=self.points[:n], sizes=self.sizes[:n])


@dataclass(frozen=True, eq=False)
class Look:
    """What points of the query found."""

    asked: int
    # which of the query's pictures they are of
    points: QueryPoints
    found: Sequence[Sequence[Agreement]]
    # of each picture, see points.match

    @property
    def best(self) -> float:
        """The most that a picture gains."""
        return float(gains(self.found).max(initial=0.0))


def look_at_all(asked: int, crop: CropPoints, kept: Kept, on_step: OnStep) -> list[Look]:
    """What the points of one of the query's pictures, and of its mirror image where it has one, find in those turns in
    which they find most. on_step: called before another turn.
    """
    images = [crop.upright] if crop.mirror is None else [crop.upright, crop.mirror]
    looks = [_look(asked, points, kept, len(kept.points)) for points in images]
    return [one for look in looks for one in (_turned(look, crop.turned, kept, on_step) if crop.turned else [look])]


def _turned(upright: Look, turned: Turned, kept: Kept, on_step: OnStep) -> list[Look]:
    """The look, and those in other turns as long as nothing is sure; of them those that find most."""
    looks, few = [upright], kept.first(GLANCED)
    for sure, turns in TURNS:
        if max(look.best for look in looks) >= sure:
            break
        on_step()
        every = turned(turns, upright.points.mirrored)
        promised: list[tuple[float, QueryPoints]] = []
        for turn in turns:
            on_step()
            points = every.chosen(every.turns == turn)
            promised.append((glance(points, few.points, few.sizes, few.side), points))
        most, points = max(promised, key=lambda each: each[0])
        if most >= PROMISING:
            look = _look(upright.asked, points, kept, TURNED_DEPTH)
            looks += [look] if look.best >= ENOUGH else []
    most = max(look.best for look in looks)
    return [look for look in looks if look.best >= most - LESS]


def _look(asked: int, points: QueryPoints, kept: Kept, n: int) -> Look:
    """A look at the first n pictures, which finds nothing in the others."""
    first = kept.first(n)
    found = match(points, first.points, first.sizes, first.side, first.copies)
    return Look(asked, points, [*found, *([] for _ in kept.points[n:])])
