"""The door to a catalogue: whether its values are of the kinds that were written. SQLite keeps any in any column."""

import json
import sqlite3

from ._tables import LATER_TABLES

TABLES = ("setting", "root", "shard", "part", "image", "failure", *LATER_TABLES)
KINDS = {"INTEGER": "'integer'", "REAL": "'real', 'integer'", "TEXT": "'text'", "BLOB": "'blob'"}
"""What SQLite may say of a value (typeof) by what its column was declared as."""
TIMES = ("mtime_ns", "ctime_ns")
"""Nanoseconds since 1970: those beyond the year 2262, which no integer of SQLite holds, are kept as real numbers."""
BOUNDS = {
    **dict.fromkeys(("n_bytes", "slot", "n_pages", "page", "w", "h"), "{} < 0"),
    **dict.fromkeys(("width", "height"), "{} < 1"),
    **dict.fromkeys(("at", "since"), f"abs({{}}) > {1 << 35}"),
    "options": "NOT says({}, '')",
    "record": "NOT says({}, 'confidence score')",
    "n_images": f"{{0}} < 0 OR {{0}} > {1 << 32}",
    "file": "instr({0}, char(0)) OR instr({0}, '/')",
    "root.path": "instr({}, char(0))",
}
"""By the name of a column, with that of its table or alone, the condition that a value is beyond what is written there.

Moments are seconds since 1970.
"""


def find_wrong(db: sqlite3.Connection) -> str | None:
    """The table and column of a value that nobody wrote as it is, such as "image.path"; None where there is none.

    All values are looked at once, in SQLite.
    """
    db.create_function("says", 2, _says, deterministic=True)
    for table in TABLES:
        columns = _columns(db, table)
        if columns:
            cases = " ".join(f"WHEN {_wrong(table, *column)} THEN '{column[0]}'" for column in columns)
            query = f"SELECT CASE {cases} END AS wrong FROM {table} WHERE wrong IS NOT NULL LIMIT 1"
            row = db.execute(query).fetchone()
            if row is not None:
                return f"{table}.{row[0]}"
    return None


def delete_wrong(db: sqlite3.Connection, table: str) -> int:
    """Delete the rows of a table that have such a value; how many there were."""
    db.create_function("says", 2, _says, deterministic=True)
    condition = " OR ".join(_wrong(table, *column) for column in _columns(db, table))
    return db.execute(f"DELETE FROM {table} WHERE {condition}").rowcount


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[str, str, bool]]:
    """Name, kind and whether there is always a value, of columns that are of a known kind; none of no table."""
    assert table in TABLES
    found = db.execute(f"PRAGMA table_info({table})").fetchall()
    return [(name, kind, bool(always or key)) for _, name, kind, always, _, key in found if kind in KINDS]


def _says(text: object, keys: str) -> bool:
    """Whether a text is an object of JSON with these keys. SQLite's own functions know no NaN, which Python writes."""
    try:
        said = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.keys() >= set(keys.split())


def _wrong(table: str, name: str, kind: str, always: bool) -> str:
    """The condition that a value is of another kind, is none where there must be one, or beyond its bounds."""
    allowed = KINDS["REAL" if name in TIMES else kind] + ("" if always else ", 'null'")
    parts = [f"typeof({name}) NOT IN ({allowed})"]
    bound = BOUNDS.get(f"{table}.{name}") or BOUNDS.get(name)
    parts += [bound.format(name)] if bound else []
    return f"({' OR '.join(parts)})"
