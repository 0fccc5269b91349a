"""The `patchseek-mcp` command. Parse, call; it prints nothing, since its standard output speaks a protocol."""

from pathlib import Path

import click

from .. import __version__

_PATH = click.Path(path_type=Path)


@click.command("patchseek-mcp", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="patchseek-mcp")
@click.argument("collection", envvar="PATCHSEEK_COLLECTION", type=_PATH)
@click.option(
    "--allow-dir", "allow_dirs", multiple=True, type=_PATH, help="A folder whose pictures may be read; repeatable."
)
@click.option("--weights", type=_PATH, help="The encoder's file, where it is not found by itself.")
def mcp_command(collection: Path, allow_dirs: tuple[Path, ...], weights: Path | None) -> None:
    """Answer programs that speak the Model Context Protocol, over standard input and output.

    They search COLLECTION, or that of the folder COLLECTION, and read pictures in the folder that it belongs to and in
    those of --allow-dir alone.
    """
    from .._home import expanded
    from ..collection import FOLDER, Collection
    from ..mcp import Folders, Tools, require_sdk, serve

    require_sdk()
    opened = Collection.open(collection, weights=weights)
    own = (opened.path.parent,) if opened.path.name == FOLDER else ()
    serve(Tools(opened, Folders([*own, *map(expanded, allow_dirs)])))


def main() -> None:
    """The command with the errors, exit codes and streams of `patchseek`."""
    from . import main as run

    run(mcp_command)
