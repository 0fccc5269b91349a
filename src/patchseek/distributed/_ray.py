"""A pool of processes on a Ray cluster, the only file that imports Ray. Knows nothing of pictures.

Each process makes a function once and applies it to what it is given, one argument at a time. Actors are replaced here
rather than restarted by Ray, so that no argument is ever queued behind one that cannot be placed. They take whole CPUs:
with fractions of them on nodes of one CPU, Ray 2.60 was seen to wait for ever.
"""

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import DiskFull, EncoderError, MissingExtra, PatchseekError, StoreError, StoreMismatch

START_SECONDS = 120.0
"""How long to wait when no process at all can be started."""
MAX_DEATHS = 40
"""Processes that may die one after another, none finishing anything between."""
MAX_CORES = 8
"""Of one process, unless fewer are asked for than that takes; more than a few cores are better fed by two."""

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Died(Generic[A]):
    """The process that had this argument is gone."""

    argument: A
    is_node: bool
    # whether its whole machine is gone, which is not the argument's doing
    reason: str
    # in one line


@dataclass(frozen=True)
class Share:
    """What the processes get."""

    n_workers: int
    n_cores: int
    # CPUs each
    n_gpus: int
    # GPUs each, 0 or 1


@dataclass(frozen=True)
class _Refused:
    """An error of ours, as it travels."""

    kind: type[PatchseekError]
    text: str


class _Actor:
    """What runs on the cluster."""

    def prepare(self, make: Callable[[int], Callable[[Any], Any]], n_cores: int) -> _Refused | None:
        os.environ["PATCHSEEK_CORES"] = str(n_cores)
        try:
            self._function = make(n_cores)
        except PatchseekError as error:
            return _refused(error)
        return None

    def apply(self, argument: Any) -> Any:
        try:
            return self._function(argument)
        except PatchseekError as error:
            return _refused(error)


def _refused(error: PatchseekError) -> _Refused:
    kinds = (DiskFull, StoreMismatch, StoreError, EncoderError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), PatchseekError)
    return _Refused(kind, f"worker on {socket.gethostname()}: {error}")


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to the cluster at HOST:PORT or "auto", or start one of this machine's cores with "local".

    A connection that the program has already is used and left as it is. Raises MissingExtra, PatchseekError.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when a cluster is started: it shall report to nobody
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    if ray.is_initialized():
        yield
        return
    _check_address(address)
    own = {"include_dashboard": False, "object_store_memory": 128 << 20} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise PatchseekError(f"--ray {address}: {' '.join(str(error).split())[:300]}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise PatchseekError where nobody answers: Ray would try for five minutes and then end the process."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:]+\]", host) or not port.isdecimal():
        raise PatchseekError(f"--ray {address}: expected local, auto or HOST:PORT, run on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise PatchseekError(f"--ray {address}: no cluster answers there ({error.strerror or error})") from error


def share(nodes: Sequence[tuple[int, int]], n_workers: int | None, *, want_gpu: bool) -> Share:
    """How many processes of how many cores, for nodes of (CPUs, GPUs) each.

    With GPUs wanted and there, one process a GPU; else as many as asked for, or enough to use every core. Raises
    PatchseekError when the cluster has not enough.
    """
    with_gpu = [(cpus, gpus) for cpus, gpus in nodes if gpus and cpus >= gpus]
    if want_gpu and with_gpu:
        most = sum(gpus for _, gpus in with_gpu)
        cores = min(cpus // gpus for cpus, gpus in with_gpu)
        return Share(_at_most(most, n_workers, "GPUs"), cores, 1)
    counts = [cpus for cpus, _ in nodes if cpus]
    if not counts:
        raise PatchseekError("the cluster has no CPUs to give")
    if n_workers is None:
        cores = min(MAX_CORES, *counts)
        return Share(sum(cpus // cores for cpus in counts), cores, 0)
    _at_most(sum(counts), n_workers, "CPUs")
    cores = max(c for c in range(1, max(counts) + 1) if c == 1 or sum(n // c for n in counts) >= n_workers)
    return Share(n_workers, cores, 0)


def _at_most(n_there: int, n_asked: int | None, unit: str) -> int:
    if n_asked is not None and n_asked > n_there:
        raise PatchseekError(f"{n_asked} workers asked for, but the cluster has {n_there} {unit}")
    return n_asked or n_there


def nodes() -> list[tuple[int, int]]:
    """(CPUs, GPUs) of each node that is alive."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [(int(resources.get("CPU", 0)), int(resources.get("GPU", 0))) for resources in alive]


def apply_all(
    make: Callable[[int], Callable[[A], R]], next_argument: Callable[[], A | None], given: Share
) -> Generator[R | Died[A], None, None]:
    """Apply a function to arguments on the cluster; results, and the arguments of the dead, as they come.

    make(cores): called once in each process, makes the function. next_argument: asked whenever a process is idle; None
    where there is nothing for now. Ends when there is nothing and nobody works. Raises what `make` or the function
    raised of our own errors, PatchseekError when no process can be started or all that start die.
    """
    pool: _Pool[A, R] = _Pool(make, given)
    try:
        yield from pool.run(next_argument)
    finally:
        pool.close()


class _Pool(Generic[A, R]):
    """Actors, idle or at work."""

    def __init__(self, make: Callable[[int], Callable[[A], R]], given: Share) -> None:
        import ray

        self._ray, self._given, self._make = ray, given, ray.put(make)
        self._class = ray.remote(_Actor).options(
            num_cpus=given.n_cores, num_gpus=given.n_gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        self._idle: list[Any] = []
        self._starting: dict[Any, Any] = {}  # reference -> actor
        self._working: dict[Any, tuple[Any, A]] = {}  # reference -> actor and its argument
        self._n_deaths, self._waiting_since = 0, time.monotonic()
        for _ in range(given.n_workers):
            self._start()

    def close(self) -> None:
        """End the processes."""
        actors = [*self._idle, *self._starting.values(), *(actor for actor, _ in self._working.values())]
        for actor in actors:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._ray.kill(actor)

    def _start(self) -> None:
        actor = self._class.remote()
        self._starting[actor.prepare.remote(self._make, self._given.n_cores)] = actor

    def run(self, next_argument: Callable[[], A | None]) -> Generator[R | Died[A], None, None]:
        """See apply_all."""
        while True:
            is_busy = self._feed(next_argument)
            if not is_busy and not self._working:
                return
            done, _ = self._ray.wait([*self._working, *self._starting], num_returns=1, timeout=5)
            if not done:
                self._check_patience()
            for reference in done:
                outcome = self._take(reference)
                self._feed(next_argument)  # before the caller takes its time over the outcome
                if outcome is not None:
                    yield outcome

    def _feed(self, next_argument: Callable[[], A | None]) -> bool:
        """Give every idle process something to do; whether there was enough for all."""
        while self._idle:
            argument = next_argument()
            if argument is None:
                return False
            actor = self._idle.pop()
            self._working[actor.apply.remote(argument)] = (actor, argument)
        return True

    def _take(self, reference: Any) -> R | Died[A] | None:
        """The outcome of a call that ended; None where it only started a process."""
        ray = self._ray
        self._waiting_since = time.monotonic()
        actor, argument = self._working.pop(reference, (self._starting.pop(reference, None), None))
        try:
            answer = ray.get(reference)
        except (
            ray.exceptions.RayActorError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.OutOfMemoryError,
        ) as error:
            return self._bury(argument, error)
        except ray.exceptions.RayTaskError as error:
            raise PatchseekError(f"a worker failed: {type(error.cause).__name__}: {error.cause}") from error
        if isinstance(answer, _Refused):
            raise answer.kind(answer.text)
        self._idle.append(actor)
        if argument is None:
            return None
        self._n_deaths = 0
        return answer  # type: ignore[no-any-return]

    def _bury(self, argument: A | None, error: Exception) -> Died[A] | None:
        text = " ".join(str(error).split())
        is_node = "node has died" in text or "node was terminated" in text
        reason = re.sub(r".*?(The actor (is dead|died) because )", r"\1", text)[:200]
        self._n_deaths += not is_node
        if self._n_deaths > MAX_DEATHS:
            raise PatchseekError(
                f"{self._n_deaths} workers died, none finishing anything; the last: {reason}"
            ) from error
        self._start()
        return None if argument is None else Died(argument, is_node, reason)

    def _check_patience(self) -> None:
        if not self._working and time.monotonic() - self._waiting_since > START_SECONDS:
            free = self._ray.available_resources()
            raise PatchseekError(
                f"no worker could be started in {START_SECONDS:g} s: {self._given.n_cores} CPUs and "
                f"{self._given.n_gpus} GPUs are needed on one machine; free now, all machines together: "
                f"{free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs"
            )
