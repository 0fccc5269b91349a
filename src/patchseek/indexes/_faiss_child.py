"""Builds and tries a FAISS index in a child process: some engine strings crash FAISS, never end or take all memory.

This file is both sides. `build` starts it as a program, hands it features and gets a file; the program trains, adds,
saves and searches once, within limits of time and memory that grow with the features. Only the program imports FAISS.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_DEPTH = 1 << 16  # rows up to which the trial asks for all of them, as a search that doubles its depth does at last
_TRIED = 32  # queries of the trial, beside a single one: FAISS has ways of its own for many


_ANEW = 3  # exit code
_ROWS = 1 << 14  # added at a time


class BuildError(Exception):
    """What is wrong with an engine string, in a clause; FAISS's own words come last."""


class AnewError(BuildError):
    """The saved index cannot be read or not be added to: another has to be built."""


@dataclass(frozen=True)
class Job:
    """What to build."""

    factory: str
    dim: int
    is_l2: bool
    parameters: str
    # FAISS's own search parameters, comma-separated; "" for the default
    n_training: int
    # features that train it, which are also the queries of the trial
    n_rows: int
    # rows of the finished index
    n_threads: int
    saved: str | None = None
    # an index to begin with; None: train a new one
    targets: Sequence[str] = ()
    # where to save it: the first of these that can be written; none: only try it
    only_looks: bool = False
    # whether there are no features yet, so that only the strings and the counts are judged

    @property
    def cpu_seconds(self) -> int:
        """Seconds of computing after which it is taken to hang: several times what costly ones take."""
        training, adding = 3e-4 * self.n_training * self.dim, self.n_rows * (2e-3 + 1e-5 * self.dim)
        return int((30 + training + adding) * self.n_threads)

    @property
    def n_bytes(self) -> int:
        """Memory it may have: several copies of all features, a graph of thousands of links a row, and a gigabyte."""
        rows, training = self.n_rows * (16 * self.dim + 16_384), 16 * self.n_training * self.dim
        return (1 << 30) + (64 << 20) * self.n_threads + rows + training


def build(job: Job, training: NDArray[np.float16], blocks: Iterable[NDArray[np.float16]]) -> None:
    """Build, try and save an index: one of the job's targets is there afterwards.

    training (n_training, D) and the rows of blocks (n, D): float16. Raises BuildError, AnewError.
    """
    program = [sys.executable, "-P", __file__]  # -P: our own folder shadows no other library
    said: list[bytes] = []
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stderr is not None
        listener = threading.Thread(target=said.extend, args=(child.stderr,))
        watch = threading.Timer(10 * job.cpu_seconds, child.send_signal, (signal.SIGXCPU,))  # it may wait for ever
        listener.start()
        watch.start()
        try:
            with suppress(BrokenPipeError), child.stdin as pipe:  # a child that died: its exit code says why
                pipe.write(json.dumps([asdict(job), job.cpu_seconds, job.n_bytes]).encode() + b"\n")
                for rows in filter(len, (training, *blocks)):
                    pipe.write(np.ascontiguousarray(rows, np.float16).data.cast("B"))
            code = child.wait()
        finally:
            watch.cancel()
            child.kill()
            listener.join()
    if code:
        words = said[-1].decode(errors="replace") if said else ""
        raise (AnewError if code == _ANEW else BuildError)(_reason(code, words, job))


def _reason(code: int, words: str, job: Job) -> str:
    """Why a child ended with an exit code other than 0; words: the last line that it said."""
    words = own_words(words)
    if code == -signal.SIGXCPU:
        return f"it takes more than {job.cpu_seconds} s of computing"
    if -code in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        return f"it was ended ({signal.Signals(-code).name}), as the system does where memory runs out"
    if code < 0:
        return f"it crashes ({signal.Signals(-code).name})" + (f": {words}" if "assertion" in words else "")
    if "MemoryError" in words:
        return f"it takes more than {job.n_bytes / 1e9:.1f} GB of memory ({words})"
    return words or "it fails without a word"


def own_words(text: str) -> str:
    """What FAISS says, without the place in its source, in one line of at most 300 characters."""
    text = re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", " ".join(text.split()))
    return re.sub(r"^'.*?' failed: (?=.)", "", text)[:300]


def _serve(pipe: BinaryIO) -> None:
    """The child: a job and features on standard input; what is wrong is the last line it prints."""
    said, *limits = json.loads(pipe.readline())
    job = Job(**said)
    _limit(*limits)
    threading.Thread(target=_end_with, args=(os.getppid(), job.targets), daemon=True).start()
    import faiss

    faiss.omp_set_num_threads(job.n_threads)
    if job.only_looks:
        _look(_untrained(job), job)
        return
    training = _read(pipe, job.n_training, job.dim)
    if job.saved is None:
        index = _untrained(job)
        if not index.is_trained:
            index.train(training)
    else:
        try:
            index = load(job.saved)
        except (OSError, RuntimeError):
            sys.exit(_ANEW)
    at_once = _is_made_at_once(index)
    if at_once and index.ntotal not in (0, job.n_rows):
        sys.exit(_ANEW)
    while index.ntotal < job.n_rows:
        n_left = job.n_rows - index.ntotal
        index.add(_read(pipe, n_left if at_once else min(n_left, _ROWS), job.dim))
    if index.ntotal != job.n_rows:
        sys.exit("it keeps no features")
    if job.targets:
        written = _save(index, job.targets)
        del index  # before it is there twice
        index = load(written)  # as it will be
    _try(index, job, training)


def _untrained(job: Job) -> Any:
    """The index of the job's strings. A wrong parameter is told here, before the training, which may take hours."""
    import faiss

    metric = faiss.METRIC_L2 if job.is_l2 else faiss.METRIC_INNER_PRODUCT
    index: Any = faiss.index_factory(job.dim, job.factory, metric)
    _tune_training(index)
    _set_parameters(index, job.parameters)
    return index


def _look(index: Any, job: Job) -> None:
    """Raise SystemExit where so few features as there will be cannot train the index."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    inner: Any = faiss.downcast_index(ivf or index)
    n_words = int(getattr(getattr(inner, "pq", None), "ksub", 0))
    for n, what in ((int(getattr(ivf, "nlist", 0)), "clusters"), (n_words, "code words")):
        if job.n_training < n:
            sys.exit(f"{n} {what} need as many training features, there will be {job.n_training}")


def _limit(cpu_seconds: int, n_bytes: int) -> None:
    """Set the limits of this process, as far as the system knows them."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting is no computing
    limits = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, cpu_seconds), (resource.RLIMIT_DATA, n_bytes))
    for kind, limit in limits:
        with suppress(ValueError, OSError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")  # where memory runs out all the same, this one is ended first


def _end_with(parent: int, targets: Sequence[str]) -> None:
    """End this process when its parent has ended, and leave nothing behind."""
    while os.getppid() == parent:
        time.sleep(1)
    for target in targets:
        with suppress(OSError):
            os.unlink(target)  # noqa: PTH108
    os._exit(1)


def _read(pipe: BinaryIO, n: int, dim: int) -> NDArray[np.float32]:
    """The next n features (n, dim)."""
    content = pipe.read(2 * n * dim)
    if len(content) < 2 * n * dim:
        sys.exit("the features ended too early")
    return np.frombuffer(content, np.float16).reshape(n, dim).astype(np.float32)


def _tune_training(index: Any) -> None:
    """Leave out polysemous training, which is for a filter we do not use and takes 95 % of the time, and FAISS's
    warnings about few rows a centroid: small collections are welcome to small codebooks."""
    import faiss

    index = faiss.downcast_index(index)
    if hasattr(index, "do_polysemous_training"):
        index.do_polysemous_training = False
    parts: list[Any] = [index, getattr(index, "pq", None)]
    for part in parts:
        if hasattr(part, "cp"):
            part.cp.min_points_per_centroid = 1
    for name in ("index", "base_index", "storage"):  # behind a transform, under a refinement, in a graph
        if getattr(index, name, None) is not None:
            _tune_training(getattr(index, name))


def _is_made_at_once(index: Any) -> bool:
    """Whether it is a graph to which no row can be added later."""
    import faiss

    index = faiss.downcast_index(index)
    inner = getattr(index, "index", None) or getattr(index, "base_index", None)
    return hasattr(index, "nsg") or (inner is not None and _is_made_at_once(inner))


def set_parameters(index: Any, parameters: str) -> None:
    """Set search parameters; "" for the default. Raises RuntimeError for what there is none of."""
    import faiss

    space: Any = faiss.ParameterSpace()  # its stub takes a wrong type
    space.set_index_parameters(index, parameters or _default_parameters(faiss.try_extract_index_ivf(index)))


def _set_parameters(index: Any, parameters: str) -> None:
    """The same. Raises SystemExit with what is wrong."""
    try:
        set_parameters(index, parameters)
    except RuntimeError as error:
        sys.exit(f"there are no such parameters as {parameters!r}: {own_words(str(error))}")


def _try(index: Any, job: Job, queries: NDArray[np.float32]) -> None:
    """Search as a person would. Raises RuntimeError, SystemExit with what is wrong, or ends the process."""
    _set_parameters(index, job.parameters)
    if not len(queries) or not index.ntotal:
        return
    asked = queries[np.linspace(0, len(queries) - 1, _TRIED).astype(int)]
    scores, rows = index.search(asked, min(64, index.ntotal))
    deep = min(index.ntotal, _DEPTH)
    more, deeper = index.search(asked[:1], deep)
    if max(rows.max(), deeper.max()) >= index.ntotal:
        sys.exit("it answers with rows that there are none of")
    found = np.concatenate([scores[rows >= 0], more[deeper >= 0]])
    if not np.isfinite(found).all():
        sys.exit("it answers with scores that are no numbers")
    if not len(found):
        sys.exit("it finds nothing")
    if len(found) > 1 and np.ptp(found) == 0 and np.ptp(asked, axis=0).any():
        sys.exit("it gives the same score to everything")


def _default_parameters(ivf: Any) -> str:
    """Probe a quarter of the clusters where there are any; FAISS's own default of one loses most answers."""
    return "" if ivf is None else f"nprobe={max(1, ivf.nlist // 4)}"


def _save(index: Any, targets: Sequence[str]) -> str:
    """Write the index to the first of the targets that takes it, and to no other. Raises OSError where none does."""
    import faiss

    for target in targets:
        try:
            with open(target, "wb") as file:  # noqa: PTH123
                faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
            return target
        except OSError:
            with suppress(OSError):
                os.unlink(target)  # noqa: PTH108
            if target == targets[-1]:
                raise
    raise AssertionError("unreachable")


def load(path: str | os.PathLike[str]) -> Any:
    """The index of a file. Raises OSError, RuntimeError."""
    import faiss

    with open(path, "rb") as file:  # noqa: PTH123  FAISS itself would take names in UTF-8 alone
        return faiss.read_index(faiss.PyCallbackIOReader(file.read))  # type: ignore[attr-defined]


if __name__ == "__main__":
    try:
        _serve(sys.stdin.buffer)
    except Exception as failure:  # of FAISS, its wrapper, or the disk
        sys.exit(f"{type(failure).__name__}: {failure}".replace("RuntimeError: ", "", 1))
