"""A module's work on full batches as a CUDA graph: recorded once, and told to the device as one thing.

A vision transformer is some hundred kernels. To start them one by one takes a core longer than a fast card takes to
compute them, all the more where decoding threads want the interpreter too. Knows no model.
"""

import logging
from typing import Any

from ._torch import torch

log = logging.getLogger(__name__)

_WARM_UP = 2
# calls before the recording, in which libraries choose their kernels


class Replays:
    """Calls a module on patches, by replaying what it did before where the device lets itself be recorded.

    Callers take turns, and tell the device on one stream what to do.
    """

    def __init__(self) -> None:
        self.forget()
        self._is_possible = True

    def forget(self) -> None:
        """Give back the memory of the recording. The next batches are computed plainly."""
        self._graph: Any = None
        self._given: Any = None
        self._answers: Any = None
        self._n_plain = 0

    def __call__(self, module: Any, patches: torch.Tensor) -> Any:
        """What module(patches) answers; patches (B, S, S, 3) uint8, of one size in all calls since `forget`.

        It is overwritten by the next call.
        """
        if self._graph is None:
            if not self._is_possible or self._n_plain < _WARM_UP:
                self._n_plain += 1
                return module(patches)
            try:
                self._record(module, patches)
            except torch.OutOfMemoryError:
                self.forget()
                raise
            except RuntimeError as error:  # a module may ask the device something on the way, or do else at each call
                log.info("the network cannot be recorded, and is computed step by step: %s", str(error)[:200])
                self.forget()
                self._is_possible = False
                return module(patches)
        self._given.copy_(patches)
        self._graph.replay()
        return self._answers

    def _record(self, module: Any, patches: torch.Tensor) -> None:
        self._given = torch.empty_like(patches, memory_format=torch.preserve_format).copy_(patches)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(patches.device)
        torch.cuda.synchronize(patches.device)
        with (
            torch.cuda.device(patches.device),
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            self._answers = module(self._given)
        self._graph = graph
