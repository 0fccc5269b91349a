"""Search in PostgreSQL with the extension pgvector.

The collection on disk is the truth and the database a cache of it, see `_postgres_rows`. Opening compares the two and
sends what is missing. A search does so again where something tells that the tables have changed (see
`_postgres_place`), where it found fewer pictures than there are, where a score is not that of the collection's own
feature, and where PostgreSQL does not answer it.

PostgreSQL ranks rows, and `_gather` makes pictures of them. Every score is the exact inner product of the query and the
stored feature, computed by the server; an index only chooses which rows are scored.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot
from ._database import Found, Mender, Names, StaleEngine
from ._gather import RankedRows, gather, narrowed
from ._owner import known_owner, owner_of
from ._postgres_load import Load
from ._postgres_place import Place, Signs, find_place
from ._postgres_recipe import PostgresRecipe, parse
from ._postgres_rows import PostgresRows
from ._postgres_server import NotAllowed, Server
from ._protocol import EngineOpening, Held, Hits, Kind, Refit

_log = logging.getLogger(__name__)

_OWNER = "postgres"
_OF_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WAIT = 60  # seconds for another process that is loading the same collection, or holds its tables
_COUNTED = 1 << 16  # rows that are looked at again whenever anything was written in the server


class PostgresIndex:
    """The rows of a snapshot in one table. Raises EngineError whenever the database cannot be used."""

    outgrown: str | None = None

    def __init__(
        self, recipe: PostgresRecipe, table: str, snapshot: Snapshot, refit: Refit = Refit.WHERE_SOON_DONE
    ) -> None:
        self._recipe, self._table, self._snapshot, self._refit = recipe, table, snapshot, refit
        self._server = Server(recipe.url)
        self._n_rows = snapshot.n_live * snapshot.n_regions
        self._signs: Signs = []
        self._mender, self._names = Mender(), Names(snapshot)
        with self._server.connection() as db:
            self._place = self._find_place(db)
            self.name = f"postgresql {db.info.parameter_status('server_version')} {recipe.kind}"

    def _find_place(self, db: Any) -> Place:
        return find_place(db, self._table, self._snapshot.dim)

    def _signs_of(self, db: Any, place: Place) -> Signs:
        return place.signs(db, exact=self._n_rows <= _COUNTED)

    def update(self, *, is_opening: bool = True, is_altered: bool = False) -> None:
        """Bring the database up to date with the snapshot.

        is_opening: take out what the snapshot does not know, too. is_altered: see StaleEngine.
        """
        with self._server.connection() as db:
            db.execute(f"SET lock_timeout = '{_WAIT}s'")
            db.execute("SELECT pg_advisory_lock(hashtext(%s))", [self._table])
            place = self._find_place(db)
            signs, rows = self._signs_of(db, place), PostgresRows(db, place, self._snapshot)
            lack = rows.look(every=is_altered)
            if not place.is_readable:
                self._write(lambda: self._make_tables(db), lack or "its tables are missing")
                place = self._find_place(db)
            load = Load(db, place, self._snapshot)
            if is_opening and len(rows.needless):
                self._write(lambda: load.remove(rows.needless))
            if lack:
                self._write(lambda: load.send(rows.missing), lack)
            self._write(lambda: self._require_index(load))
            self._place, self._signs = self._find_place(db), signs
            db.execute("SELECT pg_advisory_unlock_all()")

    def _require_index(self, load: Load) -> None:
        """The index asked for, built anew where it was of other pictures and that is due."""
        load.require_index(self._recipe)
        self.outgrown, is_due = load.judge_index(self._recipe, self._refit)
        if is_due:
            load.require_index(self._recipe, anew=True)
            self.outgrown = None

    def _make_tables(self, db: Any) -> None:
        if self._find_place(db).extension is None:
            db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        Load(db, self._find_place(db), self._snapshot).make_tables()

    def _write(self, step: Callable[[], None], lack: str = "") -> None:
        """Take a step that changes the database. Who may not take it can search, unless something is lacking."""
        try:
            with self._server.translated():
                step()
        except NotAllowed as error:
            said = f"PostgreSQL at {self._recipe.url}: {lack or 'not quite up to date'}"
            said += f", and this role may not write there: {error.reason}"
            if lack:
                raise EngineError(f"{said}; a search by one that may write sends it") from error
            _log.warning("%s; it answers all the same", said)

    def held(self, *, every: bool) -> Held:
        """What the database holds of the snapshot. every: compare every feature, see PostgresRows.look."""
        with self._server.connection() as db, db.transaction():
            db.execute(_OF_ONE_MOMENT)
            rows = PostgresRows(db, self._place, self._snapshot)
            rows.look(every=every)
            return rows.held()

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Of pictures that tie at the last place, PostgreSQL chooses; an index may find fewer than k."""
        part = narrowed(self._snapshot, queries, k, among)
        if isinstance(part, Hits):
            return part
        allowed = None if among is None else part.ids[part.live].tolist()
        return self._mender.answer(lambda: self._answer(part, queries, k, allowed), self._mend)

    def _mend(self, is_altered: bool) -> None:
        self.update(is_opening=False, is_altered=is_altered)

    def _answer(self, part: Snapshot, queries: Features, k: int, allowed: list[int] | None) -> Hits:
        """The answers to queries, all of one moment. Raises StaleEngine where the database is not up to date."""
        with self._server.connection() as db, db.transaction():
            db.execute(_OF_ONE_MOMENT)
            place, signs = self._place, self._signs_of(db, self._place)
            is_changed = signs != self._signs
            if is_changed:
                self._check(db, self._find_place(db), signs)
            db.execute(f"{place.settings}; SET LOCAL lock_timeout = '{_WAIT}s'")
            hits = gather(partial(self._ask, db, allowed), part, queries, k, rerank=0)
            if not is_changed and part.n_live and (hits.positions[:, -1] < 0).any():
                self._check(db, place, signs)
        return hits

    def _check(self, db: Any, place: Place, signs: Signs) -> None:
        """Raise StaleEngine unless everything is there; then these are the signs of it."""
        at = f"PostgreSQL at {self._recipe.url}"
        if place != self._place:
            raise StaleEngine(f"{at}: the tables {self._table} or their indexes are not what they were")
        if lack := PostgresRows(db, place, self._snapshot).look():
            raise StaleEngine(f"{at}: {lack}")
        self._signs = signs

    def _ask(self, db: Any, allowed: list[int] | None, queries: Features, depth: int) -> RankedRows:
        """See Ask. allowed: ids of the pictures that may answer, all by default."""
        exact = "feature::vector <#> %(query)s::vector"
        order = "3" if self._recipe.kind == "FLAT" else "feature <#> %(query)s::halfvec"
        where = "" if allowed is None else "WHERE image = ANY(%(allowed)s::bigint[])"
        select = f"SELECT image, region, {exact} FROM {self._place.rows} {where} ORDER BY {order} LIMIT %(depth)s"
        db.execute(self._recipe.settings(depth, self._n_rows))
        values = {"allowed": allowed, "depth": depth}
        found = (
            _columns(db.execute(select, {**values, "query": str(query.tolist())}, binary=True).fetchall())
            for query in queries
        )
        return self._names.rows(queries, found, depth, are_exact=True)


def _columns(found: Sequence[tuple[int, int, float]]) -> Found:
    columns = np.array(found, np.float64).reshape(-1, 3)
    return columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64), -columns[:, 2].astype(np.float32)


def _index(
    recipe: PostgresRecipe, owner: str, snapshot: Snapshot, refit: Refit = Refit.WHERE_SOON_DONE
) -> PostgresIndex:
    return PostgresIndex(recipe, f"patchseek_{owner}_{snapshot.n_regions}", snapshot, refit)


def _open(engine: str, snapshot: Snapshot, how: EngineOpening) -> PostgresIndex:
    """With the database brought up to date."""
    recipe = parse(engine, kept=how.kept)
    index = _index(recipe, owner_of(snapshot, how.cache, _OWNER), snapshot, how.refit)
    index.update(is_altered=how.is_altered)
    return index


def _compare(engine: str, snapshot: Snapshot, cache: Path | None, every: bool) -> Held:
    owner = known_owner(snapshot, cache, _OWNER)
    if owner is None:
        return Held(snapshot.n_live, snapshot.n_live, 0)
    return _index(parse(engine, kept=True), owner, snapshot).held(every=every)


def _ping(engine: str, seconds: int) -> None:
    """Raise EngineError unless the database lets us in."""
    Server(parse(engine, kept=True).url).ping(seconds)


KIND = Kind(open=_open, judge=parse, compare=_compare, ping=_ping)
