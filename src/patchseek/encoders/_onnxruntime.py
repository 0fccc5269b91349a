"""Run an ONNX file on ONNX Runtime, the only file that imports it. Knows nothing of what the network means.

From its release 1.29 on, its import would report to its makers and keep an identifier in the home folder, unless the
environment forbids it beforehand.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError, MissingExtra


class OnnxRuntimeNetwork:
    """A network of one input (B, ...), any B; safe to call from several threads.

    Its answers are one vector each, (B, D), and maybe others, or the tensors asked for by name, each (B, ...).
    """

    batch = 8
    streams = 1  # ONNX Runtime spreads one call over all cores
    precision = "f32"
    cuts = False

    def __init__(self, model: Path | bytes, outputs: Sequence[str] = (), most: int | None = None) -> None:
        """model: an ONNX file, or what is in it. outputs: names of its outputs to answer with, by default all. most:
        inputs that go through it together, which bounds its memory; None: all of a call."""
        self._session = import_onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = list(outputs) or [output.name for output in self._session.get_outputs()]
        self._most = most

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return f"ONNX Runtime CPU {self.precision}"

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The first output (n, ...) float32 of inputs (n, ...), any n."""
        return self.run(inputs, 1)[0]

    def run(self, inputs: NDArray[Any], n_outputs: int | None = None) -> list[NDArray[np.float32]]:
        """The first outputs, by default all, (n, ...) float32 of inputs (n, ...), any n."""
        names, most = self._outputs[:n_outputs], self._most or max(1, len(inputs))
        parts = [
            self._session.run(names, {self._input: np.ascontiguousarray(inputs[start : start + most])})
            for start in range(0, max(1, len(inputs)), most)
        ]
        return parts[0] if len(parts) == 1 else [np.concatenate(each) for each in zip(*parts, strict=True)]


def import_onnxruntime() -> ModuleType:
    """The package onnxruntime, imported without its telemetry. Raises MissingExtra where it is not installed."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when it is imported
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx") from error
    onnxruntime.disable_telemetry_events()  # on Windows, where only that is heard
    return onnxruntime  # type: ignore[no-any-return]


def describe_input(model: Path) -> tuple[list[int | None], str]:
    """The shape of an ONNX file's input, None where it may vary, and its type, e.g. ([None, 3, 224, 224], "float").

    Raises EncoderError when the file cannot be read or has more than one input.
    """
    onnxruntime = import_onnxruntime()
    try:
        inputs = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()
    except Exception as error:  # its own kinds derive from nothing else
        reason = " ".join(str(error).split())[-200:]
        raise EncoderError(f"{model}: cannot be read as an ONNX model: {reason}") from error
    if len(inputs) != 1:
        raise EncoderError(f"{model}: an image model has one input, found {len(inputs)}")
    dims = [axis if isinstance(axis, int) else None for axis in inputs[0].shape]
    return dims, inputs[0].type.removeprefix("tensor(").removesuffix(")")
