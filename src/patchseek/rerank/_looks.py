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


@dataclass(frozen=True, eq=False)
class Best:
    """The best map of each of N pictures, and what its patch looks like."""

    maps: Maps
    # (N, 2, 3)
    scores: NDArray[np.float32]
    likeness: NDArray[np.float32]
    agreed: NDArray[np.float32]
    fine: NDArray[np.float32]
    # see Looks

    def __getitem__(self, index: NDArray[np.intp]) -> "Best":
        """Those of some of the pictures."""
        return Best(*(values[index] for values in vars(self).values()))
