"""Learned keypoints: which point of a query is which point of a picture. Small enough to be kept with the features.

_extract -> _network, _maps: pixels to points
"""

from ._extract import MOST, SIDE, SIDES, find_points, find_points_of
from ._identity import POINT_BYTES, PointsIdentity
from ._network import PointNetwork, open_network
from ._points import Points, QueryPoints

__all__ = [
    "MOST",
    "POINT_BYTES",
    "SIDE",
    "SIDES",
    "PointNetwork",
    "Points",
    "PointsIdentity",
    "QueryPoints",
    "find_points",
    "find_points_of",
    "open_network",
]
