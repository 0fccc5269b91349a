"""What every encoder is and answers with, and what some can do beyond that. Opens none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EncoderError
from ..patches import Feed, Patches

Features = NDArray[np.float32]
"""(B, D) float32, each row of unit length."""


@dataclass(frozen=True, eq=False)
class Cells:
    """What is where in B patches, at two scales. Each cell is a vector of unit length."""

    coarse: NDArray[np.float32]
    # (B, g, g, C): parts of an object
    fine: NDArray[np.float32]
    # (B, h, h, E), h >= g: its details
    heard: NDArray[np.float32] | None = None
    # (B, g, g), of a patch no more than 1 by its sum of squares: how much the feature listens to each coarse cell; None
    # where nobody knows

    def __getitem__(self, index: slice | NDArray[np.intp]) -> "Cells":
        """Those of some of the patches."""
        return self._each(lambda part: part[index])

    @property
    def are_finite(self) -> NDArray[np.bool_]:
        """(B,) False for the patches that have cells of NaN or infinity. Cells of zeros are of what shows nothing."""
        with np.errstate(invalid="ignore", over="ignore"):  # a sum is of unit vectors, and finite where each number is
            sums = self.coarse.sum(axis=(1, 2, 3)) + self.fine.sum(axis=(1, 2, 3))
            return np.asarray(np.isfinite(sums if self.heard is None else sums + self.heard.sum(axis=(1, 2))))

    def without(self, lost: NDArray[np.bool_]) -> "Cells":
        """With zeros for those patches (B,) that are lost."""
        return self._each(lambda part: np.where(lost.reshape(-1, *[1] * (part.ndim - 1)), np.float32(0), part))

    def _each(self, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> "Cells":
        return Cells(change(self.coarse), change(self.fine), None if self.heard is None else change(self.heard))

    @property
    def mean(self) -> NDArray[np.float32]:
        """(B, C): the mean of the coarse cells, each as often as it is heard."""
        heard = self.coarse if self.heard is None else self.coarse * self.heard[..., None]
        return np.asarray(heard.mean(axis=(1, 2)), np.float32)


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
    # SHA-256 (hex) of the weights; of a model of several files that of its first one, a plus, and that of the others
    preprocessing: str
    # how pixels are fed, in words: fit, interpolation, normalisation


class Encoder(Protocol):
    """A frozen model. `encode` may be called from several threads at once and gives the same feature in any batch.

    What an encoder can do beyond that are fields, None where it cannot: `cells`, `words` and `regions`. An encoder that
    inherits from this class can do none of it unless it says so.
    """

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

        A picture of which one is no number or zero fails to be indexed; see `flaw`. Raises EncoderError when the
        patches have another shape or type.
        """
        ...

    @property
    def cells(self) -> "CellEncoder | None":
        """What shows what is where."""
        return None

    @property
    def words(self) -> "TextEncoder | None":
        """What puts words into the space of the pictures."""
        return None

    @property
    def regions(self) -> "DenseEncoder | None":
        """What gives the features of all regions of a picture from one pass over it, which collections then ask."""
        return None


class DenseEncoder(Protocol):
    """The features of all regions of a picture from one pass over it.

    `encode` of a picture is its feature for the WHOLE region, so that queries and regions can be compared.
    """

    def encode_regions(self, pictures: Patches, boxes: ArrayLike) -> Features:
        """Features (B, R, D) float32 of unit length: of pictures (B, S, S, 3) uint8 RGB, for boxes (R, 4) in [0, 1].

        A picture is squashed to S x S. Raises EncoderError for pictures of another shape or type, BoxError for boxes.
        """
        ...


class TextEncoder(Protocol):
    """Words in the space of the pictures."""

    def encode_text(self, texts: Sequence[str]) -> Features:
        """Features (N, D) float32 of unit length, of N texts."""
        ...


class CellEncoder(Protocol):
    """What is where: cells of a patch, and a map of a neighbourhood to look around in."""

    @property
    def window(self) -> int:
        """Pixels a side of a neighbourhood; it is fed as patches are, but at this size."""
        ...

    @property
    def power(self) -> float | None:
        """p of the generalized mean by which cells of the map become a feature (1 is the mean).

        None where they become none: they are then of unit length, and of the kind of a patch's coarse cells.
        """
        ...

    def encode_cells(self, patches: Patches) -> tuple[Features, Cells]:
        """Of patches (B, S, S, 3): features (B, D) as `encode` gives, and their cells."""
        ...

    def encode_map(self, windows: Patches) -> NDArray[np.float32]:
        """Maps (B, h, w, D) float32 of neighbourhoods (B, W, W, 3) uint8; >= 0 where `power` is not 1 or None.

        The generalized mean of any rectangle of a map, made unit length, is nearly the feature of that part of it, or
        nearly the mean of its coarse cells; see `power`.
        """
        ...


def check_patches(patches: Patches, size: int) -> None:
    """Raise EncoderError unless patches are (B, size, size, 3) uint8."""
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:] != (size, size, 3):
        raise EncoderError(f"patches must be (B, {size}, {size}, 3) uint8, found {patches.shape} {patches.dtype}")
