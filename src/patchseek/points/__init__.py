"""Learned keypoints: which point of a query is which point of a picture. Small enough to be kept with the features.

_extract -> _network, _maps: pixels to points
_match -> _agreements -> _partners, _fit: points of a query and of pictures to where it lies in them
_score: to what that adds to likeness
"""

from ._agreements import Agreement
from ._extract import MOST, SIDE, SIDES, find_points, find_points_of
from ._match import match
from ._network import PointNetwork, open_network
from ._points import Points, QueryPoints
from ._score import SLACK, WORTH, borne_out, gains

__all__ = [
    "MOST",
    "SIDE",
    "SIDES",
    "SLACK",
    "WORTH",
    "Agreement",
    "PointNetwork",
    "Points",
    "QueryPoints",
    "borne_out",
    "find_points",
    "find_points_of",
    "gains",
    "match",
    "open_network",
]
