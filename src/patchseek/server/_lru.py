"""A dictionary of bounded bytes that forgets what was not used for the longest time. Knows nothing of pictures."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Values with sizes. The newest always stays, however large. May be used from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._n_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Bytes kept."""
        return self._n_bytes

    def get(self, key: K) -> V | None:
        """The value, now the newest; None where it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, n_bytes: int) -> None:
        """Keep a value of so many bytes, and forget what is then too much."""
        with self._lock:
            self._n_bytes += n_bytes - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = value, n_bytes
            while self._n_bytes > self.max_bytes and len(self._kept) > 1:
                self._n_bytes -= self._kept.popitem(last=False)[1][1]
