"""The program that `_faiss_child` starts: trains a FAISS index, says how well it keeps features, adds, saves, searches.

It works within limits of time and memory that grow with the features. It is run as a file and imports nothing of ours
but what the system is asked for.
"""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":  # patchseek is what this file lies in, wherever that is
    sys.modules["patchseek"] = package = ModuleType("patchseek")
    package.__path__ = [str(Path(__file__).parents[1])]

from patchseek._platform import be_ended_first, limit_work

_DEPTH = 1 << 16  # rows up to which the trial asks for all of them, as a search that doubles its depth does at last
_TRIED = 32  # queries of the trial, beside a single one: FAISS has ways of its own for many


ANEW = 43
"""Exit code where the saved index cannot be read or not be added to; 3 is how programs are aborted on Windows."""
LOOKS = b"patchseek looks"
"""What it prints before it looks at how well an index keeps features; afterwards it does so with a Report as JSON."""
_ROWS = 1 << 14  # added at a time


@dataclass(frozen=True)
class BuildJob:
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
    n_own: int = 0
    # features of a sample of those that train it, or trained it; 0: do not look at how well it keeps them
    n_others: int = 0
    # of a sample of others
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


def own_words(text: str) -> str:
    """What FAISS says, without the place in its source, in one line of at most 300 characters."""
    text = re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", " ".join(text.split()))
    return re.sub(r"^'.*?' failed: (?=.)", "", text)[:300]


def _serve(pipe: BinaryIO) -> None:
    """A job and features on standard input; what is wrong is the last line that is printed."""
    said, *limits = json.loads(pipe.readline())
    job = BuildJob(**said)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting is no computing
    limit_work(*limits)
    be_ended_first()
    threading.Thread(target=_end_with, args=(os.getppid(), job.targets), daemon=True).start()
    import faiss

    faiss.omp_set_num_threads(job.n_threads)
    if job.only_looks:
        _judge(_untrained(job), job)
        return
    training = _read(pipe, job.n_training, job.dim)
    sample = _read(pipe, job.n_own + job.n_others, job.dim)
    trains = True
    if job.saved is None:
        index = _untrained(job)
        trains = not index.is_trained
        if trains:
            index.train(training)
    else:
        try:
            index = load(job.saved)
        except (OSError, RuntimeError):
            sys.exit(ANEW)
    if job.n_own:
        _look(index, sample, job.n_own, trains=trains)
    at_once = _is_made_at_once(index)
    if at_once and index.ntotal not in (0, job.n_rows):
        sys.exit(ANEW)
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


def _untrained(job: BuildJob) -> Any:
    """The index of the job's strings. A wrong parameter is told here, before the training, which may take hours."""
    import faiss

    metric = faiss.METRIC_L2 if job.is_l2 else faiss.METRIC_INNER_PRODUCT
    index: Any = faiss.index_factory(job.dim, job.factory, metric)
    _tune_training(index)
    _set_parameters(index, job.parameters)
    return index


def _judge(index: Any, job: BuildJob) -> None:
    """Raise SystemExit where so few features as there will be cannot train the index."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    inner: Any = faiss.downcast_index(ivf or index)
    n_words = int(getattr(getattr(inner, "pq", None), "ksub", 0))
    for n, what in ((int(getattr(ivf, "nlist", 0)), "clusters"), (n_words, "code words")):
        if job.n_training < n:
            sys.exit(f"{n} {what} need as many training features, there will be {job.n_training}")


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


def _look(index: Any, features: NDArray[np.float32], n_own: int, *, trains: bool) -> None:
    """Print what the index's codes and clusters lose of features (n, D), in squared lengths, and whether it trains.

    Of codes: a feature against what is decoded from its code. An offset and a factor that the first n_own have in
    common change no ranking (a rotation around their mean leaves such), and are taken out. Of clusters: a feature
    against the centroid of its cluster. What FAISS does not tell of this index is not there.
    """
    print(LOOKS.decode(), file=sys.stderr, flush=True)  # noqa: T201  FAISS may crash at it
    errors: dict[str, list[float]] = {}
    is_told = True
    try:
        if trains:
            errors["codes"] = _squares(features, _decoded(index, features), n_own)
            if (moved := _from_centroids(index, features)) is not None:
                errors["clusters"] = np.einsum("nd,nd->n", moved, moved).tolist()
    except (RuntimeError, NotImplementedError):
        is_told = False
    report = json.dumps({"trains": trains, "is_told": is_told, "errors": errors})
    print(LOOKS.decode(), report, file=sys.stderr, flush=True)  # noqa: T201


def _squares(features: NDArray[np.float32], decoded: NDArray[np.float32], n_own: int) -> list[float]:
    """Squared distances of features and decoded ones (n, D), mean and scale of the first n_own made equal."""
    x, y = features - features[:n_own].mean(axis=0), decoded - decoded[:n_own].mean(axis=0)
    length = float(np.vdot(y[:n_own], y[:n_own]))
    scale = float(np.vdot(x[:n_own], y[:n_own])) / length if length > 1e-6 * n_own else 1.0
    lost = x - np.float32(scale) * y
    squares: list[float] = np.einsum("nd,nd->n", lost, lost).tolist()
    return squares


def _steps(index: Any) -> list[Any]:
    """What an index does to a feature before the index inside it sees that, in order."""
    import faiss

    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain: Any = index.chain
    return [faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size())]


def _inner(index: Any) -> Any:
    """The index inside one: behind a transform, under a refinement, in a graph; None where there is none."""
    import faiss

    name = "index" if isinstance(index, faiss.IndexPreTransform) else "base_index"
    inner = getattr(index, name, None) or getattr(index, "storage", None)
    return None if inner is None else faiss.downcast_index(inner)


def _decoded(index: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features (n, D) as the index keeps them. Raises RuntimeError where it cannot tell."""
    import faiss

    index = faiss.downcast_index(index)
    steps, inner = _steps(index), _inner(index)
    for step in steps:
        features = step.apply(features)
    features = index.sa_decode(index.sa_encode(features)) if inner is None else _decoded(inner, features)
    for step in reversed(steps):
        features = step.reverse_transform(features)
    return features


def _from_centroids(index: Any, features: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Each feature (n, d) from the centroid of its cluster, behind what transforms it; None where there are none."""
    import faiss

    index = faiss.downcast_index(index)
    for step in _steps(index):
        features = step.apply(features)
    if (inner := _inner(index)) is not None:
        return _from_centroids(inner, features)
    if not isinstance(index, faiss.IndexIVF):
        return None
    quantizer = faiss.downcast_index(index.quantizer)
    _, clusters = quantizer.search(features, 1)
    moved: NDArray[np.float32] = features - quantizer.reconstruct_batch(np.maximum(clusters[:, 0], 0))
    return moved


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


def _try(index: Any, job: BuildJob, queries: NDArray[np.float32]) -> None:
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
