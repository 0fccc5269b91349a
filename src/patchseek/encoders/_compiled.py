"""Networks as OpenVINO has compiled them, kept between starts, so that the next one is opened sooner.

OpenVINO keeps them itself where it is given a folder (CACHE_DIR), but a file that was cut short there, or one of two
writers at once, is for it to find out; here a file is whole, or not used.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .._home import cache_folder
from .._platform import discard, replace
from ..errors import PatchseekError
from ._cpu import read_processor

MOST = 8
"""Files that are kept, those that were used last; one has about 15 MB."""
_DIGEST = 32  # bytes of SHA-256, before what they are of


def compiled(core: Any, key: str, options: dict[str, Any], build: Callable[[], Any]) -> Any:
    """What build() compiles for the CPU: as it was kept, or else built and kept. Raises what build raises.

    core: of OpenVINO. key: all that the compiled network depends on, but for the options and this processor.
    """
    path = _place(repr((key, sorted(options.items()), _processor())))
    content = _read(path)
    if content is not None:
        with suppress(RuntimeError):  # of another OpenVINO, whatever its version says
            return core.import_model(content, "CPU", options)
    network = build()
    if path is not None:
        with suppress(OSError, RuntimeError):  # no place, or none to be had of this network
            _keep(path, network.export_model().getvalue())
    return network


@cache
def _processor() -> str:
    """As it is described, asked once: a machine of many cores takes its time to tell."""
    return str(read_processor())


def _place(told: str) -> Path | None:
    try:
        return cache_folder() / "networks" / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.blob"
    except PatchseekError:
        return None


def _read(path: Path | None) -> bytes | None:
    """What was kept there, if it is whole."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return content[_DIGEST:] if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST] else None


def _keep(path: Path, content: bytes) -> None:
    """Put it there in one step, and delete what was not used for the longest time. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        new.write_bytes(hashlib.sha256(content).digest() + content)
        replace(new, path)
    finally:
        discard(new)
    others = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)
    for old in others[:-MOST]:
        discard(old)
