"""From the bytes of files to features, as a stream. Shared by every way of writing; knows no catalogue.

load (threads): read, hash, decode, cut -> full batches across pictures -> encoder
"""

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from .._files import MAX_FILE_BYTES as MAX_FILE_BYTES
from .._files import open_regular, too_large
from ..encoders import DenseEncoder, Encoder, Features
from ..errors import ImageError
from ..images import read
from ..patches import Feed, Patches, cut
from ..regions import Pyramid
from ..store import Failure, FileState, NewPicture
from ._pipeline import WholePictures, encode_stream, map_ahead
from ._plan import Same

T = TypeVar("T")
_NONE: Patches = np.empty((0, 0, 0, 3), np.uint8)  # so that a picture on its way does not hold on to its patches


@dataclass(frozen=True)
class Loaded:
    """A picture cut into patches (R, S, S, 3)."""

    picture: NewPicture
    patches: Patches
    is_changed: bool = False
    # whether it takes the place of an older version
    note: str | None = None
    # what a person should know of it, see Picture


Result = Loaded | Same | Failure
"""What became of a file."""


def read_file(file: Path, path: str, size: int) -> bytes:
    """The bytes of a file of `size` bytes, called `path` in errors.

    Raises ImageError, also for what is no regular file and for a file that somebody is writing to.
    """
    if size > MAX_FILE_BYTES:
        raise too_large(path, size)
    try:
        with open_regular(file, path) as opened:
            before = os.fstat(opened.fileno())
            if before.st_size > MAX_FILE_BYTES:
                raise too_large(path, before.st_size)
            content = opened.read(before.st_size)
            after = os.fstat(opened.fileno())
    except OSError as error:
        raise ImageError(path, f"cannot be read ({error.strerror})") from error
    if (after.st_size, after.st_mtime_ns) != (len(content), before.st_mtime_ns):
        raise ImageError(path, "changed while it was read")
    return content


def load_content(
    path: str,
    state: FileState,
    content: bytes,
    pyramid: Pyramid,
    feed: Feed,
    sha256: str | None = None,
    page: int = 1,
) -> Loaded:
    """Decode a file's bytes and cut the picture. sha256: of the bytes, where it is known. Raises ImageError."""
    need = None if feed.exact else (pyramid.levels[-1] + 1) * feed.size
    picture = read(content, need=need, name=path, page=page)
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    new = NewPicture(path, state, sha256, picture.width, picture.height)
    return Loaded(new, cut(picture, pyramid, feed), note=picture.note)


def encode_tasks(
    tasks: Iterable[T],
    load: Callable[[T, Pyramid, Feed], Result],
    encoder: Encoder,
    pyramid: Pyramid,
    n_workers: int | None,
    on_other: Callable[[Same | Failure], None],
) -> Generator[tuple[Loaded, Features], None, None]:
    """(picture without its patches, features (R * D) or (R, D) float32) of every task that `load` makes a picture of.

    load: called in n_workers threads, by default one a core. on_other: hears, in order, of what is not to be encoded.
    """
    feed, cuts = encoder.feed, pyramid
    if isinstance(encoder, DenseEncoder):
        encoder, cuts = WholePictures(encoder, pyramid.boxes), Pyramid((0,))
    n_workers = n_workers or os.cpu_count() or 1

    def patches(results: Iterable[Result]) -> Iterator[tuple[Loaded, Patches]]:
        for result in results:
            if isinstance(result, Loaded):
                yield replace(result, patches=_NONE), result.patches
            else:
                on_other(result)

    with (
        closing(map_ahead(lambda task: load(task, cuts, feed), tasks, n_workers, 2 * n_workers)) as loaded,
        closing(encode_stream(patches(loaded), encoder)) as encoded,
    ):
        yield from encoded
