"""How a query may lie in a picture: turned by quarters, and mirrored. What that makes of pixels and of places."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .patches import Patches


@dataclass(frozen=True)
class Lay:
    """One of the eight ways to lay a square on itself: mirrored or not, then turned."""

    turn: int = 0
    # degrees, counter-clockwise: 0, 90, 180 or 270
    mirrored: bool = False
    # whether left and right change places before that

    def __post_init__(self) -> None:
        assert self.turn in (0, 90, 180, 270), self.turn

    def of(self, patches: Patches) -> Patches:
        """Patches (N, S, S, 3), each laid so."""
        seen = patches[:, :, ::-1] if self.mirrored else patches
        return np.ascontiguousarray(np.rot90(seen, self.turn // 90, axes=(1, 2)))

    @property
    def map(self) -> NDArray[np.float64]:
        """(2, 3) takes (x, y, 1), a place of the square, to where it lies in the square so laid."""
        place = np.array([[-1.0, 0, 1], [0, 1, 0]] if self.mirrored else [[1.0, 0, 0], [0, 1, 0]])
        for _ in range(self.turn // 90):  # x, y -> y, 1 - x
            place = np.array([[0.0, 1], [-1, 0]]) @ place + np.array([[0.0, 0, 0], [0, 0, 1]])
        return place


UPRIGHT = Lay()
TURNED = (Lay(90), Lay(180), Lay(270))
"""The other turns by quarters."""


def lays_of(*, turned: bool, mirrored: bool) -> tuple[Lay, ...]:
    """The lays other than upright in which a query is looked for that may be turned, mirrored, or both."""
    turns = (UPRIGHT, *TURNED) if turned else (UPRIGHT,)
    return (*turns[1:], *(Lay(lay.turn, mirrored=True) for lay in turns if mirrored))
