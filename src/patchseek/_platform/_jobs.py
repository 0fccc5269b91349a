"""Children that end together with this process, and take no more memory than they may, on Windows: by job objects.

Elsewhere a child sees to both itself (`limit_for_good`, `limit_work`, the end of its input or of its parent).
https://learn.microsoft.com/windows/win32/procthread/job-objects
"""

import ctypes
import weakref
from ctypes import c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from subprocess import Popen

_EXTENDED_LIMITS = 9
_PROCESS_MEMORY, _KILL_ON_CLOSE = 0x100, 0x2000
_MAY_BE_PUT_IN_A_JOB = 0x0100 | 0x0001  # PROCESS_SET_QUOTA, PROCESS_TERMINATE


class Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, of which `flags` says which fields count."""

    _fields_: ClassVar = [
        ("process_time", c_int64),
        ("job_time", c_int64),
        ("flags", c_uint32),
        ("least_in_memory", c_size_t),
        ("most_in_memory", c_size_t),
        ("n_processes", c_uint32),
        ("affinity", c_size_t),
        ("priority", c_uint32),
        ("scheduling", c_uint32),
        ("transfers", c_uint64 * 6),
        ("process_memory", c_size_t),
        ("job_memory", c_size_t),
        ("process_peak", c_size_t),
        ("job_peak", c_size_t),
    ]


def hold_in_job(child: "Popen[bytes]", n_bytes: int) -> None:
    """See `hold`. Where Windows refuses to make a job, the child is not held."""
    kernel = _kernel()
    job, process = kernel.CreateJobObjectW(None, None), kernel.OpenProcess(_MAY_BE_PUT_IN_A_JOB, False, child.pid)
    limits = Limits(flags=_PROCESS_MEMORY | _KILL_ON_CLOSE, process_memory=n_bytes)
    kernel.SetInformationJobObject(job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
    kernel.AssignProcessToJobObject(job, process)
    kernel.CloseHandle(process)
    weakref.finalize(child, kernel.CloseHandle, job)  # the system does so where this process is killed


def _kernel() -> Any:
    """kernel32, whose handles are as wide as pointers."""
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]  # there on Windows alone
    for name in ("CreateJobObjectW", "OpenProcess"):
        getattr(kernel, name).restype = c_void_p
    kernel.CreateJobObjectW.argtypes = (c_void_p, c_void_p)
    kernel.OpenProcess.argtypes = (c_uint32, ctypes.c_int, c_uint32)
    kernel.SetInformationJobObject.argtypes = (c_void_p, ctypes.c_int, c_void_p, c_uint32)
    kernel.AssignProcessToJobObject.argtypes = (c_void_p, c_void_p)
    kernel.CloseHandle.argtypes = (c_void_p,)
    return kernel
