"""What becomes of the catalogue's rows when pictures come, move and go. Plain SQL; the lock is `Writer`'s business."""

import sqlite3
from collections.abc import Iterable

from ..sources import may_have_pages, split_page
from ._records import FileState
from ._shards import Shard, delete_shards, insert_shard


def columns(state: FileState) -> tuple[int, int, int | None]:
    """A file's state as size, mtime_ns, ctime_ns."""
    return state.size, state.mtime_ns, state.ctime_ns


def remove_images(db: sqlite3.Connection, ids: Iterable[int]) -> int:
    """Take pictures out of every future search; returns how many were there."""
    before = db.total_changes
    db.executemany("UPDATE image SET removed = 1 WHERE id = ? AND NOT removed", [(int(i),) for i in ids])
    return db.total_changes - before


def note_taken_out(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Note the files of pictures that are removed, but for those of which other pages can still be found."""
    for image_id in ids:
        root, path = db.execute("SELECT root, path FROM image WHERE id = ?", (int(image_id),)).fetchone()
        file = split_page(path)[0]
        if not found_at(db, root, file, None):
            db.execute("INSERT OR IGNORE INTO taken_out VALUES (?, ?)", (root, file))


def make_room(db: sqlite3.Connection, root: int, path: str, sha256: str, but: int | None = None) -> None:
    """Take out what a picture takes the place of: see found_at. Its failure is forgotten. but: an id that stays."""
    remove_images(db, [i for i in found_at(db, root, path, sha256) if i != but])
    forget_failure(db, root, path)


def found_at(db: sqlite3.Connection, root: int, path: str, sha256: str | None) -> list[int]:
    """The picture found under a path; where that is a whole file's, also its further pages that are of other bytes."""
    where = "root = ? AND NOT removed AND path"
    found = db.execute(f"SELECT id FROM image WHERE {where} = ?", (root, path)).fetchall()
    if may_have_pages(path):
        pages = f"SELECT id FROM image WHERE {where} > ? AND path < ? AND sha256 IS NOT ?"  # "$" comes next after "#"
        found += db.execute(pages, (root, f"{path}#", f"{path}$", sha256)).fetchall()
    return [row[0] for row in found]


def outdated_at(db: sqlite3.Connection, root: int, path: str, sha256: str | None) -> list[int]:
    """What is found under a path though its file is of other bytes now; none where those are not known."""
    if sha256 is None:
        return []
    known = (
        f"SELECT id FROM image WHERE id IN ({', '.join(map(str, found_at(db, root, path, sha256)))}) AND sha256 != ?"
    )
    return [row[0] for row in db.execute(known, (sha256,))]


def forget_failure(db: sqlite3.Connection, root: int, path: str) -> None:
    """Drop the note about a file that could not be indexed."""
    for table in ("failure", "failure_note"):
        db.execute(f"DELETE FROM {table} WHERE root = ? AND path = ?", (root, path))


def replace_shard(db: sqlite3.Connection, old: int, new: Shard | None, slots: Iterable[int]) -> int:
    """Put the pictures at these slots of a shard into a new one, in this order, and drop the others.

    new: None where no slot is kept. Returns how many pictures that could be found are dropped.
    """
    if new is not None:
        insert_shard(db, new)
        places = [(new.id, i, old, int(slot)) for i, slot in enumerate(slots)]
        db.executemany("UPDATE image SET shard = ?, slot = ? WHERE shard = ? AND slot = ?", places)
    lost = db.execute("SELECT count(*) FROM image WHERE shard = ? AND NOT removed", (old,)).fetchone()[0]
    db.execute("DELETE FROM image WHERE shard = ?", (old,))
    db.execute("DELETE FROM aside WHERE image NOT IN (SELECT id FROM image)")
    delete_shards(db, [old])
    return int(lost)


def join_roots(db: sqlite3.Connection, old: int, new: int, prefix: str, cut: int = 0) -> None:
    """Make all that one root has part of another, its paths put below `prefix`; then forget it.

    A picture that both know stays as the new root knows it; where the bytes are the same it takes the other's tags.
    cut: letters that its paths lose before that, of a tar: then ./ in names goes as well.
    """
    for table in ("image", "failure", "failure_note", "taken_out") if cut else ():
        db.execute(f"UPDATE OR REPLACE {table} SET path = replace(path, '/./', '/') WHERE root = ?", (old,))
    _merge_twins(db, old, new, prefix, cut)
    there = new, prefix, cut + 1, old
    db.execute("UPDATE image SET root = ?, path = ? || substr(path, ?) WHERE root = ?", there)
    for table in ("failure", "failure_note", "taken_out"):
        db.execute(f"UPDATE OR REPLACE {table} SET root = ?, path = ? || substr(path, ?) WHERE root = ?", there)
    live = "SELECT path FROM image WHERE root = failure.root AND NOT removed"
    db.execute(f"DELETE FROM failure WHERE root = ? AND path IN ({live})", (new,))
    _delete_root(db, old)


def _merge_twins(db: sqlite3.Connection, old: int, new: int, prefix: str, cut: int) -> None:
    twins = db.execute(
        "SELECT mine.id, theirs.id, mine.sha256 = theirs.sha256 FROM image AS theirs "
        "JOIN image AS mine ON mine.root = ? AND mine.path = ? || substr(theirs.path, ?) AND NOT mine.removed "
        "WHERE theirs.root = ? AND NOT theirs.removed",
        (new, prefix, cut + 1, old),
    ).fetchall()
    same = [(mine, theirs) for mine, theirs, is_same in twins if is_same]
    db.executemany("INSERT OR IGNORE INTO tag SELECT name, ? FROM tag WHERE image = ?", same)
    db.executemany("UPDATE image SET removed = 1 WHERE id = ?", [(theirs,) for _, theirs, _ in twins])


def forget_root(db: sqlite3.Connection, old: int, new: int) -> None:
    """Forget a root of which nothing is left: no picture, none set aside or taken out, and no failure.

    Its remains go to another one.
    """
    kept = "NOT removed OR id IN (SELECT image FROM aside)"
    left = [f"SELECT 1 FROM image WHERE root = :old AND ({kept})"]
    left += [f"SELECT 1 FROM {table} WHERE root = :old" for table in ("failure", "taken_out")]
    if db.execute(" UNION ".join(left), {"old": old}).fetchone() is None:
        db.execute("UPDATE image SET root = ? WHERE root = ?", (new, old))
        _delete_root(db, old)


def _delete_root(db: sqlite3.Connection, root: int) -> None:
    """With what was to be left out of it: its number may be given again. See `_exclusions`."""
    db.execute("DELETE FROM root WHERE id = ?", (root,))
    options = "'option.exclude', 'option.inside', 'option.every'"
    forget = f"UPDATE setting SET value = json_remove(value, ?) WHERE key IN ({options})"
    db.execute(forget, (f'$."{root}"',))
