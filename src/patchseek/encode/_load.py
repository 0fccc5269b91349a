"""From the bytes of files to features, as a stream. Shared by every way of writing; knows no catalogue.

load (threads): read, hash, decode, cut -> full batches across pictures -> encoder
"""

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from .._ahead import map_ahead
from .._files import MAX_FILE_BYTES as MAX_FILE_BYTES
from .._files import hash_regular, open_regular, too_large
from ..errors import ImageError
from ..images import Picture, count_pages, read
from ..originals import open_original
from ..patches import Patches
from ..sources import EVERY, Stored, may_have_pages, page_path
from ..store import Failure, FileState, Image, NewEntry
from ._extractors import Batched, Extractor, Extracts, extract
from ._pipeline import encode_stream
from ._tasks import Same

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A picture and what is made of it."""

    picture: NewEntry
    extracts: Extracts
    # by an extractor's kind what it made; of a Batched one the pieces, until they are encoded
    note: str | None = None
    # what a person should know of it, see Picture


@dataclass(frozen=True)
class Several:
    """Pages of one file that are still to be loaded, the last first; and at the end what was known of it."""

    pages: tuple[int, ...]
    load: "Callable[[int], Loaded | Failure]"
    same: Same | None


Result = Loaded | Several | Same | Failure
"""What became of a file."""


_LARGE = 64 << 20
_large = threading.Lock()


def in_turn(size: int) -> AbstractContextManager[object]:
    """For as long as a file's bytes are held: of those that are large, one at a time, however many threads read."""
    return _large if size > _LARGE else nullcontext()


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
        raise ImageError(path, f"cannot be read ({error.strerror})", passing=True) from error
    except MemoryError as error:
        raise ImageError(path, "too little memory to read it", passing=True) from error
    if (after.st_size, after.st_mtime_ns) != (len(content), before.st_mtime_ns):
        raise ImageError(path, "changed while it was read", passing=True)
    return content


@dataclass(frozen=True)
class Content:
    """A file, or a member of an archive, and what it is known by."""

    path: str
    state: FileState
    content: bytes
    # its bytes; none of a document or film, which is read where it lies
    sha256: str
    place: Stored | None = None
    # where it lies, so that further pages are read from there
    has_pages: bool = False
    # whether further pages are wanted
    every: float = EVERY
    # of a film, seconds for which a shot that goes on is not looked at again

    @classmethod
    def of(cls, path: str, state: FileState, content: bytes, *, has_pages: bool = True) -> "Content":
        """Bytes with their hash. has_pages: whether further pages are wanted, of a file that can have some."""
        return cls(path, state, content, hashlib.sha256(content).hexdigest(), None, has_pages and may_have_pages(path))

    @classmethod
    def at(
        cls, place: Stored, path: str, state: FileState, *, has_pages: bool = True, every: float = EVERY
    ) -> "Content":
        """What lies at a place of this machine. Raises ImageError, also for a file that somebody is writing to."""
        if place.is_rendered:
            return cls(path, state, b"", hash_file(place.file, path), place, has_pages, every)
        is_file = place.member is None
        content = read_file(place.file, path, state.size) if is_file else place.read_bytes()
        return replace(cls.of(path, state, content, has_pages=has_pages), place=place)

    def pages(self) -> tuple[tuple[int, ...], str | None]:
        """The numbers of its pages, rising from 1, and what it lacks. Raises ImageError."""
        if self.place is not None and self.place.is_rendered:
            return self.place.pages(self.every)
        return tuple(range(1, count_pages(self.content) + 1)), None

    def source(self, page: int) -> tuple[Path | bytes, int]:
        """What images.read takes of a page. Raises ImageError."""
        if self.content or self.place is None:
            return self.content, page
        return replace(self.place, page=page).source


def hash_file(file: Path, path: str) -> str:
    """SHA-256 of a file of any size, called `path` in errors, in hex. Raises ImageError."""
    try:
        return hash_regular(file, path)
    except OSError as error:
        raise ImageError(path, f"cannot be read ({error.strerror})", passing=True) from error


def load_content(given: Content, same: Same | None, extractors: Sequence[Extractor]) -> Result:
    """Decode a file's pages and cut them; same: those that the collection has. Raises ImageError for a file of one."""
    if not given.has_pages:
        return replace(same, n_pages=1) if same else load_page(given, extractors, n_pages=1)
    pages, damage = given.pages()
    kept = {} if same is None else {page: image for page, image in same.by_page.items() if page in pages}
    known = None
    if same and kept:
        left = tuple(image.id for page, image in same.by_page.items() if page not in kept)
        known = replace(same, images=tuple(kept.values()), n_pages=len(pages), left=left)
    missing = tuple(page for page in reversed(pages) if page not in kept)
    if not missing and known is not None:
        return known
    if len(pages) == 1:
        return replace(loaded := load_page(given, extractors, n_pages=1), note=loaded.note or damage)
    source = given if given.place is None else replace(given, content=b"")

    def load(page: int) -> Loaded | Failure:
        try:
            loaded = load_page(source, extractors, page, len(pages))
            return replace(loaded, note=damage) if page == 1 and damage else loaded
        except ImageError as error:
            return Failure(page_path(given.path, page), given.state, error.reason, error.passing, given.sha256)

    return Several(missing, load, known)


def load_page(given: Content, extractors: Sequence[Extractor], page: int = 1, n_pages: int | None = None) -> Loaded:
    """Decode a picture and cut it. Raises ImageError."""
    path = page_path(given.path, page)
    source, number = given.source(page)

    def decode(need: int | None) -> Picture:
        return read(source, need=need, name=path, page=number)

    picture, extracts = extract(decode, extractors, path)
    size = picture.width, picture.height
    new = NewEntry(path, given.state, given.sha256, *size, n_pages if page == 1 else None)
    return Loaded(new, extracts, picture.note)


def load_original(image: Image, extractors: Sequence[Extractor]) -> tuple[Picture, Extracts]:
    """A picture of a collection, and what is made of it, if it is still what was indexed. Raises ImageError."""
    return extract(lambda need: open_original(image, need=need), extractors, image.path)


def encode_tasks(
    tasks: Iterable[T],
    load: Callable[[T, Sequence[Extractor]], Result],
    extractors: Sequence[Extractor],
    n_workers: int | None,
    on_other: Callable[[Same | Failure], None],
) -> Generator[Loaded, None, None]:
    """Every picture that `load` makes of a task, in order, with what is to be kept of it by the extractors' kinds.

    load: called in n_workers threads, by default one a core. on_other: hears of what is not to be encoded, and of what
    an extractor gives no sound values for: a failure that passes, since another way of computing may have some.
    The pages of a file are loaded a few at a time, its first one last, so that where that is there all are.
    """
    n_workers = n_workers or os.cpu_count() or 1
    with ExitStack() as opened:
        results = map_ahead(lambda task: load(task, extractors), tasks, n_workers, 2 * n_workers)
        loaded = opened.enter_context(closing(results))
        stream = opened.enter_context(closing(_pictures(loaded, n_workers, on_other)))
        for extractor in extractors:
            if isinstance(extractor, Batched):
                stream = opened.enter_context(closing(_encoded(stream, extractor, on_other)))
        yield from stream


def _pictures(
    results: Iterable[Result], n_workers: int, on_other: Callable[[Same | Failure], None]
) -> Generator[Loaded, None, None]:
    """The pictures of what was loaded, a page each."""
    for result in results:
        if isinstance(result, Several):
            with closing(map_ahead(result.load, result.pages, n_workers, n_workers + 1)) as pages:
                yield from _pictures(pages, n_workers, on_other)
            if result.same is not None:
                on_other(result.same)
        elif isinstance(result, Loaded):
            yield result
        else:
            on_other(result)


def _encoded(
    pictures: Iterable[Loaded], extractor: Batched, on_other: Callable[[Same | Failure], None]
) -> Generator[Loaded, None, None]:
    """The pictures with what an extractor makes of its pieces in their place."""
    kind = extractor.kind

    def pieces() -> Iterator[tuple[Loaded, Patches]]:
        for picture in pictures:  # one on its way does not hold on to its pieces
            others = {other: values for other, values in picture.extracts.items() if other != kind}
            yield replace(picture, extracts=others), picture.extracts[kind]

    with closing(encode_stream(pieces(), extractor)) as stream:
        for picture, encoded in stream:
            values, new = extractor.whole(encoded), picture.picture
            if reason := extractor.flaw(values):
                on_other(Failure(new.path, new.state, reason, passing=True, sha256=new.sha256))
            else:
                yield replace(picture, extracts={**picture.extracts, kind: values})
