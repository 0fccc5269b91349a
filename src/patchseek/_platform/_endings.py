"""How processes end, and begin as copies of others: what Linux and macOS tell by signals, which Windows has not."""

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._system import is_windows

if TYPE_CHECKING:
    from subprocess import Popen

ALARM, OVERDUE = 142, 152
"""Exit codes by which a process on Windows says that it took too long; elsewhere a shell would say these."""
_CODES = {ALARM: "SIGALRM", OVERDUE: "SIGXCPU", 3: "SIGABRT", 0xC0000409: "SIGABRT"}
_CRASHES = 0xC0000000  # exit codes of Windows from which on they say what went wrong


def ended_by(code: int) -> str | None:
    """What ended a process with this exit code (as subprocess has it), by the name of a signal, such as "SIGKILL".

    None for one that ended by itself. Windows: "SIGALRM" and "SIGXCPU" where it took too long (see `start_clock`,
    `limit_work`), "SIGABRT" where it gave up, another crash by its code, such as "0xC0000005"; who was killed from
    outside cannot be told there from who failed by itself.
    """
    if not is_windows():
        if code >= 0:
            return None
        known = {number.value: number.name for number in signal.Signals}
        return known.get(-code, f"signal {-code}")
    code &= 0xFFFFFFFF
    return _CODES.get(code, f"0x{code:08X}" if code >= _CRASHES else None)


def stop_overdue(child: "Popen[bytes]") -> None:
    """End a child that has been waited for too long: by SIGXCPU; on Windows, at once."""
    if hasattr(signal, "SIGXCPU"):
        child.send_signal(signal.SIGXCPU)
    else:
        child.kill()


def in_forks(in_child: Callable[[], object]) -> None:
    """Have a function called in each process that is forked from this one; Windows forks none."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)
