"""Finds that are to be handed on, each of them once: which have been, and what waits. Knows no file and no address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._catalogue import has_table
from ._judgements import Content
from ._runs import Find, finds_of, last_run
from ._store import Store

MOST_NEWS = 1000
"""News that wait to be posted at most: then the oldest are given up."""
_TABLES = "told_query", "told", "news"
_NEWS = "number, text, place, size, written, posted"


@dataclass(frozen=True)
class Untold:
    """Finds of a query that nobody has looked through yet."""

    query: str
    # its key
    run: int
    # up to which they have been looked through then
    finds: tuple[Find, ...]


@dataclass(frozen=True)
class News:
    """Finds that are handed on together."""

    number: int
    text: str
    # a line each
    place: str
    # the file that they were to be written to, "" for none
    size: int
    # bytes that it had before
    is_written: bool
    is_posted: bool

    @property
    def n(self) -> int:
        """How many finds they are."""
        return self.text.count("\n")


def begin_telling(store: Store, queries: Sequence[str]) -> None:
    """Of these queries, what has been found so far is known; what is found from now on, by whomever, is news.

    Changes nothing where that was said before.
    """
    if _rows(store, "told_query", "SELECT 1 FROM told_query"):
        return
    known = [(query, run.number if (run := last_run(store, query)) else 0) for query in queries]
    finds = [(query, *find.content) for query in queries for find in finds_of(store, query)]
    with store.catalogue.noting(*_TABLES) as db:
        db.executemany("INSERT INTO told_query (query, run) VALUES (?, ?)", [("", 0), *known])
        db.executemany("INSERT OR IGNORE INTO told (query, sha256, page) VALUES (?, ?, ?)", finds)


def untold(store: Store, query: str) -> Untold | None:
    """What the query of a key has found since that was looked through last; None where it was not asked since."""
    run = last_run(store, query)
    looked = _rows(store, "told_query", "SELECT run FROM told_query WHERE query = ?", query)
    if run is None or (looked and looked[0][0] == run.number):
        return None
    told: set[Content] = set(_rows(store, "told", "SELECT sha256, page FROM told WHERE query = ?", query))
    return Untold(query, run.number, tuple(find for find in finds_of(store, query) if find.content not in told))


def add_news(
    store: Store, looked_through: Sequence[Untold], texts: Sequence[str], place: str, size: int, *, posts: bool
) -> int:
    """Note what has been looked through, and what of it is to be handed on; all or nothing, on the disk at return.

    texts: of each piece of news, its lines. place, size: see News. posts: whether they are to be posted, too.
    Returns how many finds were given up for them. Needs no write lock. Raises StoreLocked, StoreError.
    """
    with store.catalogue.noting(*_TABLES) as db:
        for each in looked_through:
            db.execute("INSERT OR REPLACE INTO told_query (query, run) VALUES (?, ?)", (each.query, each.run))
            rows = [(each.query, *find.content) for find in each.finds]
            db.executemany("INSERT OR IGNORE INTO told (query, sha256, page) VALUES (?, ?, ?)", rows)
        for text in texts:
            db.execute(
                "INSERT INTO news (text, place, size, written, posted) VALUES (?, ?, ?, 0, ?)",
                (text, place, size, int(not posts)),
            )
        over = db.execute(
            f"SELECT {_NEWS} FROM news WHERE written ORDER BY number DESC LIMIT -1 OFFSET ?", (MOST_NEWS,)
        ).fetchall()
        db.executemany("DELETE FROM news WHERE number = ?", [row[:1] for row in over])
    return sum(_news(row).n for row in over)


def waiting_news(store: Store) -> list[News]:
    """What has not been written or not been posted, the oldest first."""
    return [_news(row) for row in _rows(store, "news", f"SELECT {_NEWS} FROM news ORDER BY number")]


def note_written(store: Store, number: int) -> None:
    """These news have been written. Raises StoreLocked, StoreError."""
    _note(store, "written", number)


def note_posted(store: Store, number: int) -> None:
    """These news have been posted. Raises StoreLocked, StoreError."""
    _note(store, "posted", number)


def _note(store: Store, column: str, number: int) -> None:
    with store.catalogue.noting("news") as db:
        db.execute(f"UPDATE news SET {column} = 1 WHERE number = ?", (number,))
        db.execute("DELETE FROM news WHERE written AND posted")


def _rows(store: Store, table: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a question to a table answers; nothing where it is not there yet."""
    with store.catalogue.reading() as db:
        return db.execute(query, values).fetchall() if has_table(db, table) else []


def _news(row: Sequence[Any]) -> News:
    """The news that a row of _NEWS is."""
    number, text, place, size, written, posted = row
    return News(number, text, place, size, bool(written), bool(posted))
