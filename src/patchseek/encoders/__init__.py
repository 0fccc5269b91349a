"""Frozen vision models that turn patches into features. Here are names; each library has its private file."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError
from ..patches import Feed, Patches

Features = NDArray[np.float32]
"""(B, D) float32, each row of unit length."""


@dataclass(frozen=True)
class EncoderIdentity:
    """What makes two encoders' features comparable. Stored with a collection and compared before every use."""

    name: str
    # as `open_encoder` takes it, e.g. "embedded"
    size: int
    # S, pixels a side of a patch
    dim: int
    # D, numbers in a feature
    weights: str
    # SHA-256 (hex) of the weights
    preprocessing: str
    # how pixels are fed, in words: fit, interpolation, normalisation


class Encoder(Protocol):
    """A frozen model. `encode` may be called from several threads at once and gives the same feature in any batch."""

    @property
    def identity(self) -> EncoderIdentity: ...

    @property
    def feed(self) -> Feed:
        """How its patches are to be cut."""
        ...

    @property
    def batch(self) -> int:
        """Patches in a call that keep the machine busiest; any other number works too."""
        ...

    @property
    def streams(self) -> int:
        """Calls of `encode` worth having under way at once."""
        ...

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words, e.g. "OpenVINO CPU bf16"."""
        ...

    def encode(self, patches: Patches) -> Features:
        """Features (B, D) float32 of unit length, in order, of patches (B, S, S, 3) uint8 RGB, B >= 0.

        Raises EncoderError when the patches have another shape or type.
        """
        ...


ENCODERS: dict[str, str] = {
    "embedded": "EfficientNet-Lite0, GeM-pooled, 224 px, 1280 numbers; ships with patchseek, needs no network",
}
"""The names that `open_encoder` knows, with a line about each."""


def open_encoder(name: str = "embedded") -> Encoder:
    """Open the encoder of this name. Loads its library only now. Raises EncoderError for a name nobody knows."""
    if name == "embedded":
        from ._embedded import EmbeddedEncoder

        return EmbeddedEncoder()
    raise EncoderError(f"no encoder is called {name!r}; known: {', '.join(ENCODERS)}")


def check_patches(patches: Patches, size: int) -> None:
    """Raise EncoderError unless patches are (B, size, size, 3) uint8."""
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:] != (size, size, 3):
        raise EncoderError(f"patches must be (B, {size}, {size}, 3) uint8, found {patches.shape} {patches.dtype}")
