"""Which of several engines is the fastest on this machine: measured once, and remembered. Knows no network."""

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol, TypeVar

from .._home import cache_folder
from .._platform import replace
from ..errors import PatchseekError
from ._cpu import read_processor

SECONDS = 0.5
"""For which each engine is measured."""
PATCHES = 3000
"""As many patches, a hundred pictures, are what opening an engine is weighed against."""

_log = logging.getLogger(__name__)


class Measured(Protocol):
    """What can be measured."""

    def measure(self, seconds: float = 1.0) -> float:
        """Patches a second."""
        ...


M = TypeVar("M", bound=Measured)


def is_x86() -> bool:
    """Whether the processor is of the kind that OpenVINO was written for, where nothing has to be measured."""
    return platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


def fastest(name: str, openers: Mapping[str, Callable[[], M]]) -> M:
    """What the opener of the fastest engine gives, the engines being packages; name: of the network.

    The fastest is the one that opens and encodes PATCHES soonest. What was found is kept in the folder for caches,
    until this machine has another processor or another version of an engine. What cannot be opened is passed over;
    raises what the last one raises where none can be.
    """
    key = " ".join([name, str(read_processor()), *(f"{engine} {_version(engine)}" for engine in openers)])
    known = openers.get(str(_remembered().get(key)))
    if known is not None:
        return known()
    seconds: dict[str, float] = {}
    opened: dict[str, M] = {}
    for engine, open_it in openers.items():
        began = time.perf_counter()
        try:
            opened[engine] = open_it()
        except PatchseekError:
            if engine == list(openers)[-1] and not opened:
                raise
            continue
        seconds[engine] = time.perf_counter() - began + PATCHES / opened[engine].measure(SECONDS)
    best = min(seconds, key=seconds.__getitem__)
    told = ", ".join(f"{engine} {taken:.1f} s" for engine, taken in seconds.items())
    _log.info("%s runs on %s from now on: to open it and encode %d patches takes %s", name, best, PATCHES, told)
    _remember(key, best)
    return opened[best]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _remembered() -> dict[str, Any]:
    """The engines found so far, by what they were measured for."""
    with suppress(OSError, ValueError, PatchseekError):
        kept = json.loads((cache_folder() / "engines.json").read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            return kept
    return {}


def _remember(key: str, engine: str) -> None:
    """Keep it, where there is a folder that can be written; else it is measured anew."""
    with suppress(OSError, PatchseekError):
        path = cache_folder() / "engines.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"engines.{os.getpid()}.json")
        new.write_text(json.dumps(_remembered() | {key: engine}), encoding="utf-8")
        replace(new, path)
