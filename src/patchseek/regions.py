"""The spatial pyramid: which boxes every picture is cut into. Knows no pixels; `images` cuts.

Patchify's pyramid (Choi et al., WACV 2026): level l is a grid of (l + 1) x (l + 1) cells, and levels are cumulative, so
that level 3 means 1 + 4 + 9 + 16 = 30 regions. `overlap` lets neighbours of a grid share a part of their side.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes
from .errors import PatchseekError

MAX_LEVEL = 15
MAX_OVERLAP = 0.9


@dataclass(frozen=True)
class Pyramid:
    """A fixed list of regions, the same for every picture, so that row = image * n_regions + region."""

    levels: tuple[int, ...] = (0, 1, 2, 3)
    # level l is a grid of l + 1 cells a side; ascending, each once
    overlap: float = 0.0
    # share of a cell's side that neighbours have in common, in [0, 0.9]

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
        """The cumulative pyramid of levels 0..level."""
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
        """The regions as boxes (R, 4): level by level, each row by row from the top left. Read-only."""
        boxes: list[tuple[float, float, float, float]] = []
        for level in self.levels:
            n, side = self.n_steps(level), 1 / (level + 1)
            starts = [i * (1 - side) / max(n - 1, 1) for i in range(n)]
            boxes += [(x, y, x + side, y + side) for y in starts for x in starts]
        array = np.array(boxes, np.float64).clip(0, 1)
        array.flags.writeable = False
        return array

    @cached_property
    def level_of(self) -> NDArray[np.int64]:
        """The level (R,) int64 of each region."""
        return np.concatenate([np.full(self.n_steps(level) ** 2, level, np.int64) for level in self.levels])

    def __str__(self) -> str:
        levels = "+".join(f"{level + 1}x{level + 1}" for level in self.levels)
        return f"{levels}, overlap {self.overlap:g}: {self.n_regions} regions"
