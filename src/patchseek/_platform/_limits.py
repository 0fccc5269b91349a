"""What a process may take: memory, time, open files. Each limit is set where the system knows it.

Windows knows none of those of memory, where a parent limits its children (`hold`), and macOS none of address space.
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ._endings import ALARM, OVERDUE
from ._system import is_windows

if TYPE_CHECKING:
    from subprocess import Popen

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_SPARE_FILES = 512  # open files beside those asked for
_clock: threading.Timer | None = None


def limit_for_good(n_bytes: int) -> None:
    """Hold this process to so many bytes of address space; it can write no file and leaves no core dump."""
    if resource is None:
        return
    for kind, limit in ((resource.RLIMIT_AS, n_bytes), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(kind, (limit, limit))


def limit_work(cpu_seconds: int, n_bytes: int) -> None:
    """Hold this process to so much computing and so many bytes of its own; it leaves no core dump.

    Windows: to the computing alone. One that takes longer is ended, see `ended_by`: "SIGXCPU".
    """
    if resource is None:
        threading.Thread(target=_watch_computing, args=(cpu_seconds,), daemon=True).start()
        return
    limits = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, cpu_seconds), (resource.RLIMIT_DATA, n_bytes))
    for kind, limit in limits:
        with suppress(ValueError, OSError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def hold(child: "Popen[bytes]", n_bytes: int) -> None:
    """Have a child end at the latest when this process does, and be given no more than so many bytes of memory.

    Does nothing but on Windows: elsewhere a child sees to both itself.
    """
    if is_windows():
        from ._jobs import hold_in_job

        hold_in_job(child, n_bytes)


def _watch_computing(cpu_seconds: int) -> None:
    while (left := cpu_seconds - time.process_time()) > 0:
        time.sleep(max(left / (os.cpu_count() or 1), 0.1))
    os._exit(OVERDUE)


def be_ended_first() -> None:
    """Where memory runs out all the same, have the system end this process before others; Linux alone knows that."""
    with suppress(OSError), Path("/proc/self/oom_score_adj").open("w") as file:
        file.write("1000")


def start_clock(seconds: float) -> None:
    """End this process, whatever it is in, after so many seconds, see `ended_by`: "SIGALRM". Anew at each call."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return
    global _clock
    stop_clock()
    _clock = threading.Timer(seconds, os._exit, (ALARM,))
    _clock.daemon = True
    _clock.start()


def stop_clock() -> None:
    """Let this process live on."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    elif _clock is not None:
        _clock.cancel()


def allow_open_files(n: int) -> None:
    """Raise this process's limit of open files, as far as it may, so that n files can be mapped at once.

    A mapped file keeps a descriptor, and the usual limit of 1,024 would end at a quarter of a million pictures. On
    Windows, maps need none.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n + _SPARE_FILES if hard == resource.RLIM_INFINITY else min(n + _SPARE_FILES, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def address_space_left() -> int | None:
    """Bytes of address space that this process may still take; None without a limit, or where nobody tells."""
    if resource is None:
        return None
    try:
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    except (OSError, ValueError):  # macOS has no such file
        return None


def peak_memory() -> int:
    """Bytes of memory that this process has taken at most; 0 on Windows.

    On Linux, getrusage counts in what the process had that started this one; /proc does not.
    """
    with suppress(OSError), Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
    if resource is None:
        return 0
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) << (0 if sys.platform == "darwin" else 10)
