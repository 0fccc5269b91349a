"""What the evidence of points adds to the likeness of patches, and whose box is believed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..boxes import iou
from ._agreements import Agreement
from ._fit import LEAST

WORTH = 0.08
"""What a gain of 1 adds to a likeness, a cosine of the embedded encoder's features."""
SLACK = 0.1
"""How much less like the query a region may be than the picture's best and still bear out a box; a cosine as well."""


def gains(agreements: Sequence[Sequence[Agreement]]) -> NDArray[np.float32]:
    """How much (N,) the points of each picture say for it: the gain of its most evident copy, 0 without, >= 0.

    A picture's score is its likeness + WORTH * gain: never less than by patches alone.
    """
    return np.array([own[0].gain if own else 0.0 for own in agreements], np.float32)


def borne_out(
    agreements: Sequence[Sequence[Agreement]], likenesses: ArrayLike, regions: ArrayLike
) -> NDArray[np.bool_]:
    """Whether (N,) the box of each picture's first agreement is to be believed rather than its best region.

    It is where the picture gains by it, and where at least LEAST cells agree and the region that overlaps the box most
    is about as like the query as the picture's best: by no more than SLACK less. likenesses (N, R): cosines of the
    query with the features of the regions (N, R, 4) of each picture. Patches and points then say the same.
    """
    cosines, boxes = np.asarray(likenesses, np.float32), np.asarray(regions, np.float64)
    believed = gains(agreements) > 0
    for i, own in enumerate(agreements):
        if own and own[0].count >= LEAST and not believed[i]:
            nearest = int(iou(own[0].box[None], boxes[i])[0].argmax())
            believed[i] = cosines[i].max() - cosines[i, nearest] < SLACK
    return believed
