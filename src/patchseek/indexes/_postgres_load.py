"""Make the tables of a place what they should be, one transaction a shard. Is given a connection.

Each step leaves the tables in order, so that a load that broke off goes on at the shard where it stopped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store import Half, Snapshot
from ._owner import shard_tag
from ._postgres_fit import judge, note
from ._postgres_place import Place, quoted
from ._postgres_recipe import PostgresRecipe
from ._protocol import Refit
from ._sound import require_numbers

_BATCH_BYTES = 8 << 20  # of features in one message
_AT_LEAST = """
    SELECT set_config(name, greatest(setting::bigint, least(%s, max_val::bigint))::text, true)
    FROM pg_settings WHERE name = 'maintenance_work_mem'
"""  # kB, until the end of the transaction
_PLAIN = 4000  # numbers of a feature that fit into a page of 8 kB beside the rest of a row


class Load:
    """The steps of a load. What the database raises is left as it is."""

    def __init__(self, db: Any, place: Place, snapshot: Snapshot) -> None:
        self._db, self._place, self._snapshot = db, place, snapshot

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db.transaction():
            self._db.execute(self._place.settings)
            yield

    def make_tables(self) -> None:
        """The tables, where one is not there or has other columns. Raises EngineError where no table can be made."""
        dim, storage = self._snapshot.dim, "PLAIN" if self._snapshot.dim <= _PLAIN else "EXTERNAL"
        rows, pictures = self._place.rows, self._place.pictures
        with self._transaction():
            for table in (rows, pictures):
                table.require_writable()
                if table.kind and not table.fits:
                    self._db.execute(f"DROP TABLE {table}")
            if not rows.fits:
                columns = f"image bigint, region smallint, feature halfvec({dim}), PRIMARY KEY (image, region)"
                self._db.execute(f"CREATE TABLE {rows} ({columns})")
                # by default a larger feature lies in a second table, where a scan has to look each up: twice the time
                self._db.execute(f"ALTER TABLE {rows} ALTER feature SET STORAGE {storage}")
            if not pictures.fits:
                self._db.execute(f"CREATE TABLE {pictures} (image bigint PRIMARY KEY, shard text)")

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Take pictures out."""
        with self._transaction():
            self._remove(ids)

    def send(self, missing: NDArray[np.bool_]) -> None:
        """Send the pictures at positions (N,) that are True; whatever there is of them goes. Raises EngineError."""
        for table in (self._place.rows, self._place.pictures):
            table.require_writable()
        for part, array, shard in self._snapshot.by_shard():
            places = np.flatnonzero(missing[part])
            if len(places):
                self._send(self._snapshot.ids[part][places], array, places, shard_tag(shard))

    def _send(self, ids: NDArray[np.int64], array: Half, places: NDArray[np.int64], tag: str) -> None:
        step = max(_BATCH_BYTES // (2 * self._snapshot.n_regions * self._snapshot.dim), 1)
        statement = f"COPY {self._place.rows} (image, region, feature) FROM STDIN (FORMAT BINARY)"
        with self._transaction():
            self._remove(ids)
            with self._db.cursor().copy(statement) as copy:
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
                for start in range(0, len(ids), step):
                    part = slice(start, start + step)
                    copy.write(_copied(ids[part], array[places[part]]))
                copy.write(b"\xff\xff")
            insert = f"INSERT INTO {self._place.pictures} (image, shard) SELECT unnest(%s::bigint[]), %s"
            self._db.execute(insert, [ids.tolist(), tag])

    def _remove(self, ids: NDArray[np.int64]) -> None:
        for table in (self._place.rows, self._place.pictures):
            self._db.execute(f"DELETE FROM {table} WHERE image = ANY(%s::bigint[])", [ids.tolist()])

    def _has_index(self, recipe: PostgresRecipe) -> bool:
        return bool(self._snapshot.n_live) and self._place.rows.kind == "r" and recipe.kind != "FLAT"

    def judge_index(self, recipe: PostgresRecipe, refit: Refit) -> tuple[str | None, bool]:
        """Why the index no longer fits the pictures of now, None where it does, and whether to build it anew."""
        if not self._has_index(recipe):
            return None, False
        with self._transaction():
            return judge(self._db, self._index_name(recipe), recipe, self._snapshot, refit)

    def _index_name(self, recipe: PostgresRecipe) -> str:
        return f"{quoted(self._place.rows.schema)}.{quoted(f'{self._place.rows.name}_{recipe.suffix}')}"

    def require_index(self, recipe: PostgresRecipe, *, anew: bool = False) -> None:
        """An index as asked for and no other. It is built after the first load: to grow one takes longer.

        anew: drop the one that is there first.
        """
        n_rows, rows = self._snapshot.n_live * self._snapshot.n_regions, self._place.rows
        if not n_rows or rows.kind != "r":
            return
        wanted, select = f"{rows.name}_{recipe.suffix}", "SELECT relname, indisprimary, indisvalid"
        select += " FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = %s::regclass"
        with self._transaction():
            found = self._db.execute(select, [str(rows)]).fetchall()
            built = {name: is_valid for name, is_primary, is_valid in found if not is_primary}
            for other, is_valid in built.items():
                if other != wanted or not is_valid or anew:
                    self._db.execute(f"DROP INDEX {quoted(rows.schema)}.{quoted(other)}")
            if (not built.get(wanted) or anew) and recipe.kind != "FLAT":
                began = time.monotonic()
                self._db.execute(_AT_LEAST, [recipe.build_bytes(n_rows, self._snapshot.dim) >> 10])
                self._db.execute(f"CREATE INDEX {wanted} ON {rows} USING {recipe.build(n_rows)}")
                note(self._db, self._index_name(recipe), self._snapshot, time.monotonic() - began)
            if not any(is_primary for _, is_primary, _ in found):  # some restored dumps have none
                self._db.execute(f"ALTER TABLE {rows} ADD PRIMARY KEY (image, region)")


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
