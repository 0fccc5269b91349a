"""What stored points say they are. Knows neither a network nor codes."""

from dataclasses import dataclass, replace

POINT_BYTES = 35
"""Bytes of a stored point today."""


@dataclass(frozen=True)
class PointsIdentity:
    """All that decides what a stored point is. Kept with a collection; points of two identities are not compared."""

    name: str
    # of what finds them
    weights: str
    # SHA-256 (hex) of its weights
    codes: str
    # SHA-256 (hex) of the codebook by which they become bytes
    n_most: int
    # points kept of a picture at most, the strongest
    side: int
    # pixels of the picture's longer side, at most, when they are looked for
    n_bytes: int = POINT_BYTES
    # of a stored point, its place included

    def can_be_compared(self, other: "PointsIdentity") -> bool:
        """Whether points of the one mean the same as points of the other, however many there are and of what size."""
        mine, theirs = replace(self, n_most=0, side=0), replace(other, n_most=0, side=0)
        return mine == theirs
