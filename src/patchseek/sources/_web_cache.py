"""What came from the web, kept in the cache folder: the bytes as files by their hash, and beside them what was said.

What was said (whose bytes, from when, under which ETag) is kept when bytes make room for others, so that a server can
be asked whether anything changed. All of it can be fetched again: nothing is lost with this folder.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .._home import cache_folder
from .._platform import discard, replace

MOST_BYTES = 1 << 30
"""Bytes kept; those that were used longest ago make room."""
_TABLE = """CREATE TABLE IF NOT EXISTS answer (
    url TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT, modified TEXT, fetched REAL NOT NULL, used REAL NOT NULL, is_kept INTEGER NOT NULL)"""


@dataclass(frozen=True)
class Answer:
    """What a server gave for a URL."""

    sha256: str
    # of the bytes, in hex
    size: int
    # bytes
    etag: str | None
    modified: str | None
    # its Last-Modified
    fetched: float
    # seconds since 1970: when it was last known to be what the server has


class Cache:
    """One folder. Used by several threads and processes; what cannot be kept or read counts as not there."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._most = folder, most_bytes
        self._lock = threading.Lock()
        self._n_new = most_bytes  # bytes that came since room was made, so that the first time looks

    @contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(self._folder / "answers.sqlite", timeout=10, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute(_TABLE)
            yield db

    def find(self, url: str) -> Answer | None:
        """What is known of a URL."""
        with suppress(sqlite3.Error, OSError), self._db() as db:
            query = "SELECT sha256, size, etag, modified, fetched FROM answer WHERE url = ?"
            row = db.execute(query, (url,)).fetchone()
            return None if row is None else Answer(*row)
        return None

    def since(self, moment: float) -> frozenset[str]:
        """The URLs with an answer from then or later, in seconds since 1970."""
        with suppress(sqlite3.Error, OSError), self._db() as db:
            return frozenset(row[0] for row in db.execute("SELECT url FROM answer WHERE fetched >= ?", (moment,)))
        return frozenset()

    def read(self, url: str, answer: Answer) -> bytes | None:
        """The bytes of an answer; None where they are gone, or are others."""
        with suppress(sqlite3.Error, OSError):
            content = self._file(answer.sha256).read_bytes()
            if hashlib.sha256(content).hexdigest() == answer.sha256:
                with self._db() as db:
                    db.execute("UPDATE answer SET used = ? WHERE url = ?", (time.time(), url))
                return content
        return None

    def keep(self, url: str, answer: Answer, content: bytes | None) -> None:
        """Note an answer; content None: the bytes are those that are there."""
        with suppress(sqlite3.Error, OSError), self._db() as db:
            if content is not None:
                self._write(answer.sha256, content)
            now = time.time()
            values = url, answer.sha256, answer.size, answer.etag, answer.modified, answer.fetched, now
            is_kept = int(self._file(answer.sha256).exists())
            db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, is_kept))
            self._make_room(db, 0 if content is None else len(content))

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _write(self, sha256: str, content: bytes) -> None:
        file = self._file(sha256)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            part.write_bytes(content)
            replace(part, file)
        finally:
            discard(part)

    def _make_room(self, db: sqlite3.Connection, n_bytes: int) -> None:
        """Remove what was used longest ago, once a sixteenth of the room may have been filled anew."""
        with self._lock:
            self._n_new += n_bytes
            if self._n_new < self._most // 16:
                return
            self._n_new = 0
        query = "SELECT sha256, size FROM answer WHERE is_kept GROUP BY sha256 ORDER BY max(used) DESC"
        total = 0
        for sha256, size in db.execute(query).fetchall():
            total += size
            if total > self._most - self._most // 16:
                discard(self._file(sha256))
                db.execute("UPDATE answer SET is_kept = 0 WHERE sha256 = ?", (sha256,))


@lru_cache(maxsize=4)
def _cache_of(folder: Path) -> Cache:
    return Cache(folder)


def open_cache() -> Cache:
    """The one of this process: what came from the web and from stores."""
    return _cache_of(cache_folder() / "web")
