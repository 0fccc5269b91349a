"""Which collection a command means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._home import expanded
from ..errors import StoreError
from ._log import say

if TYPE_CHECKING:
    from ..collection import Collection

collection_option = click.option(
    "-c",
    "--collection",
    envvar="PATCHSEEK_COLLECTION",
    type=click.Path(path_type=Path),
    help="The collection, or the folder it belongs to. By default the one of this folder or a folder above it, "
    "else the last one indexed.",
)

_LAST = "last-collection"

weights_option = click.option(
    "--weights", type=click.Path(path_type=Path), help="The encoder's file, where it is not found by itself."
)


def open_collection(path: Path | None, weights: Path | None = None) -> "Collection":
    """The collection meant: as given, of this folder or one above, or the last one indexed."""
    from ..collection import Collection

    return Collection.open(locate(path), weights=weights)


def locate(path: Path | None) -> Path:
    """Where that is. Raises StoreError where none is known."""
    from ..collection import FOLDER

    if path is None:
        path = next((p / FOLDER for p in _here() if is_collection(p / FOLDER)), None)
    if path is None and (path := _last()):
        say(f"collection: {path}")
    if path is None:
        made = "patchseek index FOLDER, or on a page with: patchseek serve FOLDER"
        raise StoreError(f"no collection here; name one with --collection, or make one with: {made}")
    return path


def remember(path: Path) -> None:
    """Note the collection for a later command that names none; a home that cannot be written is no error."""
    note(_LAST, os.fsencode(path.resolve()) + b"\n")


def note(name: str, content: bytes) -> bool:
    """Keep something for later commands under a name; whether that could be done."""
    folder = _state()
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    except OSError:
        return False
    return True


def noted(name: str) -> bytes | None:
    """What was kept; None where nothing was, or where it cannot be had."""
    folder = _state()
    try:
        return (folder / name).read_bytes() if folder else None
    except OSError:
        return None


def _here() -> list[Path]:
    """The folder we are in and those above it; none where it has been removed."""
    try:
        here = Path.cwd()
    except OSError:
        return []
    return [here, *here.parents]


def is_collection(path: Path) -> bool:
    """Whether a collection is there, as far as may be seen."""
    try:
        return (path / "catalogue.sqlite").is_file()
    except OSError:  # in a folder that we may not look into
        return False


def _last() -> Path | None:
    """The collection that was noted last."""
    content = noted(_LAST)
    return None if content is None else Path(os.fsdecode(content.strip()))


def _state() -> Path | None:
    """Where things are noted; None where there is no home."""
    folder = expanded(os.environ.get("XDG_STATE_HOME") or "~/.local/state")
    return None if str(folder).startswith("~") else folder / "patchseek"
