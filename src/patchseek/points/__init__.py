"""Points: what of a picture can be known again one by one, with its place. Kept beside the features of its regions."""

from ._identity import POINT_BYTES, PointsIdentity

__all__ = ["POINT_BYTES", "PointsIdentity"]
