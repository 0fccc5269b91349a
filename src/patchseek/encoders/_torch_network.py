"""Run a module on a device of torch's: batches, precision, too little memory, a device that fails. Knows no model."""

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceFailed, EncoderError
from ..patches import Patches, Uncut
from ._cutter import Cutter
from ._replays import Replays
from ._torch import send, torch

log = logging.getLogger(__name__)


class TorchNetwork:
    """A module on torch; several threads may call it.

    Where the device has too little memory for a batch, half as many patches are tried, and so on. Where the device
    itself fails, this process can use it no more; see _cards for what can be done then.
    """

    def __init__(self, module: torch.nn.Module, batch: int, precision: str, device: str) -> None:
        """precision: f32, or bf16 or f16 by torch's autocast: sums, positions and lengths stay in float32."""
        if precision == "int8":
            raise EncoderError("precision int8 needs the OpenVINO engine on the CPU, found the torch engine")
        if precision == "f16" and not device.startswith("cuda"):
            raise EncoderError(f"precision f16 is for CUDA devices, found device {device}: choose bf16 or f32")
        if precision == "auto":
            precision = _half_of(device) if device.startswith("cuda") else "f32"
        self.batch, self.precision, self.device = batch, precision, device
        self.streams = 2 if device.startswith("cuda") else 1  # on a GPU, one call copies while the other computes
        self._at_once, self._lock, self._turn = batch, threading.Lock(), threading.Lock()
        self._cutter, self._replays = Cutter(device), Replays()
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

        Raises EncoderError where there is too little memory for a single patch, DeviceFailed.
        """
        return self.each(inputs, self.module, n_outputs)

    def each(self, inputs: Patches, module: Any, n_outputs: int | None = None) -> list[NDArray[np.float32]]:
        """The answers of a module of this device, or of a function of patches on it; see `run`."""
        columns: list[list[NDArray[np.float32]]] = []
        start = 0
        while start < len(inputs):
            n = min(self._at_once, len(inputs) - start)
            turn = self._turn if self.device != "cpu" else nullcontext()
            try:
                with torch.inference_mode(), self.autocast(), turn:
                    patches = self.tensor(inputs[start : start + n])
                    answers = self._answers(module, patches, is_full=n == self.batch)
                    fetched, done = self._fetch(answers[:n_outputs])
                done()
                columns.append([answer.numpy() for answer in fetched])
                start += n
                continue
            except RuntimeError as error:
                if not _is_short_of_memory(error):
                    raise self._problem(error) from error
                if n == 1:
                    text = f"{self.device}: too little memory for a single patch: end other programs on it, or choose "
                    raise EncoderError(text + "another --device") from error
            self._take_fewer(n)  # out here, where nothing holds on to what was computed
        return [np.concatenate(parts) for parts in zip(*columns, strict=True)]

    def _answers(self, module: Any, patches: torch.Tensor, *, is_full: bool) -> tuple[torch.Tensor, ...]:
        """The answers of a module. Full batches of a GPU are replayed, which takes the host far less time.

        One thread at a time tells a GPU what to do: what it does while it records, it must do for that alone.
        """
        is_replayed = is_full and module is self.module and self.device.startswith("cuda")
        answers = self._replays(module, patches) if is_replayed else module(patches)
        return answers if isinstance(answers, tuple) else (answers,)

    def _fetch(self, answers: tuple[torch.Tensor, ...]) -> tuple[list[torch.Tensor], Callable[[], None]]:
        """Copies on the CPU, and what waits until they are there: for these, not for what others ask afterwards."""
        if not self.device.startswith("cuda"):
            return [answer.cpu() for answer in answers], lambda: None
        fetched = [torch.empty(answer.shape, dtype=answer.dtype, pin_memory=True) for answer in answers]
        for copy, answer in zip(fetched, answers, strict=True):
            copy.copy_(answer, non_blocking=True)
        done = torch.cuda.Event(blocking=True)
        done.record(torch.cuda.current_stream(self.device))
        return fetched, done.synchronize

    def _problem(self, error: RuntimeError) -> EncoderError:
        """What a person is told of an error of torch's."""
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, torch.AcceleratorError):
            return DeviceFailed(
                f"{self.device} fails ({reason}); what was finished is kept, run the same command again. With a "
                "number, such as --device cuda:0, it has a process of its own, which is then begun anew"
            )
        return EncoderError(f"{self.device}: the network cannot be run: {reason}")

    def _take_fewer(self, n: int) -> None:
        """Note that n patches at once are too many."""
        with self._lock:
            if self._at_once == self.batch:
                log.warning("%s: too little memory for %d patches at once; going on with fewer", self.device, n)
            self._at_once = min(self._at_once, n // 2)
        with self._turn:
            self._replays.forget()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def tensor(self, patches: Patches) -> torch.Tensor:
        """Patches on the device. Those that are Uncut are cut there."""
        if isinstance(patches, Uncut):
            return self._cutter(patches)
        return send(patches, self.device)

    def autocast(self) -> Any:
        """The context in which the network computes."""
        numbers = torch.float16 if self.precision == "f16" else torch.bfloat16
        return torch.autocast(self.device.partition(":")[0], numbers, enabled=self.precision in ("bf16", "f16"))


def _half_of(device: str) -> str:
    """The numbers of 16 bits that a CUDA device computes with: bf16, f16 before 2020."""
    return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "f16"


def _is_short_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch's means that, in whichever words: libraries below it have their own."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "ALLOC_FAILED" in text
