"""The device that `gpu.py` measures: weights and pictures for it, times, and what its driver says meanwhile."""

import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from encode import make_pictures
from safetensors.torch import save_file

from patchseek.encoders import Encoder, open_encoder

LARGE, BASE, TINY = "vit_large_patch16_siglip_384", "vit_base_patch16_siglip_224", "test_vit"
SIZE = (1152, 864)
REGIONS = 30


class Machine:
    """The device, and weights and pictures for it."""

    def __init__(self, device: str, folder: Path, n: int, cores: int) -> None:
        """n: pictures. cores: threads that decode, at most."""
        self.device, self.folder, self.is_gpu = device, folder, device.startswith("cuda")
        self.cores = cores
        self.pictures = make_pictures(folder / "pictures", SIZE if self.is_gpu else (320, 240), n)
        self.large, self.base = (LARGE, BASE) if self.is_gpu else (TINY, TINY)
        self._opened: dict[str, Encoder] = {}

    @property
    def card(self) -> str:
        """What the device calls itself."""
        return torch.cuda.get_device_name(self.device) if self.is_gpu else "cpu"

    def some(self, model: str, share: int = 1) -> list[str]:
        """Names of pictures: for some seconds of this network, or of one that is so many times slower."""
        n = len(self.pictures) // share
        return [path.name for path in self.pictures[: max(n // 4 if model == LARGE else n, 1)]]

    def weights(self, model: str) -> Path:
        """A file of random weights for a model of timm, in which layers see differences as trained ones do."""
        path = self.folder / f"{model}.safetensors"
        if not path.exists():
            torch.manual_seed(0)
            with torch.device(self.device):
                net = timm.create_model(model, pretrained=False)
            for name, parameter in net.named_parameters():
                if parameter.ndim == 2 and "weight" in name:
                    torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
                if name.endswith("gamma"):
                    torch.nn.init.constant_(parameter, 0.5)
            save_file({key: value.cpu().contiguous() for key, value in net.state_dict().items()}, path)
        return path

    def open(self, model: str) -> Encoder:
        """An encoder on the device, given patches that it cuts itself."""
        if model not in self._opened:
            weights = self.weights(model)
            self._opened[model] = open_encoder(f"timm:{model}", weights=weights, engine="torch", device=self.device)
        encoder = self._opened[model]
        encoder.feed = replace(encoder.feed, late=True)
        return encoder

    def wait(self) -> None:
        """For all that the device was told to do."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def ms(self, call: Callable[[], Any], rounds: int = 5) -> float:
        """Milliseconds of a call, with what it makes the device do: the median."""
        call()
        spent = []
        for _ in range(rounds):
            self.wait()
            began = time.perf_counter()
            call()
            self.wait()
            spent.append(1000 * (time.perf_counter() - began))
        return round(statistics.median(spent), 3)

    @contextmanager
    def peak(self, figures: dict[str, Any]) -> Iterator[None]:
        """Note the most memory in MB that torch took on the device meanwhile, beside what it had: weights."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_reserved(self.device)
        yield
        if self.is_gpu:
            figures["peak MB beside weights"] = (torch.cuda.max_memory_reserved(self.device) - before) >> 20

    @contextmanager
    def busy(self, figures: dict[str, Any]) -> Iterator[None]:
        """Note what the driver says, where it does: the share of time in which it saw a kernel run, the clock of the
        cores and the power, and the share of time in which power held the clock back."""
        seen: list[tuple[float, ...]] = []
        stop = threading.Event()

        def look() -> None:
            import pynvml

            pynvml.nvmlInit()
            card = pynvml.nvmlDeviceGetHandleByIndex(0)
            while not stop.wait(0.1):
                reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(card)
                seen.append(
                    (
                        pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100,
                        pynvml.nvmlDeviceGetClockInfo(card, pynvml.NVML_CLOCK_SM),
                        pynvml.nvmlDeviceGetPowerUsage(card) / 1000,
                        bool(reasons & pynvml.nvmlClocksThrottleReasonSwPowerCap),
                    )
                )

        def try_to_look() -> None:
            with suppress(Exception):
                look()

        thread = threading.Thread(target=try_to_look)
        thread.start()
        yield
        stop.set()
        thread.join()
        inner = seen[2:-2]  # without the ends, where it is only starting
        if self.is_gpu and inner:
            busy, clock, watts, held = map(statistics.mean, zip(*inner, strict=True))
            figures |= {"card busy": round(busy, 3), "MHz": round(clock), "watts": round(watts)}
            figures["held back by power"] = round(held, 3)
