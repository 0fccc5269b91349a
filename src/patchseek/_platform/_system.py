"""Which system this is, and what it says of itself. Asks; changes nothing."""

import os
import platform
import sys

_CACHES = {"darwin": "~/Library/Caches", "win32": "~/AppData/Local"}
_OPENERS = {"darwin": "open", "win32": "explorer"}


def is_windows() -> bool:
    """For this package alone: others ask for what they need."""
    return sys.platform == "win32"


def n_cores() -> int:
    """Cores that this process may use: as the variable PATCHSEEK_CORES says, else as the system does, else all."""
    told = os.environ.get("PATCHSEEK_CORES", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def all_memory() -> int | None:
    """Bytes of memory that the machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def has_proc() -> bool:
    """Whether the processor and much else is told in files below /proc."""
    return platform.system() == "Linux"


def user_name() -> str:
    """What the system calls whoever runs this process; a number where it has no name for them, "" without either."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # Windows, without the variables that tell it, lacks `pwd`
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def cache_place() -> str:
    """The folder that the system has for what can be made again, of all programs; ~ is the home folder."""
    told = os.environ.get("LOCALAPPDATA") if is_windows() else None
    return told or _CACHES.get(sys.platform, "~/.cache")


def opener() -> str | None:
    """The name of the program that shows a file or folder; None where there is no screen."""
    if sys.platform in _OPENERS:
        return _OPENERS[sys.platform]
    return "xdg-open" if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else None


def changed_ns(status: os.stat_result) -> int | None:
    """When content, name or rights of a file last changed, nanoseconds since 1970.

    None on Windows, where the field is when the file was made, which says nothing of changes.
    """
    return None if is_windows() else status.st_ctime_ns


def reading_flags() -> int:
    """Flags of os.open to read a file that may be anything: what a system lacks of them counts as nothing.

    Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
    """
    names = ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
    return os.O_RDONLY | sum(getattr(os, name, 0) for name in names)
