"""Frozen vision models that turn patches into features. Here are names; each library has its private file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EncoderError
from ..patches import Feed, Patches
from ._answers import check_answer as check_answer
from ._answers import flaw as flaw
from ._answers import flawed as flawed
from ._opening import Opening as Opening
from ._weights import models_folder as models_folder
from ._weights import require_home as require_home

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

        A picture of which one is no number or zero fails to be indexed; see `flaw`. Raises EncoderError when the
        patches have another shape or type.
        """
        ...


@runtime_checkable
class DenseEncoder(Encoder, Protocol):
    """An encoder that gives the features of all regions of a picture from one pass over it.

    `encode` of a picture is its feature for the WHOLE region, so that queries and regions can be compared.
    """

    def encode_regions(self, pictures: Patches, boxes: ArrayLike) -> Features:
        """Features (B, R, D) float32 of unit length: of pictures (B, S, S, 3) uint8 RGB, for boxes (R, 4) in [0, 1].

        A picture is squashed to S x S. Raises EncoderError for pictures of another shape or type, BoxError for boxes.
        """
        ...


@runtime_checkable
class TextEncoder(Encoder, Protocol):
    """An encoder whose model also puts words into the space of its pictures."""

    def encode_text(self, texts: Sequence[str]) -> Features:
        """Features (N, D) float32 of unit length, of N texts."""
        ...


@runtime_checkable
class CellEncoder(Encoder, Protocol):
    """An encoder that shows what is where: cells of a patch, and a map of a neighbourhood to look around in."""

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


ENCODERS: dict[str, str] = {
    "embedded": "EfficientNet-Lite0, GeM-pooled, 224 px, 1280 numbers; ships with patchseek, needs no network",
    "embedded-fast": "the same in 8 bits, with smaller patches; what `index --fast` takes",
    "siglip": "SigLIP ViT-L/16, 384 px, 1024 numbers",
    "siglip2": "SigLIP 2 ViT-L/16, 384 px, 1024 numbers",
    "dinov2": "DINOv2 ViT-L/14, 518 px, 1024 numbers",
    "dinov3": "DINOv3 ViT-L/16, 256 px, 1024 numbers",
    "clip": "OpenAI CLIP ViT-L/14, 336 px, 1024 numbers",
    "pe": "Perception Encoder core ViT-L/14, 336 px, 1024 numbers",
    "timm:MODEL": "any image model of timm, e.g. timm:vit_small_patch14_dinov2.lvd142m?size=224",
    "openclip:MODEL/PRETRAINED": "any model of OpenCLIP, e.g. openclip:ViT-B-16/openai",
    "onnx:FILE": "an image model of your own",
}
"""The names that `open_encoder` knows, with a line about each.

Options may follow a name: ?fit=pad&interpolation=bilinear&mode=dense&pool=gem&size=448, as far as the library has them.
"""


_EMBEDDED = ("embedded", "embedded-fast")


def open_encoder(
    name: str = "embedded",
    *,
    weights: Path | None = None,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    batch: int | None = None,
    calibration: Path | None = None,
) -> Encoder:
    """Open the encoder of this name. Loads its library only now.

    weights: their file, a folder or an index of several; by default the models folder, the hub's cache and the network
    are looked through. engine: auto, openvino, torch or onnxruntime, as far as the encoder has it. precision: auto,
    f32, bf16, f16 or int8. device: auto, cuda, mps or cpu; or numbers, one or several with commas between them
    (cuda:0,cuda:1): then each device has a process of its own, and one that fails costs a batch. batch: patches in a
    call; the embedded encoder keeps its own. calibration: a folder of pictures, for int8.
    Raises EncoderError for a name nobody knows or what cannot be opened as asked, MissingExtra.
    """
    opening = Opening(weights, engine, precision, device, batch, calibration)
    if "," in device or ":" in device:
        from ._cards import open_cards

        return open_cards(name, [each.strip() for each in device.split(",")], opening)
    return open_here(name, opening)


def open_here(name: str, opening: Opening) -> Encoder:
    """The same in this process, on one device."""
    head, _, options = name.partition("?")
    if head in _EMBEDDED:
        from ._embedded import open_embedded

        if options:
            raise EncoderError(f"{head} takes no options, as it has one size and one way of answering: {options!r}")
        if not opening.is_of_the_cpu:
            raise EncoderError("the embedded encoder has its own weights and runs on the CPU: leave out the options")
        return open_embedded(opening.engine, opening.precision, name=name)
    from ._spec import SHORT_NAMES, parse_spec

    library = SHORT_NAMES.get(head, name).partition(":")[0]
    if library == "timm":
        from ._timm import open_timm

        return open_timm(parse_spec(name), opening)
    if library == "openclip":
        from ._openclip import OPTIONS, OpenClipEncoder

        return OpenClipEncoder(parse_spec(name, OPTIONS), opening)
    if library == "onnx":
        from ._onnx import OPTIONS, OnnxEncoder

        if not opening.is_of_the_cpu:
            raise EncoderError("an ONNX file holds its weights and runs on the CPU: leave out the options")
        return OnnxEncoder(parse_spec(name, OPTIONS), opening)
    raise EncoderError(f"no encoder is called {name!r}; known: {', '.join(ENCODERS)}")


def options_of(name: str) -> tuple[str, ...]:
    """The options that the encoder of this name takes behind a question mark; all of them for a name nobody knows."""
    from ._spec import FEED_OPTIONS, OPTIONS

    head = name.partition("?")[0]
    if head in _EMBEDDED:
        return ()
    return FEED_OPTIONS if head.partition(":")[0] in ("openclip", "onnx") else OPTIONS


def check_patches(patches: Patches, size: int) -> None:
    """Raise EncoderError unless patches are (B, size, size, 3) uint8."""
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:] != (size, size, 3):
        raise EncoderError(f"patches must be (B, {size}, {size}, 3) uint8, found {patches.shape} {patches.dtype}")
