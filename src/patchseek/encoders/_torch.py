"""Run a torch module on torch, or hand it to OpenVINO. Imports torch for all; knows no model's name."""

import hashlib
import logging
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError, MissingExtra
from ..patches import Patches, Uncut
from . import Features
from ._network import Network

try:
    import torch as torch
except ImportError as error:
    raise MissingExtra("torch", "timm") from error

log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino")
PRECISIONS = ("auto", "f32", "bf16", "f16", "int8")
LEAST, N_COMPARED = 0.995, 8
"""Cosine that 8-bit kernels must reach with the same network in float32, and on how many of the pictures of ranges."""


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


class TorchNetwork:
    """A module on torch; several threads may call it.

    Where the device has too little memory for a batch, half as many patches are tried, and so on. Where the device
    itself fails, the module goes on on the CPU: what was on its way is computed again, and nothing is lost.
    """

    def __init__(self, module: torch.nn.Module, batch: int, precision: str, device: str) -> None:
        """precision: f32, or bf16 or f16 by torch's autocast: sums, positions and lengths stay in float32."""
        from ._cutter import Cutter

        if precision == "int8":
            raise EncoderError("precision int8 needs the OpenVINO engine on the CPU, found the torch engine")
        if precision == "f16" and not device.startswith("cuda"):
            raise EncoderError(f"precision f16 is for CUDA devices, found device {device}: choose bf16 or f32")
        if precision == "auto":
            precision = half_of(device) if device.startswith("cuda") else "f32"
        self.batch, self.precision, self.device = batch, precision, device
        self.streams = 2 if device.startswith("cuda") else 1  # on a GPU, one call copies while the other computes
        self._at_once, self._lock = batch, threading.Lock()
        self._cutter = Cutter(device)
        self._spare = [(owner, name, value) for owner in module.modules() for name, value in _own(owner)]
        self.module = module.to(device)

    @property
    def cuts(self) -> bool:
        """Whether it is better at cutting patches than Pillow, which it is on a GPU. It can anywhere."""
        return self.device.startswith("cuda")

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        name = f" ({torch.cuda.get_device_name(self.device)})" if self.device.startswith("cuda") else ""
        return f"torch {self.device}{name} {self.precision}"

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Features (n, D) float32 of patches (n, S, S, 3) uint8, any n."""
        return self.run(inputs, 1)[0]

    def run(self, inputs: NDArray[Any], n_outputs: int | None = None) -> list[NDArray[np.float32]]:
        """The first answers of the module, by default all, each (n, ...) float32; any n but 0.

        Raises EncoderError where there is too little memory for a single patch.
        """
        return self.each(inputs, self.module, n_outputs)

    def each(self, inputs: Patches, module: Any, n_outputs: int | None = None) -> list[NDArray[np.float32]]:
        """The answers of a module of this device, or of a function of patches on it; see `run`."""
        columns: list[list[NDArray[np.float32]]] = []
        start = 0
        while start < len(inputs):
            n, device = min(self._at_once, len(inputs) - start), self.device
            try:
                with torch.inference_mode(), self.autocast():
                    answers = module(self.tensor(inputs[start : start + n]))
                    answers = answers[:n_outputs] if isinstance(answers, tuple) else (answers,)
                    columns.append([answer.cpu().numpy() for answer in answers])
                start += n
                continue
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                if _is_short_of_memory(error):
                    problem = self._take_fewer
                elif isinstance(error, torch.AcceleratorError) and self._spare:
                    problem = self._leave
                elif self.device != device:  # another thread has left it while this one was computing
                    continue
                else:
                    raise EncoderError(f"{self.device}: the network cannot be run: {reason}") from error
            problem(n, device, reason)  # out here, where nothing holds on to what was computed
        return [np.concatenate(parts) for parts in zip(*columns, strict=True)]

    def _take_fewer(self, n: int, device: str, reason: str) -> None:
        """Note that n patches at once are too many."""
        if n == 1:
            raise EncoderError(
                f"{device}: too little memory for a single patch ({reason}): end other programs on it, or choose "
                "another --device"
            )
        with self._lock:
            if self._at_once == self.batch:
                log.warning("%s: too little memory for %d patches at once; going on with fewer", device, n)
            self._at_once = min(self._at_once, n // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _leave(self, n: int, device: str, reason: str) -> None:
        """Go on on the CPU, after a device that n patches were on has failed."""
        from ._cutter import Cutter

        with self._lock:
            if self.device != device or not self._spare:  # another thread has gone there already
                return
            text = "%s fails (%s); its %d patches are encoded again, and all others, on the CPU, which is far slower"
            log.warning(text, device, reason, n)
            for owner, name, value in self._spare:
                slots = owner._parameters if name in owner._parameters else owner._buffers
                slots[name] = value
            self._spare, self._cutter = [], Cutter("cpu")
            self.device, self.precision = "cpu", "f32"

    def tensor(self, patches: Patches) -> torch.Tensor:
        """Patches on the device. Those that are Uncut are cut there."""
        if isinstance(patches, Uncut):
            return self._cutter(patches)
        if not patches.flags.writeable:  # torch warns about memory that it could write to and may not
            patches = patches.copy()
        return torch.from_numpy(np.ascontiguousarray(patches)).to(self.device)

    def autocast(self) -> Any:
        """The context in which the network computes."""
        numbers = torch.float16 if self.precision == "f16" else torch.bfloat16
        return torch.autocast(self.device.partition(":")[0], numbers, enabled=self.precision in ("bf16", "f16"))


def half_of(device: str) -> str:
    """The numbers of 16 bits that a CUDA device computes with: bf16, f16 before 2020."""
    return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "f16"


def _own(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """A module's own parameters and buffers, without those of modules inside it, as they are now.

    The same memory under new names: `to` moves a parameter by exchanging what is in it.
    """
    parameters = [
        (name, torch.nn.Parameter(value.data, False)) for name, value in module._parameters.items() if value is not None
    ]
    return parameters + [(name, value) for name, value in module._buffers.items() if value is not None]


def _is_short_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch's means that, in whichever words: libraries below it have their own."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "ALLOC_FAILED" in text


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


def open_network(
    module: torch.nn.Module,
    size: int,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    batch: int | None = None,
    calibration: Patches | None = None,
) -> Network:
    """A module from patches (B, S, S, 3) uint8 to features, on the engine asked for; on a CPU, OpenVINO where it is.

    calibration: (N, S, S, 3) uint8, for int8 alone. Raises EncoderError, MissingExtra.
    """
    if engine not in ENGINES or precision not in PRECISIONS:
        asked, known = (engine, ENGINES) if engine not in ENGINES else (precision, PRECISIONS)
        raise EncoderError(f"engine and precision: {asked!r} is none of {', '.join(known)}")
    if batch is not None and batch < 1:
        raise EncoderError(f"batch must be at least 1, found {batch}")
    module = module.eval().requires_grad_(False)
    chosen = choose_device(device, engine)
    if chosen != "cpu" or engine == "torch":
        return TorchNetwork(module, batch or (64 if chosen != "cpu" and size <= 256 else 16), precision, chosen)
    try:
        return _on_openvino(module, size, precision, batch or 2, calibration)
    except MissingExtra:
        if engine == "openvino" or precision == "int8":
            raise
        return TorchNetwork(module, batch or 16, precision, chosen)


def _on_openvino(
    module: torch.nn.Module, size: int, precision: str, batch: int, calibration: Patches | None
) -> Network:
    """On OpenVINO, whose batch is fixed and filled up: two at a time are as fast as eight, and a query waits less."""
    from ._openvino import OpenVinoNetwork, from_torch

    shape = (size, size, 3)
    example = torch.zeros((batch, *shape), dtype=torch.uint8)  # of the batch it will have: some networks note it
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # Python numbers of a fixed size are what is wanted
        warnings.simplefilter("ignore", FutureWarning)  # torch would rather export, which takes several times longer
        warnings.simplefilter("ignore", DeprecationWarning)
        model = from_torch(torch.jit.trace(module, example, check_trace=False))
    if precision != "int8":
        return OpenVinoNetwork(model, batch, precision, shape=shape)
    if calibration is None or not len(calibration):
        raise EncoderError("precision int8 needs pictures to measure ranges on: pass calibration, a folder of pictures")
    return _in_8_bits(model, batch, shape, calibration)


def _in_8_bits(model: Any, batch: int, shape: tuple[int, ...], calibration: Patches) -> Network:
    """A model of OpenVINO's in 8 bits, by kernels of 8 bits where they give what those stand for; what is left is f32.

    A kernel that saturates would give other features on this processor than on the next one.
    """
    from ._nncf import quantize
    from ._openvino import OpenVinoNetwork

    quantized = quantize(model, calibration, batch)
    in_float = OpenVinoNetwork(quantized.clone(), batch, "f32", shape=shape, in_float=True)
    network = OpenVinoNetwork(quantized, batch, "f32", shape=shape)
    network.precision, in_float.precision = "int8", "f32 in steps of int8"
    few = calibration[:N_COMPARED]
    found = float((network(few) * in_float(few)).sum(axis=1).min())
    if found >= LEAST:
        return network
    log.warning("the 8-bit kernels of this processor give other features (cosine %.3f): computing in f32", found)
    return in_float


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
