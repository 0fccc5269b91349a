"""Where in a database a collection's two tables are, what shape they have, and what tells that something has changed.

The tables are looked for by name, drawn once and found nowhere else, in every schema: which schema a bare name means
depends on who asks, and on schemas that come later. So does where pgvector's types and operators are.
"""

from dataclasses import dataclass
from typing import Any

from ..errors import EngineError

_MIN_VERSION = (0, 8)
_EXTENSION = """
    SELECT nspname, extversion, has_schema_privilege(n.oid, 'USAGE'), current_user
    FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"""
_TABLES = """
    SELECT nspname, relname, relkind::text,
        ARRAY(SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
        ARRAY(SELECT i.relname FROM pg_index JOIN pg_class i ON i.oid = indexrelid
              WHERE indrelid = c.oid AND indisvalid ORDER BY 1)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relname = ANY(%s) AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relpersistence <> 't'
    AND has_schema_privilege(n.oid, 'USAGE')"""
_SIGNS = """
    SELECT relname, c.oid, relfilenode, relkind::text, pg_stat_get_tuples_inserted(c.oid),
        pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid),
        (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND indisvalid),
        CASE WHEN %s THEN pg_snapshot_xmax(pg_current_snapshot())::text END
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relname = ANY(%s) ORDER BY 1"""

Signs = list[tuple[Any, ...]]
"""See Place.signs."""


@dataclass(frozen=True)
class Table:
    """One of the two, or the place for it."""

    schema: str
    name: str
    kind: str | None = None
    # PostgreSQL's letter: r a table, v a view, ...; None where there is nothing
    fits: bool = False
    # whether it has the columns that it must have
    indexes: tuple[str, ...] = ()
    # names of those that are whole

    def __str__(self) -> str:
        """As a statement says it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def require_writable(self) -> None:
        """Raise EngineError where something stands there that nothing can be sent to."""
        if not self.schema:
            raise EngineError("the database has no schema that tables could be made in; its search_path names none")
        if self.kind not in (None, "r"):
            raise EngineError(f"{self} is a view or the like: nothing can be sent to it; drop or rename it")


@dataclass(frozen=True)
class Place:
    """The tables of rows and of pictures, and pgvector, as a database has them."""

    rows: Table
    pictures: Table
    extension: str | None
    # the schema that pgvector is in; None where it is not installed

    @property
    def settings(self) -> str:
        """What makes pgvector's names known until the end of the transaction, and those of nobody else."""
        return f"SET LOCAL search_path = pg_catalog, {quoted(self.extension or '')}"

    @property
    def is_readable(self) -> bool:
        """Whether both tables can be asked."""
        return self.extension is not None and self.rows.fits and self.pictures.fits

    def signs(self, db: Any, *, exact: bool) -> Signs:
        """What is another when somebody has changed the tables: which they are, counts of changes, indexes.

        PostgreSQL counts changes a moment after they were made. exact: all that was written anywhere in the server
        counts, so that no change is missed, and many are seen that are none.
        """
        found: Signs = db.execute(_SIGNS, [exact, self.rows.schema, [self.rows.name, self.pictures.name]]).fetchall()
        return found


def find_place(db: Any, name: str, dim: int) -> Place:
    """Where the table of rows of this name and the other are, or would be made.

    Of several schemas that have them, the first that the role would look into. Raises EngineError for a pgvector that
    is too old, or that the role may not use.
    """
    names = name, f"{name}_pictures"
    with db.transaction():
        (searched,) = db.execute("SELECT current_schemas(false)").fetchone()
        installed = db.execute(_EXTENSION).fetchone()
        if installed is None:
            schema = searched[0] if searched else ""
            return Place(Table(schema, names[0]), Table(schema, names[1]), None)
        extension, version, is_usable, role = installed
        if tuple(map(int, version.split(".")[:2])) < _MIN_VERSION:
            found = f"the database has pgvector {version}; 0.8 or later is needed"
            raise EngineError(f"{found}: install it on the server, then ALTER EXTENSION vector UPDATE")
        if not is_usable:  # its types seem not to exist then, and tables made of them to be wrong
            schema, role = quoted(extension), quoted(role)
            raise EngineError(
                f"pgvector is in the schema {schema}, which needs: GRANT USAGE ON SCHEMA {schema} TO {role}"
            )
        db.execute(f"SET LOCAL search_path = pg_catalog, {quoted(extension)}")
        tables = {(schema, table): found for schema, table, *found in db.execute(_TABLES, [[*names]])}
    elsewhere = sorted({schema for schema, _ in tables} - {*searched})
    schemas = [schema for schema in [*searched, *elsewhere] if {(schema, each) for each in names} & {*tables}]
    schema = next(iter([*schemas, *searched]), "")

    def table(name: str, *columns: str) -> Table:
        kind, found, indexes = tables.get((schema, name), (None, [], []))
        return Table(schema, name, kind, {*columns} <= {*found}, tuple(indexes))

    rows = table(names[0], "image bigint", "region smallint", f"feature halfvec({dim})")
    return Place(rows, table(names[1], "image bigint", "shard text"), extension)


def quoted(name: str) -> str:
    """A name as a statement says it."""
    return '"{}"'.format(name.replace('"', '""'))
