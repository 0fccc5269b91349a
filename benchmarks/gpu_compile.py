"""The network in other ways than it is run: attention not fused, torch.compile, all numbers in 16 bits. See gpu.py."""

import copy
import time
from collections.abc import Iterator
from typing import Any

import torch
from gpu_machine import REGIONS, Machine

from patchseek.encoders._replays import Replays
from patchseek.encoders._torch_network import TorchNetwork


class In16Bits(torch.nn.Module):
    """A network whose weights, and all that is computed between them, are of 16 bits."""

    def __init__(self, network: torch.nn.Module, numbers: torch.dtype) -> None:
        super().__init__()
        self.network, self.numbers = copy.deepcopy(network).to(numbers), numbers

    def forward(self, pixels: torch.Tensor) -> Any:
        """The answers for pixels (B, 3, S, S), as it is given them."""
        return self.network(pixels.to(self.numbers))


def compiled(here: Machine) -> Iterator[tuple[str, dict[str, Any]]]:
    """For both networks, each way: ms a picture, kernel by kernel and replayed, and the features' lowest cosine with
    those as it is; the seconds of compiling."""
    for model in dict.fromkeys((here.large, here.base)):
        encoder = here.open(model)
        ways = Ways(here, encoder._network, encoder.feed.size, encoder.batch)
        for _ in ways.all():
            print("compile", model, list(ways.figures.items())[-1], flush=True)
            yield model, ways.figures


class Ways:
    """One network, and what was measured of it so far."""

    def __init__(self, here: Machine, network: TorchNetwork, size: int, batch: int) -> None:
        self.here, self.network = here, network
        self.patches = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, device=here.device)
        self.as_it_is = self.features(network.module)
        self.figures: dict[str, Any] = {"patches at once": batch}

    def all(self) -> Iterator[None]:
        """Measure one way after another."""
        plain = self.network.module
        self.note("as it is", plain)
        yield
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            self.note("attention not fused", plain)
        yield
        self.note("torch.compile", plain, compile_it=True)
        yield
        own, self.network.precision = self.network.precision, "f32"  # no autocast: the numbers are what they are
        halves = {"all in bf16": torch.bfloat16} | ({"all in f16": torch.float16} if self.is_gpu else {})
        for name, numbers in halves.items():
            narrow = copy.copy(plain)
            narrow._modules = plain._modules | {"network": In16Bits(plain.network, numbers)}
            self.note(name, narrow)
            yield
            if numbers == torch.bfloat16:
                self.note(f"{name}, torch.compile", narrow, compile_it=True)
                yield
            del narrow
        self.network.precision = own
        self.note("as it is, once more", plain)
        yield

    @property
    def is_gpu(self) -> bool:
        """Whether it runs on one."""
        return self.here.is_gpu

    def answers(self, module: Any) -> Any:
        """What a module answers, left on the device."""
        with torch.inference_mode(), self.network.autocast():
            return module(self.patches)

    def features(self, module: Any) -> torch.Tensor:
        """Its features (B, D) float32."""
        answers = self.answers(module)
        return (answers[0] if isinstance(answers, tuple) else answers).float().clone()

    def note(self, name: str, module: Any, *, compile_it: bool = False) -> None:
        """Measure one way."""
        found: dict[str, Any] = {}
        if compile_it:
            torch._dynamo.reset()
            began = time.perf_counter()
            module = torch.compile(module)
            self.features(module)
            found["seconds of compiling"] = round(time.perf_counter() - began, 1)
        near = (self.features(module) * self.as_it_is).sum(dim=1).min()
        found["ms a picture, kernel by kernel"] = self.ms(lambda: self.answers(module))
        if self.is_gpu:
            replays = Replays()
            found["replayed"] = self.ms(lambda: self.answers(lambda patches: replays(module, patches)))
            found["was recorded"] = replays._graph is not None
            replays.forget()
        self.figures[name] = found | {"lowest cosine": round(float(near), 5)}

    def ms(self, call: Any) -> float:
        """Milliseconds of four calls, as of the patches of one picture."""
        return round(self.here.ms(lambda: [call() for _ in range(4)], 7) * REGIONS / len(self.patches) / 4, 3)
