"""What a collection remembers of its sources: what is left out, what is gone into, how often films are looked at."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from ..sources import Intervals, Root, interval_of, is_film
from ._store import Store
from ._writer import Writer

_EXCLUDE = "exclude"  # {id of a root: {pattern as given: line that it stands for}}; see patterns.Exclusions
_INSIDE = "inside"  # {id of a root: [keys of sources.KINDS]}
_EVERY = "every"  # {id of a root: sources.Intervals}


def exclusions(store: Store, root: Root) -> dict[str, str]:
    """What is left out of a root: patterns as they were given, with the lines that they stand for."""
    lines: dict[str, str] = _of(store, _EXCLUDE, root) or {}
    return lines


def all_exclusions(store: Store) -> dict[str, list[str]]:
    """The patterns as they were given, by the folder or URL they are for."""
    return {path: list(lines) for path, lines in _all(store, _EXCLUDE).items()}


def remember_exclusions(writer: Writer, root: Root, lines: dict[str, str]) -> None:
    """Leave this out of a root from now on, instead of what was; nothing where there are no lines."""
    _remember(writer, _EXCLUDE, root, lines)


def gone_into(store: Store, root: Root) -> list[str]:
    """The kinds of files that are gone into below a root: keys of sources.KINDS, sorted."""
    kinds: list[str] = _of(store, _INSIDE, root) or []
    return kinds


def all_gone_into(store: Store) -> dict[str, list[str]]:
    """The same of all folders that were indexed."""
    return _all(store, _INSIDE)


def remember_inside(writer: Writer, root: Root, kinds: Iterable[str]) -> None:
    """Go into these from now on, below a root, instead of those before."""
    _remember(writer, _INSIDE, root, sorted(set(kinds)))


def intervals(store: Store, root: Root) -> dict[str, float]:
    """How often films below a root, or of a list, are looked at; see sources.Intervals."""
    said: dict[str, float] = _of(store, _EVERY, root) or {}
    return said


def all_intervals(store: Store) -> dict[str, dict[str, float]]:
    """The same of all that was indexed."""
    return _all(store, _EVERY)


def remember_intervals(writer: Writer, root: Root, said: Intervals) -> None:
    """Look at films so often from now on, below a root, instead of as before. Those of which that is changed are gone
    through again at the next run that looks at them.
    """
    before = intervals(writer.store, root)
    if before != said:
        outdate_films(writer, root, lambda path: interval_of(before, path) != interval_of(said, path))
        _remember(writer, _EVERY, root, dict(said))


def outdate_films(writer: Writer, root: Root, is_so: Callable[[str], bool]) -> None:
    """Note of films of a root that it is not known which pictures they hold. is_so: asked of their paths."""
    with writer.store.catalogue.writing() as db:
        of_root = "SELECT id, path FROM image WHERE n_pages > 0 AND root = (SELECT id FROM root WHERE path = ?)"
        found = db.execute(of_root, (writer.store.relate(root),)).fetchall()
        films = [(number,) for number, path in found if is_film(path) and is_so(path)]
        db.executemany("UPDATE image SET n_pages = NULL WHERE id = ?", films)


def _all(store: Store, option: str) -> dict[str, Any]:
    with store.catalogue.reading() as db:
        roots = {str(row[0]): str(store.root_of(row[1])) for row in db.execute("SELECT id, path FROM root ORDER BY id")}
    found = _remembered(store, option)
    return {path: found[root] for root, path in roots.items() if root in found}


def _of(store: Store, option: str, root: Root) -> Any:
    with store.catalogue.reading() as db:
        row = db.execute("SELECT id FROM root WHERE path = ?", (store.relate(root),)).fetchone()
    return _remembered(store, option).get(str(row[0])) if row else None


def _remember(writer: Writer, option: str, root: Root, what: Any) -> None:
    store = writer.store
    place, before = (store.relate(root),), _remembered(store, option)
    with store.catalogue.writing() as db:
        if what:
            db.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", place)
        numbers = {row[1]: str(row[0]) for row in db.execute("SELECT id, path FROM root")}
    own = numbers.get(place[0])
    # What is there of roots that are not there any more goes: their numbers may be given again
    after = {key: value for key, value in before.items() if key in numbers.values() and key != own}
    if own is not None and what:
        after[own] = what
    if after != before:
        writer.set_option(option, json.dumps(after))


def _remembered(store: Store, option: str) -> dict[str, Any]:
    remembered: dict[str, Any] = json.loads(store.option(option) or "{}")
    return remembered
