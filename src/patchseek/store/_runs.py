"""When saved queries were asked, and what they found: one transaction for each. Knows neither pictures nor scores."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._catalogue import has_table
from ._judgements import Content
from ._store import Store

_TABLES = "query_run", "query_find"
_RUN = "mark, n_pictures, options, made_by, at, number"


@dataclass(frozen=True)
class Run:
    """That a query was asked."""

    mark: int
    # the largest id that a picture had; all pictures up to it have been looked at
    n_pictures: int
    # that could be found then
    options: dict[str, Any]
    # how it was asked, see answers.SearchOptions
    made_by: str
    # a digest of all that the answer depends on beside the pictures: scores of others cannot be compared
    at: float
    # seconds since 1970
    number: int = 0
    # of the query's runs, from 1; 0 for one that is not noted yet


@dataclass(frozen=True)
class Find:
    """A picture that a query found, by its content: the file may have moved since."""

    content: Content
    record: dict[str, Any]
    # see records.match_record
    run: int = 0
    # that found it last
    first: int = 0
    # that found it first


def last_id(store: Store) -> int:
    """The largest id that a picture of the collection ever had; 0 where there was none. It is never given again."""
    with store.catalogue.reading() as db:
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'image'").fetchone()
    return int(row[0]) if row else 0


def last_run(store: Store, query: str) -> Run | None:
    """The latest run of the query of a key."""
    with store.catalogue.reading() as db:
        if not has_table(db, "query_run"):
            return None
        row = db.execute(
            f"SELECT {_RUN} FROM query_run WHERE query = ? ORDER BY number DESC LIMIT 1", (query,)
        ).fetchone()
    if row is None:
        return None
    mark, n_pictures, options, *rest = row
    return Run(mark, n_pictures, json.loads(options), *rest)


def add_run(store: Store, query: str, run: Run, finds: Sequence[Find], *, is_whole: bool) -> None:
    """Note a run, as the next of the query's, and what it found; on the disk at return. Needs no write lock.

    is_whole: the finds take the place of those of before, but for those that somebody has judged; else they come to
    them. Raises StoreLocked, StoreError.
    """
    with store.catalogue.noting(*_TABLES, "judgement") as db:
        rows = db.execute("SELECT sha256, page, first FROM query_find WHERE query = ?", (query,))
        first = {(sha256, page): number for sha256, page, number in rows}
        (number,) = db.execute(
            "SELECT coalesce(max(number), 0) + 1 FROM query_run WHERE query = ?", (query,)
        ).fetchone()
        if is_whole:
            judged = "SELECT sha256, page FROM judgement WHERE query = query_find.query"
            db.execute(f"DELETE FROM query_find WHERE query = ? AND (sha256, page) NOT IN ({judged})", (query,))
        values = query, run.mark, run.n_pictures, json.dumps(run.options), run.made_by, run.at, number
        db.execute(f"INSERT INTO query_run (query, {_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        for find in reversed(finds):  # of two with one content, the better one stands
            record = json.dumps(find.record)
            db.execute(
                "INSERT OR REPLACE INTO query_find (query, sha256, page, run, first, record) VALUES (?, ?, ?, ?, ?, ?)",
                (query, *find.content, number, first.get(find.content, number), record),
            )


def finds_of(store: Store, query: str) -> list[Find]:
    """What the query of a key has found so far, in no order."""
    with store.catalogue.reading() as db:
        if not has_table(db, "query_find"):
            return []
        rows = db.execute(
            "SELECT sha256, page, record, run, first FROM query_find WHERE query = ?", (query,)
        ).fetchall()
    return [Find((sha256, page), json.loads(record), run, first) for sha256, page, record, run, first in rows]
