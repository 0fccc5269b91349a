"""One encoder open on one or several devices, each in a process of its own. Knows no library: each opens by name.

One process could drive several GPUs only as fast as one core starts their kernels; and a process whose GPU has failed
can use it no more, even where it is well again. Each process has LANES, connections that carry a batch at a time, so
that one batch is on its way while another is computed. A process that ends is begun anew; what was asked of it is asked
again, of whichever is free first.
"""

import logging
import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DeviceFailed, EncoderError, PatchseekError
from ..patches import Feed, Patches
from . import CellEncoder, Cells, DenseEncoder, EncoderIdentity, Features, Opening, TextEncoder, open_here

log = logging.getLogger(__name__)

LANES = 2
"""Batches that a process is given at once."""
RESTARTS = 3
"""How often a process is begun anew before its device is given up."""
_SAID = ("identity", "feed", "batch", "streams", "runs_on", "window", "power")


class Card:
    """A process with an encoder on one device."""

    def __init__(self, device: str, name: str, opening: Opening) -> None:
        self.device, self.n_begun = device, 0
        self._arguments = name, replace(opening, device=device)
        self._lock, self._is_given_up = threading.Lock(), False
        self._process: Any = None
        self.lanes: list[Connection] = []

    def begin(self) -> dict[str, Any]:
        """Begin the process anew; what it says of its encoder. Raises EncoderError where it cannot be opened."""
        self.end()
        context = mp.get_context("spawn")
        pairs = [context.Pipe() for _ in range(LANES)]
        theirs = [pair[1] for pair in pairs]
        self._process = context.Process(target=_work, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        self.lanes, self.n_begun = [pair[0] for pair in pairs], self.n_begun + 1
        for lane in theirs:
            lane.close()
        try:
            said = self.lanes[0].recv()
        except (EOFError, OSError) as error:
            raise EncoderError(f"{self.device}: the process of the encoder ended while it was opened") from error
        if isinstance(said, PatchseekError):
            raise EncoderError(f"{self.device}: {said}")
        found: dict[str, Any] = said
        return found

    def ask(self, lane: int, asked: tuple[str, tuple[Any, ...]]) -> Any:
        """The answer to a call of a method. Raises EOFError or OSError where the process has ended."""
        connection = self.lanes[lane]
        connection.send(asked)
        return connection.recv()

    def again(self, n_begun: int) -> bool:
        """Begin the ended process anew, unless another thread has since; whether there is one."""
        with self._lock:
            if self._is_given_up or self.n_begun != n_begun:
                return not self._is_given_up
            try:
                if self.n_begun > RESTARTS:
                    raise EncoderError(f"{self.device}: its process has ended {self.n_begun} times")
                log.warning("%s: the process of the encoder ended; it is begun anew", self.device)
                self.begin()
            except EncoderError as error:
                log.warning("%s; going on without it", error)
                self._is_given_up = True
            return not self._is_given_up

    def end(self) -> None:
        """End the process. Its connections are left to whoever still waits for an answer, and hears that none comes."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


class Cards:
    """See Encoder. Calls are answered by whichever device is free, LANES on each at once."""

    def __init__(self, cards: Sequence[Card], said: dict[str, Any]) -> None:
        """cards that have begun; said: what one of them says of its encoder."""
        self.identity: EncoderIdentity = said["identity"]
        self.feed: Feed = said["feed"]
        self.batch: int = said["batch"]
        self.streams = LANES * len(cards)
        self.runs_on = " + ".join(f"{card.device}" for card in cards) + f", each {said['runs_on']}"
        self._cards, self._idle = cards, SimpleQueue[tuple[Card, int] | None]()
        self._n_lanes, self._lock = self.streams, threading.Lock()
        for lane in range(LANES):
            for card in cards:
                self._idle.put((card, lane))

    def close(self) -> None:
        """End the processes."""
        for card in self._cards:
            card.end()

    def encode(self, patches: Patches) -> Features:
        """See Encoder."""
        features: Features = self._ask("encode", patches)
        return features

    def _ask(self, method: str, *arguments: Any) -> Any:
        while True:
            free = self._idle.get()
            if free is None:
                self._idle.put(None)  # for the others
                raise EncoderError("no device is left to encode on; what was finished is kept: run the command again")
            card, lane = free
            n_begun = card.n_begun
            try:
                answer = card.ask(lane, (method, arguments))
            except (EOFError, OSError):
                if card.again(n_begun):
                    self._idle.put(free)
                else:
                    self._lose()
                continue
            except BaseException:
                self._lose()  # whose answer has not been read: it would be taken for the next one's
                raise
            self._idle.put(free)
            if isinstance(answer, PatchseekError):
                raise answer
            return answer

    def _lose(self) -> None:
        """Go on with one lane less."""
        with self._lock:
            self._n_lanes -= 1
            if not self._n_lanes:
                self._idle.put(None)


class _WithRegions(Cards):
    def encode_regions(self, pictures: Patches, boxes: ArrayLike) -> Features:
        """See DenseEncoder."""
        features: Features = self._ask("encode_regions", pictures, np.asarray(boxes))
        return features


class _WithCells(Cards):
    window: int
    power: float | None

    def encode_cells(self, patches: Patches) -> tuple[Features, Cells]:
        """See CellEncoder."""
        found: tuple[Features, Cells] = self._ask("encode_cells", patches)
        return found

    def encode_map(self, windows: Patches) -> NDArray[np.float32]:
        """See CellEncoder."""
        maps: NDArray[np.float32] = self._ask("encode_map", windows)
        return maps


class _WithWords(Cards):
    def encode_text(self, texts: Sequence[str]) -> Features:
        """See TextEncoder."""
        features: Features = self._ask("encode_text", list(texts))
        return features


_MORE: dict[Any, type] = {DenseEncoder: _WithRegions, CellEncoder: _WithCells, TextEncoder: _WithWords}


def open_cards(name: str, devices: Sequence[str], opening: Opening) -> Cards:
    """The encoder of this name on each of some devices, such as cuda:0 and cuda:1, and else as it is to be opened.

    Raises EncoderError where one cannot be opened.
    """
    cards = [Card(device, name, opening) for device in devices]
    answers: list[Any] = [None] * len(cards)

    def begin(i: int) -> None:
        try:
            answers[i] = cards[i].begin()
        except EncoderError as error:
            answers[i] = error

    threads = [threading.Thread(target=begin, args=(i,)) for i in range(len(cards))]  # weights take their time
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    problem = next((answer for answer in answers if isinstance(answer, EncoderError)), None)
    if problem is not None:
        for card in cards:
            card.end()
        raise problem
    said = answers[0]
    kinds = tuple(more for protocol, more in _MORE.items() if protocol.__name__ in said["kinds"])
    kind: type[Cards] = type("Cards", kinds, {}) if kinds else Cards
    opened = kind(cards, said)
    for field in ("window", "power"):
        if field in said:
            setattr(opened, field, said[field])
    return opened


def _work(lanes: Sequence[Connection], name: str, opening: Opening) -> None:
    """What a process does: open the encoder, say what it is, answer calls until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks, and may still want what is on its way
    try:
        encoder = open_here(name, opening)
    except PatchseekError as error:
        lanes[0].send(EncoderError(str(error)))
        return
    kinds = [protocol.__name__ for protocol in _MORE if isinstance(encoder, protocol)]
    said = {field: getattr(encoder, field) for field in _SAID if hasattr(encoder, field)} | {"kinds": kinds}
    lanes[0].send(said)
    threads = [threading.Thread(target=_answer, args=(lane, encoder)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answer(lane: Connection, encoder: Any) -> None:
    """Answer the calls of one lane."""
    while True:
        try:
            method, arguments = lane.recv()
        except (EOFError, OSError):
            return
        try:
            answer = getattr(encoder, method)(*arguments)
        except DeviceFailed:
            os._exit(1)
        except PatchseekError as error:
            answer = EncoderError(str(error))
        except BaseException as error:
            answer = EncoderError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        try:
            lane.send(answer)
        except OSError:
            return
