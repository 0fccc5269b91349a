"""What is at a path. Opens no file."""

from enum import Enum, auto
from pathlib import Path
from stat import S_ISDIR


class Kind(Enum):
    """What is at a path."""

    NOTHING = auto()
    FOLDER = auto()
    OTHER = auto()
    UNKNOWN = auto()
    # behind a closed door, or on a disk that fails


def kind_of(path: Path) -> Kind:
    """What is at a path, links followed. Never raises, unlike Path.is_dir."""
    try:
        return Kind.FOLDER if S_ISDIR(path.stat().st_mode) else Kind.OTHER
    except (FileNotFoundError, NotADirectoryError, ValueError):  # no file's name has a zero byte
        return Kind.NOTHING
    except OSError:
        return Kind.UNKNOWN
