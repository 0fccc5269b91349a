"""Learned keypoints: which point of a query is which point of a picture. Small enough to be kept with the features.

_extract -> _network, _maps: pixels to points
_codes -> _codebook: points to bytes and back
_match -> _agreements -> _partners, _fit: points of a query and of pictures to where it lies in them
_score: to what that adds to likeness
_identity: what stored points say they are
"""

from ._agreements import Agreement
from ._codes import KEPT, CodedPoints, Codes, encode, identify, on_axes
from ._extract import MOST, SIDE, SIDES, find_points, find_points_of
from ._identity import POINT_BYTES, PointsIdentity
from ._match import glance, match
from ._network import PointNetwork, open_network
from ._points import PicturePoints, Points, QueryPoints
from ._score import SLACK, WORTH, borne_out, gains

__all__ = [
    "KEPT",
    "MOST",
    "POINT_BYTES",
    "SIDE",
    "SIDES",
    "SLACK",
    "WORTH",
    "Agreement",
    "CodedPoints",
    "Codes",
    "PicturePoints",
    "PointNetwork",
    "Points",
    "PointsIdentity",
    "QueryPoints",
    "borne_out",
    "encode",
    "find_points",
    "find_points_of",
    "gains",
    "glance",
    "identify",
    "match",
    "on_axes",
    "open_network",
]
