"""Compute a network in 8 bits, the only file that imports NNCF. Changes a model of OpenVINO's; runs none itself."""

import logging
import os
from typing import Any

from .._words import counted
from ..errors import EncoderError, MissingExtra
from ..patches import Patches
from ._openvino import without_telemetry


def quantize(model: Any, patches: Patches, batch: int) -> Any:
    """The model with 8-bit weights and activations, whose ranges are measured on patches (N, S, S, 3) uint8.

    Post-training quantization for transformers: products of attention and softmax keep their precision. Weights take
    half of the range of 8 bits: processors without VNNI add pairs of products in 16 bits that saturate, and with whole
    ranges the same network gives other features there (OpenVINO's documentation, "Saturation (overflow) issue").
    """
    os.environ.setdefault("NNCF_CI", "1")  # it reports its use to its makers unless it believes to be under test
    with without_telemetry():  # which would keep an identifier in the home folder nevertheless
        try:
            import nncf
            from nncf.quantization.advanced_parameters import OverflowFix
        except ImportError as error:
            raise MissingExtra("nncf", "int8") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    full = len(patches) // batch * batch
    if not full:
        raise EncoderError(f"int8 needs at least {counted(batch, 'picture')} to calibrate on, found {len(patches)}")
    parts = [patches[start : start + batch] for start in range(0, full, batch)]
    return nncf.quantize(
        model,
        nncf.Dataset(parts),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(parts),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
