"""Shards: some pictures' features and points, a file of each kind. Writes the files and their rows in the catalogue."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .._platform import discard
from ..errors import StoreDamaged, StoreError
from ._catalogue import has_table
from ._features import REGIONS, Half, Shape, flawed_slots, map_features, save_features
from ._files import Part, adopt_part, write_part
from ._points import POINTS, Codes, PointsPart, save_points


@dataclass(frozen=True)
class Shard:
    """Some pictures, a slot each, and the files that hold what is kept of them."""

    id: int
    n_images: int
    # slots, removed pictures included
    parts: dict[str, Part]
    # by kind

    @property
    def regions(self) -> Part:
        """The part that every shard has. Raises StoreDamaged where the catalogue names none."""
        if REGIONS not in self.parts:
            raise StoreDamaged(f"shard {self.id}: the catalogue names no features; run: patchseek verify --repair")
        return self.parts[REGIONS]

    @property
    def points(self) -> Part | None:
        """The part that shards of earlier versions, and of collections without points, lack."""
        return self.parts.get(POINTS)

    @property
    def n_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(part.n_bytes for part in self.parts.values())


# ---- files


def write_shard(
    folder: Path, number: int, features: Half, points: Sequence[Codes | None] | None = None, width: int = 0
) -> Shard:
    """Write features (n, R, D) float16 and, where any are given, points (n_i, width) uint8; the finished shard.

    Raises DiskFull, leaving nothing.
    """
    regions = write_part(folder, _stem(number), REGIONS, features.nbytes, partial(save_features, features=features))
    parts = [regions]
    if points is not None and any(codes is not None for codes in points):
        with _or_none(folder, regions):
            parts.append(write_points(folder, number, points, width))
    return Shard(number, len(features), {part.kind: part for part in parts})


def write_points(folder: Path, number: int, points: Sequence[Codes | None], width: int) -> Part:
    """Write the points (n_i, width) uint8 of a shard's pictures. Raises DiskFull, leaving nothing."""
    n_bytes = sum(4 if codes is None else 4 + codes.nbytes for codes in points)
    return write_part(folder, _stem(number), POINTS, n_bytes, partial(save_points, points=points, width=width))


def adopt_shard(
    folder: Path,
    number: int,
    shape: Shape,
    features: tuple[Path, str],
    points: tuple[Path, str] | None = None,
    width: int = 0,
) -> Shard:
    """Take in, as a shard, finished files, each with its SHA-256; they stay where they are.

    They hold features of this shape (n, R, D) and points of this width. Linked where the file system can, else copied.
    Raises StoreDamaged when their bytes are not those of the hashes, not of that shape or no numbers, DiskFull; and
    then there is no shard.
    """

    def look(folder: Path, part: Part) -> None:
        map_features(folder, part, shape)

    regions = adopt_part(folder, _stem(number), REGIONS, *features, look)
    parts = [regions]
    with _or_none(folder, regions):
        if n_flawed := int(flawed_slots(folder, regions, shape).sum()):
            raise StoreDamaged(f"{features[0]}: {n_flawed} of {shape[0]} pictures with features that are no numbers")
        if points is not None:
            look_at = partial(look_at_points, n_images=shape[0], width=width)
            parts.append(adopt_part(folder, _stem(number), POINTS, *points, look_at))
    return Shard(number, shape[0], {part.kind: part for part in parts})


def look_at_points(folder: Path, part: Part, *, n_images: int, width: int) -> None:
    """Raise StoreDamaged unless a part holds points of so many pictures, in this width; FileNotFoundError."""
    _ = PointsPart(folder, part, n_images, width).known


def _stem(number: int) -> str:
    return f"{number:06d}"


@contextmanager
def _or_none(folder: Path, part: Part) -> Iterator[None]:
    """Remove a part where what should stand beside it cannot be had."""
    try:
        yield
    except StoreError:
        discard(folder / part.file)
        raise


# ---- the catalogue


def read_shards(db: sqlite3.Connection) -> list[Shard]:
    """The committed shards in order; rows are numbered in this order. Of format 1, too, which knew one kind."""
    if has_table(db, "part"):
        query = "kind, file, n_bytes, sha256 FROM shard LEFT JOIN part ON part.shard = shard.id"
    else:
        query = f"'{REGIONS}', file, n_bytes, sha256 FROM shard"
    shards: dict[int, Shard] = {}
    for number, n_images, kind, *file in db.execute(f"SELECT shard.id, n_images, {query} ORDER BY 1, 3"):
        parts = shards.setdefault(number, Shard(number, n_images, {})).parts
        if kind is not None:
            parts[kind] = Part(kind, *file)
    return list(shards.values())


def next_number(db: sqlite3.Connection) -> int:
    """The number of the next shard: none is given twice."""
    used = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'shard'").fetchone()
    return 1 if used is None else int(used[0]) + 1


def insert_shard(db: sqlite3.Connection, shard: Shard) -> None:
    """Put a shard and its parts into the catalogue."""
    db.execute("INSERT INTO shard (id, n_images) VALUES (?, ?)", (shard.id, shard.n_images))
    for part in shard.parts.values():
        put_part(db, shard.id, part)


def put_part(db: sqlite3.Connection, number: int, part: Part) -> None:
    """Give a shard a part, in the place of what it has of that kind."""
    values = number, part.kind, part.file, part.n_bytes, part.sha256
    db.execute("INSERT OR REPLACE INTO part (shard, kind, file, n_bytes, sha256) VALUES (?, ?, ?, ?, ?)", values)


def delete_shards(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Take shards, in which no picture is left, and their parts out of the catalogue."""
    for number in numbers:
        db.execute("DELETE FROM part WHERE shard = ?", (number,))
        db.execute("DELETE FROM shard WHERE id = ?", (number,))


def drop_points(db: sqlite3.Connection, number: int | None = None) -> None:
    """Take the points of a shard, or of all, out of the catalogue."""
    db.execute("DELETE FROM part WHERE kind = ? AND (? IS NULL OR shard = ?)", (POINTS, number, number))
