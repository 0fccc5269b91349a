"""What the system opens a file or folder with, for whoever sits in front of its screen. Reads none."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

_OPENERS = {"darwin": "open", "win32": "explorer"}


def opener() -> str | None:
    """The program; None where there is none, or no screen."""
    has_screen = sys.platform in _OPENERS or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which(_OPENERS.get(sys.platform, "xdg-open")) if has_screen else None


def open_there(path: Path) -> bool:
    """Have the system show a file or folder, and go on at once; whether there is a program for that."""
    program = opener()
    if program is None:
        return False
    null = subprocess.DEVNULL
    try:
        started = subprocess.Popen(
            [program, str(path.absolute())], stdin=null, stdout=null, stderr=null, start_new_session=True
        )
    except OSError:
        return False
    threading.Thread(target=started.wait, daemon=True).start()  # else it stays in the table of processes
    return True
