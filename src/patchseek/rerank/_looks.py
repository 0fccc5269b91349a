"""What patches look like beside a query, in columns. Computes nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._maps import Maps


@dataclass(frozen=True, eq=False)
class Looks:
    """What N patches look like."""

    scores: NDArray[np.float32]
    # (N,), as Refiner.score gives
    likeness: NDArray[np.float32]
    # (N,)
    agreed: NDArray[np.float32]
    # (N,)
    fine: NDArray[np.float32]
    # (N, h, h, E), with h = 0 where there are none

    def __getitem__(self, index: NDArray[np.intp]) -> "Looks":
        """Those of some of the patches."""
        return Looks(self.scores[index], self.likeness[index], self.agreed[index], self.fine[index])


@dataclass(frozen=True, eq=False)
class Best:
    """The best map of each of N pictures so far, and what its patch looks like. Better ones take their places."""

    maps: Maps
    # (N, 2, 3)
    looks: Looks

    def __getitem__(self, index: NDArray[np.intp]) -> "Best":
        """Those of some of the pictures."""
        return Best(self.maps[index], self.looks[index])

    def put(self, places: NDArray[np.intp], better: "Best") -> None:
        """Write better ones (n) into these places (n,)."""
        self.maps[places] = better.maps
        for own, new in (
            (self.looks.scores, better.looks.scores),
            (self.looks.likeness, better.looks.likeness),
            (self.looks.agreed, better.looks.agreed),
            (self.looks.fine, better.looks.fine),
        ):
            own[places] = new
