"""Keep decoders and encoder busy at once: bounded, ordered parallelism. Knows no files and no store.

Threads rather than processes: Pillow and the inference engines release the interpreter's lock while they work, and a
picture's patches (4.5 MB at 30 x 224 x 224) need not be copied between processes. On two idle
cores benchmarks/decode.py found 55 pictures a second by threads and 37 by processes.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from ..boxes import Boxes
from ..encoders import DenseEncoder, Encoder, Features, check_answer
from ..patches import Patches, joined

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


class WholePictures:
    """A dense encoder seen as one that turns a picture (S, S, 3) into all its regions' features (R * D)."""

    def __init__(self, encoder: DenseEncoder, boxes: Boxes) -> None:
        self._encoder, self._boxes = encoder, boxes
        self.identity = replace(encoder.identity, dim=len(boxes) * encoder.identity.dim)
        self.feed, self.batch, self.streams, self.runs_on = (
            encoder.feed,
            encoder.batch,
            encoder.streams,
            encoder.runs_on,
        )

    def encode(self, patches: Patches) -> Features:
        """Features (B, R * D) of pictures (B, S, S, 3)."""
        encoder, n = self._encoder, len(patches)
        answer = encoder.encode_regions(patches, self._boxes)
        features = check_answer(answer, (n, len(self._boxes), encoder.identity.dim), encoder.identity.name)
        return features.reshape(n, -1)


@dataclass
class _Waiting(Generic[T]):
    """An item whose features are on their way."""

    item: T
    features: Features
    n_filled: int = 0

    @property
    def is_done(self) -> bool:
        return self.n_filled == len(self.features)


def encode_stream(items: Iterable[tuple[T, Patches]], encoder: Encoder) -> Generator[tuple[T, Features], None, None]:
    """Encode the patches (n, S, S, 3) of each item into features (n, D), in order, n being free to differ.

    Batches are filled across items, so that only the last one may be short; encoder.streams of them are under way at
    once and no more than that is held. Raises EncoderError where the encoder answers in another shape than asked for.
    """
    waiting: deque[_Waiting[T]] = deque()
    identity = encoder.identity

    def encode(batch: Patches) -> Features:
        return check_answer(encoder.encode(batch), (len(batch), identity.dim), identity.name)

    def batches() -> Iterator[Patches]:
        batch: list[Patches] = []
        n = 0
        for item, patches in items:
            waiting.append(_Waiting(item, np.empty((len(patches), encoder.identity.dim), np.float32)))
            start = 0
            while start < len(patches):
                take = min(len(patches) - start, encoder.batch - n)
                batch.append(patches[start : start + take])
                start, n = start + take, n + take
                if n == encoder.batch:
                    yield joined(batch)
                    batch, n = [], 0
        if n:
            yield joined(batch)

    for features in map_ahead(encode, batches(), encoder.streams, encoder.streams + 1):
        start = 0
        for entry in waiting:
            take = min(len(entry.features) - entry.n_filled, len(features) - start)
            entry.features[entry.n_filled : entry.n_filled + take] = features[start : start + take]
            entry.n_filled, start = entry.n_filled + take, start + take
            if start == len(features):
                break
        while waiting and waiting[0].is_done:
            done = waiting.popleft()
            yield done.item, done.features
    for entry in waiting:  # items at the very end that had no patches
        yield entry.item, entry.features
