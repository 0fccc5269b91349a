"""Paths as people write them: ~ is a home folder, where the system knows one."""

from pathlib import Path

from .errors import PatchseekError


def expand_home(path: str | Path) -> Path:
    """The path with the home folder for its ~ or ~name. Raises PatchseekError where the system knows no such folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise PatchseekError(
            f"{path}: no home folder is known here for {Path(path).parts[0]}; give the whole path, or set HOME"
        ) from error
