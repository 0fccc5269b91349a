"""Which pictures lie in the places that somebody named: a picture, a folder, or a pattern. Asks the catalogue alone.

A picture or folder of that very name is looked up by the index of paths; only for the rest all paths are gone through,
once for all that was named.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ..errors import QueryError
from ..patterns import Pattern, absolute, escaped, inside, is_utf8, nearest, plain, seen_from, spellings, tidy
from ..sources import Root, as_folder, as_member, is_archive, may_have_pages, member_path, split_member, split_page
from ._store import Store

Ids = NDArray[np.int64]
Roots = Sequence[tuple[int, Root]]
_IS_MEMBER = "(instr(path, '!') OR instr(path, '#row='))"
_IN = "SELECT id FROM image WHERE NOT removed AND root = ?"


def ids_in(db: sqlite3.Connection, store: Store, places: Sequence[str]) -> Ids:
    """The ids (n,) of the pictures in any of the places, rising; an exception (!x) takes from those before it.

    Raises QueryError for a place that means no picture.
    """
    roots = [(row[0], store.root_of(row[1])) for row in db.execute("SELECT id, path FROM root ORDER BY id").fetchall()]
    named = [_named(db, roots, place) for place in places]
    sought = {place: _Sought(place, roots) for place, found in zip(places, named, strict=True) if not found}
    if sought:
        for number, image_id, path in _paths(db, roots):
            for each in sought.values():
                each.look(number, image_id, path)
    ids: Ids = np.empty(0, np.int64)
    for place, found in zip(places, named, strict=True):
        here = np.array(found or sought[place].ids, np.int64)
        if not len(here):
            near = nearest(sought[place].text, (path for _, _, path in _paths(db, roots)))
            hint = f"; did you mean {near!r}?" if near else ""
            raise QueryError(f"no picture of the collection matches {place!r}{hint}")
        is_exception = not found and sought[place].is_exception
        ids = np.setdiff1d(ids, here) if is_exception else np.union1d(ids, here)
    return ids


def folders_in(store: Store) -> list[str]:
    """The folders that pictures lie in, and those around them, as `ids_in` takes them: each once, sorted.

    They are seen from what was indexed. Of several roots on this machine, they themselves are among them.
    """
    folder = "rtrim(path, replace(path, '/', ''))"  # up to the last slash
    query = f"SELECT DISTINCT {folder} FROM image WHERE NOT removed AND instr(path, '/') AND NOT {_IS_MEMBER}"
    with store.catalogue.reading() as db:
        inner = [row[0].rstrip("/") for row in db.execute(query)]
        members = db.execute(f"SELECT path FROM image WHERE NOT removed AND {_IS_MEMBER}")
        inner += sorted({as_folder(row[0]).rpartition("/")[0] for row in members})
        ids = db.execute("SELECT DISTINCT root FROM image WHERE NOT removed").fetchall()
        roots = [store.root_of(db.execute("SELECT path FROM root WHERE id = ?", each).fetchone()[0]) for each in ids]
    found = {f"{root}" for root in roots if len(roots) > 1 and isinstance(root, Path)}
    for path in inner:
        found |= {path} if "://" in path else {path, *(f"{parent}" for parent in PurePosixPath(path).parents)}
    return sorted(found - {"", ".", "/"})


def _named(db: sqlite3.Connection, roots: Roots, place: str) -> list[int]:
    """The picture of this very name, or those in the folder of this name, by the index."""
    wholes, found = absolute(place), []
    for number, root in roots:
        if not tidy(place).strip("/") or any(f"{root}/".startswith(f"{whole.rstrip('/')}/") for whole in wholes):
            found += db.execute(_IN, (number,)).fetchall()
            continue
        for text in _as_stored(place, wholes, root):
            name = text.rstrip("/")
            below = (number, f"{name}/", f"{name}0")  # 0 comes next after /
            found += db.execute(f"{_IN} AND path > ? AND path < ?", below).fetchall()
            if is_archive(name):
                mark = member_path(name)[-1]
                members = (number, f"{name}{mark}", f"{name}{chr(ord(mark) + 1)}")
                found += db.execute(f"{_IN} AND path > ? AND path < ?", members).fetchall()
            if not text.endswith("/"):
                found += db.execute(f"{_IN} AND path = ?", (number, name)).fetchall()
            if may_have_pages(name) and not text.endswith("/"):
                pages = (number, f"{name}#", f"{name}$")  # $ comes next after #
                found += db.execute(f"{_IN} AND path > ? AND path < ?", pages).fetchall()
    return [row[0] for row in found]


def _as_stored(place: str, wholes: Sequence[str], root: Root) -> list[str]:
    """The ways in which the catalogue may have written a place of a root. wholes: see `absolute`."""
    ways = list(wholes)
    for home in _homes(root):
        if not wholes or inside(place, home) is not None:
            inner, own = tidy(place, home).removeprefix("/"), f"{home}".rstrip("/")
            ways += [inner, f"{own}/{inner}"]  # at a URL and in a list, paths are full ones
            if own.endswith(".tar"):
                ways.append(f"{own.rpartition('/')[2]}/{inner}")
    ways += [as_member(way) for way in ways]
    return [text for way in dict.fromkeys(ways) for text in spellings(way) if is_utf8(text)]


def _homes(root: Root) -> list[Root]:
    """What places in a root may be told from: itself; of a list, the folder it is in."""
    is_list = f"{root}".endswith((".csv", ".txt", ".json", ".parquet"))
    return [root, root.parent if isinstance(root, Path) else root.rpartition("/")[0]] if is_list else [root]


def _paths(db: sqlite3.Connection, roots: Roots) -> Iterator[tuple[int, int, str]]:
    """(root, id, path as patterns see it) of every picture: relative to its root, where it is not by itself.

    And once more of those in archives, as they are named in there.
    """
    for number, root in roots:
        for image_id, path in db.execute(f"{_IN.replace('id', 'id, path')} ORDER BY id", (number,)):
            file = as_folder(split_page(path)[0]) if "#" in path or "!" in path else path
            is_simple = file.isascii() and file[:1] != "/" and "://" not in file  # of a million, nearly all
            yield number, image_id, file if is_simple else plain(seen_from(_homes(root)[-1], file))
            if "!" in path and (member := split_member(split_page(path)[0])[1]):
                yield number, image_id, plain(member)


class _Sought:
    """The pictures that a pattern means, or a name that the index does not find: in any folder, in other letters."""

    def __init__(self, place: str, roots: Roots) -> None:
        body = place.removeprefix("!")
        homes = {
            number: home for number, root in roots for home in _homes(root)[::-1] if inside(body, home) is not None
        }
        patterns = {home: _pattern(tidy(body, home)) for home in set(homes.values())}
        everywhere = _pattern(tidy(body))
        self._patterns = {number: patterns[homes[number]] if homes else everywhere for number in homes or dict(roots)}
        self.text = tidy(place, next(iter(homes.values()), None)) if body == place else tidy(place)
        name = plain(self.text).strip("/")
        self._name = name if escaped(name) != name else None  # another is meant by its pattern as well
        self._is_place, self._is_folder = "/" in self.text.rstrip("/"), self.text.endswith("/")
        self._of_name: list[int] = []
        self._of_pattern: list[int] = []

    def look(self, number: int, image_id: int, path: str) -> None:
        """See whether a picture is meant."""
        pattern = self._patterns.get(number)
        if pattern is None:  # a full path is inside other roots
            return
        if self._name is not None and self._bears(self._name, path):
            self._of_name.append(image_id)
        if pattern.covers(path):
            self._of_pattern.append(image_id)

    def _bears(self, name: str, path: str) -> bool:
        if self._is_place:
            return path.startswith(f"{name}/") or (path == name and not self._is_folder)
        return name in path and name in path.split("/")[: -1 if self._is_folder else None]

    @property
    def ids(self) -> list[int]:
        """What the name means, where there is something of it; else what the pattern does."""
        return self._of_name or self._of_pattern

    @property
    def is_exception(self) -> bool:
        """Whether it takes away: its exclamation mark is not that of a name."""
        return self.text.startswith("!") and not self._of_name


def _pattern(line: str) -> Pattern:
    """A place stands for all below it: what comes after trips*/ is looked for there at any depth."""
    parts = [
        f"{part}/**" if "*" in part and part.strip("*") and follows not in ("", "**") else part
        for part, follows in pairwise([*line.split("/"), ""])
    ]
    return Pattern("/".join(parts))
