"""What benchmarks share: arguments, turns of contenders, the machine, where figures are kept. Measures nothing itself.

Figures are kept by class of processor, results/CLASS/NAME.json, since one class says little about another: avx2,
avx512, avx512-bf16, arm; those of a GPU by its name. ONEDNN_MAX_CPU_ISA=AVX2 OV_CPU_MAX_ISA=AVX2 hold a newer processor
back to the first, as far as networks are concerned (tests/test_encoder_embedded.py sees to that); the figures then say
so.
"""

import json
import os
import platform
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from patchseek.encoders._cpu import read_processor
from patchseek.encoders._openvino import capabilities
from patchseek.errors import MissingExtra


def processor_class() -> str:
    """The class of this processor, as OpenVINO uses it; as its flags say, where OpenVINO is not installed."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "arm"
    here = read_processor()
    try:
        has_bf16 = "BF16" in capabilities()
    except MissingExtra:
        has_bf16 = "BF16" in here.offers
    if has_bf16:
        return "avx512-bf16"
    return "avx512" if "AVX-512" in here.offers and not here.capped else "avx2"


RESULTS = Path(__file__).parent / "results" / processor_class()


_LIBRARIES = ("numpy", "pillow", "openvino", "faiss-cpu")


def parse_with_data(parser: ArgumentParser) -> Namespace:
    """The arguments of a benchmark of the annotated sets, and as `data` their folder, by default $PATCHSEEK_DATA."""
    parser.add_argument("--data", type=Path, default=os.environ.get("PATCHSEEK_DATA"))
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the sets with --data or PATCHSEEK_DATA")
    return arguments


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
    return {
        "cpu": str(read_processor()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
        "day": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def known(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """The figures that FOLDER/NAME.json keeps; none where there is no such file."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def keep(name: str, figures: Mapping[str, Any], folder: Path = RESULTS) -> str:
    """Keep figures as FOLDER/NAME.json; the text of that file."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=2) + "\n"
    (folder / f"{name}.json").write_text(text)
    return text


def write(name: str, figures: Mapping[str, Any]) -> None:
    """Keep figures and print them."""
    sys.stdout.write(keep(name, figures))
