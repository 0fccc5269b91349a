"""What the evidence of points adds to the likeness of patches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ._match import Agreement

STRANGERS = 14.0
"""Nats of evidence that points of a stranger reach, the median."""
TRIED = 20
"""STRANGERS counts as much as so many pictures beside those that were looked at."""

_STEP = 10.0
# nats beyond strangers' evidence that make the first step of a gain


def gains(agreements: Sequence[Sequence[Agreement]]) -> NDArray[np.float32]:
    """How much (N,) the points of each picture say for it, >= 0, from what `match` found in pictures, most strangers.

    g = ln(1 + max(0, e - b) / 10) where e is a picture's evidence in nats (of its most evident copy, 0 without) and b
    twice what strangers reach: the median of e over the pictures, averaged with STRANGERS, which counts like TRIED
    pictures. So a query with few points or with common ones, for which strangers have as much evidence as the right
    pictures, gains nothing anywhere, and is ranked by patches. A median holds though almost half of them are right.
    """
    evidence = np.array([max((one.evidence for one in own), default=0.0) for own in agreements], np.float32)
    if not len(evidence):
        return evidence
    strangers = (len(evidence) * float(np.median(evidence)) + TRIED * STRANGERS) / (len(evidence) + TRIED)
    found: NDArray[np.float32] = np.log1p(np.maximum(0, evidence - 2 * strangers) / _STEP).astype(np.float32)
    return found
