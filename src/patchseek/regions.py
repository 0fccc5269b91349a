"""The spatial pyramid: which boxes every picture is cut into. Knows no pixels; `patches` cuts.

Patchify's pyramid (Choi et al., WACV 2026): level l is a grid of (l + 1) x (l + 1) cells, and levels are cumulative, so
that level 3 means 1 + 4 + 9 + 16 = 30 regions. `overlap` lets neighbours of a grid share a part of their side.

Patchify cuts every picture so. Here a very long one, whose cells would be strips in which nothing is seen, has as many
cells of a better shape: those of a panorama of 15 to 1 are 4 x 1, 9 x 1 and 16 x 1. Only where boxes lie depends on the
picture, not how many there are.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from ._words import counted
from .boxes import Boxes
from .errors import PatchseekError

MAX_LEVEL = 15
MAX_OVERLAP = 0.9
LONG = 3.0
"""Times that one side of a picture is longer than the other, above which its grids follow its shape."""


@dataclass(frozen=True)
class Pyramid:
    """A list of regions, as many for every picture, so that row = image * n_regions + region."""

    levels: tuple[int, ...] = (0, 1, 2, 3)
    # level l is a grid of l + 1 cells a side; ascending, each once
    overlap: float = 0.0
    # share of a cell's side that neighbours have in common, in [0, 0.9]
    follows_shape: bool = True
    # whether the grids of long pictures have another number of columns and rows; False: Patchify's way

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(int(level) for level in self.levels))
        object.__setattr__(self, "overlap", float(self.overlap))
        if not self.levels or list(self.levels) != sorted(set(self.levels)):
            raise PatchseekError(f"levels must be ascending and distinct, found {self.levels}")
        if self.levels[0] < 0 or self.levels[-1] > MAX_LEVEL:
            raise PatchseekError(f"levels must lie in 0..{MAX_LEVEL}, found {self.levels}")
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise PatchseekError(f"overlap must lie in [0, {MAX_OVERLAP}], found {self.overlap}")

    @classmethod
    def up_to(cls, level: int, overlap: float = 0.0) -> "Pyramid":
        """The cumulative pyramid of levels 0..level. Raises PatchseekError for more than MAX_LEVEL."""
        if not 0 <= level <= MAX_LEVEL:
            raise PatchseekError(f"levels must lie in 0..{MAX_LEVEL}, found {level}")
        return cls(tuple(range(level + 1)), overlap)

    def n_steps(self, level: int) -> int:
        """Windows along one side of a level: g without overlap, 2g - 1 at overlap 0.5, with g = level + 1."""
        return ceil(level / (1 - self.overlap) - 1e-9) + 1

    @cached_property
    def n_regions(self) -> int:
        """R, the number of regions of every picture."""
        return sum(self.n_steps(level) ** 2 for level in self.levels)

    @cached_property
    def boxes(self) -> Boxes:
        """The regions of a picture that is not long, as boxes (R, 4): level by level, each row by row. Read-only."""
        sides = tuple(1 / (level + 1) for level in self.levels)
        steps = tuple(map(self.n_steps, self.levels))
        return _lay_out(steps, steps, sides, sides)

    def boxes_of(self, width: int, height: int) -> Boxes:
        """The regions (R, 4) of a picture of width x height pixels, in the same order. Read-only.

        A level's n x n windows become c x r of them, c * r = n * n, whose shape is nearest to a square.
        """
        if not self.reshapes(width, height):
            return self.boxes
        grids = [self._grid(self.n_steps(level) ** 2, width / height) for level in self.levels]
        columns, rows = zip(*grids, strict=True)
        return _lay_out(columns, rows, tuple(map(self._side, columns)), tuple(map(self._side, rows)))

    def reshapes(self, width: int, height: int) -> bool:
        """Whether a picture of width x height pixels has grids of its own shape."""
        return self.follows_shape and max(width, height) > LONG * min(width, height)

    def _grid(self, n: int, aspect: float) -> tuple[int, int]:
        """(columns, rows) of n windows in a picture `aspect` times as wide as high."""
        grids = [(c, n // c) for c in range(1, n + 1) if n % c == 0]
        return min(grids, key=lambda g: (round(abs(log(aspect * self._side(g[0]) / self._side(g[1]))), 9), sum(g)))

    def _side(self, n: int) -> float:
        """The side of one of n windows in a row, of which neighbours share `overlap`."""
        return 1 / ((n - 1) * (1 - self.overlap) + 1)

    @cached_property
    def level_of(self) -> NDArray[np.int64]:
        """The level (R,) int64 of each region."""
        return np.concatenate([np.full(self.n_steps(level) ** 2, level, np.int64) for level in self.levels])

    def __str__(self) -> str:
        levels = "+".join(f"{level + 1}x{level + 1}" for level in self.levels)
        fixed = "" if self.follows_shape else ", the same for every shape"
        return f"{levels}, overlap {self.overlap:g}{fixed}: {counted(self.n_regions, 'region')}"


@cache
def _lay_out(
    columns: tuple[int, ...], rows: tuple[int, ...], widths: tuple[float, ...], heights: tuple[float, ...]
) -> Boxes:
    """The windows (N, 4) of some grids, one after the other, spread evenly over the picture. Read-only."""
    boxes: list[tuple[float, float, float, float]] = []
    for n_x, n_y, width, height in zip(columns, rows, widths, heights, strict=True):
        lefts = [i * (1 - width) / max(n_x - 1, 1) for i in range(n_x)]
        tops = [i * (1 - height) / max(n_y - 1, 1) for i in range(n_y)]
        boxes += [(x, y, x + width, y + height) for y in tops for x in lefts]
    array = np.array(boxes, np.float64).clip(0, 1)
    array.flags.writeable = False
    return array
