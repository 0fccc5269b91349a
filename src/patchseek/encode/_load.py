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

from ..encoders import DenseEncoder, Encoder, Features
from ..errors import ImageError
from ..images import read
from ..patches import Feed, Patches, cut
from ..regions import Pyramid
from ..store import Failure, FileState, NewPicture
from ._pipeline import WholePictures, encode_stream, map_ahead
from ._plan import Same

MAX_FILE_BYTES = 1 << 30
"""Larger files are no pictures."""

T = TypeVar("T")
_NONE: Patches = np.empty((0, 0, 0, 3), np.uint8)  # so that a picture on its way does not hold on to its patches


@dataclass(frozen=True)
class Loaded:
    """A picture cut into patches (R, S, S, 3)."""

    picture: NewPicture
    patches: Patches
    is_changed: bool = False
    # whether it takes the place of an older version


Result = Loaded | Same | Failure
"""What became of a file."""


def read_file(file: Path, path: str, size: int) -> bytes:
    """The bytes of a file of `size` bytes, called `path` in errors. Raises ImageError."""
    if size > MAX_FILE_BYTES:
        raise ImageError(path, f"{size >> 20} MB is too large for a picture")
    try:
        return file.read_bytes()
    except OSError as error:
        raise ImageError(path, f"cannot be read ({error.strerror})", passing=True) from error


def load_content(
    path: str, state: FileState, content: bytes, pyramid: Pyramid, feed: Feed, sha256: str | None = None
) -> Loaded:
    """Decode a file's bytes and cut the picture. sha256: of the bytes, where it is known. Raises ImageError."""
    need = None if feed.exact else (pyramid.levels[-1] + 1) * feed.size
    picture = read(content, need=need, name=path)
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    return Loaded(NewPicture(path, state, sha256, picture.width, picture.height), cut(picture, pyramid, feed))


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
