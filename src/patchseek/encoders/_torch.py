"""What every file that computes with torch needs of it: pixels into a network, arrays onto a device. Knows no model."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from ..errors import EncoderError, MissingExtra
from ._protocol import Features

try:
    import torch as torch
except ImportError as error:
    raise MissingExtra("torch", "timm") from error

log = logging.getLogger(__name__)


class Pixels(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
    """patches (B, S, S, 3) uint8 -> features (B, D) float32 of unit length, with the normalisation in the graph."""

    def __init__(self, network: torch.nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """network: (B, 3, S, S) float32 -> (B, D). mean, std: of red, green, blue, for pixels in [0, 1]."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).mul(255).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).mul(255).view(1, 3, 1, 1), persistent=False)

    def normalise(self, patches: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) float32 of (B, S, S, 3) uint8."""
        return (patches.permute(0, 3, 1, 2).float() - self.mean) / self.std

    def forward(self, patches: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """See the class. Of a network with several answers, all of them, each with last axis of unit length."""
        answers = self.network(self.normalise(patches))
        if isinstance(answers, tuple):
            return tuple(torch.nn.functional.normalize(answer.float(), dim=-1) for answer in answers)
        return torch.nn.functional.normalize(answers.float(), dim=-1)


def send(array: NDArray[Any], device: str) -> torch.Tensor:
    """A copy on the device. A GPU gets it from pinned memory when its turn comes, and nobody waits for that."""
    pinned = torch.empty(array.shape, dtype=_KINDS[array.dtype.name], pin_memory=device.startswith("cuda"))
    pinned.numpy()[...] = array
    return pinned.to(device, non_blocking=True)


_KINDS = {"uint8": torch.uint8, "int64": torch.int64, "float32": torch.float32}


def choose_device(device: str, engine: str) -> str:
    """cuda (or cuda:1), mps or cpu. "auto" is the best there is, or the CPU for OpenVINO. Warns of an idle GPU.

    Raises EncoderError for a device that is not there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind, _, number = device.partition(":")
    n_devices = torch.cuda.device_count() if kind == "cuda" else 1
    if device != "auto" and (
        not available.get(kind) or (number and not (number.isdecimal() and int(number) < n_devices))
    ):
        found = ", ".join(d for d in available if available[d])
        count = f", cuda:0 to cuda:{n_devices - 1}" if available["cuda"] and n_devices > 1 else ""
        raise EncoderError(f"device must be auto or one of {found}{count} here, found {device!r}")
    if engine == "openvino" and device not in ("auto", "cpu"):
        raise EncoderError(f"the OpenVINO engine runs on the CPU here, not on {device}: choose the torch engine")
    if engine == "openvino":
        device = "cpu"
    chosen = next(d for d in available if available[d]) if device == "auto" else device
    if chosen == "cpu" and available["cuda"]:
        log.warning("the network was told to run on the CPU while a CUDA device is there; it would be far faster")
    return chosen


def hash_weights(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 (hex) of tensors: their names in order, types, shapes and bytes. The same for every file format."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def measure(module: torch.nn.Module, size: int) -> int:
    """D, found by one forward pass on torch. Raises EncoderError when the answer is not one vector a patch."""
    with torch.inference_mode():
        answer = module(torch.zeros((1, size, size, 3), dtype=torch.uint8))
    shape = tuple((answer[0] if isinstance(answer, tuple) else answer).shape)
    if len(shape) != 2:
        raise EncoderError(f"the network answers with shape {shape}, not with one vector a patch: choose another pool")
    return int(shape[1])


def unit(features: torch.Tensor) -> Features:
    """Vectors (..., D) of unit length, as numpy."""
    vectors: Features = torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()
    return vectors
