"""How a host is treated with consideration: a few requests at once, and none while it asks to be left alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from ..errors import ImageError

AT_ONCE = 2
"""Requests to one host at a time."""
PATIENCE = 60.0
"""Seconds that a host may ask to be left alone for and is waited for. What takes longer is tried in another run."""


class Hosts:
    """The hosts that were asked, by name. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, threading.BoundedSemaphore] = {}
        self._until: dict[str, float] = {}

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Wait until a host may be asked, and count as one that asks. Raises ImageError where that takes too long."""
        with self._lock:
            turn = self._turns.setdefault(host, threading.BoundedSemaphore(AT_ONCE))
        with turn:
            while (wait := self._until.get(host, 0.0) - time.monotonic()) > 0:
                if wait > PATIENCE:
                    raise ImageError(host, f"{host} asks to be left alone for {wait:.0f} s", passing=True)
                time.sleep(wait)
            yield

    def leave_alone(self, host: str, seconds: float) -> None:
        """Ask a host nothing for so long."""
        with self._lock:
            self._until[host] = max(self._until.get(host, 0.0), time.monotonic() + seconds)


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header, a number of seconds or a date, as seconds from now; None where it says nothing."""
    said = (retry_after or "").strip()
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        return max(parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
