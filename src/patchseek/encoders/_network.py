"""An encoder that is one network from pixels to unit features. What is common to those of several libraries."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..patches import Feed, Patches
from ._protocol import CellEncoder, DenseEncoder, EncoderIdentity, Features, TextEncoder, check_patches


class Network(Protocol):
    """Patches in, features out, on some engine."""

    batch: int
    streams: int

    @property
    def cuts(self) -> bool:
        """Whether it had better be given Uncut patches, and cuts them itself."""
        ...

    @property
    def runs_on(self) -> str: ...

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]: ...

    def run(self, inputs: NDArray[Any], n_outputs: int | None = None) -> list[NDArray[np.float32]]:
        """The first outputs, by default all, where a network has several."""
        ...


class NetworkEncoder:
    """See Encoder. A subclass opens the network and says what it is."""

    identity: EncoderIdentity
    feed: Feed
    _network: Network

    @property
    def batch(self) -> int:
        """Patches in a call that keep the machine busiest."""
        return self._network.batch

    @property
    def streams(self) -> int:
        """Calls worth having under way at once."""
        return self._network.streams

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return self._network.runs_on

    @property
    def cells(self) -> CellEncoder | None:
        """None, unless a subclass has more to say."""
        return None

    @property
    def words(self) -> TextEncoder | None:
        """Likewise."""
        return None

    @property
    def regions(self) -> DenseEncoder | None:
        """Likewise."""
        return None

    def encode(self, patches: Patches) -> Features:
        """See Encoder. In dense mode, the feature of a patch is that of its WHOLE region."""
        check_patches(patches, self.identity.size)
        return self._network(patches) if len(patches) else np.empty((0, self.identity.dim), np.float32)
