"""What is searched, and with what. Does nothing itself."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..confidence import Background
from ..encoders import Encoder, Features
from ..indexes import Index
from ..rank import StoreView
from ..rerank import OnStep, go_on
from ..store import Choice, Snapshot, Store


@dataclass(frozen=True)
class Searched:
    """What is searched, and with what."""

    index: Index
    snapshot: Snapshot
    store: Store
    encoder: Encoder
    background: Background | None = None
    among: NDArray[np.bool_] | None = None
    # (N,) True at the positions that may answer, None for all
    refused: Features | None = None
    # (m, R, D) unit length: the regions of pictures that may not answer, nor what is nearly the same as one of them
    on_step: OnStep = go_on
    # also called before each search and before a file is looked at

    @cached_property
    def has_films(self) -> bool:
        """Whether frames of films may be among the pictures."""
        return self.store.has_films()

    @property
    def view(self) -> StoreView:
        """Its pictures, for `rank`."""
        return StoreView(self.index, self.snapshot, self.store, self.among)

    def of(self, choice: Choice) -> "Searched":
        """The same where only pictures of a choice may answer."""
        if choice.is_all:
            return self
        return replace(self, among=np.isin(self.snapshot.ids, choice.ids(self.store)))
