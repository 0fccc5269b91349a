"""The values that travel in and out of a store. No behaviour beyond paths and JSON."""

import json
import os
import sqlite3
from dataclasses import asdict, dataclass, replace
from dataclasses import field as field_of
from pathlib import Path

from .._platform import changed_ns
from ..encoders import Encoder, EncoderIdentity
from ..encoders._predecessors import UNLIKE, today
from ..errors import StoreDamaged
from ..points import PointsIdentity
from ..regions import Pyramid
from ..sources import Stored, split_page, stored


@dataclass(frozen=True)
class Settings:
    """What a collection says it is. Features of other settings cannot be compared with its own."""

    encoder: EncoderIdentity
    pyramid: Pyramid
    points: PointsIdentity | None = None
    # what points are kept beside the features, None for none

    @classmethod
    def of(cls, encoder: Encoder, pyramid: Pyramid, points: PointsIdentity | None = None) -> "Settings":
        """Of a collection that this encoder fills. A dense one sees pictures squashed: its grids follow no shape."""
        if encoder.regions is not None:
            pyramid = replace(pyramid, follows_shape=False)
        return cls(encoder.identity, pyramid, points)

    @property
    def shape(self) -> tuple[int, int]:
        """R, D: of the features of a picture."""
        return self.pyramid.n_regions, self.encoder.dim

    @property
    def point_bytes(self) -> int:
        """W, bytes of a point; 0 in a collection without."""
        return 0 if self.points is None else self.points.n_bytes

    def to_json(self) -> str:
        """The settings as one JSON object. Without points it is that of earlier versions, which others are named by."""
        values = asdict(self)
        if self.points is None:
            del values["points"]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """The inverse of to_json. Raises StoreDamaged for anything else."""
        try:
            values = json.loads(text)
            found = values["pyramid"]  # of earlier versions, it says nothing of shapes
            pyramid = Pyramid(tuple(found["levels"]), found["overlap"], found.get("follows_shape", False))
            points = PointsIdentity(**values["points"]) if values.get("points") else None
            return cls(EncoderIdentity(**values["encoder"]), pyramid, points)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(f"the collection's settings cannot be read ({error})") from error

    @property
    def outdated(self) -> str | None:
        """What is to be said of features that no encoder of today makes; None for all others."""
        return UNLIKE.get(self.encoder.weights)

    def knew_less_than(self, other: "Settings") -> bool:
        """Whether the encoders differ only in that of this one no files beside its first one were looked at."""
        weights = other.encoder.weights
        is_part = weights.startswith(f"{self.encoder.weights}+")
        return is_part and replace(self.encoder, weights=weights) == other.encoder

    def difference(self, other: "Settings") -> str | None:
        """The first thing in which other differs, in words ("encoder: X here, Y asked for"); None when nothing does."""
        if self.outdated and self.encoder != other.encoder:
            return self.outdated
        if self.knew_less_than(other):
            return "encoder: the files beside its first one were not looked at here before, and may be others now"
        mine, theirs = asdict(today(self.encoder)), asdict(today(other.encoder))
        for field in mine:
            if mine[field] != theirs[field]:
                what = "encoder" if field == "name" else f"encoder's {field}"
                return f"{what}: {mine[field]!r} here, {theirs[field]!r} asked for"
        asked = other.pyramid
        if asked.follows_shape:  # is no wish of its own: an earlier collection goes on in its own way
            asked = replace(asked, follows_shape=self.pyramid.follows_shape)
        if self.pyramid != asked:
            return f"pyramid: {self.pyramid} here, {other.pyramid} asked for"
        return self.outdated_points(other.points)

    def outdated_points(self, asked: PointsIdentity | None) -> str | None:
        """What is to be said of points that cannot be compared with those asked for; None where there are none of them.

        To want points, or none, is no wish that counts: an earlier collection goes on in its own way.
        """
        if self.points is None or asked is None or self.points == asked:
            return None
        mine, theirs = asdict(self.points), asdict(asked)
        field = next(field for field in mine if mine[field] != theirs[field])
        what = _POINTS_WORDS.get(field, field)
        return f"points' {what}: {mine[field]!r} here, {theirs[field]!r} asked for; {ANEW}"


ANEW = "make the points anew with: patchseek index FOLDER --with-points"
"""What to do about points that are outdated, lost or not there."""
_POINTS_WORDS = {"n_most": "number", "side": "size", "n_bytes": "bytes"}


class FarTime(int):
    """A time in nanoseconds that 64 bits do not hold, before 1677 or after 2262: SQLite keeps it as a float."""


sqlite3.register_adapter(FarTime, float)


def storable(ns: int) -> int:
    """A time in nanoseconds since 1970 as SQLite can hold it: exact from 1677 to 2262, else to some microseconds."""
    return int(ns) if -(2**63) <= ns < 2**63 else FarTime(float(ns))


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells an unchanged file without reading it."""

    size: int
    # bytes
    mtime_ns: int
    # modification time, nanoseconds since 1970
    ctime_ns: int | None = None
    # when content, name or rights last changed, which no program sets back; None where that is not known

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        """The state of a file of this machine."""
        return cls(status.st_size, status.st_mtime_ns, changed_ns(status))

    def is_like(self, other: "FileState") -> bool:
        """Whether nothing that both know differs."""
        if None in (self.ctime_ns, other.ctime_ns):
            return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)
        return self == other

    def __post_init__(self) -> None:
        object.__setattr__(self, "mtime_ns", storable(self.mtime_ns))


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A picture that the collection holds, as the file it was made from."""

    id: int
    state: FileState
    sha256: str
    path: str = ""
    # relative to its root; of a page beyond the first, with its number
    n_pages: int | None = None
    # of the file, where the picture is its first; None where they have not been counted
    is_aside: bool = False
    # whether its file was gone and it is kept in case that comes back; see Writer.set_aside


@dataclass(frozen=True)
class NewEntry:
    """A picture ready to be committed; its features travel beside it."""

    path: str
    # relative to the indexed folder, forward slashes; of a page beyond the first, with its number
    state: FileState
    sha256: str
    width: int
    height: int
    # pixels of the full upright picture
    n_pages: int | None = None
    # of the file, where the picture is its first


@dataclass(frozen=True)
class Move:
    """A picture of the collection (by id) whose file is now this one, or in this state."""

    image: int
    path: str
    state: FileState
    n_pages: int | None = None
    # of the file, where the picture is its first; None for what is known


@dataclass(frozen=True)
class Failure:
    """A file, or a page of one, that could not be indexed."""

    path: str
    state: FileState
    reason: str
    passing: bool = False
    # whether the cause lies outside the file, so that it is tried again every time
    sha256: str | None = None
    # of the file's bytes, where they could be read and their other pages may be good


@dataclass(frozen=True)
class Image:
    """A picture of the collection."""

    id: int
    # stays the same until the file's content changes
    path: str
    # relative to root, forward slashes
    root: Path
    # the folder that was indexed
    width: int
    height: int
    # pixels of the full upright picture
    sha256: str
    # of the file's bytes
    state: FileState = FileState(0, 0)
    # of the file when it was indexed
    may_fetch: bool = field_of(default=True, repr=False, compare=False)
    # whether it may be asked for where it is on the web

    @property
    def stored(self) -> Stored:
        """Where the picture lay when it was indexed."""
        return replace(stored(self.root, self.path), may_fetch=self.may_fetch)

    @property
    def file(self) -> Path:
        """The file that holds it: itself, an archive, a document or a film."""
        return self.stored.file

    @property
    def page(self) -> int:
        """Which page of its file it is, from 1; see sources.split_page."""
        return split_page(self.path)[1]
