"""The `serve` command. Parse, call, print; the head of it is in `cli`."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._platform import temporary_folder
from ..errors import StoreError
from ._collection import is_collection, open_collection, remember
from ._log import say

if TYPE_CHECKING:
    from ..collection import Collection


@click.command("serve")
@click.argument("collection", required=False, envvar="PATCHSEEK_COLLECTION", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a token.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 for a free one.")
@click.option(
    "--token", envvar="PATCHSEEK_TOKEN", help="What every visitor must know.  [default: made up where one is needed]"
)
@click.option(
    "--allow-dir",
    "allow_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder that may be indexed from the page; repeatable.",
)
@click.option(
    "--public-url",
    envvar="PATCHSEEK_PUBLIC_URL",
    help="The address people type, where a reverse proxy stands in front.",
)
@click.option("--fetch", is_flag=True, help="Fetch pictures on the web again, to refine and show them.")
@click.option("--create", is_flag=True, help="Begin with an empty COLLECTION where there is none.")
@click.option("--max-upload", default=64, show_default=True, type=click.IntRange(1, 4096), help="Megabytes a request.")
@click.option("--weights", type=click.Path(path_type=Path), help="The encoder's file, where it is not found by itself.")
def serve_command(
    collection: Path | None,
    host: str,
    port: int,
    token: str | None,
    allow_dirs: tuple[Path, ...],
    public_url: str | None,
    fetch: bool,
    create: bool,
    max_upload: int,
    weights: Path | None,
) -> None:
    """Serve COLLECTION as a web page and an HTTP API, on this machine unless --host says otherwise.

    COLLECTION: one, or the folder of pictures that it belongs to. Where nothing of that folder has been indexed, the
    page offers to; nothing is written before somebody there says so.
    """
    from ..server import ServerSettings, is_loopback, new_token, serve
    from ._targets import WrongUse

    if create and collection is None:
        raise WrongUse("--create begins with an empty COLLECTION: say where")
    is_ours = is_loopback(host) and public_url is None  # whoever comes in sits at this machine
    token = token or (None if is_ours else new_token())
    with _opened(collection, weights, create=create, may_begin=is_ours) as (opened, folder, begin_at):
        allowed = allow_dirs if folder is None or not is_ours else (folder, *allow_dirs)
        most = max_upload << 20
        settings = ServerSettings(host, port, token, allowed, public_url, most, may_fetch=fetch, begin_at=begin_at)
        try:
            serve(opened, settings, _say_address)
        finally:
            if begin_at is not None and is_collection(begin_at):
                remember(begin_at)


@contextmanager
def _opened(
    path: Path | None, weights: Path | None, *, create: bool, may_begin: bool
) -> Iterator[tuple["Collection", Path | None, Path | None]]:
    """The collection; the folder of pictures that it was named by, if it was; and where it will be if it has not begun.

    One that has not begun is empty, and in a temporary folder.
    """
    from ..collection import FOLDER, Collection, find_collection

    if create and path is not None:
        yield Collection.open(path, weights=weights, create=True), None, None
        return
    is_there = path is None or is_collection(find_collection(path))
    if path is not None and may_begin and path.is_dir() and not is_there:
        _require_no_other(path)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as ever, but not without leaving the block
        with temporary_folder() as temporary:
            opened = Collection.open(Path(temporary) / "empty", weights=weights, create=True)
            say(f"nothing of {path} is indexed yet: the page offers to, and writes nothing before")
            yield opened, path, path / FOLDER
        return
    opened = open_collection(path, weights)
    yield opened, path if path is not None and opened.path != path else None, None


def _require_no_other(path: Path) -> None:
    """Raise StoreError for a folder of pictures that a collection around it may hold."""
    from ..collection import FOLDER

    outer = next((folder for folder in path.resolve().parents if is_collection(folder / FOLDER)), None)
    if outer is not None:
        raise StoreError(
            f"{path}: no collection of its own; {outer}, around it, has one: patchseek serve {shlex.quote(str(outer))}"
        )


def _say_address(address: str) -> None:
    click.echo(address)
    sys.stdout.flush()
