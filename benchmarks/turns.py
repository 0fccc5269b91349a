"""What the speed benchmarks share: turns of contenders, and on what machine. Measures nothing itself."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def take_turns(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round. They take turns, so that a busy machine slows all of them alike."""
    for contender in contenders.values():
        contender()  # caches, memory maps, thread pools
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def middle(seconds: Mapping[str, list[float]], of: str) -> dict[str, float]:
    """How many times longer each contender took than one of them: the median over rounds of the ratio in a round."""
    return {
        name: round(statistics.median(a / b for a, b in zip(values, seconds[of], strict=True)), 3)
        for name, values in seconds.items()
    }


def machine() -> dict[str, Any]:
    """Where figures were measured, and with what."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "pillow", "openvino", "faiss-cpu")},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write(name: str, figures: Mapping[str, Any]) -> None:
    """Keep figures as results/NAME.json and print them."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text)
    sys.stdout.write(text)
