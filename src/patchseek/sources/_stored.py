"""Where a picture lies that a catalogue has under a path, and what can be had from there."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._addresses import is_url, is_web, masked
from .._files import hash_regular, open_regular
from ..errors import ImageError, MissingExtra
from ._archives import open_archive, read_member
from ._iiif import canvas_of
from ._iiif_parts import Part, fetch_part
from ._intervals import EVERY
from ._names import suffix_of
from ._paths import DOCUMENTS, FILMS, is_film, is_rows, member_path, split_member, split_page
from ._there import Kind, kind_of
from ._web import open_web
from ._web_cache import open_cache

Root = Path | str
"""What pictures' paths are relative to: a folder, or the URL of a place that is none."""


@dataclass(frozen=True)
class Stored:
    """Where a picture lies on this machine."""

    file: Path
    # that holds it
    member: str | None = None
    # its name in that, if that is an archive
    page: int = 1
    # of that or of the member; see split_page
    url: str | None = None
    # where it is fetched from, if it is on the web or in a store; file is then none
    may_fetch: bool = True
    # whether that may be asked for it, where it is no longer kept

    @property
    def name(self) -> str:
        """The file and the member, or the address, for people."""
        if self.url is not None:
            return masked(self.url)
        return f"{self.file}" if self.member is None else member_path(f"{self.file}", self.member)

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a file of rows, whose size is that of the file."""
        return self.member is not None and is_rows(self.file.name)

    @property
    def is_rendered(self) -> bool:
        """Whether it is a page of a document or a frame of a film: what is no picture until it is made one."""
        return self.member is None and self.url is None and suffix_of(self.file.name) in DOCUMENTS | FILMS

    @property
    def is_document(self) -> bool:
        """Whether it is a page of a document."""
        return self.is_rendered and suffix_of(self.file.name) in DOCUMENTS

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame of a film."""
        return self.is_rendered and is_film(self.file.name)

    def size_in_points(self) -> tuple[float, float]:
        """Width and height of a page of a document as it is shown, in 1/72 inch. Raises ImageError, MissingExtra."""
        from ._documents import size_in_points

        return size_in_points(self.file, self.page)

    def pages(self, every: float = EVERY) -> tuple[tuple[int, ...], str | None]:
        """Of a document or a film, the numbers of the pictures in it, rising from 1, see split_page; and what it lacks.

        every: of a film, seconds for which a shot that goes on is not looked at again.
        Raises ImageError, also for want of an extra.
        """
        with passing(self.file):
            if is_film(self.file.name):
                from ._films import pick

                picked = pick(self.file, every=every)
                times = 0, *picked.times[1:]  # where sound begins before it, the first frame is shown from 0 on
                return tuple(ms + 1 for ms in times), picked.damage
            from ._documents import count_pages

            return tuple(range(1, count_pages(self.file) + 1)), None

    @property
    def source(self) -> tuple[Path | bytes, int]:
        """A picture file, or the bytes of one, and the page in it, as images.read takes them. Raises ImageError."""
        if self.member is not None or self.url is not None:
            return self.read_bytes(), self.page
        if not self.is_rendered:
            return self.file, self.page
        with passing(self.file):
            if is_film(self.file.name):
                from ._films import frame

                return frame(self.file, self.page - 1), 1
            from ._documents import page

            return page(self.file, self.page), 1

    def read_bytes(self) -> bytes:
        """The bytes of its file, of the member, or of the answer. Raises ImageError, OSError."""
        if self.url is not None:
            with passing(self.name):
                if is_web(self.url):
                    return open_web().read(self.url, may_ask=self.may_fetch)
                from .stores import read_kept

                return read_kept(self.url, may_ask=self.may_fetch)
        if self.member is not None:
            return read_member(self.file, self.member)
        with open_regular(self.file, self.file) as file:
            return file.read()

    def part(self, box: Sequence[float], least: float, most: float) -> Part | None:
        """A part of it, larger than it was read; None where there is none. See fetch_part."""
        return fetch_part(self.url, box, least, most, may_ask=self.may_fetch) if self.url else None

    def sha256(self) -> str:
        """The hash of these bytes, in hex. Raises ImageError, OSError."""
        if self.member is None and self.url is None:
            return hash_regular(self.file, self.file)
        return hashlib.sha256(self.read_bytes()).hexdigest()

    def kept_sha256(self) -> str | None:
        """Of what has a URL, the hash of what was fetched last, as far as it is known. Asks nobody."""
        answer = None if self.url is None else open_cache().find(self.url)
        return None if answer is None else answer.sha256

    def is_there(self) -> bool:
        """Whether there is something under its name. What cannot be told counts as there, as all that has a URL."""
        if self.url is not None:
            return True
        if self.member is None:
            return kind_of(self.file) is not Kind.NOTHING
        try:
            return open_archive(self.file).has(self.member)
        except ImageError:
            return kind_of(self.file) is not Kind.NOTHING


@contextmanager
def passing(file: Path | str) -> Iterator[None]:
    """Make a package that is missing one file's failure that passes, as any cause outside a file is."""
    try:
        yield
    except MissingExtra as error:
        raise ImageError(file, str(error), passing=True) from error


def stored(root: Root, path: str) -> Stored:
    """Where the picture lies that a catalogue has under a path, below a folder that was indexed.

    Or below a tar: what came through a cluster has the tar as its root, and paths such as x.tar/a.jpg. Of a tar at a
    URL no picture can be had again.
    """
    whole, page = split_page(path)
    root, is_tar = Path(root), str(root).lower().endswith(".tar")
    if canvas := canvas_of(whole):
        return Stored(root / whole, url=canvas.image)
    if is_url(whole):
        return Stored(root / whole, page=page, url=None if is_tar and not is_web(whole) else whole)
    file, member = split_member(whole)
    if is_tar and whole.startswith(f"{root.name}/") and not root.is_dir():
        return Stored(root, whole.removeprefix(f"{root.name}/"), page)
    return Stored(root / file, member, page)
