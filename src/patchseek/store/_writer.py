"""All changes to a collection, one writer at a time. Each method is one transaction: done, or as if never begun."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from .._platform import discard
from .._progress import OnProgress, unheard
from ..errors import PatchseekError, QueryError, StoreError
from ..sources import Root
from ._catalogue import put_setting
from ._features import Half
from ._inventory import keep_latest, latest, put_inventories
from ._lock import may_remove, take_lock
from ._mend import compact, points_of, repair
from ._points import Codes
from ._records import Failure, Move, NewEntry, Settings
from ._rows import (
    columns,
    forget_failure,
    forget_root,
    found_at,
    join_roots,
    make_room,
    note_taken_out,
    outdated_at,
    remove_images,
)
from ._shards import Shard, adopt_shard, drop_points, insert_shard, next_number, put_part, write_points, write_shard
from ._store import FILM_OPTION, Store

ASIDE_DAYS = 30
"""How long a picture that is set aside is kept at least; `compact` drops it after that."""


class Writer:
    """The one writer of a collection, for a `with` block. Holds the write lock from creation to `close`.

    clock: seconds since 1970. Raises StoreLocked while another process writes, StoreError on a read-only collection.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._catalogue, self._folder, self._clock = store.catalogue, store.folder, clock
        self._lock = take_lock(store.path / "lock")
        try:
            store.require_unchanged()
            self._folder.mkdir(exist_ok=True)
            self._catalogue.extend()
            self._tell_inventories()
            self._remove_orphans()
        except (OSError, PatchseekError):
            self._lock.close()
            raise

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the write lock back."""
        self._lock.close()

    def _tell_inventories(self) -> None:
        """Of shards of earlier versions."""
        told = latest(self.store.path)
        lacking = [shard.id for shard in self.store.list_shards() if shard.id not in told]
        if lacking:
            with self._catalogue.writing() as db:
                put_inventories(self.store.path, db, lacking)

    def _remove_orphans(self) -> None:
        """Remove what is not committed, but what a backup, or on Windows any process, needs still:

        that stays for the next writer to remove."""
        with may_remove(self._folder) as may:
            if not may:
                return
            shards = self.store.list_shards()
            committed = {part.file for shard in shards for part in shard.parts.values()}
            keep_latest(self.store.path, [shard.id for shard in shards])
            for path in self._folder.iterdir():
                if path.name not in committed and path.suffix in (".npy", ".tmp"):
                    discard(path)

    def _root_id(self, db: sqlite3.Connection, root: Root) -> int:
        db.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", (self.store.relate(root),))
        row = db.execute("SELECT id FROM root WHERE path = ?", (self.store.relate(root),)).fetchone()
        return int(row[0])

    def commit(
        self,
        root: Root,
        pictures: Sequence[NewEntry],
        features: Half,
        failures: Sequence[Failure] = (),
        points: Sequence[Codes | None] | None = None,
    ) -> None:
        """Add pictures with features (n, R, D), and points where the collection has them, and note failures.

        points: (n_i, W) uint8 of each picture, None where nobody has looked for any. All or nothing.
        A picture whose path is already there takes its place; a path that failed is no longer searchable.
        Raises DiskFull, and StoreError for features that are no numbers; and then nothing has changed.
        """
        shape = len(pictures), *self.store.settings.shape
        assert features.shape == shape, f"{features.shape} features, {shape} expected"
        if points is not None:
            assert len(points) == len(pictures), f"{len(points)} pictures' points, {len(pictures)} expected"
            self._require_codes(points)
        if not np.isfinite(features).all():
            first = int(np.isfinite(features).all(axis=(1, 2)).argmin())
            raise StoreError(f"{pictures[first].path}: NaN or infinity in its features; nothing was added")
        number, width = self._next_number(), self.store.settings.point_bytes
        shard = write_shard(self._folder, number, features, points, width) if pictures else None
        self._enter(root, pictures, shard, failures)

    def adopt(
        self,
        root: Root,
        pictures: Sequence[NewEntry],
        file: Path,
        sha256: str,
        failures: Sequence[Failure] = (),
        points: tuple[Path, str] | None = None,
    ) -> None:
        """As `commit`, with the features in a finished file that lies elsewhere and is left there: (n, R, D) float16.

        points: another such file, as `save_points` writes it, and its hash. Raises StoreDamaged when its bytes are not
        those of sha256 or its features no numbers, DiskFull; and then nothing has changed.
        """
        shape = len(pictures), *self.store.settings.shape
        shard = adopt_shard(
            self._folder, self._next_number(), shape, (file, sha256), points, self.store.settings.point_bytes
        )
        self._enter(root, pictures, shard, failures)

    def add_points(self, points: Mapping[int, Codes]) -> int:
        """Put points (n_i, W) uint8 to pictures by id, in the place of what they have; returns how many were there.

        All or nothing. A shard's points are written anew as a whole: give those of a shard together, as
        Store.without_points lists them. Raises DiskFull, StoreDamaged.
        """
        self._require_codes(list(points.values()))
        given: dict[int, dict[int, Codes]] = {}
        with self._catalogue.reading() as db:
            for image, codes in points.items():
                place = db.execute("SELECT shard, slot FROM image WHERE id = ?", (int(image),)).fetchone()
                if place is not None:
                    given.setdefault(place[0], {})[place[1]] = codes
        new = {}
        for shard in self.store.list_shards():
            if of_shard := given.get(shard.id):
                known = points_of(self.store, shard, range(shard.n_images))
                whole = [of_shard.get(slot, codes) for slot, codes in enumerate(known)]
                new[shard.id] = write_points(self._folder, shard.id, whole, self.store.settings.point_bytes)
        with self._catalogue.writing() as db:
            for number, part in new.items():
                put_part(db, number, part)
            put_inventories(self.store.path, db, new)
        self._remove_orphans()
        return sum(map(len, given.values()))

    def _require_codes(self, points: Sequence[Codes | None]) -> None:
        width = self.store.settings.point_bytes
        assert width, "the settings say nothing of points: renew them first"
        for codes in points:
            if codes is not None:
                is_so = codes.dtype == np.uint8 and codes.ndim == 2 and codes.shape[1] == width
                assert is_so, f"{codes.shape} {codes.dtype} points, (n, {width}) uint8 expected"

    def _enter(
        self, root: Root, pictures: Sequence[NewEntry], shard: Shard | None, failures: Sequence[Failure]
    ) -> None:
        with self._catalogue.writing() as db:
            root_id = self._root_id(db, root)
            for picture in pictures:
                make_room(db, root_id, picture.path, picture.sha256)
            self._note_failures(db, root_id, failures)
            if shard is None:
                return
            insert_shard(db, shard)
            if any("#t=" in picture.path for picture in pictures):
                put_setting(db, f"option.{FILM_OPTION}", "1")
            db.executemany(
                "INSERT INTO image (root, path, size, mtime_ns, ctime_ns, sha256, width, height, n_pages, shard, slot) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (root_id, p.path, *columns(p.state), p.sha256, p.width, p.height, p.n_pages, shard.id, slot)
                    for slot, p in enumerate(pictures)
                ],
            )
            put_inventories(self.store.path, db, [shard.id])

    def _note_failures(self, db: sqlite3.Connection, root_id: int, failures: Sequence[Failure]) -> None:
        """What failed for good is no longer found, but kept aside: a repaired file is often the one of before."""
        for failure in failures:
            forget_failure(db, root_id, failure.path)
            at = db, root_id, failure.path, failure.sha256
            self._put_aside(db, outdated_at(*at) if failure.passing else found_at(*at))
            size, mtime_ns, ctime_ns = columns(failure.state)
            key = root_id, failure.path
            db.execute("INSERT INTO failure VALUES (?, ?, ?, ?, ?)", (*key, size, mtime_ns, failure.reason))
            db.execute("INSERT INTO failure_note VALUES (?, ?, ?, ?)", (*key, ctime_ns, failure.passing))

    def _next_number(self) -> int:
        with self._catalogue.reading() as db:
            return next_number(db)

    def move(self, root: Root, moves: Sequence[Move]) -> None:
        """Give pictures a new path and file state; vectors, ids and tags stay. What was set aside is found again.

        A root that they leave and of which nothing is left is forgotten.
        """
        with self._catalogue.writing() as db:
            root_id, roots = self._root_id(db, root), set()
            for move in moves:
                old, sha256 = db.execute("SELECT root, sha256 FROM image WHERE id = ?", (move.image,)).fetchone()
                roots.add(old)
                make_room(db, root_id, move.path, sha256, but=move.image)
                db.execute(
                    "UPDATE image SET root = ?, path = ?, size = ?, mtime_ns = ?, ctime_ns = ?, removed = 0, "
                    "n_pages = coalesce(?, n_pages) WHERE id = ?",
                    (root_id, move.path, *columns(move.state), move.n_pages, move.image),
                )
            db.executemany("DELETE FROM aside WHERE image = ?", [(move.image,) for move in moves])
            for old in roots - {root_id}:
                forget_root(db, old, root_id)

    def join(self, old: Root, new: Root, prefix: str = "", *, cut: int = 0) -> None:
        """Make the pictures of one root part of another, their paths put below a prefix such as "sub/".

        cut: letters that their paths lose before that. Ids, vectors and tags stay. A picture that both know stays as
        the new root knows it.
        """
        with self._catalogue.writing() as db:
            join_roots(db, self._root_id(db, old), self._root_id(db, new), prefix, cut)

    def remove(self, ids: Sequence[int]) -> int:
        """Take pictures out of every future search; returns how many were there. `compact` frees their bytes."""
        with self._catalogue.writing() as db:
            return remove_images(db, ids)

    def take_out(self, ids: Sequence[int]) -> int:
        """The same, and note their files as taken out by somebody; see Store.taken_out."""
        with self._catalogue.writing() as db:
            n_removed = remove_images(db, ids)
            note_taken_out(db, ids)
            return n_removed

    def let_in(self, root: Root, paths: Iterable[str]) -> None:
        """Take back the note that these files of a root were taken out."""
        with self._catalogue.writing() as db:
            rows = [(self.store.relate(root), path) for path in paths]
            db.executemany("DELETE FROM taken_out WHERE root = (SELECT id FROM root WHERE path = ?) AND path = ?", rows)

    def set_aside(self, ids: Sequence[int]) -> int:
        """Take out pictures whose files are gone, to be taken back by `move`; returns how many were there.

        `compact` keeps them for ASIDE_DAYS.
        """
        with self._catalogue.writing() as db:
            return self._put_aside(db, ids)

    def _put_aside(self, db: sqlite3.Connection, ids: Sequence[int]) -> int:
        statement = "INSERT OR REPLACE INTO aside SELECT id, ? FROM image WHERE id = ? AND NOT removed"
        db.executemany(statement, [(self._clock(), int(i)) for i in ids])
        return remove_images(db, ids)

    def drop_aside(self, ids: Sequence[int]) -> int:
        """Keep pictures that are set aside no longer; returns how many were there."""
        with self._catalogue.writing() as db:
            before = db.total_changes
            db.executemany("DELETE FROM aside WHERE image = ?", [(int(i),) for i in ids])
            return db.total_changes - before

    def tag(self, name: str, ids: Sequence[int]) -> int:
        """Put a tag on pictures; returns how many did not have it. It stays while the picture's content does.

        Raises QueryError for a name that is empty, longer than 100 characters or not of one line.
        """
        if not (name.strip() == name and name.isprintable() and 0 < len(name) <= 100):
            raise QueryError(f"{name!r}: a tag is a word or a few, of at most 100 characters")
        return self._change_tags("INSERT OR IGNORE INTO tag VALUES (?, ?)", name, ids)

    def untag(self, name: str, ids: Sequence[int]) -> int:
        """Take a tag off pictures; returns how many had it."""
        return self._change_tags("DELETE FROM tag WHERE name = ? AND image = ?", name, ids)

    def _change_tags(self, statement: str, name: str, ids: Sequence[int]) -> int:
        with self._catalogue.writing() as db:
            before = db.total_changes
            db.executemany(statement, [(name, int(i)) for i in ids])
            return db.total_changes - before

    def forget_failures(self, root: Root, paths: Sequence[str]) -> None:
        """Drop the notes about files that are gone or are to be tried again."""
        with self._catalogue.writing() as db:
            root_id = self._root_id(db, root)
            for path in paths:
                forget_failure(db, root_id, path)

    def set_option(self, key: str, value: str) -> None:
        """Remember a choice; see Store.option."""
        self._catalogue.set(f"option.{key}", value)

    def renew(self, settings: Settings) -> None:
        """Say more of what the collection is; its features are those of before. Points of another kind are dropped."""
        is_other = settings.points != self.store.settings.points
        with self._catalogue.writing() as db:
            put_setting(db, "settings", settings.to_json())
            if is_other:
                drop_points(db)
        self.store.settings = settings
        if is_other:
            self._remove_orphans()

    def repair(self, on_progress: OnProgress = unheard) -> int:
        """Drop shards that are not what was committed, and pictures whose features are no numbers.

        Returns how many pictures must be indexed again. Points that are not what was committed are dropped alone.
        """
        lost = repair(self.store, on_progress)
        self._remove_orphans()
        return lost

    def compact(self, on_progress: OnProgress = unheard) -> int:
        """Write live pictures and those set aside lately into full shards, drop the rest; returns the bytes freed.

        Readers are not disturbed.
        """
        before = self.store.n_bytes()
        compact(self.store, self._clock() - ASIDE_DAYS * 86400, on_progress)
        self._remove_orphans()
        return before - self.store.n_bytes()
