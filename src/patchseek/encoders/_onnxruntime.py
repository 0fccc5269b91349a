"""Run an ONNX file on ONNX Runtime, the only file that imports it. For machines that OpenVINO has no package for."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra


class OnnxRuntimeNetwork:
    """A network of one input (B, ...) and one output (B, D), any B; safe to call from several threads."""

    batch = 8
    streams = 1  # ONNX Runtime spreads one call over all cores
    precision = "f32"

    def __init__(self, model: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra("onnxruntime", "onnx") from error
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return f"ONNX Runtime CPU {self.precision}"

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs (n, D) float32 of inputs (n, ...), any n."""
        outputs: NDArray[np.float32] = self._session.run(None, {self._input: np.ascontiguousarray(inputs)})[0]
        return outputs
