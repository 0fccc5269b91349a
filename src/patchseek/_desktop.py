"""What the system opens a file or folder with, for whoever sits in front of its screen. Reads none."""

import shutil
import subprocess
import threading
from pathlib import Path

from . import _platform


def opener() -> str | None:
    """The program; None where there is none, or no screen."""
    name = _platform.opener()
    return None if name is None else shutil.which(name)


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
