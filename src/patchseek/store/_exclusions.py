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
    store = writer.store
    place, before = (store.relate(root),), _remembered(store)
    with store.catalogue.writing() as db:
        if lines:
            db.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", place)
        numbers = {row[1]: str(row[0]) for row in db.execute("SELECT id, path FROM root")}
    own = numbers.get(place[0])
    # What is there of roots that are not there any more goes: their numbers may be given again
    after = {key: value for key, value in before.items() if key in numbers.values() and key != own}
    if own is not None and lines:
        after[own] = lines
    if after != before:
        writer.set_option(_OPTION, json.dumps(after))


def _remembered(store: Store) -> dict[str, dict[str, str]]:
    remembered: dict[str, dict[str, str]] = json.loads(store.option(_OPTION) or "{}")
    return remembered
