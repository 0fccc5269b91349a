"""Learned keypoints: which point of a query is which point of a picture. Small enough to be kept with the features.

_extract -> _network, _maps: pixels to points
_match -> _partners, _fit: points of a query and of pictures to where it lies in them; _score: to what that adds
"""

from ._extract import MOST, SIDE, SIDES, find_points, find_points_of
from ._match import Agreement, match
from ._network import PointNetwork, open_network
from ._points import Points, QueryPoints
from ._score import gains

__all__ = [
    "MOST",
    "SIDE",
    "SIDES",
    "Agreement",
    "PointNetwork",
    "Points",
    "QueryPoints",
    "find_points",
    "find_points_of",
    "gains",
    "match",
    "open_network",
]
