"""Work on the collection, one after the other in one thread: add a folder or uploads, take out, ask saved queries.

A job can be watched and cancelled. What was committed before a cancel stays, as after any interruption.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .._progress import OnProgress
from ..encode import AddReport
from ..errors import PatchseekError
from ..store import Failure
from ._asking import AskReport
from ._queue import Busy
from ._responses import told
from ._uploads import Refusal

KEPT = 100
"""Finished jobs that are remembered."""
MOST_WAITING = 20

Report = AddReport | AskReport
Work = Callable[[OnProgress], Report | None]
"""What a job does; it tells how far it is and may find itself cancelled while it does."""


_ADDED = ("added", "unchanged", "changed", "moved", "removed")
_ASKED = ("queries", "looked_at", "new")
# what a report counts


def _failure(failed: Failure | Refusal) -> dict[str, str]:
    """What failed, and why, as a JSON object."""
    return failed.record() if isinstance(failed, Refusal) else {"image": told(failed.path), "reason": failed.reason}


class _Cancelled(Exception):
    """Somebody cancelled the job."""


@dataclass
class Job:
    """One piece of work and how far it has come."""

    id: str
    kind: str
    # folder, upload, remove or saved
    title: str
    # for people
    refused: Sequence[Refusal] = ()
    # what was sent with it
    state: str = "waiting"
    # waiting, running, done, failed or cancelled
    doing: str = ""
    # what is being done, and of that
    done: int = 0
    total: int = 0
    # 0 where nobody knows
    doing_since: float = field(default_factory=time.monotonic)
    error: str | None = None
    report: Report | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")

    def record(self) -> dict[str, Any]:
        """The job as a JSON object."""
        report = self.report
        counts = _ASKED if isinstance(report, AskReport) else _ADDED
        failed = () if report is None else (_failure(each) for each in report.failed[:100])
        return {
            "job_id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "doing": self.doing,
            "done": self.done,
            "total": self.total,
            "seconds": round((self.ended or time.monotonic()) - self.began, 2),
            "doing_seconds": round((self.ended or time.monotonic()) - self.doing_since, 2),
            "error": self.error,
            "report": None if report is None else {name: getattr(report, name) for name in counts},
            "failures": [*(refusal.record() for refusal in self.refused), *failed],
        }


class Jobs:
    """The jobs of one server."""

    def __init__(self, discreet: Callable[[str], str] = str) -> None:
        """discreet: what to tell of an error's text."""
        self._discreet = discreet
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def require_room(self) -> None:
        """Raises Busy when too many are waiting."""
        with self._lock:
            self._require_room()

    def _require_room(self) -> None:
        if sum(not job.is_over for job in self._jobs.values()) >= MOST_WAITING:
            raise Busy(5)

    def start(self, kind: str, title: str, work: Work, refused: Sequence[Refusal] = ()) -> Job:
        """Queue a job. Raises Busy when too many are waiting."""
        job = Job(secrets.token_urlsafe(12), kind, title, refused)
        with self._lock:
            self._require_room()
            for old in [j.id for j in self._jobs.values() if j.is_over][: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        self._pool.submit(self._run, job, work)
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of this id; None where there is none any more."""
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """All jobs remembered, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def _run(self, job: Job, work: Work) -> None:
        def on_progress(done: int, total: int, doing: str) -> None:
            if doing != job.doing:
                job.doing, job.doing_since = doing, time.monotonic()
            job.done, job.total = done, total
            if job.cancelled.is_set():
                raise _Cancelled

        job.began = time.monotonic()
        state = "failed"
        try:
            if job.cancelled.is_set():
                raise _Cancelled
            job.state = "running"
            job.report = work(on_progress)
            state = "done"
        except _Cancelled:
            state = "cancelled"
        except PatchseekError as error:
            job.error = self._discreet(str(error))
        except Exception as error:  # a thread that dies silently would leave the page waiting
            job.error = f"unexpected: {type(error).__name__}: {error}"
        finally:
            job.ended = time.monotonic()
            job.state = state

    def close(self) -> None:
        """Cancel everything; what is running stops after its current picture."""
        for job in self.all():
            job.cancelled.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
