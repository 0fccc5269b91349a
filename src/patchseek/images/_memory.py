"""How much memory decoding may take in this process, and a queue for those who want some of it.

What is free when the first picture is read counts: a quarter of it, at least 256 MB and at most 2 GB; PATCHSEEK_MEMORY
(in MB) says otherwise. Whoever decodes says beforehand what it takes; a large picture waits until others are done, and
one that takes more than there may ever be is refused. Nobody waits who holds any, so that nobody waits for ever.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._platform import address_space_left, all_memory
from ..errors import ImageError, PatchseekError

VARIABLE = "PATCHSEEK_MEMORY"
LEAST, MOST = 256 << 20, 2 << 30
"""Bytes that may be taken unless the variable says otherwise: the least reads what cameras make."""
_SHARE = 4
_HINT = f": too little memory, see {VARIABLE}"
_UNKNOWN = 4 << 30  # bytes that count as free where nothing says what is
_UNLIMITED = 1 << 60


class Budget:
    """Bytes that threads share, given in the order in which they were asked for."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def reserved(self, n_bytes: int | None, label: str) -> Iterator[None]:
        """Hold so many bytes (None for all there are) for as long as the block takes. Not to be held twice.

        Raises ImageError where there are never so many.
        """
        wanted = self.total if n_bytes is None else n_bytes
        if wanted > self.total:
            raise ImageError(
                label, f"needs {_said(wanted)} to decode, {_said(self.total)} may be used{_HINT}", passing=True
            )
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and wanted <= self._free)
                self._free -= wanted
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def _said(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{-(-n_bytes // 1_000_000)} MB"


_lock = threading.Lock()
_budget: Budget | None = None


def budget() -> Budget:
    """The budget of this process, set when it is first asked for. Raises PatchseekError for a variable that is none."""
    global _budget
    with _lock:
        if _budget is None:
            _budget = Budget(_allowed())
        return _budget


def _allowed() -> int:
    """Bytes that decoding may take."""
    said = os.environ.get(VARIABLE)
    if not said:
        return max(LEAST, min(free_memory() // _SHARE, MOST, _limit_left()))
    if not said.isascii() or not said.isdigit() or not int(said):
        raise PatchseekError(f"{VARIABLE}={said}: is to be a number of MB")
    return int(said) * 1_000_000


def free_memory() -> int:
    """Bytes of memory that are free, as the system and the container say."""
    return min(_system_free(), *(_group_free(Path(folder)) for folder in _groups()))


def _system_free() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    there = all_memory()  # what is free cannot be asked there: half of what there is
    return _UNKNOWN if there is None else there // 2


def _limit_left() -> int:
    """What is left of the address space of this process, which is limited in the server's decoders."""
    left = address_space_left()
    return _UNLIMITED if left is None else left


def _groups() -> list[str]:
    """The folders of the control groups that may limit this process: its own and those above it, version 2 and 1."""
    folders = ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"]
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = {"": "/sys/fs/cgroup", "memory": "/sys/fs/cgroup/memory"}.get(controllers)
        if root is not None:
            parts = path.strip("/").split("/")
            folders += [f"{root}/{'/'.join(parts[: i + 1])}" for i in range(len(parts))]
    return folders


def _group_free(folder: Path) -> int:
    """What a control group leaves of its limit; a lot where there is no limit or no such group.

    Files that the system has cached count as used there, and are given back when memory is asked for.
    """
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        try:
            texts = [(folder / name).read_text(encoding="utf-8") for name in (limit, used, "memory.stat")]
            most, now = int(texts[0]), int(texts[1])
            stated = dict(line.split() for line in texts[2].splitlines())
            return max(0, most - now + int(stated["inactive_file"]) + int(stated["active_file"]))
        except (OSError, ValueError, KeyError):  # no such file, or "max"
            continue
    return _UNLIMITED
