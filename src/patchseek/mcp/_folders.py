"""Which files may be read: those below folders that were named at the start, links followed. Opens none."""

import os
from collections.abc import Sequence
from pathlib import Path

from .._home import expanded
from ..errors import PatchseekError, QueryError
from ..server import check_folders


class Folders:
    """Folders that exist, and everything below them. Raises PatchseekError for what is no folder."""

    def __init__(self, folders: Sequence[Path]) -> None:
        check_folders(folders)
        self.named = tuple(dict.fromkeys(_resolved(folder) for folder in folders))
        if not self.named:
            raise PatchseekError("no folder is named whose pictures may be read; give some with --allow-dir")

    def hold(self, path: Path) -> bool:
        """Whether a path leads to a place below one of them."""
        resolved = _resolved(path)
        return any(resolved.is_relative_to(folder) for folder in self.named)

    def find(self, name: str) -> Path:
        """The place that a name leads to; one that is not absolute is looked for in each folder.

        Raises QueryError for a place outside of them, in the same words whether there is anything or not.
        """
        if not name or "\0" in name:
            raise QueryError("a picture is named by its path")
        given = expanded(name)
        inside = [path for path in (_resolved(folder / given) for folder in self.named) if self.hold(path)]
        if not inside:
            raise QueryError(f"{name}: not below the folders that may be read: {self}")
        return next((path for path in inside if path.exists()), inside[0])

    def require(self, path: Path) -> None:
        """Raise QueryError for a file of the collection that lies elsewhere."""
        if not self.hold(path):
            raise QueryError(f"{path}: not below the folders that may be read: {self}")

    def __str__(self) -> str:
        return ", ".join(map(str, self.named))


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for links in a circle
