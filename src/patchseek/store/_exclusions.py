"""The exclusions that a collection remembers, for each folder or URL that was indexed with some."""

import json

from ._records import Root
from ._store import Store
from ._writer import Writer

_OPTION = "exclude"  # {id of a root: {pattern as given: line that it stands for}}; see patterns.Exclusions


def exclusions(store: Store, root: Root) -> dict[str, str]:
    """What is left out of a root: patterns as they were given, with the lines that they stand for."""
    with store.catalogue.reading() as db:
        row = db.execute("SELECT id FROM root WHERE path = ?", (store.relate(root),)).fetchone()
    return _remembered(store).get(str(row[0]), {}) if row else {}


def all_exclusions(store: Store) -> dict[str, list[str]]:
    """The patterns as they were given, by the folder or URL they are for."""
    with store.catalogue.reading() as db:
        roots = {str(row[0]): str(store.root_of(row[1])) for row in db.execute("SELECT id, path FROM root ORDER BY id")}
    found = _remembered(store)
    return {path: list(found[root]) for root, path in roots.items() if root in found}


def remember_exclusions(writer: Writer, root: Root, lines: dict[str, str]) -> None:
    """Leave this out of a root from now on, instead of what was; nothing where there are no lines."""
    if exclusions(writer.store, root) == lines:
        return
    with writer.store.catalogue.writing() as db:
        place = (writer.store.relate(root),)
        db.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", place)
        number = str(db.execute("SELECT id FROM root WHERE path = ?", place).fetchone()[0])
    remembered = {key: value for key, value in _remembered(writer.store).items() if key != number}
    writer.set_option(_OPTION, json.dumps(remembered | ({number: lines} if lines else {})))


def _remembered(store: Store) -> dict[str, dict[str, str]]:
    remembered: dict[str, dict[str, str]] = json.loads(store.option(_OPTION) or "{}")
    return remembered
