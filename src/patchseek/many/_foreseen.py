"""An engine that was asked for many questions at once, and answers each of them again."""

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..indexes import Hits, Index


class Foreseen:
    """An Index that knows already what one query finds, and asks the other one for all else."""

    outgrown: str | None = None

    def __init__(self, index: Index, features: Features, hits: Hits) -> None:
        self._index, self._features, self._hits = index, features, hits

    @property
    def name(self) -> str:
        """The other's."""
        return self._index.name

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index."""
        if k <= self._hits.positions.shape[1] and np.array_equal(queries, self._features):
            return Hits(self._hits.positions[:, :k], self._hits.regions[:, :k], self._hits.scores[:, :k])
        return self._index.search(queries, k, among)
