"""The read path: a query picture and a box become ranked matches. Knows no files but the query's; changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .boxes import WHOLE, to_pixels
from .encoders import Encoder
from .images import Picture
from .indexes import Index
from .patches import crop
from .store import Image, Snapshot, Store


@dataclass(frozen=True)
class Match:
    """A picture of the collection that answers a query."""

    image: Image
    score: float
    # inner product of unit vectors, in [-1, 1], larger is better
    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1] of the upright picture: where the object is

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """The box as x y w h in pixels of the upright picture."""
        return to_pixels(self.box, self.image.width, self.image.height)


def encode_query(picture: Picture, encoder: Encoder, box: Sequence[float] = WHOLE) -> NDArray[np.float32]:
    """The feature (D,) float32, unit length, of a box (x0 y0 x1 y1 in [0, 1]) of a picture."""
    patches = crop(picture, np.array([box], np.float64), encoder.feed)
    feature: NDArray[np.float32] = encoder.encode(patches)[0]
    return feature


def find(feature: NDArray[np.float32], index: Index, snapshot: Snapshot, store: Store, k: int) -> list[Match]:
    """The best k pictures (fewer where the collection holds fewer) for a query feature (D,), best first.

    snapshot is what the index was opened over. Raises QueryError for a feature of another D or k < 1.
    """
    hits = index.search(feature[None], k)
    found = hits.positions[0] >= 0
    images = store.images(snapshot.ids[hits.positions[0][found]].tolist())
    boxes = store.settings.pyramid.boxes[hits.regions[0][found]].tolist()
    return [
        Match(image, float(score), (box[0], box[1], box[2], box[3]))
        for image, box, score in zip(images, boxes, hits.scores[0][found], strict=True)
        if image is not None  # removed since the snapshot was taken
    ]
