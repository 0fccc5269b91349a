"""Patches of a folder of pictures, for measuring the ranges of a network. Reads pictures; knows no model."""

import hashlib
from pathlib import Path

import numpy as np

from .._home import expanded
from ..boxes import WHOLE
from ..errors import EncoderError, ImageError
from ..images import read
from ..patches import Feed, Patches, crop

PICTURES = 64


def read_calibration(folder: Path, feed: Feed) -> Patches:
    """The first PICTURES pictures of a folder, by name: (N, S, S, 3) uint8. Files that are none are passed over.

    Raises EncoderError when there is none.
    """
    patches: list[Patches] = []
    for path in sorted(expanded(folder).rglob("*")):
        if len(patches) < PICTURES and path.is_file():
            try:
                patches.append(crop(read(path, need=feed.size), [WHOLE], feed))
            except ImageError:
                continue
    if not patches:
        raise EncoderError(f"{folder}: no picture to calibrate on")
    return np.concatenate(patches)


def words_for(precision: str, patches: Patches | None) -> str:
    """What an identity says of 8 bits, whose ranges make other features: ", int8 by HASH" of patches; else nothing."""
    if precision != "int8" or patches is None:
        return ""
    return f", int8 by {hashlib.sha256(patches.tobytes()).hexdigest()[:16]}"
