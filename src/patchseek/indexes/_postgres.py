"""Search in PostgreSQL with the extension pgvector. The only file that imports psycopg.

The collection on disk is the truth and the database a cache of it: one table holds a row for each region of a live
picture, its feature as the float16 that the collection holds; a small one says from which shard each picture came.
Opening compares that with the snapshot and sends what is missing, one transaction a shard, so that a load that broke
off goes on at the shard where it stopped.

PostgreSQL ranks rows, and one picture may own many of the first. So we ask for more rows than pictures and double the
depth, as `_faiss` does. Every score is the exact inner product of the query and the stored feature, computed by the
server; an index only chooses which rows are scored.
"""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError, MissingExtra
from ..store import Half, Snapshot
from . import Hits, check_query
from ._best import group_pictures, known_rows
from ._exact import search_few
from ._owner import owner_of, shard_tag
from ._postgres_recipe import Recipe, parse
from ._sound import require_numbers

_WAIT = 60  # seconds for another process that is loading the same collection
_BATCH_BYTES = 8 << 20  # of features in one message
_PLAIN = 4000  # numbers of a feature that fit into a page of 8 kB beside the rest of a row


@contextmanager
def _one_line(url: str) -> Iterator[None]:
    """Whatever the database or the connection raises becomes one EngineError."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        reason = " ".join(str(error).split())[:300]
        if isinstance(error, psycopg.errors.LockNotAvailable):
            reason = "another process is bringing it up to date; try again when it is done"
        raise EngineError(f"PostgreSQL at {url}: {reason}; nothing is lost, the next try goes on from here") from error


def _place(url: str) -> dict[str, Any]:
    """Where to connect and as whom. Raises EngineError for a password: an engine's name is kept and printed."""
    import psycopg

    try:
        said = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its message may quote a password
        raise EngineError("the database must be given as postgresql://USER@HOST:PORT/DATABASE") from None
    if any("password" in key for key in said):
        raise EngineError("a database's URL takes no password, it is kept; PGPASSWORD or the file ~/.pgpass holds it")
    return {"connect_timeout": 10, "application_name": "patchseek", **said}


class PostgresIndex:
    """The rows of a snapshot in one table. Raises EngineError whenever the database cannot be used."""

    def __init__(self, recipe: Recipe, table: str, snapshot: Snapshot) -> None:
        self._recipe, self._table, self._snapshot = recipe, table, snapshot
        self._place = _place(recipe.url)
        self._by_id = np.argsort(snapshot.ids)
        self._n_rows = snapshot.n_live * snapshot.n_regions
        self._idle: SimpleQueue[Any] = SimpleQueue()
        weakref.finalize(self, _close, self._idle)
        with self._connection() as db:
            self.name = f"postgresql {db.info.parameter_status('server_version')} {recipe.kind}"

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection of one's own, so that threads may search at the same time; it is kept for the next."""
        with _one_line(self._recipe.url):
            db = self._connect()
            try:
                yield db
            except BaseException:
                db.close()  # and with it what it had begun
                raise
            self._idle.put(db)

    def _connect(self) -> Any:
        import psycopg

        with suppress(Empty):
            while True:
                db = self._idle.get_nowait()
                with suppress(psycopg.OperationalError):
                    db.execute("")  # is it still there?
                    return db
        return psycopg.connect(**self._place, autocommit=True, prepare_threshold=None)

    def update(self) -> None:
        """Bring the database up to date with the snapshot."""
        with self._connection() as db:
            db.execute(f"SET lock_timeout = '{_WAIT}s'")
            db.execute("SELECT pg_advisory_lock(hashtext(%s))", [self._table])
            self._require_tables(db)
            select = f"SELECT shard, array_agg(image) FROM {self._table}_pictures GROUP BY shard"
            held = {tag: np.array(images, np.int64) for tag, images in db.execute(select)}
            with db.transaction():
                for images in held.values():
                    self._remove(db, images[~np.isin(images, self._snapshot.ids[self._snapshot.live])])
            low = 0
            for array, shard in zip(self._snapshot.arrays, self._snapshot.shards, strict=True):
                tag = shard_tag(shard)
                self._update_shard(db, low, array, tag, held.get(tag, np.empty(0, np.int64)))
                low += len(array)
            if self._n_rows:
                self._require_index(db)
            db.execute("SELECT pg_advisory_unlock_all()")

    def _require_tables(self, db: Any) -> None:
        dim, storage = self._snapshot.dim, "PLAIN" if self._snapshot.dim <= _PLAIN else "EXTERNAL"
        with db.transaction():
            db.execute("CREATE EXTENSION IF NOT EXISTS vector")
            (version,) = db.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
            if tuple(map(int, version.split(".")[:2])) < (0, 8):
                raise EngineError(f"PostgreSQL at {self._recipe.url} has pgvector {version}; 0.8 or later is needed")
            if db.execute("SELECT to_regclass(%s)", [self._table]).fetchone() != (None,):
                return
            columns = f"image bigint, region smallint, feature halfvec({dim}), PRIMARY KEY (image, region)"
            db.execute(f"CREATE TABLE {self._table} ({columns})")
            # by default a larger feature lies in a second table, where a scan has to look each up: twice the time
            db.execute(f"ALTER TABLE {self._table} ALTER feature SET STORAGE {storage}")
            db.execute(f"CREATE TABLE {self._table}_pictures (image bigint PRIMARY KEY, shard text)")

    def _require_index(self, db: Any) -> None:
        """An index as asked for and no other. It is built after the first load: to grow one takes longer."""
        wanted = f"{self._table}_{self._recipe.suffix}"
        query = "SELECT indexname FROM pg_indexes WHERE tablename = %s AND schemaname = current_schema()"
        built = {name for (name,) in db.execute(query, [self._table])} - {f"{self._table}_pkey"}
        with db.transaction():
            for other in built - {wanted}:
                db.execute(f"DROP INDEX {other}")
            if wanted not in built and self._recipe.kind != "FLAT":
                db.execute(f"CREATE INDEX {wanted} ON {self._table} USING {self._recipe.build(self._n_rows)}")

    def _update_shard(self, db: Any, low: int, array: Half, tag: str, held: NDArray[np.int64]) -> None:
        """Send the live pictures of a shard but those held; rows of theirs that came from another shard go."""
        missing = np.flatnonzero(self._snapshot.live[low : low + len(array)])
        missing = missing[~np.isin(self._snapshot.ids[low + missing], held)]
        if not len(missing):
            return
        ids = self._snapshot.ids[low + missing]
        step = max(_BATCH_BYTES // (2 * self._snapshot.n_regions * self._snapshot.dim), 1)
        with db.transaction():
            self._remove(db, ids)
            with db.cursor().copy(f"COPY {self._table} FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
                for start in range(0, len(ids), step):
                    part = slice(start, start + step)
                    copy.write(_copied(ids[part], array[missing[part]]))
                copy.write(b"\xff\xff")
            db.execute(f"INSERT INTO {self._table}_pictures SELECT unnest(%s::bigint[]), %s", [ids.tolist(), tag])

    def _remove(self, db: Any, ids: NDArray[np.int64]) -> None:
        for table in (self._table, f"{self._table}_pictures"):
            db.execute(f"DELETE FROM {table} WHERE image = ANY(%s::bigint[])", [ids.tolist()])

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Of pictures that tie at the last place, PostgreSQL chooses; an index may find fewer than k."""
        check_query(queries, k, self._snapshot.dim)
        snapshot, allowed = self._snapshot, None
        if among is not None:
            if (few := search_few(snapshot, queries, k, among)) is not None:
                return few
            snapshot = replace(snapshot, live=snapshot.live & among)
            allowed = snapshot.ids[snapshot.live].tolist()
        k = max(min(k, snapshot.n_live), 1)
        shape = (len(queries), k)
        hits = Hits(np.full(shape, -1, np.int64), np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        with self._connection() as db, db.transaction():
            for q, query in enumerate(queries):
                best = self._best(db, snapshot, query, k, allowed)
                hits.positions[q], hits.regions[q], hits.scores[q] = best.positions, best.regions, best.scores
        return hits

    def _best(self, db: Any, snapshot: Snapshot, query: NDArray[np.float32], k: int, allowed: list[int] | None) -> Hits:
        """The answer to one query, (1, k) each."""
        exact = "feature::vector <#> %(query)s::vector"
        order = "3" if self._recipe.kind == "FLAT" else "feature <#> %(query)s::halfvec"
        where = "" if allowed is None else "WHERE image = ANY(%(allowed)s::bigint[])"
        select = f"SELECT image, region, {exact} FROM {self._table} {where} ORDER BY {order} LIMIT %(depth)s"
        values = {"query": str(query.tolist()), "allowed": allowed}
        depth = max(4 * k, 64)
        while True:
            db.execute(self._recipe.settings(depth, self._n_rows))
            found = db.execute(select, {**values, "depth": depth}, binary=True).fetchall()
            hits = group_pictures(snapshot, *self._columns(found), k)
            if len(found) < depth or hits.positions[0, -1] >= 0:
                return hits
            depth *= 2

    def _columns(self, found: Sequence[tuple[int, int, float]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows of the snapshot (1, n), best first. Pictures that it does not know are left out."""
        columns = np.array(found, np.float64).reshape(-1, 3)
        images, regions = columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64)
        rows, known = known_rows(self._snapshot, self._by_id, images, regions)
        scores, rows = -columns[known, 2].astype(np.float32), rows[known]
        order = np.lexsort((rows, -scores))
        return scores[order][None], rows[order][None]


def _copied(ids: NDArray[np.int64], features: Half) -> bytes:
    """Pictures (n,) and their features (n, R, D) as rows of a binary COPY: each field after its length in bytes.

    https://www.postgresql.org/docs/current/sql-copy.html; a halfvec is sent as D, a zero and D numbers.
    """
    require_numbers(features)
    n, n_regions, dim = features.shape
    fields = [("n_fields", ">i2"), ("n_image", ">i4"), ("image", ">i8"), ("n_region", ">i4"), ("region", ">i2")]
    fields += [("n_feature", ">i4"), ("dim", ">i2"), ("zero", ">i2")]
    rows = np.zeros((n, n_regions), np.dtype([*fields, ("feature", ">f2", (dim,))]))
    rows["n_fields"], rows["n_image"], rows["n_region"], rows["n_feature"], rows["dim"] = 3, 8, 2, 4 + 2 * dim, dim
    rows["image"], rows["region"], rows["feature"] = ids[:, None], np.arange(n_regions), features
    return rows.tobytes()


def _close(idle: "SimpleQueue[Any]") -> None:
    while not idle.empty():
        idle.get_nowait().close()


def open_postgres(engine: str, snapshot: Snapshot, cache: Path | None) -> PostgresIndex:
    """The engine over a snapshot, with the database brought up to date. See indexes.open_index."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra("psycopg", "postgres") from error
    table = f"patchseek_{owner_of(snapshot, cache, 'postgres')}_{snapshot.n_regions}"
    index = PostgresIndex(parse(engine), table, snapshot)
    index.update()
    return index
