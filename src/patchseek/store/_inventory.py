"""What a shard holds, told beside the catalogue: a file from which its rows can be made again.

    COLLECTION/inventories/000001-HASH.json
    {"format", "shard", "n_images", "at", "settings": {...}, "roots": {...}, "parts": [...], "pictures": [...]}

It is of the moment at which it is written, in the same transaction as the rows: what is moved, removed or tagged later
is not in it. It is named by its hash, so that it can be checked without a catalogue.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from .._platform import discard
from ..errors import StoreDamaged
from ._catalogue import has_table, later_columns
from ._files import Part, hash_file, write_part
from ._shards import Shard, read_shards
from ._tables import FORMAT

FOLDER = "inventories"
PICTURE = ("id", "root", "path", "size", "mtime_ns", "sha256", "width", "height", "removed", "ctime_ns", "n_pages")
"""What is told of each picture, in order of slots; and its tags."""


def put_inventories(home: Path, db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Write what shards of a collection hold, as the open transaction has it. Raises DiskFull."""
    shards = {shard.id: shard for shard in read_shards(db)}
    settings = dict(db.execute("SELECT key, value FROM setting").fetchall())
    folder = home / FOLDER
    for number in numbers:
        folder.mkdir(exist_ok=True)
        content = json.dumps(_told(db, shards[number], settings), ensure_ascii=False).encode()
        write_part(folder, f"{number:06d}", FOLDER, len(content), partial(_save, content), suffix="json")


def _save(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def latest(home: Path) -> dict[int, Path]:
    """The inventory of each shard that was written last, by the shard's number."""
    told: dict[int, list[Path]] = {}
    for file in (home / FOLDER).glob("*-*.json"):
        if file.name.partition("-")[0].isdecimal():
            told.setdefault(int(file.name.partition("-")[0]), []).append(file)
    return {number: files[0] if len(files) == 1 else max(files, key=_moment) for number, files in told.items()}


def _moment(file: Path) -> tuple[int, float]:
    """When a file was written; some file systems know that to two seconds, and then what it says itself counts."""
    at = 0.0
    with suppress(OSError, ValueError, KeyError, TypeError):
        at = float(json.loads(file.read_bytes())["at"])
    return file.stat().st_mtime_ns, at


def keep_latest(home: Path, numbers: Iterable[int]) -> None:
    """Remove what is told of other shards than these, and what was told before."""
    wanted = set(numbers)
    kept = {file for number, file in latest(home).items() if number in wanted}
    for file in (home / FOLDER).glob("*"):
        if file not in kept:
            discard(file)


def _told(db: sqlite3.Connection, shard: Shard, settings: dict[str, str]) -> dict[str, Any]:
    query = (
        f"SELECT image.id, root.path, image.path, size, mtime_ns, sha256, width, height, removed, {later_columns(db)} "
        "FROM image JOIN root ON root.id = root WHERE shard = ? ORDER BY slot"
    )
    tags: dict[int, list[str]] = {}
    if has_table(db, "tag"):
        in_shard = "SELECT image, name FROM tag WHERE image IN (SELECT id FROM image WHERE shard = ?) ORDER BY name"
        for image, name in db.execute(in_shard, (shard.id,)):
            tags.setdefault(image, []).append(name)
    pictures = [
        dict(zip(PICTURE, row, strict=True)) | ({"tags": tags[row[0]]} if row[0] in tags else {})
        for row in db.execute(query, (shard.id,))
    ]
    parts = [
        {"kind": part.kind, "file": part.file, "n_bytes": part.n_bytes, "sha256": part.sha256}
        for part in shard.parts.values()
    ]
    own = {"format": FORMAT, "shard": shard.id, "n_images": shard.n_images, "at": time.time()}
    roots = dict(db.execute("SELECT path, id FROM root").fetchall())  # by whose numbers settings speak of them
    return own | {"settings": settings, "roots": roots, "parts": parts, "pictures": pictures}


def read_inventory(file: Path) -> dict[str, Any]:
    """What a file of this kind says. Raises StoreDamaged where it is not as it was written."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if hash_file(file)[:12] == file.stem.partition("-")[2]:
            said: dict[str, Any] = json.loads(file.read_bytes())
            if int(said["format"]) <= FORMAT and len(said["pictures"]) == said["n_images"]:
                said["parts"] = [Part(**part) for part in said["parts"]]
                return said
    raise StoreDamaged(f"{file}: its bytes have changed")


@dataclass(frozen=True)
class Doubt:
    """What does not fit together of a shard: something was damaged, since neither changes while the shard stays."""

    shard: int
    text: str
    # in one line
    is_of_catalogue: bool
    # whether what is told is whole, so that it is the catalogue that says something else


def find_doubts(home: Path, db: sqlite3.Connection) -> list[Doubt]:
    """Of all shards of which something is told."""
    found: list[Doubt] = []
    files = latest(home)
    for shard in read_shards(db):
        if shard.id in files:
            try:
                told = read_inventory(files[shard.id])["pictures"]
            except StoreDamaged as error:
                found.append(Doubt(shard.id, str(error), is_of_catalogue=False))
                continue
            query = "SELECT id, sha256, width, height FROM image WHERE shard = ? ORDER BY slot"
            rows = [tuple(row) for row in db.execute(query, (shard.id,))]
            if rows != [tuple(each[name] for name in ("id", "sha256", "width", "height")) for each in told]:
                text = f"shard {shard.id}: the catalogue says of its pictures what was not committed"
                found.append(Doubt(shard.id, text, is_of_catalogue=True))
    return found
