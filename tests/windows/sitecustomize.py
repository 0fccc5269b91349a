"""Makes Linux look to patchseek, and to nothing else, as Windows does. Python imports it at its start from PYTHONPATH.

The variable PATCHSEEK_LIKE_WINDOWS names a folder, in which each such process leaves its number. To modules of
patchseek: `fcntl`, `resource` and others are not there, nor what Windows lacks of `os` and `signal`; `sys.platform`
says win32; folders cannot be opened, files that may only be read not be flushed; a file that any of these processes
has open or mapped cannot be deleted or replaced; and each name that is replaced is in use the first time, as a virus
scanner would have it.
"""

import builtins
import ctypes
import errno
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_kernel32
import fake_msvcrt
from in_use import is_in_use, refused

GONE = ("fcntl", "resource", "pwd", "grp", "termios")
LACKS = {
    "os": "link sched_getaffinity getuid geteuid getgid register_at_fork fork sysconf mkfifo "
    "O_NONBLOCK O_NOCTTY O_CLOEXEC",
    "signal": "SIGALRM SIGKILL SIGHUP SIGXCPU SIGUSR1 setitimer pthread_sigmask",
}


class Seen(ModuleType):
    """A module as Windows has it: what the real one has, at the moment at which it is asked for, but for some."""

    def __init__(self, real: ModuleType, **other: Any) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(other, _real=real, _lacks=LACKS.get(real.__name__, "").split())

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._real, name)


def asked_by_patchseek() -> bool:
    """Whether it is patchseek that calls, be it through Python's own library, rather than a test."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(("patchseek.", "tests.")):
            return name.startswith("patchseek.")
        frame = frame.f_back  # type: ignore[assignment]
    return False


def ours() -> list[str]:
    """The numbers of all processes of this run, of which some may have ended."""
    return [file.name for file in PROCESSES.iterdir()]


def open_file(path: Any, flags: int, *more: Any, **named: Any) -> int:
    if Path(path).is_dir():
        raise refused(5, path)
    return os.open(path, flags, *more, **named)


def fsync(handle: int) -> None:
    if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    os.fsync(handle)


def install() -> None:
    import subprocess  # noqa: F401  which asks for msvcrt to know where it is

    seen = {
        "os": Seen(os, open=open_file, fsync=fsync),
        "sys": Seen(sys, platform="win32"),
        "signal": Seen(signal, SIGBREAK=signal.SIGUSR2),
        "socket": Seen(socket, SO_EXCLUSIVEADDRUSE=socket.SO_REUSEADDR),
        "msvcrt": fake_msvcrt,
        "ctypes": Seen(ctypes, WinDLL=lambda name: {"kernel32": fake_kernel32}[name]),
    }
    real_import, scanned = builtins.__import__, set[str]()
    real_replace, real_rename, real_unlink = os.replace, os.rename, os.unlink

    def import_as_on_windows(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        if not level and (globals or {}).get("__name__", "").startswith("patchseek"):
            if name in GONE:
                raise ModuleNotFoundError(f"No module named {name!r} on Windows", name=name)
            if name in seen:
                return seen[name]
        return real_import(name, globals, locals, fromlist, level)

    def replace(source: Any, target: Any, **named: Any) -> None:
        if asked_by_patchseek():
            if os.fspath(target) not in scanned:
                scanned.add(os.fspath(target))
                raise refused(32, target)
            if is_in_use(source, ours()) or is_in_use(target, ours()):
                raise refused(5, target)
        real_replace(source, target, **named)

    def rename(source: Any, target: Any, **named: Any) -> None:
        if asked_by_patchseek():
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "already there", os.fspath(target))
            if os.fspath(target) not in scanned:
                scanned.add(os.fspath(target))
                raise refused(5, target)
        real_rename(source, target, **named)

    def unlink(path: Any, **named: Any) -> None:
        if asked_by_patchseek() and not named.get("dir_fd") and is_in_use(path, ours()):
            raise refused(32, path)
        real_unlink(path, **named)

    builtins.__import__ = import_as_on_windows
    os.replace, os.rename, os.unlink, os.remove = replace, rename, unlink, unlink


if os.environ.get("PATCHSEEK_LIKE_WINDOWS"):
    PROCESSES = Path(os.environ["PATCHSEEK_LIKE_WINDOWS"])
    (PROCESSES / str(os.getpid())).touch()
    install()
