"""All changes to a collection, one writer at a time. Each method is one transaction: done, or as if never begun."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from ..errors import PatchseekError, QueryError
from ._catalogue import make_tags
from ._lock import may_remove, take_lock
from ._records import Failure, FileState, NewPicture, Root
from ._shards import SHARD_COLUMNS, Half, Shard, adopt_shard, problem_of, write_shard
from ._store import Store

_COMPACT_IMAGES = 2048  # pictures in a shard that compact writes


class Writer:
    """The one writer of a collection, for a `with` block. Holds the write lock from creation to `close`.

    Raises StoreLocked while another process writes, StoreError on a read-only collection.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._catalogue, self._folder = store.catalogue, store.folder
        self._lock: IO[str] = take_lock(store.path / "lock")
        try:
            self._folder.mkdir(exist_ok=True)
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

    def _remove_orphans(self) -> None:
        """Remove what is not committed, unless a backup is being made: then it stays for the next writer to remove."""
        with may_remove(self._folder) as may:
            if not may:
                return
            committed = {shard.file for shard in self.store.list_shards()}
            for path in self._folder.iterdir():
                if path.name not in committed and path.suffix in (".npy", ".tmp"):
                    path.unlink()

    def _root_id(self, db: sqlite3.Connection, root: Root) -> int:
        db.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", (self.store.relate(root),))
        row = db.execute("SELECT id FROM root WHERE path = ?", (self.store.relate(root),)).fetchone()
        return int(row[0])

    def commit(
        self, root: Root, pictures: Sequence[NewPicture], features: Half, failures: Sequence[Failure] = ()
    ) -> None:
        """Add pictures with features (n, R, D) and note failures, all or nothing.

        A picture whose path is already there takes its place; a path that failed is no longer searchable.
        Raises DiskFull, and then nothing has changed.
        """
        assert features.shape == self._shape(pictures), f"{features.shape} features, {self._shape(pictures)} expected"
        shard = write_shard(self._folder, self._next_number(), features) if pictures else None
        self._enter(root, pictures, shard, failures)

    def adopt(
        self, root: Root, pictures: Sequence[NewPicture], file: Path, sha256: str, failures: Sequence[Failure] = ()
    ) -> None:
        """As `commit`, with the features in a finished file that lies elsewhere and is left there: (n, R, D) float16.

        Raises StoreDamaged when its bytes are not those of sha256, DiskFull; and then nothing has changed.
        """
        shard = adopt_shard(self._folder, self._next_number(), file, self._shape(pictures), sha256)
        self._enter(root, pictures, shard, failures)

    def _shape(self, pictures: Sequence[NewPicture]) -> tuple[int, int, int]:
        settings = self.store.settings
        return len(pictures), settings.pyramid.n_regions, settings.encoder.dim

    def _enter(
        self, root: Root, pictures: Sequence[NewPicture], shard: Shard | None, failures: Sequence[Failure]
    ) -> None:
        with self._catalogue.writing() as db:
            root_id = self._root_id(db, root)
            stale = [(root_id, path) for path in [*(p.path for p in pictures), *(f.path for f in failures)]]
            db.executemany("UPDATE image SET removed = 1 WHERE root = ? AND path = ? AND NOT removed", stale)
            db.executemany("DELETE FROM failure WHERE root = ? AND path = ?", stale)
            if shard is not None:
                db.execute(f"INSERT INTO shard ({SHARD_COLUMNS}) VALUES (?, ?, ?, ?, ?)", tuple(vars(shard).values()))
                db.executemany(
                    "INSERT INTO image (root, path, size, mtime_ns, sha256, width, height, shard, slot) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (root_id, p.path, p.state.size, p.state.mtime_ns, p.sha256, p.width, p.height, shard.id, slot)
                        for slot, p in enumerate(pictures)
                    ],
                )
            db.executemany(
                "INSERT INTO failure VALUES (?, ?, ?, ?, ?)",
                [(root_id, f.path, f.state.size, f.state.mtime_ns, f.reason) for f in failures],
            )

    def _next_number(self) -> int:
        with self._catalogue.reading() as db:
            used = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'shard'").fetchone()
        return 1 if used is None else int(used[0]) + 1

    def move(self, root: Root, moves: Sequence[tuple[int, str, FileState]]) -> None:
        """Give pictures (by id) a new path and file state; their vectors stay."""
        with self._catalogue.writing() as db:
            root_id = self._root_id(db, root)
            for image_id, path, state in moves:
                where = (root_id, path, image_id)
                db.execute(
                    "UPDATE image SET removed = 1 WHERE root = ? AND path = ? AND NOT removed AND id != ?", where
                )
                db.execute("DELETE FROM failure WHERE root = ? AND path = ?", where[:2])
                new = (path, state.size, state.mtime_ns, image_id)
                db.execute("UPDATE image SET path = ?, size = ?, mtime_ns = ? WHERE id = ?", new)

    def remove(self, ids: Sequence[int]) -> int:
        """Take pictures out of every future search; returns how many were there. `compact` frees their bytes."""
        with self._catalogue.writing() as db:
            before = db.total_changes
            db.executemany("UPDATE image SET removed = 1 WHERE id = ? AND NOT removed", [(int(i),) for i in ids])
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
            make_tags(db)
            before = db.total_changes
            db.executemany(statement, [(name, int(i)) for i in ids])
            return db.total_changes - before

    def forget_failures(self, root: Root, paths: Sequence[str]) -> None:
        """Drop the notes about files that are gone or are to be tried again."""
        with self._catalogue.writing() as db:
            root_id = self._root_id(db, root)
            db.executemany("DELETE FROM failure WHERE root = ? AND path = ?", [(root_id, path) for path in paths])

    def set_option(self, key: str, value: str) -> None:
        """Remember a choice; see Store.option."""
        self._catalogue.set(f"option.{key}", value)

    def repair(self) -> int:
        """Drop shards that are not what was committed; returns how many pictures must be indexed again."""
        n_regions, dim = self.store.settings.pyramid.n_regions, self.store.settings.encoder.dim
        bad = [(s.id,) for s in self.store.list_shards() if problem_of(self._folder, s, n_regions, dim)]
        with self._catalogue.writing() as db:
            lost = sum(
                db.execute("SELECT count(*) FROM image WHERE shard = ? AND NOT removed", b).fetchone()[0] for b in bad
            )
            db.executemany("DELETE FROM image WHERE shard = ?", bad)
            db.executemany("DELETE FROM shard WHERE id = ?", bad)
        self._remove_orphans()
        return int(lost)

    def compact(self) -> int:
        """Write live pictures into full shards, drop the rest; returns the bytes freed. Readers are not disturbed."""
        before = self.store.n_bytes()
        snapshot, old = self.store.snapshot(), [(shard.id,) for shard in self.store.list_shards()]
        positions, number = np.flatnonzero(snapshot.live), self._next_number()
        shards: list[Shard] = []
        for low in range(0, len(positions), _COMPACT_IMAGES):
            features = snapshot.features(positions[low : low + _COMPACT_IMAGES]).astype(np.float16)
            shards.append(write_shard(self._folder, number + len(shards), features))
        with self._catalogue.writing() as db:
            db.execute("DELETE FROM image WHERE removed")
            db.executemany(
                f"INSERT INTO shard ({SHARD_COLUMNS}) VALUES (?, ?, ?, ?, ?)", [tuple(vars(s).values()) for s in shards]
            )
            places = [
                (shards[i // _COMPACT_IMAGES].id, i % _COMPACT_IMAGES, int(image_id))
                for i, image_id in enumerate(snapshot.ids[positions])
            ]
            db.executemany("UPDATE image SET shard = ?, slot = ? WHERE id = ?", places)
            db.executemany("DELETE FROM shard WHERE id = ?", old)
        self._remove_orphans()
        for stale in (self.store.path / "indexes").glob("*.faiss"):
            stale.unlink(missing_ok=True)
        return before - self.store.n_bytes()
