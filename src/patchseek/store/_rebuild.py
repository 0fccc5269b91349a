"""A catalogue made anew from what lies beside the shards, where it is damaged or gone. No vector is read or changed.

Everything is back but what was said of pictures after their shard was written: what was moved is recognised by its
bytes at the next `index`, what was removed is there again, tags of since are gone. Judgements and saved queries are
carried over as far as the damaged catalogue can still be read.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._platform import file_uri, remove, replace, sync_folder
from .._progress import OnProgress, unheard
from ..errors import StoreDamaged
from ._catalogue import Catalogue, put_setting
from ._features import REGIONS
from ._files import Part, hash_file
from ._inventory import FOLDER, PICTURE, find_doubts, latest, read_inventory
from ._lock import take_lock
from ._points import POINTS
from ._shards import Shard, insert_shard
from ._store import Store, require_slots
from ._tables import FORMAT, LATER_TABLES
from ._typed import delete_wrong

DAMAGED = "catalogue.damaged"
"""Under this name the catalogue of before stays."""
CARRIED = ("judgement", "saved_query", "saved_view", "kept_picture", "query_run", "query_find", "told_query", "told")
"""Tables that no inventory knows, and that name no row of another one."""


@dataclass(frozen=True)
class Rebuilt:
    """What came back."""

    n_pictures: int
    # that can be found
    n_shards: int
    n_lost: int
    # shards whose features are not what was committed, or beside which nothing tells what they hold
    carried: Mapping[str, int]
    # rows by table, of those in which there were any


def rebuild(path: Path, on_progress: OnProgress = unheard) -> Rebuilt:
    """Make the catalogue of a collection anew; the one of before is kept as DAMAGED.

    Raises StoreDamaged where nothing tells what the shards hold; then nothing has changed. StoreLocked.
    """
    file = path / "catalogue.sqlite"
    with take_lock(path / "lock"):
        found, n_lost = _sound(path, on_progress)
        if not found:
            raise StoreDamaged(f"{path}: nothing tells what its shards hold; restore a backup, or index anew")
        made = Catalogue(path / "catalogue.tmp")
        remove(made.path)
        made.create()
        made.extend()
        with made.writing() as db:
            _fill(db, found)
            carried = _carry_over(db, file)
            n = int(db.execute("SELECT count(*) FROM image WHERE NOT removed").fetchone()[0])
        for journal in path.glob("catalogue.sqlite-*"):  # of the damaged one: it is not the new one's
            remove(journal)
        if file.exists():
            replace(file, path / DAMAGED)
        replace(made.path, file)
        sync_folder(path)
    return Rebuilt(n, len(found), n_lost, carried)


def catalogue_problem(path: Path) -> str | None:
    """Why the catalogue of a collection has to be made anew, in one line; None where it can be trusted.

    Raises StoreError where there is no collection, or one that this patchseek cannot read.
    """
    if not Store.exists(path) and latest(path):
        return f"{path}: the catalogue is gone"
    try:
        store = Store.open(path)
        with store.catalogue.reading() as db:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            found += [doubt.text for doubt in find_doubts(path, db) if doubt.is_of_catalogue]
        if not found:
            require_slots(store)
        return f"{path}: {found[0].splitlines()[0]}" if found else None
    except StoreDamaged as error:
        return str(error)
    except (TypeError, ValueError, OverflowError) as error:  # what is read is of another kind than was written
        return str(StoreDamaged(f"{path}: the catalogue is damaged ({error})"))


@dataclass(frozen=True)
class _Told:
    """A shard whose features are what was committed."""

    shard: Shard
    said: dict[str, Any]


def _sound(path: Path, on_progress: OnProgress) -> tuple[list[_Told], int]:
    """What can be had again, in order, of each shard as it was told last; and how many shards cannot."""
    folder, files = path / "shards", sorted((path / FOLDER).glob("*.json"))
    best: dict[int, _Told] = {}
    numbers = {file.name.partition("-")[0] for file in folder.glob("*-*.npy")}
    for i, file in enumerate(files):
        on_progress(i, len(files), "checking shards")
        with suppress(StoreDamaged):
            said = read_inventory(file)
            parts = {part.kind: part for part in said["parts"] if _is_sound(folder, part)}
            known = best.get(said["shard"])
            if REGIONS not in parts or (known and _worth(known) > (POINTS in parts, said["at"])):
                continue
            best[said["shard"]] = _Told(Shard(said["shard"], said["n_images"], parts), said)
    on_progress(len(files), len(files), "checking shards")
    return [best[number] for number in sorted(best)], len(numbers) - len(best)


def _worth(told: _Told) -> tuple[bool, float]:
    return POINTS in told.shard.parts, told.said["at"]


def _is_sound(folder: Path, part: Part) -> bool:
    with suppress(OSError):
        return hash_file(folder / part.file) == part.sha256
    return False


def _fill(db: sqlite3.Connection, found: list[_Told]) -> None:
    """The rows of all shards. Of two pictures under one path, or with one number, the later one counts."""
    newest = max(found, key=lambda told: told.said["at"])
    for key, value in newest.said["settings"].items():
        put_setting(db, key, value)
    put_setting(db, "format", str(FORMAT))
    roots: dict[str, int] = dict(newest.said["roots"])
    db.executemany("INSERT INTO root (path, id) VALUES (?, ?)", roots.items())
    for told in found:
        insert_shard(db, told.shard)
        for slot, picture in enumerate(told.said["pictures"]):
            if picture["root"] not in roots:
                roots[picture["root"]] = max(roots.values(), default=0) + 1
                db.execute("INSERT INTO root VALUES (?, ?)", (roots[picture["root"]], picture["root"]))
            _put_picture(db, told.shard.id, slot, roots[picture["root"]], picture)


def _put_picture(db: sqlite3.Connection, shard: int, slot: int, root: int, picture: Mapping[str, Any]) -> None:
    path = picture["path"]
    db.execute("UPDATE image SET removed = 1 WHERE root = ? AND path = ? AND NOT removed", (root, path))
    if db.execute("SELECT 1 FROM image WHERE id = ?", (picture["id"],)).fetchone():  # compacted meanwhile
        highest = db.execute("SELECT max(id) + 1 FROM image").fetchone()[0]
        db.execute("UPDATE image SET id = ?, removed = 1 WHERE id = ?", (max(highest, 1 << 40), picture["id"]))
        db.execute("DELETE FROM tag WHERE image = ?", (picture["id"],))
    names = [name for name in PICTURE if name != "root"]
    values = [picture[name] for name in names]
    db.execute(
        f"INSERT INTO image (root, shard, slot, {', '.join(names)}) VALUES (?, ?, ?{', ?' * len(names)})",
        (root, shard, slot, *values),
    )
    db.executemany("INSERT INTO tag VALUES (?, ?)", [(name, picture["id"]) for name in picture.get("tags", ())])


def _carry_over(db: sqlite3.Connection, damaged: Path) -> dict[str, int]:
    """Take over what can be read of CARRIED; of a table that breaks off, what stands before."""
    carried: dict[str, int] = {}
    if not damaged.exists():
        return carried
    for table in CARRIED:
        width = len(db.execute(f"SELECT * FROM {table} LIMIT 0").description)
        for row in _readable(damaged, table):
            with suppress(sqlite3.Error):
                if len(row) == width:
                    db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})", row)
                    carried[table] = carried.get(table, 0) + 1
        if table in carried:
            carried[table] -= delete_wrong(db, table)
    return {table: n for table, n in carried.items() if n}


def _readable(damaged: Path, table: str) -> Iterator[tuple[Any, ...]]:
    assert table in LATER_TABLES
    with suppress(sqlite3.Error, UnicodeError, OverflowError):
        uri = f"{file_uri(damaged.resolve())}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            yield from db.execute(f"SELECT * FROM {table}")
