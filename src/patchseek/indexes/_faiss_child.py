"""Builds and tries a FAISS index in a child process: some engine strings crash FAISS, never end or take all memory.

`build` starts `_faiss_program`, hands it features and gets a file.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import IO

import numpy as np
from numpy.typing import NDArray

from .._platform import ended_by, hold, stop_overdue
from . import _faiss_program
from ._faiss_program import ANEW, LOOKS, BuildJob, own_words


class BuildError(Exception):
    """What is wrong with an engine string, in a clause; FAISS's own words come last."""


class AnewError(BuildError):
    """The saved index cannot be read or not be added to: another has to be built."""


class UnseenError(BuildError):
    """FAISS cannot be asked how well this index keeps features; it may be good all the same."""


@dataclass(frozen=True)
class Report:
    """How well an index keeps a sample of features."""

    trains: bool
    # whether it depends on what trains it; True for one that was saved
    is_told: bool
    # whether FAISS tells all of it
    errors: dict[str, list[float]]
    # of each feature of the sample, by what was measured, in squared lengths


def build(
    job: BuildJob,
    training: NDArray[np.float16],
    blocks: Iterable[NDArray[np.float16]],
    sample: NDArray[np.float16] | None = None,
    judge: Callable[[Report], None] | None = None,
) -> None:
    """Build, try and save an index: one of the job's targets is there afterwards.

    training (n_training, D), sample (n_own + n_others, D) and the rows of blocks (n, D): float16. judge: told how well
    the index keeps the sample, before anything is added; what it raises ends the work. Raises BuildError, AnewError,
    UnseenError.
    """
    program = [sys.executable, "-P", _faiss_program.__file__]  # -P: our own folder shadows no other library
    said: list[bytes] = []
    seen: SimpleQueue[bytes | None] = SimpleQueue()
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stderr is not None
        hold(child, job.n_bytes)
        listener = threading.Thread(target=_listen, args=(child.stderr, said, seen))
        watch = threading.Timer(10 * job.cpu_seconds, stop_overdue, (child,))  # it may wait for ever
        listener.start()
        watch.start()
        try:
            with suppress(BrokenPipeError), child.stdin as pipe:  # a child that died: its exit code says why
                pipe.write(json.dumps([asdict(job), job.cpu_seconds, job.n_bytes]).encode() + b"\n")
                for rows in filter(len, (training, *([] if sample is None else [sample]))):
                    _send(pipe, rows)
                pipe.flush()
                report = None if judge is None else _report(seen)
                if report is not None and judge is not None:
                    judge(report)
                for rows in filter(len, blocks) if judge is None or report is not None else ():
                    _send(pipe, rows)
            code = child.wait()
        finally:
            watch.cancel()
            child.kill()
            listener.join()
    if code:
        if any(line.strip() == LOOKS for line in said):
            raise UnseenError("FAISS ends when it is asked how well it keeps features")
        words = said[-1].decode(errors="replace") if said else ""
        raise (AnewError if code == ANEW else BuildError)(_reason(code, words, job))


def _send(pipe: IO[bytes], rows: NDArray[np.float16]) -> None:
    pipe.write(np.ascontiguousarray(rows, np.float16).data.cast("B"))


def _listen(stream: IO[bytes], said: list[bytes], seen: "SimpleQueue[bytes | None]") -> None:
    """Collect what the child prints, and pass on what it has to report; None when it has ended."""
    for line in stream:
        if line.startswith(LOOKS + b" {"):
            seen.put(line.removeprefix(LOOKS))
            said.clear()
        else:
            said.append(line)
    seen.put(None)


def _report(seen: "SimpleQueue[bytes | None]") -> Report | None:
    """What the child reports; None where it ended without a word."""
    line = seen.get()
    return None if line is None else Report(**json.loads(line))


def _reason(code: int, words: str, job: BuildJob) -> str:
    """Why a child ended with an exit code other than 0; words: the last line that it said."""
    words = own_words(words)
    by = ended_by(code)
    if by == "SIGXCPU":
        return f"it takes more than {job.cpu_seconds} s of computing"
    if by in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"):
        return f"it was ended ({by}), as the system does where memory runs out"
    if by:
        return f"it crashes ({by})" + (f": {words}" if "assertion" in words else "")
    if "MemoryError" in words:
        return f"it takes more than {job.n_bytes / 1e9:.1f} GB of memory ({words})"
    return words or "it fails without a word"
