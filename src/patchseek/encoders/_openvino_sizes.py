"""Run a network on OpenVINO whose input is of another size at every call. `_openvino` runs those of one size.

There, dynamic shapes have corrupted memory when several threads used one compiled network. Here no two threads do: each
call has a compiled network to itself, on one core, and there are as many as cores.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._platform import n_cores
from ._openvino import FIRST_USE, import_openvino, refusal

CACHED = 500
"""Kernels made for sizes that were met, some thirty of them, which each compiled network keeps.

OpenVINO keeps 5000 unless told, which came to 190 MB for each core after 87 sizes, and grew; so many come to 120.
"""
_BOTH = ("f32", "bf16")
# precisions of the parts before and behind a seam


class OpenVinoSizesNetwork:
    """A network of one input of any size and several outputs; several threads may call it."""

    def __init__(self, model: Path, first: NDArray[Any], seam: str | None = None) -> None:
        """model: an ONNX file. first: an input to try it with, and to set it up while nobody else uses it.

        Everything is computed in float32; with a seam, the name of a tensor, what follows it is computed in bfloat16,
        but for what leads to the first output. Raises MissingExtra, or EncoderError for a file that cannot be used.
        """
        self._core = import_openvino().Core()
        self._idle: SimpleQueue[list[Any]] = SimpleQueue()
        self._lock = threading.Lock()
        self._n_left = n_cores() - 1
        try:
            network = self._core.read_model(model)
            self._parts = [(network, "f32")] if seam is None else list(zip(_cut(network, seam), _BOTH, strict=True))
        except RuntimeError as error:
            raise refusal(error) from error
        requests = self._compile()
        with FIRST_USE:
            _infer(requests, first)
        self._idle.put(requests)

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return f"OpenVINO CPU {self._parts[-1][1]}"

    def run(self, inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The outputs of one input. Waits while there are as many calls under way as cores."""
        requests = self._take()
        try:
            return _infer(requests, inputs)
        finally:
            self._idle.put(requests)

    def _take(self) -> list[Any]:
        """A compiled network that nobody uses; the first few calls at once compile one."""
        try:
            return self._idle.get(block=False)
        except Empty:
            with self._lock:
                is_new = self._n_left > 0
                self._n_left -= is_new
            return self._compile() if is_new else self._idle.get()

    def _compile(self) -> list[Any]:
        options = {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "CPU_RUNTIME_CACHE_CAPACITY": CACHED,
            "ENABLE_CPU_PINNING": False,  # each would be pinned to the first core, and all of them share it
        }
        requests = []
        try:
            for network, precision in self._parts:
                chosen = {**options, "INFERENCE_PRECISION_HINT": precision}
                requests.append(self._core.compile_model(network, "CPU", chosen).create_infer_request())
        except RuntimeError as error:
            raise refusal(error) from error
        return requests


def _infer(requests: Sequence[Any], given: NDArray[Any]) -> list[NDArray[np.float32]]:
    """The outputs of all parts in order. The last output of every part but the last is what the next one is given."""
    answers: list[NDArray[np.float32]] = []
    for request in requests:
        request.infer([given], share_inputs=True)
        found = [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]
        if request is not requests[-1]:
            given = found.pop()
        answers += [answer.copy() for answer in found]
    return answers


def _cut(network: Any, seam: str) -> tuple[Any, Any]:
    """The network up to a tensor and on the whole way to its first output; and the way from there to the others."""
    openvino = import_openvino()
    answers = [result.input_value(0) for result in network.get_results()]
    middle = next(port for layer in network.get_ordered_ops() for port in layer.outputs() if seam in port.get_names())
    before = openvino.Model([answers[0], middle], network.get_parameters()).clone()
    given = openvino.opset13.parameter(middle.get_partial_shape(), np.float32)
    for port in middle.get_target_inputs():
        port.replace_source_output(given.output(0))
    return before, openvino.Model(answers[1:], [given])
