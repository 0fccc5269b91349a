"""Join the patches of searches that run at once into one call of the encoder. Changes no feature: batch = single."""

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from ..encoders import CellEncoder, DenseEncoder, Encoder, EncoderIdentity, Features, TextEncoder, check_answer
from ..patches import Feed, Patches, joined

WAIT_SECONDS = 0.002
"""How long a batch waits for company, and only when the batch before it had some."""


class _Call:
    """One caller's patches and, later, its features or error."""

    def __init__(self, patches: Patches) -> None:
        self.patches = patches
        self.features: Features | None = None
        self.error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.features is not None or self.error is not None


class BatchingEncoder:
    """An encoder that encodes what several threads ask for in one go.

    There is no thread of its own: a caller who finds the encoder free takes along all that is waiting.
    """

    def __init__(self, encoder: Encoder, on_batch: Callable[[int], None] | None = None) -> None:
        """on_batch: told the number of joined calls of each batch."""
        self.encoder = encoder
        self._on_batch = on_batch or (lambda _: None)
        self._turn = threading.Condition()
        self._waiting: deque[_Call] = deque()
        self._n_leaders = 0
        self._had_company = False

    @property
    def identity(self) -> EncoderIdentity:
        """The encoder's own."""
        return self.encoder.identity

    @property
    def feed(self) -> Feed:
        """The encoder's own."""
        return self.encoder.feed

    @property
    def batch(self) -> int:
        """The encoder's own."""
        return self.encoder.batch

    @property
    def streams(self) -> int:
        """The encoder's own."""
        return self.encoder.streams

    @property
    def runs_on(self) -> str:
        """The encoder's own."""
        return self.encoder.runs_on

    @property
    def cells(self) -> CellEncoder | None:
        """The encoder's own, which fills its own batches from all threads."""
        return self.encoder.cells

    @property
    def words(self) -> TextEncoder | None:
        """The encoder's own; words are few."""
        return self.encoder.words

    @property
    def regions(self) -> DenseEncoder | None:
        """The encoder's own; whole pictures are not joined."""
        return self.encoder.regions

    def encode(self, patches: Patches) -> Features:
        """Features (B, D) as the encoder's; see there. A full batch, as indexing makes them, goes straight through."""
        if len(patches) >= self.encoder.batch:
            return self.encoder.encode(patches)
        call = _Call(patches)
        with self._turn:
            self._waiting.append(call)
        while not call.is_done:
            with self._turn:
                self._turn.wait_for(lambda: call.is_done or (self._waiting and self._n_leaders < self.encoder.streams))
                if call.is_done:
                    break
                self._n_leaders += 1
            self._lead()
        if call.error is not None:
            raise call.error
        assert call.features is not None
        return call.features

    def _lead(self) -> None:
        """Encode what is waiting, for everybody."""
        if self._had_company:
            time.sleep(WAIT_SECONDS)
        with self._turn:
            calls: list[_Call] = []
            while self._waiting and sum(len(call.patches) for call in calls) < self.encoder.batch:
                calls.append(self._waiting.popleft())
        try:
            if calls:
                self._encode(calls)
        finally:
            with self._turn:
                self._had_company = len(calls) > 1
                self._n_leaders -= 1
                self._turn.notify_all()

    def _encode(self, calls: list[_Call]) -> None:
        self._on_batch(len(calls))
        try:
            patches = joined([call.patches for call in calls])
            identity = self.encoder.identity
            features = check_answer(self.encoder.encode(patches), (len(patches), identity.dim), identity.name)
        except Exception as error:
            if len(calls) == 1:
                calls[0].error = error
                return
            for call in calls:  # one of them is wrong: let it be the only one that fails
                self._encode([call])
            return
        ends = np.cumsum([len(call.patches) for call in calls])
        for call, part in zip(calls, np.split(features, ends[:-1]), strict=True):
            call.features = part
