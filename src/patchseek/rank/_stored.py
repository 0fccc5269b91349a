"""The pictures of a collection as a ranking sees them. Knows the index and the files, and no step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..boxes import Boxes
from ..images import Picture
from ..indexes import Index
from ..originals import find_closely
from ..search import Query
from ..store import Image, Snapshot, Store
from ._candidates import Candidate
from ._laid import best_lays


@dataclass(frozen=True)
class StoreView:
    """A View of a collection."""

    index: Index
    snapshot: Snapshot
    # what the index was opened over
    store: Store
    among: NDArray[np.bool_] | None = None
    # (N,) True at the positions that may answer, None for all

    def find(self, query: Query, n: int) -> list[Candidate[Image]]:
        """See View. Raises QueryError for a feature of another D or n < 1."""
        lays, features = query.features
        found = best_lays(self.index.search(features, n, self.among), lays)[:n]
        images = self.store.images([int(self.snapshot.ids[each.position]) for each in found])
        pyramid = self.store.settings.pyramid
        candidates = []
        for image, each in zip(images, found, strict=True):
            if image is not None:  # else it was removed since the snapshot was taken
                size = image.width, image.height
                x0, y0, x1, y1 = pyramid.boxes_of(*size)[each.region].tolist()
                candidates.append(each.candidate(image, size, (x0, y0, x1, y1)))
        return candidates

    def regions_of(self, candidate: Candidate[Image]) -> Boxes:
        """See View."""
        return self.store.settings.pyramid.boxes_of(*candidate.size)[: self.snapshot.n_regions]

    def open(self, candidate: Candidate[Image], need: int) -> Picture | None:
        """See View."""
        places = np.array([candidate.box, self.regions_of(candidate)[candidate.region]])
        return find_closely(candidate.picture, [*places[:, :2].min(axis=0), *places[:, 2:].max(axis=0)], need=need)
