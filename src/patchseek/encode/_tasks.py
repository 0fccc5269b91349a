"""The values that a plan is made of: where files belong, what is to be looked into, what is known already."""

from dataclasses import dataclass

from ..sources import EVERY, Root, page_path, split_page
from ..store import FileState, KnownFile, Move


@dataclass(frozen=True)
class Place:
    """Where in the catalogue the files of a folder belong: a root, or the part of it whose paths begin with `under`."""

    root: Root
    under: str = ""
    # such as "sub/"


@dataclass(frozen=True)
class Task:
    """A file to look into."""

    path: str
    state: FileState
    known: tuple[KnownFile, ...]
    # what the collection has under this path, a picture a page
    has_moved: bool = False
    # whether it is under this path since its whole folder moved, in this run
    every: float = EVERY
    # of a film, seconds for which a shot that goes on is not looked at again

    def same(self, sha256: str) -> "Same | None":
        """What the collection has of the file, if its bytes are still those."""
        images = tuple(file for file in self.known if file.sha256 == sha256)
        return Same(self.path, self.state, images, moved=self.has_moved) if images else None


@dataclass(frozen=True)
class Same:
    """A file whose bytes the collection already has, under this or another path."""

    path: str
    state: FileState
    images: tuple[KnownFile, ...]
    # a picture a page
    moved: bool
    n_pages: int | None = None
    # None where they were not counted
    left: tuple[int, ...] = ()
    # ids of pictures of the file that are none any more: frames that are not picked now

    @property
    def by_page(self) -> dict[int, KnownFile]:
        """The pictures by the number of their page."""
        return {split_page(image.path)[1]: image for image in self.images}

    @property
    def moves(self) -> list[Move]:
        """The change to the catalogue."""
        return [
            Move(image.id, page_path(self.path, page), self.state, self.n_pages if page == 1 else None)
            for page, image in self.by_page.items()
        ]
