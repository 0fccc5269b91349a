"""What is asked of many questions, and what becomes of each. Asks nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import PatchseekError
from ..queries import Asked
from ..search import Match

Views = Sequence[tuple[Asked, Sequence[float] | None]]
"""Pictures of one object, each with its box as somebody gave it; None: what stands on even ground, else all of it."""
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Question:
    """One of many: what is looked for."""

    views: Views = ()
    refused: Views = ()
    # what is not meant: it is taken off what is asked; neither these pictures answer, nor what is nearly the same
    barred: Views = ()
    # neither these pictures answer, nor what is nearly the same; what is asked stays what it is
    text: str | None = None
    # words, alone or beside pictures


@dataclass(frozen=True)
class AskedView:
    """A picture that was searched with."""

    width: int
    height: int
    # pixels of the upright picture
    box: Corners | None
    # x0 y0 x1 y1 in [0, 1]; None for all of it


@dataclass(frozen=True)
class Outcome:
    """What became of one query."""

    matches: list[Match]
    # none where no picture of it could be searched with
    views: dict[int, AskedView] = field(default_factory=dict)
    # its pictures, by their number
    problems: dict[int, PatchseekError] = field(default_factory=dict)
    # those that could not be searched with; pictures of what is not meant are numbered behind the others
