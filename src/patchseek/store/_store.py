"""A collection, for reading: what it is and what it holds. Only `create` writes."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._platform import allow_open_files, discard
from .._platform import replace as replace_file
from .._progress import OnProgress, unheard
from .._words import counted
from ..errors import StoreDamaged, StoreError, StoreMismatch
from ..sources import DOCUMENTS, FILMS, Root, split_member, split_page
from ._catalogue import Catalogue, has_table, later_columns, setting_of, tags_of
from ._features import map_features
from ._files import require_size
from ._points import open_points
from ._records import Failure, FileState, Image, KnownFile, Settings
from ._shards import Shard, read_shards
from ._snapshot import Snapshot
from ._soundness import find_problems
from ._tables import FORMAT

T = TypeVar("T")

FILM_OPTION = "films"
"""Is there once frames of a film were committed."""
_IMAGE = "image.id, image.path, root.path, width, height, sha256, size, mtime_ns"
"""The columns of an Image, of `image JOIN root`."""
_FILE = "image.path, image.id, size, mtime_ns, sha256, removed"


def _known(row: Sequence[Any]) -> KnownFile:
    """A row of _FILE and the later columns."""
    path, number, size, mtime_ns, sha256, removed, ctime_ns, n_pages = row[:8]
    return KnownFile(number, FileState(size, mtime_ns, ctime_ns), sha256, path, n_pages, bool(removed))


def in_slots(path: Path, rows: Sequence[Sequence[Any]], shards: Sequence[Shard]) -> NDArray[np.int64]:
    """Rows of id, whether removed, shard and slot (n, 4), in this order. Raises StoreDamaged unless each slot has one.

    Else a picture would be found by the features of another one.
    """
    try:
        columns = np.array(rows, np.int64).reshape(-1, 4)
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreDamaged(f"{path}: the catalogue names slots that are no numbers; run: patchseek repair") from error
    sizes = [shard.n_images for shard in shards]
    owners = np.repeat(np.array([shard.id for shard in shards], np.int64), sizes)
    slots = np.concatenate([np.arange(0), *map(np.arange, sizes)])
    if len(columns) != len(owners):
        found = f"{counted(len(columns), 'picture')}, {counted(len(owners), 'slot')}"
        raise StoreDamaged(f"{path}: {found}; run: patchseek repair")
    if (columns[:, 2] != owners).any() or (columns[:, 3] != slots).any():
        raise StoreDamaged(f"{path}: the catalogue has two pictures in one slot; run: patchseek repair")
    return columns


def require_slots(store: "Store") -> None:
    """Raise StoreDamaged unless each slot of each shard has one picture. Opens no shard."""
    with store.catalogue.reading() as db:
        rows = db.execute("SELECT id, removed, shard, slot FROM image ORDER BY shard, slot").fetchall()
        in_slots(store.path, rows, read_shards(db))


def _settings_in(catalogue: Catalogue) -> Settings:
    """What a collection is made with. Raises StoreError, StoreDamaged."""
    path = catalogue.path.parent
    if not catalogue.path.is_file():
        raise StoreError(f"{path}: no collection here; make one with: patchseek index FOLDER")
    found, settings = catalogue.get("format"), catalogue.get("settings")
    if found is None or settings is None:
        raise StoreDamaged(f"{path}: the catalogue does not say what it is; run: patchseek repair")
    if not found.isdecimal():
        raise StoreDamaged(f"{path}: the catalogue says that its format is {found!r}; run: patchseek repair")
    if int(found) > FORMAT:
        raise StoreError(f"{path}: format {found} is newer than this patchseek reads ({FORMAT}); upgrade patchseek")
    return Settings.from_json(settings)


class Store:
    """A collection, for reading; `Writer(store)` changes it. Any number of processes may read meanwhile."""

    def __init__(self, path: Path, settings: Settings, catalogue: Catalogue | None = None) -> None:
        self.path = path
        self.settings = settings
        self.may_fetch = True
        """Whether its pictures on the web may be fetched where they are no longer kept, to be refined or shown."""
        self.catalogue = catalogue or Catalogue(path / "catalogue.sqlite")
        self.folder = path / "shards"

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether a collection is at path."""
        return (path / "catalogue.sqlite").is_file()

    @classmethod
    def create(cls, path: Path, settings: Settings) -> "Store":
        """Make an empty collection. Raises StoreError where one is already or the folder cannot be written."""
        if cls.exists(path):
            raise StoreError(f"{path}: there is already a collection")
        store = cls(path, settings)
        try:
            store.folder.mkdir(parents=True, exist_ok=True)
            (path / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{path}: cannot make a collection here ({error.strerror})") from error
        partial = Catalogue(path / "catalogue.tmp")
        discard(partial.path)
        partial.create()
        partial.set("format", str(FORMAT))
        partial.set("settings", settings.to_json())
        replace_file(partial.path, store.catalogue.path)
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a collection. Raises StoreError where none is or its format is newer, StoreDamaged if unreadable."""
        catalogue = Catalogue(path / "catalogue.sqlite")
        return cls(path, _settings_in(catalogue), catalogue)

    def require(self, asked: Settings) -> None:
        """Raise StoreMismatch, naming both sides, unless the collection was made with these settings."""
        difference = self.settings.difference(asked)
        if difference and difference == self.settings.outdated_points(asked.points):
            raise StoreMismatch(f"{self.path}: {difference}")
        if difference:
            raise StoreMismatch(f"{self.path}: {difference}; use the collection's own, or another --collection")

    def require_unchanged(self) -> None:
        """Raise StoreError unless a collection of these settings is still here: another may have taken its place.

        Points may have come, gone or been made anew: whoever has opened the collection goes on with those.
        """
        found = _settings_in(self.catalogue)
        if replace(found, points=self.settings.points) != self.settings:
            difference = found.difference(self.settings) or "its settings are others"
            raise StoreMismatch(f"{self.path}: another collection is here now ({difference}); open it anew")
        self.settings = found

    def require_current(self) -> None:
        """Raise StoreMismatch unless there is an encoder today whose features can be added."""
        if self.settings.outdated:
            raise StoreMismatch(f"{self.path}: {self.settings.outdated}, in another --collection")

    def snapshot(self, after: int = 0) -> Snapshot:
        """All vectors as they are now. Raises StoreDamaged when a shard is not as committed.

        after: an id of a picture. Those up to it count as removed, and shards of none but such are left out.
        """
        return self._tried(lambda: self._snapshot(after))

    def require_shards(self) -> None:
        """Raise StoreDamaged unless every shard is there and as long as it was committed. Reads none."""

        def look() -> None:
            for shard in self.list_shards():
                for part in shard.parts.values():
                    require_size(self.folder, part)

        self._tried(look)

    def _tried(self, look: Callable[[], T]) -> T:
        for attempt in (0, 1, 2):
            try:
                return look()
            except FileNotFoundError as error:  # compacted between the catalogue and the file: look again
                if attempt == 2:
                    raise StoreDamaged(f"{error.filename}: missing; run: patchseek verify --repair") from error
        raise AssertionError("unreachable")

    def _snapshot(self, after: int) -> Snapshot:
        with self.catalogue.reading() as db:
            shards, settings = read_shards(db), setting_of(db, "settings")
            part = "WHERE shard IN (SELECT shard FROM image WHERE id > ?)" if after else "WHERE ? = 0"
            query = f"SELECT id, removed OR id <= ?, shard, slot FROM image {part} ORDER BY shard, slot"
            rows = db.execute(query, (after, after)).fetchall()
        wanted = {row[2] for row in rows}
        shards = [shard for shard in shards if shard.id in wanted or not after]
        columns = in_slots(self.path, rows, shards)
        shape = self.settings.shape
        allow_open_files(sum(len(shard.parts) for shard in shards))
        arrays = [map_features(self.folder, shard.regions, (shard.n_images, *shape)) for shard in shards]
        hashes = tuple(shard.regions.sha256 for shard in shards)
        points, kept = Settings.from_json(settings or "").points, [(shard.points, shard.n_images) for shard in shards]
        stored = None if points is None else open_points(self.folder, kept, points)
        return Snapshot(arrays, hashes, columns[:, 0].copy(), columns[:, 1] == 0, *shape, stored)

    def list_shards(self) -> list[Shard]:
        """The committed shards in order; rows are numbered in this order."""
        with self.catalogue.reading() as db:
            return read_shards(db)

    def without_points(self) -> list[list[int]]:
        """The ids of the pictures in which points have not been looked for, a list a shard: see Writer.add_points."""
        snapshot = self.snapshot()
        lacking = snapshot.live & ~snapshot.looked_at()
        found = [snapshot.ids[part][lacking[part]].tolist() for part, _, _ in snapshot.by_shard()]
        return [ids for ids in found if ids]

    def images(self, ids: Sequence[int]) -> list[Image | None]:
        """The pictures with these ids, in order; None where an id is not, or no longer, in the collection."""
        query = f"SELECT {_IMAGE} FROM image JOIN root ON root.id = root WHERE image.id = ? AND NOT removed"
        with self.catalogue.reading() as db:
            rows = [db.execute(query, (int(i),)).fetchone() for i in ids]
        return [None if row is None else self._image(row) for row in rows]

    def sample(self, n: int) -> list[Image]:
        """n pictures of distinct bytes, or fewer, in a random order that only the bytes decide; further pages last."""
        page = "substr(path, length(rtrim(path, '0123456789')))"  # of scan.tif#2, "#2"
        query = (
            "SELECT min(id) FROM image WHERE NOT removed "
            f"GROUP BY sha256, {page} ORDER BY row_number() OVER (PARTITION BY sha256 ORDER BY min(id)), sha256 LIMIT ?"
        )
        with self.catalogue.reading() as db:
            ids = [row[0] for row in db.execute(query, (n,))]
        return [image for image in self.images(ids) if image]

    def _image(self, row: Sequence[Any]) -> Image:
        """The picture that a row of _IMAGE is."""
        image_id, path, root, width, height, sha256, size, mtime_ns = row[:8]
        state = FileState(size, mtime_ns)
        return Image(image_id, path, self.resolve(root), width, height, sha256, state, self.may_fetch)

    def paths(self) -> list[tuple[int, Path, str]]:
        """(id, root, path) of every picture, in order of id."""
        query = (
            "SELECT image.id, root.path, image.path FROM image JOIN root ON root.id = root WHERE NOT removed ORDER BY 1"
        )
        with self.catalogue.reading() as db:
            return [(r[0], self.resolve(r[1]), r[2]) for r in db.execute(query)]

    def __len__(self) -> int:
        """Pictures that can be found."""
        with self.catalogue.reading() as db:
            return int(db.execute("SELECT count(*) FROM image WHERE NOT removed").fetchone()[0])

    def known(self, root: Root, under: str = "") -> dict[str, KnownFile]:
        """The pictures of one indexed folder by path; under: of the part of it whose paths begin so, such as "sub/"."""
        with self.catalogue.reading() as db:
            found = self._files(db, "NOT removed", root, under)
        return {file.path: file for file in found}

    def pages_of(self, image: Image) -> list[int]:
        """The pages, or frames, of a picture's file that can be found, rising; see sources.split_page."""
        file = split_page(image.path)[0]
        query = (
            "SELECT path FROM image WHERE NOT removed AND root = (SELECT root FROM image WHERE id = ?) "
            "AND (path = ? OR path > ? AND path < ?)"  # $ comes next after #
        )
        with self.catalogue.reading() as db:
            rows = db.execute(query, (image.id, file, f"{file}#", f"{file}$")).fetchall()
        return sorted(split_page(row[0])[1] for row in rows)

    def has_films(self) -> bool:
        """Whether frames of films may be among the pictures."""
        return self.option(FILM_OPTION) is not None

    def holders(self, root: Root) -> set[str]:
        """The files of one indexed folder that hold pictures known here, in several: archives, documents, films."""
        suffixes = tuple(DOCUMENTS | FILMS)
        query = "SELECT path FROM image WHERE NOT removed AND root = (SELECT id FROM root WHERE path = ?)"
        with self.catalogue.reading() as db:  # SQL would take three times as long for as many suffixes
            paths = [
                path
                for (path,) in db.execute(query, (self.relate(root),))
                if "!" in path or "#" in path or path.lower().endswith(suffixes)
            ]
        return {split_member(split_page(path)[0])[0] for path in paths}

    def aside(self, root: Root, under: str = "") -> list[KnownFile]:
        """The pictures of one indexed folder, or of a part, that are set aside; see Writer.set_aside."""
        with self.catalogue.reading() as db:
            if not has_table(db, "aside"):
                return []
            return self._files(db, "removed AND id IN (SELECT image FROM aside)", root, under)

    def taken_out(self, root: Root, under: str = "") -> set[str]:
        """The files of one indexed folder, or of a part, that somebody took out; see Writer.take_out."""
        with self.catalogue.reading() as db:
            if not has_table(db, "taken_out"):
                return set()
            query = (
                "SELECT path FROM taken_out WHERE root = (SELECT id FROM root WHERE path = ?) "
                "AND path >= ? AND (? = '' OR path < ?)"
            )
            return {row[0] for row in db.execute(query, self._part(root, under))}

    def n_after(self, after: int) -> int:
        """Pictures that can be found whose ids are larger than one."""
        with self.catalogue.reading() as db:
            return int(db.execute("SELECT count(*) FROM image WHERE id > ? AND NOT removed", (after,)).fetchone()[0])

    def n_taken_out(self) -> int:
        """The files of all folders that somebody took out."""
        with self.catalogue.reading() as db:
            has_some = has_table(db, "taken_out")
            return int(db.execute("SELECT count(*) FROM taken_out").fetchone()[0]) if has_some else 0

    def _files(self, db: sqlite3.Connection, condition: str, root: Root, under: str) -> list[KnownFile]:
        query = (
            f"SELECT {_FILE}, {later_columns(db)} FROM image WHERE {condition} "
            "AND root = (SELECT id FROM root WHERE path = ?) AND path >= ? AND (? = '' OR path < ?) ORDER BY path, id"
        )
        return [_known(row) for row in db.execute(query, self._part(root, under))]

    def _part(self, root: Root, under: str) -> tuple[str, str, str, str]:
        return self.relate(root), under, under, under[:-1] + "0"  # "0" comes next after "/"

    def strays(self, root: Root, under: str, sizes: Collection[int]) -> list[tuple[Root, KnownFile]]:
        """The pictures outside this part of a root whose files had one of these sizes; with those set aside."""
        with self.catalogue.reading() as db:
            kept = "image.id IN (SELECT image FROM aside)" if has_table(db, "aside") else "0"
            query = (
                f"SELECT {_FILE}, {later_columns(db)}, root.path FROM image JOIN root ON root.id = root "
                f"WHERE (NOT removed OR {kept}) AND NOT (root.path = ? AND image.path >= ? "
                "AND (? = '' OR image.path < ?)) ORDER BY image.id"
            )
            rows = [row for row in db.execute(query, self._part(root, under)) if row[2] in sizes]
        return [(self.root_of(row[-1]), _known(row)) for row in rows]

    def failures(self, root: Root | None = None) -> list[Failure]:
        """The files, of one indexed folder or of all, that could not be indexed when last seen.

        Those noted by a version that did not tell the passing ones apart are taken for passing.
        """
        where = "" if root is None else "WHERE root = (SELECT id FROM root WHERE path = ?)"
        with self.catalogue.reading() as db:
            note = "LEFT JOIN failure_note USING (root, path)" if has_table(db, "failure_note") else ""
            columns = "ctime_ns, coalesce(passing, 1)" if note else "NULL, 1"
            query = f"SELECT path, size, mtime_ns, reason, {columns} FROM failure {note} {where} ORDER BY path"
            rows = db.execute(query, () if root is None else (self.relate(root),)).fetchall()
        return [Failure(r[0], FileState(r[1], r[2], r[4]), r[3], bool(r[5])) for r in rows]

    def roots(self) -> list[Root]:
        """The folders and URLs that were indexed into this collection."""
        with self.catalogue.reading() as db:
            rows = db.execute("SELECT path FROM root ORDER BY id").fetchall()
        return [self.root_of(row[0]) for row in rows]

    def n_aside(self) -> int:
        """Pictures that are set aside; see Writer.set_aside."""
        with self.catalogue.reading() as db:
            if not has_table(db, "aside"):
                return 0
            return int(db.execute("SELECT count(*) FROM image JOIN aside ON image = id WHERE removed").fetchone()[0])

    def tags(self) -> dict[str, int]:
        """Every tag in use and how many pictures have it; see Writer.tag."""
        with self.catalogue.reading() as db:
            return tags_of(db)

    def option(self, key: str) -> str | None:
        """A remembered choice that is not part of what the collection is (the search engine, say)."""
        return self.catalogue.get(f"option.{key}")

    def n_bytes(self) -> int:
        """Bytes on disk of catalogue and shards, indexes left out."""
        return self.catalogue.path.stat().st_size + sum(shard.n_bytes for shard in self.list_shards())

    def problems(self, on_progress: OnProgress = unheard) -> list[str]:
        """What is wrong, a line each; see `find_problems`."""
        return find_problems(self, on_progress)

    def relate(self, root: Root) -> str:
        """How a root is written down: relative when the collection lies inside it, so that both can move together."""
        if isinstance(root, str):
            return root
        root, home = root.resolve(), self.path.resolve()
        return (
            "/".join([".."] * len(home.relative_to(root).parts)) or "."
            if home.is_relative_to(root)
            else root.as_posix()
        )

    def root_of(self, stored: str) -> Root:
        """The root that `relate` wrote down."""
        return stored if "://" in stored else self.resolve(stored)

    def resolve(self, stored: str) -> Path:
        """The folder that `relate` wrote down."""
        return Path(stored) if Path(stored).is_absolute() else (self.path.resolve() / stored).resolve()
