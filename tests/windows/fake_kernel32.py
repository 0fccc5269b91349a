"""What patchseek uses of kernel32.dll: jobs that hold their processes to an amount of memory and end with their handle.

Its memory is committed memory on Windows, and what RLIMIT_DATA counts here.
"""

import os
import resource
import signal
from contextlib import suppress
from typing import Any

jobs: dict[int, dict[str, Any]] = {}
"""By their handle: "flags", "n_bytes", "pids"."""
PROCESS_MEMORY, KILL_ON_CLOSE = 0x100, 0x2000


def CreateJobObjectW(security: None, name: None) -> int:  # noqa: N802
    assert security is name is None
    handle = (1 << 40) + len(jobs)  # wider than an int
    jobs[handle] = {"pids": []}
    return handle


def OpenProcess(rights: int, inherits: bool, pid: int) -> int:  # noqa: N802
    assert rights == 0x101 and not inherits
    return (1 << 41) + pid


def SetInformationJobObject(job: int, kind: int, limits: Any, n_bytes: int) -> int:  # noqa: N802
    assert kind == 9 and n_bytes == 144  # of JOBOBJECT_EXTENDED_LIMIT_INFORMATION where pointers have 64 bits
    told = bytes(limits._obj)
    jobs[job] |= {"flags": int.from_bytes(told[16:20], "little"), "n_bytes": int.from_bytes(told[112:120], "little")}
    return 1


def AssignProcessToJobObject(job: int, process: int) -> int:  # noqa: N802
    pid, held = process - (1 << 41), jobs[job]
    if held["flags"] & PROCESS_MEMORY:
        resource.prlimit(pid, resource.RLIMIT_DATA, (held["n_bytes"], held["n_bytes"]))
    held["pids"].append(pid)
    return 1


def CloseHandle(handle: int) -> int:  # noqa: N802
    held = jobs.pop(handle, None)
    if held and held["flags"] & KILL_ON_CLOSE:
        for pid in held["pids"]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return 1
