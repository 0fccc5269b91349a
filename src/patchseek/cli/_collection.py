"""Which collection a command means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import StoreError
from ._log import say

if TYPE_CHECKING:
    from ..collection import Collection

_STATE = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "patchseek" / "last-collection"

collection_option = click.option(
    "-c",
    "--collection",
    envvar="PATCHSEEK_COLLECTION",
    type=click.Path(path_type=Path),
    help="The collection, or the folder it belongs to. By default the one of this folder or a folder above it, "
    "else the last one indexed.",
)

weights_option = click.option(
    "--weights", type=click.Path(path_type=Path), help="The encoder's file, where it is not found by itself."
)


def open_collection(path: Path | None, weights: Path | None = None) -> "Collection":
    """The collection meant: as given, of this folder or one above, or the last one indexed."""
    from ..collection import FOLDER, Collection

    if path is None:
        here = Path.cwd()
        path = next((p / FOLDER for p in (here, *here.parents) if (p / FOLDER / "catalogue.sqlite").is_file()), None)
    if path is None and _STATE.is_file():
        path = Path(_STATE.read_text().strip())
        say(f"collection: {path}")
    if path is None:
        raise StoreError("no collection here; name one with --collection, or make one with: patchseek index FOLDER")
    return Collection.open(path, weights=weights, create=False)


def remember(path: Path) -> None:
    """Note the collection for a later command that names none; a home that cannot be written is no error."""
    try:
        _STATE.parent.mkdir(parents=True, exist_ok=True)
        _STATE.write_text(f"{path.resolve()}\n")
    except OSError:
        pass
