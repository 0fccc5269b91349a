"""The picture of a result on a contact sheet. Reads files; draws nothing."""

import numpy as np

from ..errors import ImageError
from ..originals import open_today
from ..store import Image
from ._strokes import Pixels

_NEED = 480  # pixels of the shorter side worth decoding for a tile


def thumbnail(image: Image) -> Pixels:
    """The pixels (h, w, 3) uint8 of a picture of a collection, about as many as a tile shows.

    Where its file has moved or changed since it was indexed, a grey picture of its shape: the rank stays.
    """
    try:
        return open_today(image, need=_NEED).pixels
    except ImageError:
        return np.full((image.height // 8 + 1, image.width // 8 + 1, 3), 200, np.uint8)
