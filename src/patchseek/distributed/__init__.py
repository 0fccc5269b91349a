"""The write path on many machines: the pictures of a source are cut into shards, and a Ray cluster encodes them.

    sources -> plan -> works -> workers (decode, cut, encode, write to the staging place) -> driver: commit to the store

The driver alone holds the collection's write lock and touches its catalogue. A shard that a worker has finished lies at
the staging place until the driver commits it, and if the driver dies, the next one does: at most the shards in flight
are encoded again. A worker that dies costs its shard one more try, then halves of it, until the picture that no worker
survives is alone; it is listed as failed.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import uuid4

from .. import encoders
from .._addresses import is_url
from .._home import expanded
from .._progress import OnProgress, unheard
from ..collection import Collection
from ..encode import SHARD_IMAGES, AddReport
from ..encoders import Encoder
from ..patterns import Given
from ..sources import require_interval
from ..store import Writer, exclusions
from ._driver import Driver
from ._ray import apply_all, connected, nodes, share
from ._sources import open_sources
from ._staging import Staging
from ._work import ShardWorker

__all__ = ["add_source", "check_source"]


def add_source(
    collection: Collection,
    source: str | Path,
    *,
    ray: str = "local",
    n_workers: int | None = None,
    open_encoder: Callable[[], Encoder] | None = None,
    staging: str | None = None,
    exclude: Given | None = None,
    inside: Sequence[str] | None = None,
    every: float | None = None,
    hidden: bool = False,
    follow_symlinks: bool = False,
    retry: bool = False,
    check_content: bool = False,
    prune: bool = False,
    with_removed: bool = False,
    shard_images: int = SHARD_IMAGES,
    on_progress: OnProgress = unheard,
) -> AddReport:
    """Bring a collection up to date with a source, encoding on a Ray cluster what is new or changed in it.

    source: a folder, a URL of one that fsspec can list, tars ("x-{000..099}.tar", "x/*.tar"), or a list (.csv or
    .parquet with a column path, url or image). ray: "local" starts Ray on this machine, "auto" or "HOST:PORT" connects
    to a cluster. n_workers: by default as many as use the whole cluster. open_encoder: called in each worker, by
    default opens the collection's encoder by its name. staging: a URL, or a folder that all machines see, for finished
    shards; by default inside the collection. exclude: names and patterns to leave out, remembered as by
    `Collection.add`. inside, hidden, follow_symlinks: for folders. every: for folders and lists of films, remembered as
    by `Collection.add`. retry, check_content, prune and with_removed: as for `Collection.add`. shard_images: files in a
    shard. on_progress: hears of each finished shard; 0 are to be done where a source does not tell its length.

    What a source no longer names is set aside, as for `Collection.add`; a picture that moved is recognised inside
    folders and URLs. Raises PatchseekError; what was committed before stays.
    """
    began = time.monotonic()
    store = collection.store
    store.require_current()
    require_interval(every)
    name = store.settings.encoder.name
    weights = collection.weights and expanded(collection.weights).absolute()  # workers may stand in other folders
    opener = open_encoder or partial(encoders.open_encoder, name, weights=weights)
    with Writer(store) as writer:
        shards = Staging.open(_place(writer, staging), store.settings)
        driver = Driver(
            writer,
            shards,
            open_sources(
                _absolute(source),
                exclude=exclude,
                remembered=partial(exclusions, store),
                hidden=hidden,
                follow_symlinks=follow_symlinks,
                inside=inside,
                every=every,
                may_be_empty=True,
            ),
            shard_images=shard_images,
            retry=retry,
            on_progress=on_progress,
            check_content=check_content,
            prune=prune,
            with_removed=with_removed,
        )
        on_progress(0, 0, "looking for pictures")
        driver.recover()
        is_idle = not driver.has_work()
        if not is_idle:
            on_progress(0, 0, "starting the cluster")
            with connected(ray):
                given = share(nodes(), n_workers, want_gpu=name.partition(":")[0] not in ("embedded", "onnx"))
                make = partial(ShardWorker, opener, store.settings, shards, driver.gone())
                with closing(apply_all(make, driver.next_work, given)) as outcomes:
                    for outcome in outcomes:
                        driver.take(outcome)
        report = driver.finish()
    if is_idle and ray == "local":  # no worker has opened the encoder, which may be another one by now
        _ = collection.encoder
    report.seconds = time.monotonic() - began
    report.confidence_seconds = collection.refresh_background(on_progress)
    return report


def check_source(
    source: str | Path,
    *,
    exclude: Given | None = None,
    inside: Sequence[str] | None = None,
    hidden: bool = False,
    follow_symlinks: bool = False,
) -> None:
    """Raise PatchseekError where `add_source` would find no pictures, as far as can be told without reading any."""
    place = _absolute(source)
    next(open_sources(place, exclude=exclude, inside=inside, hidden=hidden, follow_symlinks=follow_symlinks))


def _absolute(source: str | Path) -> str:
    return str(source) if is_url(str(source)) else str(expanded(source))


def _place(writer: Writer, staging: str | None) -> str:
    """Where this collection's finished shards lie: a folder of its own, below the place named."""
    store = writer.store
    if staging is None:
        return str(store.path.resolve() / "staging")
    own = store.option("staging")
    if own is None:
        own = uuid4().hex[:12]
        writer.set_option("staging", own)
    return f"{staging.rstrip('/')}/{own}" if is_url(staging) else str(expanded(staging).resolve() / own)
