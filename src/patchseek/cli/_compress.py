"""The command `compress`. Parse, call, print; the head of it is in `cli`."""

from pathlib import Path

import click

from ._numbers import FiniteRange

_MANY = click.IntRange(1, 100_000)


@click.command("compress")
@click.argument("collection", required=False, envvar="PATCHSEEK_COLLECTION", type=click.Path(path_type=Path))
@click.option("--target-loss", type=FiniteRange(0, 100), default=0.5, show_default=True, help="mAP points, 0-100.")
@click.option("--queries", type=_MANY, default=200, show_default=True, help="How many to measure with.")
def compress_command(collection: Path | None, target_loss: float, queries: int) -> None:
    """Choose the smallest index that loses at most --target-loss, build it, and search with it from now on.

    Measured on the collection itself: features of random patches are the queries, and what exact search ranks among
    the best ten is the truth. The collection's own features stay on disk: they are the truth that an index is built
    from, and the best rows of an answer are scored again with them.
    """
    from ..compression import choose_compression
    from ..indexes import EXACT
    from ._collection import open_collection
    from ._output import print_line
    from ._progress import progress

    opened = open_collection(collection)
    with progress() as on_progress:
        tried = choose_compression(opened.store.snapshot(), target_loss, queries, on_progress)
    print_line(f"{'engine':28} {'bytes':>14} {'factor':>8} {'recall@10':>10} {'mAP lost':>9}")
    for measured in tried:
        size = f"{measured.n_bytes:>14,} {measured.factor:>8.1f}" if measured.engine != EXACT else f"{'-':>14} {'-':>8}"
        print_line(f"{measured.engine:28} {size} {measured.recall:>10.3f} {measured.lost:>9.2f}")
    chosen = tried[-1]
    with progress() as on_progress:
        opened.use_index(chosen.engine, on_progress=on_progress)
    print_line(f"chosen: {chosen.engine}, {chosen.lost:.2f} points of mAP lost, at most {target_loss:g} wanted")
