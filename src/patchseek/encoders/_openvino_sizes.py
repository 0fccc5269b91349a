"""Run a network on OpenVINO whose input is of another size at every call. `_openvino` runs those of one size.

There, dynamic shapes have corrupted memory when several threads used one compiled network. Here no two threads do: each
call has a compiled network to itself, on one core, and there are as many as cores.
"""

import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError
from ._openvino import FIRST_USE, import_openvino, len_cores

CACHED = 500
"""Kernels made for sizes that were met, some thirty of them, which each compiled network keeps.

OpenVINO keeps 5000 unless told, which came to 190 MB for each core after 87 sizes, and grew; so many come to 120.
"""


class OpenVinoSizesNetwork:
    """A network of one input of any size and several outputs, computed in float32; several threads may call it."""

    def __init__(self, model: Path, first: NDArray[Any]) -> None:
        """model: an ONNX file. first: an input to try it with, and to set it up while nobody else uses it.

        Raises MissingExtra, or EncoderError for a file that cannot be used.
        """
        self._core = import_openvino().Core()
        self._model = model
        self._idle: SimpleQueue[Any] = SimpleQueue()
        self._lock = threading.Lock()
        self._n_left = len_cores() - 1
        request = self._compile()
        with FIRST_USE:
            request.infer([first])
        self._idle.put(request)

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return "OpenVINO CPU f32"

    def run(self, inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The outputs of one input. Waits while there are as many calls under way as cores."""
        request = self._take()
        try:
            request.infer([inputs], share_inputs=True)
            return [request.get_output_tensor(i).data.copy() for i in range(len(request.model_outputs))]
        finally:
            self._idle.put(request)

    def _take(self) -> Any:
        """A compiled network that nobody uses; the first few calls at once compile one."""
        try:
            return self._idle.get(block=False)
        except Empty:
            with self._lock:
                is_new = self._n_left > 0
                self._n_left -= is_new
            return self._compile() if is_new else self._idle.get()

    def _compile(self) -> Any:
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "CPU_RUNTIME_CACHE_CAPACITY": CACHED,
            "ENABLE_CPU_PINNING": False,  # each would be pinned to the first core, and all of them share it
        }
        try:
            return self._core.compile_model(self._core.read_model(self._model), "CPU", options).create_infer_request()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-300:]
            raise EncoderError(f"OpenVINO cannot run the model: {reason}") from error
