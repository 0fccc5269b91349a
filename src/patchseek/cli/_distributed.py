"""The options of `index` that send the work to a Ray cluster, as one value."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._addresses import is_url, masked
from .._home import expanded
from ..errors import PatchseekError
from ._encoder import EncoderChoice

if TYPE_CHECKING:
    from ..collection import Collection
    from ..encode import AddReport


@dataclass(frozen=True)
class ClusterChoice:
    """Where to encode; an address of None means in this process."""

    address: str | None
    n_workers: int | None
    staging: str | None

    def __post_init__(self) -> None:
        if self.address is None and (self.n_workers or self.staging):
            raise click.UsageError("--workers and --staging need --ray")

    def check(
        self,
        source: str,
        exclude: Sequence[str] | None,
        inside: Sequence[str] | None,
        hidden: bool,
        follow_symlinks: bool,
    ) -> None:
        """Raise PatchseekError for a source that names no pictures, before a collection is made for it."""
        from ..distributed import check_source
        from ..encode import find_listed, find_pictures, is_file
        from ..sources import is_archive, is_list, may_be_added

        how: dict[str, Any] = {"inside": inside, "hidden": hidden, "follow_symlinks": follow_symlinks}
        is_archived = is_archive(source) and not is_url(source)
        if self.address is not None:
            check_source(source, exclude=exclude, **how)
        elif is_url(source) or is_list(Path(source)):
            find_listed(source, exclude or (), hidden=hidden)
        elif is_file(Path(source)) and not (is_archived or may_be_added(source)):
            raise PatchseekError(f"{masked(source)}: not a folder, archive or list")
        elif is_archived or not is_file(Path(source)):
            find_pictures(Path(source), exclude or (), **{**how, "inside": inside or ()})

    def home(self, source: str) -> Path:
        """Where the collection of a source is kept by default: in the folder, or beside the tar or list."""
        from ..collection import FOLDER

        if is_url(source):
            raise click.UsageError("a URL has no room for a collection: say where with --collection")
        path = Path(source)
        return (path if path.is_dir() or not path.suffix else path.parent) / FOLDER

    def add(
        self,
        collection: "Collection",
        source: str,
        choice: EncoderChoice,
        **options: Any,
    ) -> "AddReport":
        """Bring the collection up to date, here or on the cluster. options: those of Collection.add."""
        if self.address is None:
            return collection.add(source, **options)
        from ..distributed import add_source

        choice = replace(choice, weights=_absolute(choice.weights), calibration=_absolute(choice.calibration))
        return add_source(
            collection,
            source,
            ray=self.address,
            n_workers=self.n_workers,
            staging=self.staging,
            open_encoder=choice.open if choice.is_special else None,
            **options,
        )


def _absolute(path: Path | None) -> Path | None:
    return path and expanded(path).absolute()  # workers may stand in other folders


_OPTIONS = (
    click.option(
        "--ray",
        "address",
        metavar="ADDRESS",
        help="Encode on a Ray cluster: its HOST:PORT, auto, or local for one of this machine. SOURCE may then also be "
        "several tars ('x-{000..099}.tar'), or a URL such as s3://.",
    ),
    click.option(
        "--workers",
        "n_workers",
        type=click.IntRange(1, 100_000),
        help="Processes on the cluster.  [default: what it has]",
    ),
    click.option(
        "--staging",
        metavar="PLACE",
        help="A URL or folder all machines see, for finished shards.  [default: inside the collection]",
    ),
)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, and one argument `cluster` in their place."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        said = [arguments.pop(name) for name in ("address", "n_workers", "staging")]
        return command(cluster=ClusterChoice(*said), **arguments)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
