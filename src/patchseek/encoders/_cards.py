"""One encoder open on one or several devices, each in a process of its own. Knows no library: each opens by name.

One process could drive several GPUs only as fast as one core starts their kernels; and a process whose GPU has failed
can use it no more, even where it is well again. Each process has LANES, connections that carry a batch at a time, so
that one batch is on its way while another is computed. A process that ends is begun anew; what was asked of it is asked
again, of whichever is free first.
"""

import logging
import multiprocessing as mp
import operator
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DeviceFailed, EncoderError, PatchseekError
from ..patches import Feed, Patches
from ._choice import open_here
from ._opening import Opening
from ._protocol import Cells, EncoderIdentity, Features

log = logging.getLogger(__name__)

LANES = 2
"""Batches that a process is given at once."""
RESTARTS = 3
"""How often a process is begun anew before its device is given up."""
_SAID = ("identity", "feed", "batch", "runs_on")

Ask = Callable[..., Any]
"""Asks whichever device is free: for a method of the encoder, or of what it can do beyond that, with its arguments."""


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
        self.cells = None if said["cells"] is None else _Cells(self._ask, *said["cells"])
        self.words = _Words(self._ask) if said["words"] else None
        self.regions = _Regions(self._ask) if said["regions"] else None
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


class _Regions:
    """See DenseEncoder."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def encode_regions(self, pictures: Patches, boxes: ArrayLike) -> Features:
        features: Features = self._ask("regions.encode_regions", pictures, np.asarray(boxes))
        return features


class _Cells:
    """See CellEncoder."""

    def __init__(self, ask: Ask, window: int, power: float | None) -> None:
        self.window, self.power = window, power
        self._ask = ask

    def encode_cells(self, patches: Patches) -> tuple[Features, Cells]:
        found: tuple[Features, Cells] = self._ask("cells.encode_cells", patches)
        return found

    def encode_map(self, windows: Patches) -> NDArray[np.float32]:
        maps: NDArray[np.float32] = self._ask("cells.encode_map", windows)
        return maps


class _Words:
    """See TextEncoder."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def encode_text(self, texts: Sequence[str]) -> Features:
        features: Features = self._ask("words.encode_text", list(texts))
        return features


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
    return Cards(cards, answers[0])


def _work(lanes: Sequence[Connection], name: str, opening: Opening) -> None:
    """What a process does: open the encoder, say what it is, answer calls until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks, and may still want what is on its way
    try:
        encoder = open_here(name, opening)
    except PatchseekError as error:
        lanes[0].send(EncoderError(str(error)))
        return
    said = {field: getattr(encoder, field) for field in _SAID}
    said["cells"] = None if encoder.cells is None else (encoder.cells.window, encoder.cells.power)
    said |= {"words": encoder.words is not None, "regions": encoder.regions is not None}
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
            answer = operator.attrgetter(method)(encoder)(*arguments)
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
