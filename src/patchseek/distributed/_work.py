"""A shard's worth of pictures as a task: what is to be done, and the worker that does it. Knows nothing of Ray.

A task depends on nothing but its pictures and the collection's settings, so that it may be done twice, by anybody: the
same key, the same bytes.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ParamSpec, TypeVar

from .._addresses import is_url
from ..encode import (
    Content,
    Extractor,
    Result,
    Same,
    Several,
    Task,
    encode_tasks,
    extractors_of,
    features_of,
    in_turn,
    load_content,
    points_of,
)
from ..encoders import Encoder
from ..errors import EncoderError, ImageError
from ..sources import EVERY, Root, stored
from ..sources.stores import fetch
from ..store import Failure, KnownFile, Settings
from ._entries import Entry
from ._staging import Record, Staging

P = ParamSpec("P")
T = TypeVar("T")

DECODE_SECONDS = 300.0
"""What one picture may take to be decoded and cut. Nothing stops a decoder, so a worker that is past it ends itself."""


@dataclass(frozen=True)
class Item:
    """A picture to be looked into."""

    entry: Entry
    known: tuple[KnownFile, ...] | None
    # what the collection has under this path, a picture a page
    may_be_moved: bool = True
    # False: encode it even if its bytes are those of a picture that is gone from its old path
    has_moved: bool = False
    every: float = EVERY
    # see encode.Task

    @property
    def task(self) -> Task:
        """The same, as it is planned."""
        return Task(self.entry.path, self.entry.state, self.known or (), self.has_moved, self.every)


@dataclass(frozen=True)
class Work:
    """The pictures of one shard."""

    root: Root
    items: tuple[Item, ...]
    n_deaths: int = 0
    # workers that died of it

    @cached_property
    def key(self) -> str:
        """The same for the same pictures in the same state."""
        said = [str(self.root), [asdict(item.entry) | {"every": item.every} for item in self.items]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:20]


class ShardWorker:
    """Encodes works, one after another, with an encoder that it opens once."""

    def __init__(
        self,
        open_encoder: Callable[[], Encoder],
        settings: Settings,
        staging: Staging,
        gone: Mapping[str, tuple[KnownFile, ...]],
        n_threads: int,
    ) -> None:
        """gone: by SHA-256, pictures (a page each) that may turn up under another path. n_threads: decoding at once.

        Raises EncoderError when the encoder cannot be opened or is not the collection's own, StoreError where the
        staging place is not that of the driver.
        """
        staging.check()
        self._encoder = open_encoder()
        difference = settings.difference(Settings(self._encoder.identity, settings.pyramid))
        if difference:
            raise EncoderError(f"not the collection's {difference}; install the same patchseek and weights everywhere")
        self._extractors = extractors_of(settings, self._encoder)
        self._settings, self._staging, self._gone, self._n_threads = settings, staging, gone, n_threads

    def __call__(self, work: Work) -> Record:
        """Encode a work's pictures, write them to the staging place and say what became of each.

        Raises DiskFull, EncoderError; then nothing is written.
        """
        others: list[Same | Failure] = []
        loaded = list(encode_tasks(work.items, self._load, self._extractors, self._n_threads, others.append))
        extracts = [picture.extracts for picture in loaded]
        return self._staging.write(
            work.key,
            work.root,
            [picture.picture for picture in loaded],
            features_of(extracts, self._settings),
            [other for other in others if isinstance(other, Failure)],
            [other for other in others if isinstance(other, Same)],
            points_of(extracts, self._settings),
            self._settings.point_bytes,
        )

    def _load(self, item: Item, extractors: Sequence[Extractor]) -> Result:
        entry, task = item.entry, item.task
        is_row = not is_url(entry.place) and stored(Path("/"), entry.place).is_row
        try:
            with in_turn(0 if is_row else entry.state.size):
                given = _content(entry, item.every)
                same = task.same(given.sha256)
                if same is None and item.may_be_moved and given.sha256 in self._gone:
                    return Same(entry.path, entry.state, self._gone[given.sha256], moved=True)
                result = _watched(load_content)(given, same, extractors)
                return replace(result, load=_watched(result.load)) if isinstance(result, Several) else result
        except ImageError as error:
            return Failure(entry.path, entry.state, error.reason, error.passing)


def _content(entry: Entry, every: float) -> Content:
    if not is_url(entry.place):
        return Content.at(stored(Path("/"), entry.place), entry.path, entry.state, every=every)
    return Content.of(entry.path, entry.state, fetch(entry.place, entry.path, entry.start, entry.size))


def _watched(function: Callable[P, T]) -> Callable[P, T]:
    """A function that ends this process when it takes too long."""

    def watched(*arguments: P.args, **options: P.kwargs) -> T:
        watch = threading.Timer(DECODE_SECONDS, os._exit, (70,))
        watch.start()
        try:
            return function(*arguments, **options)
        finally:
            watch.cancel()

    return watched
