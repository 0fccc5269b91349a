"""Points: places of a picture or of a query, each with what it looks like there. Finds none, matches none."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Some = NDArray[np.intp] | NDArray[np.bool_] | slice
"""Which points of several: their rows, a mask, or from where to where."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a picture, the strongest first."""

    places: NDArray[np.float32]
    # (n, 2) x, y in [0, 1] of the upright picture
    descriptors: NDArray[np.float32]
    # (n, 64) of unit length

    def __len__(self) -> int:
        return len(self.places)

    def chosen(self, kept: Some) -> "Points":
        """Some of them, in that order."""
        return Points(self.places[kept], self.descriptors[kept])


class PicturePoints(Protocol):
    """Points of a picture, in memory or as they are kept."""

    def __len__(self) -> int: ...

    @property
    def places(self) -> NDArray[np.float32]:
        """(n, 2) x, y in [0, 1] of the upright picture."""
        ...

    @property
    def descriptors(self) -> NDArray[np.float32]:
        """(n, D) of about unit length, along the same axes as the query's."""
        ...

    def chosen(self, kept: Some) -> "PicturePoints":
        """Some of them, in that order."""
        ...


@dataclass(frozen=True, eq=False)
class QueryPoints:
    """Points of a query's box, taken from it at several sizes and maybe turned."""

    places: NDArray[np.float32]
    # (n, 2) x, y in [0, 1] of the box, as it lies in its picture
    descriptors: NDArray[np.float32]
    # (n, 64) of unit length; see also on_axes
    turns: NDArray[np.float32]
    # (n,) degrees, counter-clockwise, by which the box was turned before the point was taken
    scales: NDArray[np.float32]
    # (n,) pixels of the longer side of the box when the point was taken
    aspect: float
    # width / height of the box in pixels
    mirrored: bool = False
    # whether left and right changed places before the box was turned; its places are those of the box as it is

    def __len__(self) -> int:
        return len(self.places)

    @property
    def is_upright(self) -> bool:
        """Whether the box was looked at as it lies, at least at some sizes."""
        return not self.mirrored and (not len(self) or bool((self.turns == 0).any()))

    def chosen(self, kept: Some) -> "QueryPoints":
        """Some of them, in that order."""
        columns = {name: getattr(self, name)[kept] for name in ("places", "descriptors", "turns", "scales")}
        return replace(self, **columns)
