"""Where the time of a card goes while it indexes: the network's kernels, cutting and copies, nothing. See gpu.py."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from gpu_machine import REGIONS, Machine
from torch.profiler import ProfilerActivity, profile

from patchseek.encoders import Encoder
from patchseek.encoders._replays import Replays

BATCHES = 15


class Kernels:
    """Those that a device computed while something ran."""

    def __init__(self, call: Callable[[], Any]) -> None:
        with profile(activities=[ProfilerActivity.CUDA]) as watched:
            call()
            torch.cuda.synchronize()
        self.spent: dict[str, list[float]] = defaultdict(list)
        # microseconds of each call, by the name of the kernel
        ends: list[tuple[float, float]] = []
        for event in watched.events():
            if event.device_type == torch.autograd.DeviceType.CUDA:
                self.spent[event.name].append(event.time_range.elapsed_us())
                ends.append((event.time_range.start, event.time_range.end))
        self.window = max(end for _, end in ends) - min(start for start, _ in ends)

    def ms(self, names: set[str]) -> float:
        """Milliseconds a batch of kernels of these names."""
        return round(sum(sum(self.spent[name]) for name in names & set(self.spent)) / 1000 / BATCHES, 3)


def kernels(
    here: Machine, add: Callable[[Encoder, list[str]], Any], patches_of: Callable[[Encoder], Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """For both networks, ms of a batch: alone after a rest, alone after six seconds of work, and while indexing.

    What is called the network's then are kernels of the names that it has alone.
    """
    for model in dict.fromkeys((here.large, here.base)) if here.is_gpu else ():
        encoder = here.open(model)
        names = [path.name for path in here.pictures[: BATCHES * encoder.batch // REGIONS]]
        seen = watch(here, encoder, patches_of(encoder), lambda encoder=encoder, names=names: add(encoder, names))
        own = set(seen["alone, rested"].spent)
        found: dict[str, Any] = {}
        for name, those in seen.items():
            parts = {"network": those.ms(own), "cutting and copies": those.ms(set(those.spent) - own)}
            whole = round(those.window / 1000 / BATCHES, 3)
            found[name] = parts | {"nothing": round(whole - sum(parts.values()), 3), "in all": whole}
        print(model, found, flush=True)
        yield model, found


def watch(here: Machine, encoder: Encoder, patches: torch.Tensor, index: Callable[[], Any]) -> dict[str, Kernels]:
    """What a device computes when a network has all of it, and while it indexes, warm from the same work."""
    network, replays = encoder._network, Replays()

    def alone() -> None:
        with torch.inference_mode(), network.autocast():
            for _ in range(BATCHES):
                replays(network.module, patches)
        here.wait()

    def work() -> None:
        began = time.perf_counter()
        while time.perf_counter() - began < 6:
            alone()

    alone()
    index()
    Kernels(alone)  # what watches sets itself up
    time.sleep(5)
    seen = {"alone, rested": Kernels(alone)}
    work()
    seen["alone, after 6 s"] = Kernels(alone)
    work()
    seen["indexing"] = Kernels(index)
    return seen
