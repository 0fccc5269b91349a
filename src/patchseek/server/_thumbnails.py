"""Pictures for the browser: JPEG made anew from pixels, so that no metadata and no odd bytes of a file get through."""

from io import BytesIO

import numpy as np
from PIL import Image as PillowImage

from ..images import Picture
from ..originals import open_today
from ..store import Image
from ._lru import BoundedCache

SIZES = (320, 640, 2048)
"""Longest sides in pixels that are made: small and large thumbnail, full view."""
_QUALITY = {320: 82, 640: 84, 2048: 90}


def to_jpeg(picture: Picture, size: int) -> bytes:
    """The picture as JPEG, its longest side at most `size` pixels."""
    image = PillowImage.fromarray(np.asarray(picture.pixels))
    # as sharp as bicubic when it shrinks, and as fast as bilinear, says Pillow's documentation
    image.thumbnail((size, size), PillowImage.Resampling.HAMMING, reducing_gap=2.0)
    stream = BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY.get(size, 88), optimize=size <= 640)
    return stream.getvalue()


class Thumbnails:
    """JPEGs of the collection's pictures, the latest kept in memory."""

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self._kept: BoundedCache[tuple[str, int, int], bytes] = BoundedCache(max_bytes)

    def jpeg(self, image: Image, size: int, *, keep: bool = True) -> bytes:
        """The JPEG of a picture at one of SIZES. Raises ImageError when its file is gone or damaged.

        keep: whether the file holds what was indexed, so that others may be shown the same.
        """
        key = image.sha256, image.page, size
        made = self._kept.get(key) if keep else None
        if made is None:
            # A picture is decoded no smaller than 1.5 x need on its shorter side: enough for any shape up to 3:1.
            made = to_jpeg(open_today(image, need=max(1, size // 3), name=image.path), size)
            if keep:
                self._kept.put(key, made, len(made))
        return made

    @property
    def n_bytes(self) -> int:
        """Bytes kept in memory."""
        return self._kept.n_bytes
