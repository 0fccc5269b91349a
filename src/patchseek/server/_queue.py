"""Work in threads, so much at once, and no longer to wait than somebody would; more is refused at once."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from ._askers import Asker, Gone

P = ParamSpec("P")
T = TypeVar("T")


class Busy(Exception):
    """Too much waits already. retry_after: whole seconds after which there should be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests at once; try again in {retry_after} s")
        self.retry_after = retry_after


class WorkQueue:
    """Threads of their own for one kind of work, and calls waiting for them: so many, and so long, but not more."""

    def __init__(self, name: str, n_workers: int, n_waiting: int, patience: float = math.inf) -> None:
        """patience: seconds; a call that would probably begin later is refused."""
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix=name)
        self._n_workers, self._most, self._patience = n_workers, n_workers + n_waiting, patience
        self._lock = threading.Lock()
        self._n_calls = 0
        self._seconds = 0.1  # of a call, smoothed

    @property
    def n_calls(self) -> int:
        """Calls under way or waiting."""
        return self._n_calls

    @property
    def wait(self) -> float:
        """Seconds until a call that comes now would probably begin; 0 where a thread is free."""
        return max(0, self._n_calls + 1 - self._n_workers) * self._seconds / self._n_workers

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, computed in a thread. Raises Busy when too much waits, and what it raises."""
        return await asyncio.wrap_future(self._submit(lambda: function(*args, **kwargs)))

    async def run_for(self, asker: Asker, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for somebody who may go. Raises Gone then: what waits is dropped, what runs may ask the asker."""
        asker.require()
        work = asyncio.wrap_future(self._submit(lambda: function(*args, **kwargs)))
        leaving = asyncio.ensure_future(asker.leaves())
        try:
            both: set[asyncio.Future[Any]] = {work, leaving}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            leaving.result()
            raise Gone
        finally:
            asker.has_gone = not work.done()
            work.cancel()
            leaving.cancel()

    def _submit(self, call: Callable[[], T]) -> "Future[T]":
        with self._lock:
            if self._n_calls >= self._most:
                raise Busy(max(1, math.ceil(self._n_calls * self._seconds / self._n_workers)))
            if self.wait > self._patience:
                raise Busy(max(1, math.ceil(self.wait - self._patience)))
            self._n_calls += 1
        future = self._pool.submit(self._timed, call)
        future.add_done_callback(self._leave)  # also when the caller has gone, and then not before the thread is done
        return future

    def _timed(self, call: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return call()
        finally:
            self._seconds += 0.1 * (time.monotonic() - began - self._seconds)

    def _leave(self, _: "Future[T]") -> None:
        with self._lock:
            self._n_calls -= 1

    def close(self) -> None:
        """Take nothing more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
