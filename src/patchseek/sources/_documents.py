"""Pages of PDFs as pictures, drawn by PDFium in processes of their own: it takes one caller at a time, and files may
be made to crash it, to keep it busy for ever or to take all memory.

`_documents_child` is the program that runs there; only that imports pypdfium2.
"""

import atexit
import json
import math
import os
import subprocess
import sys
import threading
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any

from .._platform import ended_by, hold, in_forks
from ..errors import ImageError, MissingExtra
from . import _documents_child

DPI = 150.0
"""Pixels per inch unless something else is said: A4 has 1240 x 1754 then."""
SECONDS = 60.0
"""That one page, or one look into a file, may take."""
MEMORY = 2 << 30
"""Bytes of address space that one of the processes may take."""
N_PROCESSES = 2
"""At the most. The second is started where two callers ask at once."""
_FAREWELL = 5.0  # seconds for a process to be gone that has closed its output


def count_pages(file: Path) -> int:
    """How many pages a PDF has, at least 1. Of a damaged one: those that are there. Raises as `page` does."""
    answer, _ = _pool.ask(file)
    return int(answer["n_pages"])


def size_in_points(file: Path, number: int) -> tuple[float, float]:
    """Width and height of a page (from 1) as it is shown, in points of 1/72 inch. Raises as `page` does."""
    answer, _ = _pool.ask(file, number)
    width, height = answer["size"]
    return float(width), float(height)


def page(file: Path, number: int, *, dpi: float = DPI) -> bytes:
    """A page (from 1) as it is shown: the bytes of a binary PPM, RGB over white, the same every time.

    It is turned as its /Rotate says and cut to its crop box; forms and annotations are drawn. Its sides are those in
    points times dpi / 72, rounded; a page that would have more than 36 million pixels, or more than 30,000 in a row or
    column, is drawn smaller. Safe to call from many threads.

    Raises ImageError for what is no PDF, is locked with a password, is broken, has no such page, or takes more than
    60 s or 2 GiB; MissingExtra without pypdfium2.
    """
    if not 0 < dpi < math.inf:
        raise ImageError(file, f"cannot be drawn at {dpi} dpi")
    return _pool.ask(file, number, dpi)[1]


class Pool:
    """Some processes that draw, started when first needed and replaced when they die. Used from many threads."""

    def __init__(self, n_processes: int = N_PROCESSES, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        """seconds: an answer may take. memory: bytes of address space for each process."""
        self._all = [_Process(seconds, memory) for _ in range(n_processes)]
        self._idle = list(self._all)
        self._changed = threading.Condition()

    def ask(self, file: Path, *question: float) -> tuple[dict[str, Any], bytes]:
        """What is answered to a question, see `_documents_child.Reader.answer`. Raises ImageError, MissingExtra."""
        path = os.fsencode(file.absolute()).hex()
        process = self._take(path)
        try:
            answer, content = process.ask(path, *question)
        except _Ended as ended:
            raise ImageError(file, ended.reason, ended.is_passing) from ended
        finally:
            with self._changed:
                self._idle.append(process)
                self._changed.notify()
        if "is_missing" in answer:
            raise MissingExtra("pypdfium2", "pdf")
        if "reason" in answer:
            raise ImageError(file, answer["reason"], answer.get("is_passing", False))
        return answer, content

    def _take(self, path: str) -> "_Process":
        """An idle process: the one that has the file open, else one that runs."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle)
            process = min(self._idle, key=lambda each: (each.path != path, not each.is_running))
            self._idle.remove(process)
            return process

    def close(self) -> None:
        """End all processes."""
        for process in self._all:
            process.end()

    def forsake(self) -> None:
        """Let go of all processes, which belong to the process that this one was forked from."""
        for process in self._all:
            process.forsake()


class _Ended(Exception):
    """A process that ended before it had answered, and what that says of the file."""

    def __init__(self, code: int | None, seconds: float) -> None:
        """code: as Popen has it; None where it could not be started."""
        super().__init__(code)
        by = None if code is None else ended_by(code)
        self.is_slow = by == "SIGALRM"
        self.is_passing = code is None or by in ("SIGALRM", "SIGKILL")
        if self.is_slow:
            self.reason = f"takes more than {seconds:g} s"
        elif by == "SIGKILL":  # nothing but a system short of memory does that
            self.reason = "too little memory to draw it"
        elif by == "SIGABRT":  # what PDFium does where it gets no memory, and at other times
            self.reason = "crashes PDFium, or takes too much memory"
        elif code is None:
            self.reason = "no process can be started to draw it"
        else:
            self.reason = f"crashes PDFium ({by})" if by else "PDFium fails"


class _Process:
    """One process, asked by one thread at a time."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds, self._memory = seconds, memory
        self._child: subprocess.Popen[bytes] | None = None
        self.path: str | None = None
        # of the file that it has open

    @property
    def is_running(self) -> bool:
        """Whether it was started; it may have died since."""
        return self._child is not None

    def ask(self, *question: str | float) -> tuple[dict[str, Any], bytes]:
        """The answer, and the bytes after it. Raises _Ended."""
        if self.is_running:
            try:
                return self._ask(question)
            except _Ended as ended:  # of what came before, or of a signal that was sent to it: a new one can tell
                if ended.is_slow:
                    raise
        return self._ask(question)

    def _ask(self, question: tuple[str | float, ...]) -> tuple[dict[str, Any], bytes]:
        child = self._child or self._start()
        assert child.stdin is not None and child.stdout is not None
        answer, content, code = None, b"", None
        is_kept = has_ended = False
        try:
            with suppress(BrokenPipeError):  # it has died: so there is no answer either
                child.stdin.write(json.dumps(question).encode() + b"\n")
                child.stdin.flush()
            line = child.stdout.readline()
            answer = json.loads(line) if line.endswith(b"\n") else None
            if answer is not None:
                content = child.stdout.read(answer["n_bytes"])
            has_ended = answer is None or len(content) < answer["n_bytes"]
            is_kept = not has_ended and answer is not None and not answer["is_last"]
        finally:  # one that did not answer to the end would answer the next question with the rest
            if not is_kept:
                code = self.end(has_ended)
        if answer is None or has_ended:
            raise _Ended(code, self._seconds)
        if is_kept:
            self.path = str(question[0])
        return answer, content

    def _start(self) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-P", _documents_child.__file__, str(self._memory), str(self._seconds)]
        try:  # -P: our own folder shadows no other library
            self._child = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise _Ended(None, self._seconds) from error
        hold(self._child, self._memory)
        return self._child

    def end(self, has_ended: bool = False) -> int | None:
        """End it, and say how it ended; None where it was not there. has_ended: whether it is doing so by itself."""
        child, self._child, self.path = self._child, None, None
        if child is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            child.wait(_FAREWELL if has_ended else 0)
        child.kill()
        code = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was left in its buffer has nowhere to go
                    pipe.close()
        return code

    def forsake(self) -> None:
        """Let go of it in a forked process, in which it is no child and other threads may have been using its pipes."""
        if self._child is not None:
            for pipe in (self._child.stdin, self._child.stdout):
                assert isinstance(pipe, BufferedReader | BufferedWriter)
                pipe.raw.close()  # past the buffer, which another thread may have locked for ever
            self._child.returncode = 0  # so that nobody waits for it


_pool = Pool()


def _anew() -> None:
    """In a forked process, which shares the pipes: have processes of its own."""
    global _pool
    _pool.forsake()
    _pool = Pool()


atexit.register(lambda: _pool.close())
in_forks(_anew)
