"""The `serve` command. Parse, call, print; the head of it is in `cli`."""

import sys
from pathlib import Path

import click


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
    create: bool,
    max_upload: int,
    weights: Path | None,
) -> None:
    """Serve COLLECTION as a web page and an HTTP API, on this machine unless --host says otherwise."""
    from ..collection import Collection
    from ..server import ServerSettings, is_loopback, new_token, serve
    from ._collection import open_collection
    from ._targets import WrongUse

    if create and collection is None:
        raise WrongUse("--create begins with an empty COLLECTION: say where")
    token = token or (None if is_loopback(host) and public_url is None else new_token())
    settings = ServerSettings(host, port, token, allow_dirs, public_url, max_upload << 20)

    def say(address: str) -> None:
        click.echo(address)
        sys.stdout.flush()

    if create and collection is not None:
        opened = Collection.open(collection, weights=weights, create=True)
    else:
        opened = open_collection(collection, weights)
    serve(opened, settings, say)
