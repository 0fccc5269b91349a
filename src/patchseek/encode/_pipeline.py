"""Keep decoders and encoder busy at once: batches filled across pictures. Knows no files and no store.

Why by threads: see _ahead.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._ahead import map_ahead
from ..patches import Patches, joined
from ._extractors import Batched

T = TypeVar("T")


@dataclass
class _Waiting(Generic[T]):
    """An item whose numbers are on their way."""

    item: T
    numbers: NDArray[Any]
    n_filled: int = 0

    @property
    def is_done(self) -> bool:
        return self.n_filled == len(self.numbers)


def encode_stream(
    items: Iterable[tuple[T, Patches]], extractor: Batched
) -> Generator[tuple[T, NDArray[np.float32]], None, None]:
    """Encode the pieces (n, S, S, 3) of each item into numbers (n, *shape), in order, n being free to differ.

    Batches are filled across items, so that only the last one may be short; extractor.streams of them are under way at
    once and no more than that is held. Raises what the extractor does.
    """
    waiting: deque[_Waiting[T]] = deque()

    def batches() -> Iterator[Patches]:
        batch: list[Patches] = []
        n = 0
        for item, pieces in items:
            waiting.append(_Waiting(item, np.empty((len(pieces), *extractor.shape), np.float32)))
            start = 0
            while start < len(pieces):
                take = min(len(pieces) - start, extractor.batch - n)
                batch.append(pieces[start : start + take])
                start, n = start + take, n + take
                if n == extractor.batch:
                    yield joined(batch)
                    batch, n = [], 0
        if n:
            yield joined(batch)

    for numbers in map_ahead(extractor.encode, batches(), extractor.streams, extractor.streams + 1):
        start = 0
        for entry in waiting:
            take = min(len(entry.numbers) - entry.n_filled, len(numbers) - start)
            entry.numbers[entry.n_filled : entry.n_filled + take] = numbers[start : start + take]
            entry.n_filled, start = entry.n_filled + take, start + take
            if start == len(numbers):
                break
        while waiting and waiting[0].is_done:
            done = waiting.popleft()
            yield done.item, done.numbers
    for entry in waiting:  # items at the very end that had no pieces
        yield entry.item, entry.numbers
