"""Work done before it is needed: bounded, ordered parallelism by threads.

Threads rather than processes: Pillow and the inference engines release the interpreter's lock while they work, and a
picture's patches (4.5 MB at 30 x 224 x 224) need not be copied between processes. On two idle cores
benchmarks/decode.py found 55 pictures a second by threads and 37 by processes.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def map_ahead(function: Callable[[T], U], items: Iterable[T], n_workers: int, ahead: int) -> Generator[U, None, None]:
    """function(item) for each item, in order, computed by n_workers threads at most `ahead` items before their use."""
    pool = ThreadPoolExecutor(n_workers)
    futures: deque[Future[U]] = deque()
    try:
        for item in items:
            futures.append(pool.submit(function, item))
            if len(futures) >= ahead:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
