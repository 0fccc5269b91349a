"""The five-line way to use patchseek: one object that opens, adds, searches and looks after a collection.

It joins the write path and the read path and owns what is costly to open: encoder, memory-mapped vectors, engine.
"""

import threading
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from .boxes import WHOLE, from_pixels
from .encode import AddReport, OnProgress, add_folder
from .encoders import Encoder, open_encoder
from .errors import ImageError, PatchseekError, QueryError, StoreError
from .images import Picture, read
from .indexes import EXACT, Index, open_index
from .regions import Pyramid
from .search import Match, encode_query, find
from .store import Settings, Snapshot, Store, Writer

FOLDER = ".patchseek"
"""Where the collection of a folder lives unless told otherwise."""


class Collection:
    """Pictures that can be searched for an object. May be used from several threads.

    c = Collection.open("~/Pictures/.patchseek"); c.add("~/Pictures"); c.search("query.jpg", box=(40, 60, 200, 180))
    """

    def __init__(self, store: Store, encoder: Encoder | None = None, weights: Path | None = None) -> None:
        self.store = store
        self._encoder = encoder
        self._weights = weights
        self._opened: tuple[tuple[int, int], str, Snapshot, Index] | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: str | Encoder | None = None,
        pyramid: Pyramid | None = None,
        weights: Path | None = None,
        create: bool = True,
    ) -> "Collection":
        """Open the collection at path, or that of the folder at path; where there is none, make one.

        encoder (a name or an Encoder) and pyramid are by default the collection's own, "embedded" and levels 0-3 for a
        new one. weights: the encoder's file, where it does not find it itself. Raises StoreMismatch when they are given
        and differ, StoreError when there is none and not create.
        """
        path = find_collection(Path(path).expanduser())
        if not Store.exists(path):
            if not create:
                raise StoreError(f"{path}: no collection here; make one with: patchseek index FOLDER")
            if encoder is None or isinstance(encoder, str):
                encoder = open_encoder(encoder or "embedded", weights=weights)
            return cls(Store.create(path, Settings(encoder.identity, pyramid or Pyramid())), encoder)
        store = Store.open(path)
        own = store.settings
        if isinstance(encoder, str):
            encoder = None if encoder == own.encoder.name else open_encoder(encoder, weights=weights)
        store.require(Settings(encoder.identity if encoder else own.encoder, pyramid or own.pyramid))
        return cls(store, encoder, weights)

    @property
    def path(self) -> Path:
        """The folder of the collection."""
        return self.store.path

    @property
    def encoder(self) -> Encoder:
        """The encoder, opened at first use. Raises StoreMismatch when it is no longer the collection's own."""
        with self._lock:
            if self._encoder is None:
                encoder = open_encoder(self.store.settings.encoder.name, weights=self._weights)
                self.store.require(Settings(encoder.identity, self.store.settings.pyramid))
                self._encoder = encoder
            return self._encoder

    def __len__(self) -> int:
        """Pictures that can be found."""
        return len(self.store)

    def add(
        self,
        folder: str | Path,
        *,
        exclude: Sequence[str] = (),
        hidden: bool = False,
        follow_symlinks: bool = False,
        retry: bool = False,
        on_progress: OnProgress | None = None,
    ) -> AddReport:
        """Bring the collection up to date with a folder of pictures; see encode.add_folder for options and errors."""
        return add_folder(
            self.store,
            Path(folder).expanduser(),
            self.encoder,
            exclude=exclude,
            hidden=hidden,
            follow_symlinks=follow_symlinks,
            retry=retry,
            on_progress=on_progress,
        )

    def search(
        self,
        query: str | Path | bytes | int | Picture,
        *,
        box: Sequence[float] | None = None,
        top: int | None = 10,
        index: str | None = None,
    ) -> list[Match]:
        """The pictures that hold the query's object, best first, each with the box where it is.

        query: a file, its bytes, pixels, or the id of a picture of the collection. box: x y w h of the object in pixels
        of the upright query (or all four at most 1: shares of its sides), the whole picture by default. top: how many
        pictures, None for all. index: "exact" or a FAISS factory string, by default what `use_index` chose.
        Raises ImageError for a query that is no picture, BoxError, QueryError.
        """
        picture = self.read(query)
        inner = WHOLE if box is None else from_pixels(box, picture.width, picture.height)
        snapshot, engine = self._open_index(index)
        if top is not None and top < 1:
            raise QueryError(f"the number of pictures asked for must be at least 1, found {top}")
        if not snapshot.n_live:
            return []
        feature = encode_query(picture, self.encoder, inner)
        return find(feature, engine, snapshot, self.store, top or snapshot.n_live)

    def read(self, query: str | Path | bytes | int | Picture) -> Picture:
        """The query as pixels; see search."""
        if isinstance(query, Picture):
            return query
        if not isinstance(query, int):
            return read(query if isinstance(query, bytes) else Path(query).expanduser())
        image = self.store.images([query])[0]
        if image is None:
            raise QueryError(f"the collection has no picture with id {query}")
        try:
            return read(image.file)
        except ImageError as error:
            raise ImageError(
                image.file, f"{error.reason}; the collection is older than the file, index again"
            ) from error

    def use_index(self, engine: str) -> None:
        """Build a search engine ("exact" or a FAISS factory string) and make it the collection's choice."""
        with Writer(self.store) as writer:
            self._open_index(engine)
            writer.set_option("index", engine)

    @property
    def index(self) -> str:
        """The collection's choice of search engine."""
        return self.store.option("index") or EXACT

    def _open_index(self, engine: str | None) -> tuple[Snapshot, Index]:
        """Vectors and engine of the moment, opened again when the catalogue has changed."""
        status = self.store.catalogue.path.stat()
        state, engine = (status.st_mtime_ns, status.st_size), engine or self.index
        with self._lock:
            if self._opened is None or self._opened[:2] != (state, engine):
                snapshot = self.store.snapshot()
                self._opened = (state, engine, snapshot, open_index(engine, snapshot, self.path / "indexes"))
            return self._opened[2:]

    def remove(self, *patterns: str) -> list[str]:
        """Take pictures out by relative path or shell pattern; returns the paths taken out. The files are not touched.

        They come back when the folder is indexed again, unless excluded. Raises PatchseekError for a pattern that
        matches nothing, and then nothing is removed.
        """
        paths = self.store.paths()
        chosen: dict[int, str] = {}
        for pattern in patterns:
            matched = {i: path for i, root, path in paths if fnmatch(path, pattern) or str(root / path) == pattern}
            if not matched:
                raise PatchseekError(f"no picture of the collection matches {pattern!r}")
            chosen |= matched
        with Writer(self.store) as writer:
            writer.remove(list(chosen))
        return list(chosen.values())

    def verify(self) -> list[str]:
        """What is wrong with the collection on disk, a line each; empty when every byte is as committed."""
        return self.store.problems()

    def repair(self) -> int:
        """Drop damaged shards; returns how many pictures the next `add` must encode again."""
        with Writer(self.store) as writer:
            return writer.repair()

    def compact(self) -> int:
        """Free the space of removed pictures; returns the bytes freed."""
        with Writer(self.store) as writer:
            return writer.compact()


def find_collection(path: Path) -> Path:
    """The collection meant by path: itself, or the `.patchseek` folder inside it."""
    if path.name != FOLDER and not Store.exists(path) and (Store.exists(path / FOLDER)):
        return path / FOLDER
    return path
