"""Run a network on OpenVINO, the only file that imports it. Knows nothing of what the network means.

The runtime's Python package lists a telemetry package, which only its conversion tools import. They are not imported
here, and the runtime itself sends nothing.
"""

import os
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError, MissingExtra

PRECISIONS = ("auto", "f32", "bf16")


class OpenVinoNetwork:
    """A network of one input (B, ...) and one output (B, D), compiled for one B; several threads may call it."""

    def __init__(self, model: Path | Any, batch: int, precision: str = "auto", streams: int | None = None) -> None:
        """model: an ONNX file, or a model of OpenVINO's own. precision: "auto" is bf16 where the CPU has it, else f32.

        streams: calls computed at once, each on its share of the cores; by default one a core.
        """
        try:
            import openvino
        except ImportError as error:
            raise MissingExtra("openvino", "openvino") from error
        core = openvino.Core()
        if precision not in PRECISIONS:
            raise EncoderError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
        if precision == "auto":
            precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        self.batch, self.precision, self.streams = batch, precision, streams or len_cores()
        network = core.read_model(model) if isinstance(model, Path) else model
        network.reshape([batch, *list(network.input(0).partial_shape)[1:]])
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": max(self.streams, len_cores()),
        }
        self._compiled = core.compile_model(network, "CPU", options)
        self.dim = int(self._compiled.output(0).shape[1])
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.streams):
            self._idle.put(self._compiled.create_infer_request())

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return f"OpenVINO CPU {self.precision}"

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs (n, D) float32 of inputs (n, ...), any n; a call waits while all streams are busy."""
        outputs = np.empty((len(inputs), self.dim), np.float32)
        request = self._idle.get()
        try:
            for start in range(0, len(inputs), self.batch):
                part = inputs[start : start + self.batch]
                n = len(part)
                if n < self.batch:  # the shape is fixed: fill up with the last one, whose copies are dropped again
                    part = np.concatenate([part, np.repeat(part[-1:], self.batch - n, axis=0)])
                request.infer([np.ascontiguousarray(part)], share_inputs=True)
                outputs[start : start + n] = request.get_output_tensor(0).data[:n]
        finally:
            self._idle.put(request)
        return outputs


def len_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
