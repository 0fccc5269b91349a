"""The commands of who runs a collection for others. Parse, call, print."""

import shlex
import sys
from pathlib import Path

import click

from .._words import counted
from ._collection import collection_option, open_collection
from ._exits import EXIT_INCOMPLETE
from ._log import say
from ._targets import check_new

_PATH = click.Path(path_type=Path)


@click.command("backup")
@click.argument("file", type=_PATH)
@collection_option
def backup_command(file: Path, collection: Path | None) -> None:
    """Write a collection into the new tar FILE, as it is at this moment. Others may search and index meanwhile.

    It holds the catalogue and every vector; pictures, indexes and models are not in it. `sha256sum --check` of the
    SHA256SUMS inside checks an unpacked one.
    """
    from ._output import print_line
    from ._progress import progress

    check_new(file)
    opened = open_collection(collection)
    with progress() as on_progress:
        n_bytes = opened.back_up(file, on_progress)
    print_line(f"{file}: {n_bytes / 1e6:.1f} MB")


@click.command("restore")
@click.argument("file", type=_PATH)
@click.argument("folder", type=_PATH)
@click.option("--pictures", type=_PATH, metavar="FOLDER", help="Where the indexed pictures are now.")
def restore_command(file: Path, folder: Path, pictures: Path | None) -> None:
    """Unpack the backup FILE into a new collection at FOLDER, every byte checked.

    What `patchseek verify` found in the collection of then is found in it again: then the exit code is 3.

    The pictures are looked for where they were as seen from the collection, and else keep their full path of the time
    of the backup.
    """
    from ..collection import Collection
    from ._output import print_line
    from ._progress import progress

    check_new(folder)
    with progress() as on_progress:
        restored = Collection.restore(file, folder, pictures=pictures, on_progress=on_progress)
    problems = restored.store.problems()
    state = f"as it was, with {counted(len(problems), 'problem')}" if problems else "sound"
    roots = ", ".join(map(str, restored.store.roots()))
    print_line(
        f"{folder}: {state}, {counted(len(restored), 'picture')} of {roots}" if roots else f"{folder}: {state}, empty"
    )
    if problems:
        say(f"what they are, and how they are mended: patchseek verify --repair -c {shlex.quote(str(folder))}")
        sys.exit(EXIT_INCOMPLETE)


@click.command("use-index")
@click.argument("engine")
@collection_option
def use_index_command(engine: str, collection: Path | None) -> None:
    """Build the search engine ENGINE and search with it from now on. Nothing is encoded, no picture is needed.

    ENGINE: exact, auto (by size), a FAISS factory string such as "IVF256,PQ64x4fs;rerank=400", milvus:URI or
    postgresql://USER@HOST/DATABASE. The engine before it is kept where it is: in the collection's `indexes` folder,
    which may be deleted, or in the database.
    """
    import time

    from ._output import print_line
    from ._progress import progress

    opened, began = open_collection(collection), time.monotonic()
    with progress() as on_progress:
        index = opened.use_index(engine, on_progress=on_progress)
    n_bytes = index.n_bytes()["total"] if hasattr(index, "n_bytes") else 0
    size = f"{n_bytes / 1e6:.1f} MB" if n_bytes else "no bytes of its own"
    print_line(f"{opened.path}: {index.name}, {size}, ready after {time.monotonic() - began:.1f} s")
