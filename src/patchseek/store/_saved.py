"""Queries that are kept in the catalogue, with their pixels. Knows neither features nor what they find."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import QueryError, StoreDamaged
from ._catalogue import has_table

if TYPE_CHECKING:
    from ._store import Store

_TABLES = "saved_query", "saved_view", "kept_picture"
_QUERY = "name, query, text, note, at, who"
_VIEW = "wanted, file, sha256, page, width, height, x, y, w, h, kept, kept_x, kept_y"


@dataclass(frozen=True)
class SavedView:
    """A picture of a saved query: what is looked for, or what is not meant."""

    is_wanted: bool
    file: str
    # its name, for people
    sha256: str
    # of that file
    page: int
    width: int
    height: int
    # pixels of the upright picture
    box: tuple[int, int, int, int]
    # x y w h in pixels of it: what is looked for
    kept: str
    # SHA-256 of the picture file that is kept: the whole picture, or what lies around the box
    corner: tuple[int, int] = (0, 0)
    # x, y in the picture of the upper left corner of what is kept

    @property
    def kept_box(self) -> tuple[int, int, int, int]:
        """The box in pixels of what is kept."""
        x, y, w, h = self.box
        return x - self.corner[0], y - self.corner[1], w, h


@dataclass(frozen=True)
class SavedQuery:
    """What is looked for again and again."""

    name: str
    key: str
    # what its judgements, runs and finds are known by, see judgements.query_key
    text: str
    # words, "" for none
    note: str
    # for people
    at: float
    # seconds since 1970: when it was saved
    who: str
    views: tuple[SavedView, ...] = ()

    @property
    def wanted(self) -> tuple[SavedView, ...]:
        """The views of what is looked for."""
        return tuple(view for view in self.views if view.is_wanted)

    @property
    def unwanted(self) -> tuple[SavedView, ...]:
        """The pictures of what is not meant."""
        return tuple(view for view in self.views if not view.is_wanted)


def save_query(store: "Store", query: SavedQuery, contents: Iterable[bytes], *, replace: bool = False) -> None:
    """Keep a query and the files of its views; on the disk at return, or nothing is. Needs no write lock.

    Raises QueryError where the name is taken, unless it may be replaced, or the same has another name; StoreLocked,
    StoreError.
    """
    with store.catalogue.noting(*_TABLES) as db:
        if db.execute("SELECT 1 FROM saved_query WHERE name = ?", (query.name,)).fetchone():
            if not replace:
                raise QueryError(f"{query.name!r}: there is a saved query of this name already")
            _delete(db, [query.name])
        same = db.execute("SELECT name FROM saved_query WHERE query = ?", (query.key,)).fetchone()
        if same:
            raise QueryError(f"{query.name!r}: the same is saved already, as {same[0]!r}")
        for content in contents:
            row = hashlib.sha256(content).hexdigest(), content
            db.execute("INSERT OR IGNORE INTO kept_picture (sha256, content) VALUES (?, ?)", row)
        values = query.name, query.key, query.text, query.note, query.at, query.who
        db.execute(f"INSERT INTO saved_query ({_QUERY}) VALUES ({', '.join('?' * 6)})", values)
        for number, view in enumerate(query.views):
            row_of_view = query.name, number, *_values(view)
            db.execute(f"INSERT INTO saved_view (name, number, {_VIEW}) VALUES ({', '.join('?' * 15)})", row_of_view)
        _drop_unused(db)


def saved_queries(store: "Store") -> list[SavedQuery]:
    """All of them, by name."""
    with store.catalogue.reading() as db:
        if not has_table(db, "saved_query"):
            return []
        queries = db.execute(f"SELECT {_QUERY} FROM saved_query ORDER BY name").fetchall()
        rows = db.execute(f"SELECT name, {_VIEW} FROM saved_view ORDER BY name, number").fetchall()
    views: dict[str, list[SavedView]] = {}
    for name, *row in rows:
        views.setdefault(name, []).append(_view(row))
    return [
        SavedQuery(name, key, text, note, at, who, tuple(views.get(name, ())))
        for name, key, text, note, at, who in queries
    ]


def remove_queries(store: "Store", names: Sequence[str]) -> int:
    """Forget saved queries, but not what was said of their finds; returns how many there were."""
    with store.catalogue.noting(*_TABLES) as db:
        n = _delete(db, names)
        _drop_unused(db)
    return n


def kept_picture(store: "Store", sha256: str) -> bytes:
    """The picture file of a view. Raises StoreDamaged where it is gone, or its bytes are others."""
    with store.catalogue.reading() as db:
        row = db.execute("SELECT content FROM kept_picture WHERE sha256 = ?", (sha256,)).fetchone()
    if row is None or hashlib.sha256(row[0]).hexdigest() != sha256:
        raise StoreDamaged(f"{store.catalogue.path}: the picture of a saved query is damaged; remove it, save it anew")
    return bytes(row[0])


def damaged_queries(store: "Store") -> list[str]:
    """A line for each saved query whose pixels are not what was saved."""
    damaged = []
    for query in saved_queries(store):
        try:
            for view in query.views:
                kept_picture(store, view.kept)
        except StoreDamaged:
            damaged.append(f"saved query {query.name!r}: its picture is damaged; remove it, and save it anew")
    return damaged


def _values(view: SavedView) -> tuple[Any, ...]:
    size = view.width, view.height
    return int(view.is_wanted), view.file, view.sha256, view.page, *size, *view.box, view.kept, *view.corner


def _view(row: Sequence[Any]) -> SavedView:
    """The view that a row of _VIEW is."""
    wanted, file, sha256, page, width, height, x, y, w, h, kept, kept_x, kept_y = row
    return SavedView(bool(wanted), file, sha256, page, width, height, (x, y, w, h), kept, (kept_x, kept_y))


def _delete(db: Any, names: Sequence[str]) -> int:
    rows = [(name,) for name in names]
    db.executemany("DELETE FROM saved_view WHERE name = ?", rows)
    return int(db.executemany("DELETE FROM saved_query WHERE name = ?", rows).rowcount)


def _drop_unused(db: Any) -> None:
    db.execute("DELETE FROM kept_picture WHERE sha256 NOT IN (SELECT kept FROM saved_view)")
