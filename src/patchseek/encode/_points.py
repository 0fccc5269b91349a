"""Points for pictures that were indexed without: each is opened as it was indexed, and looked at. Encodes no features.

What is ready is committed shard by shard, and in a large shard on the way, so that a kill costs seconds of work.
"""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from .._ahead import map_ahead
from .._progress import OnProgress, unheard
from ..errors import ImageError, StoreError
from ..points import PointsIdentity
from ..store import POINTS, Codes, Image, Store, Writer
from ._extractors import open_points
from ._load import load_original

_SECONDS = 20.0
"""Of a shard that takes longer, what is ready is committed after this time: its points are written anew as a whole."""

_FINDING = "finding points"


@dataclass
class PointsReport:
    """What became of the pictures that had no points."""

    added: int = 0
    # now kept with theirs, however many those are
    without: dict[str, str] = field(default_factory=dict)
    # by their file, and its page: still without, since they are gone, changed or unreadable, with the reason
    seconds: float = 0.0


def add_points(
    store: Store, identity: PointsIdentity, *, n_workers: int | None = None, on_progress: OnProgress = unheard
) -> PointsReport:
    """Have a collection keep such points, and look for them in all its pictures that have none of that kind.

    Points of another kind are dropped: they are not compared with these. A picture whose file is gone, or no longer
    what was indexed, gets none, and is tried again the next time. n_workers: threads, by default one a core.
    Raises StoreMismatch for points that this patchseek does not make, StoreLocked, DiskFull; what was committed before
    stays, and the next call goes on from there.
    """
    began, report = time.monotonic(), PointsReport()
    extractor = open_points(identity)

    def look(asked: tuple[int, Image]) -> tuple[int, Image, Codes | ImageError]:
        shard, image = asked
        try:
            return shard, image, load_original(image, [extractor])[1][POINTS]
        except ImageError as error:
            return shard, image, error

    with Writer(store) as writer:
        if store.settings.points != identity:
            writer.renew(replace(store.settings, points=identity))
        shards = store.without_points()
        filling, n_total, n_workers = _Filling(writer), sum(map(len, shards)), n_workers or os.cpu_count() or 1
        on_progress(0, n_total, _FINDING)
        with closing(map_ahead(look, _images(store, shards), n_workers, 2 * n_workers)) as looked, filling:
            for n_done, (shard, image, found) in enumerate(looked, 1):
                if isinstance(found, ImageError):
                    report.without[f"{image.root}/{image.path}"] = found.reason
                else:
                    filling.add(shard, image.id, found)
                on_progress(n_done, n_total, _FINDING)
        report.added = filling.n_added
    report.seconds = time.monotonic() - began
    return report


def _images(store: Store, shards: list[list[int]]) -> Iterator[tuple[int, Image]]:
    """The pictures of lists of ids, each with the number of its list."""
    for number, ids in enumerate(shards):
        for image in store.images(ids):
            assert image is not None, "the one writer takes none out meanwhile"
            yield number, image


class _Filling:
    """The points of one shard after another, until they are committed; also when interrupted."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.n_added = 0
        self._start(0)

    def _start(self, shard: int) -> None:
        self._shard, self._began = shard, time.monotonic()
        self._points: dict[int, Codes] = {}

    def add(self, shard: int, image: int, codes: Codes) -> None:
        """Take the points of a picture, by id, of one of the shards that follow each other."""
        if shard != self._shard or time.monotonic() - self._began > _SECONDS:
            self._commit(shard)
        self._points[image] = codes

    def _commit(self, following: int) -> None:
        if self._points:
            self.n_added += self._writer.add_points(self._points)
        self._start(following)

    def __enter__(self) -> "_Filling":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, StoreError):  # a store that fails would fail again
            self._commit(self._shard)
