"""Boxes of the upright picture as boxes of the picture as it is stored, and back. Numbers as EXIF has them, 1 to 8."""

from collections.abc import Callable

Point = tuple[float, float]
Corners = tuple[float, float, float, float]
"""x0 y0 x1 y1 in [0, 1]."""

_TURNED: dict[int, Callable[[float, float], Point]] = {
    # where a point x, y of the upright picture is in the stored one
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (y, 1 - x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (1 - y, x),
}
_BACK = {6: 8, 8: 6}
LYING = (5, 6, 7, 8)
"""Orientations in which columns are rows."""


def stored(box: Corners, orientation: int) -> Corners:
    """The box of the upright picture as one of the stored picture."""
    turn = _TURNED.get(orientation, _TURNED[1])
    (x0, y0), (x1, y1) = turn(box[0], box[1]), turn(box[2], box[3])
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def upright(box: Corners, orientation: int) -> Corners:
    """The box of the stored picture as one of the upright picture."""
    return stored(box, _BACK.get(orientation, orientation))
