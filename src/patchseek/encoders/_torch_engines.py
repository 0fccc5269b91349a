"""Open a torch module on the engine that suits it, torch or OpenVINO, in the numbers asked for. Knows no model."""

import logging
import warnings
from typing import Any

from ..errors import EncoderError, MissingExtra
from ..patches import Patches
from ._network import Network
from ._opening import Opening
from ._torch import choose_device, torch
from ._torch_network import TorchNetwork

log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino")
PRECISIONS = ("auto", "f32", "bf16", "f16", "int8")
LEAST, N_COMPARED = 0.995, 8
"""Cosine that 8-bit kernels must reach with the same network in float32, and on how many of the pictures of ranges."""


def open_network(module: torch.nn.Module, size: int, opening: Opening, calibration: Patches | None = None) -> Network:
    """A module from patches (B, S, S, 3) uint8 to features, on the engine asked for; on a CPU, OpenVINO where it is.

    calibration: (N, S, S, 3) uint8, read from the folder of that name, for int8 alone. Raises EncoderError,
    MissingExtra.
    """
    engine, precision, batch = opening.engine, opening.precision, opening.batch
    if engine not in ENGINES or precision not in PRECISIONS:
        asked, known = (engine, ENGINES) if engine not in ENGINES else (precision, PRECISIONS)
        raise EncoderError(f"engine and precision: {asked!r} is none of {', '.join(known)}")
    module = module.eval().requires_grad_(False)
    chosen = choose_device(opening.device, engine)
    if chosen != "cpu" or engine == "torch":
        return TorchNetwork(module, batch or (64 if chosen != "cpu" else 16), precision, chosen)
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
