"""Decode uploaded pictures in processes of their own, which are limited in memory and killed when they take too long.

What a decoder can be made to do by a crafted file (eat memory, loop, crash) it does there, and the server lives on.
"""

import json
import os
import subprocess
import sys
import threading
from queue import SimpleQueue

import numpy as np

from .._platform import hold
from ..errors import ImageError
from ..images import Picture
from ._decode_worker import HEADER

_BASE_BYTES = 1 << 30
_BYTES_A_PIXEL = 12
# reading takes about 7 bytes a pixel; the rest is room for the decoders' own buffers


class Decoder:
    """Some decoding processes, started when first needed and replaced when they die. Used from several threads."""

    def __init__(self, n_workers: int, max_pixels: int, seconds: float, memory_bytes: int | None = None) -> None:
        """memory_bytes: of address space for each process; by default what a picture of max_pixels can need."""
        self.max_pixels, self.seconds = max_pixels, seconds
        self.memory_bytes = memory_bytes or _BASE_BYTES + _BYTES_A_PIXEL * max_pixels
        self._idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        for _ in range(n_workers):
            self._idle.put(None)

    def decode(self, content: bytes, name: str) -> Picture:
        """The upright picture, shrunk as the worker says. Raises ImageError, named so, whatever goes wrong."""
        worker, is_sound = self._idle.get(), False
        try:
            if worker is None or worker.poll() is not None:
                worker = self._start(instead_of=worker)
            answer = self._ask(worker, content, name)
            is_sound = True
        finally:  # one that did not answer to the end would answer the next question with the rest
            if worker is not None and not is_sound:
                self._discard(worker)
            self._idle.put(worker if is_sound else None)
        if isinstance(answer, ImageError):
            raise answer
        return answer

    def _start(self, instead_of: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes]:
        if instead_of is not None:
            self._discard(instead_of)
        # -P: no module is taken from the folder the server was started in. One thread: each would reserve memory.
        command = [sys.executable, "-P", "-m", "patchseek.server._decode_worker", str(self.memory_bytes)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        hold(worker, self.memory_bytes)
        self._all.add(worker)
        return worker

    def _ask(self, worker: subprocess.Popen[bytes], content: bytes, name: str) -> Picture | ImageError:
        """The picture, or what is wrong with it. Raises ImageError when there is no answer."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        timer = threading.Timer(self.seconds, worker.kill)
        timer.start()
        try:
            worker.stdin.write(HEADER.pack(len(content), self.max_pixels))
            worker.stdin.write(content)
            worker.stdin.flush()
            line = worker.stdout.readline()
            answer = json.loads(line) if line else None
            if answer is not None and "reason" in answer:
                return ImageError(name, answer["reason"])
            n_bytes = int(np.prod(answer["shape"])) if answer is not None else 0
            pixels = worker.stdout.read(n_bytes)
        except OSError:  # its end of the pipe is closed: it died while it was written to
            answer, n_bytes, pixels = None, 0, b""
        finally:
            was_killed = not timer.is_alive()
            timer.cancel()
        if answer is None or len(pixels) < n_bytes:
            limit = f"took longer than {self.seconds:g} s to decode" if was_killed else "the decoder broke down on it"
            raise ImageError(name, limit)
        shaped = np.frombuffer(pixels, np.uint8).reshape(answer["shape"])
        return Picture(shaped, answer["width"], answer["height"], answer["note"])

    def _discard(self, worker: subprocess.Popen[bytes]) -> None:
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was left in its buffer has nowhere to go
                    continue
        self._all.discard(worker)

    def close(self) -> None:
        """End all processes."""
        for worker in list(self._all):
            self._discard(worker)
