"""Which pictures of a collection are meant: by folder or pattern, tag and date. Asks the catalogue alone."""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._home import expand_home
from ..errors import PatchseekError, QueryError
from ._catalogue import tags_of
from ._store import Store

Words = str | Sequence[str]
"""One text or several."""
Moment = str | date
"""A day or a moment, as ISO 8601 text ("2024-05-31", "2024-05-31T18:00") or as Python has it."""


@dataclass(frozen=True)
class Choice:
    """What pictures must be to be meant. Nothing said: all of them. Raises QueryError for a date that is none."""

    under: Words = ()
    # folders relative to what was indexed or absolute, single pictures, or shell patterns; any of them
    tags: Words = ()
    # any of them; see Writer.tag
    since: Moment | None = None
    until: Moment | None = None
    # when the file was last changed; a day begins and ends at midnight of this machine, until's is included

    def __post_init__(self) -> None:
        since, until = self._moments
        if since is not None and until is not None and since >= until:
            raise QueryError(f"nothing was ever changed since {self.since} and until {self.until}")

    @property
    def _moments(self) -> tuple[int | None, int | None]:
        return _nanoseconds(self.since), _nanoseconds(self.until, end=True)

    @property
    def is_all(self) -> bool:
        """Whether every picture is meant."""
        return not (self.under or self.tags) and self.since is None and self.until is None

    def ids(self, store: Store) -> NDArray[np.int64]:
        """The ids (n,) of the pictures meant, rising. Raises QueryError for a folder, pattern or tag that none has."""
        with store.catalogue.reading() as db:
            conditions: list[str] = ["NOT removed"]
            values: list[object] = []
            for alternatives in (
                [_under(db, store, place) for place in _several(self.under)],
                [_tagged(db, tag) for tag in _several(self.tags)],
            ):
                if alternatives:
                    conditions.append("(" + " OR ".join(text for text, _ in alternatives) + ")")
                    values += [value for _, more in alternatives for value in more]
            for moment, comparison in zip(self._moments, (">=", "<"), strict=True):
                if moment is not None:
                    conditions.append(f"mtime_ns {comparison} ?")
                    values.append(moment)
            rows = db.execute(f"SELECT id FROM image WHERE {' AND '.join(conditions)} ORDER BY id", values).fetchall()
        return np.array(rows, np.int64).reshape(-1)


def _several(words: Words) -> Sequence[str]:
    return [words] if isinstance(words, str) else words


def _under(db: sqlite3.Connection, store: Store, place: str) -> tuple[str, list[object]]:
    """The condition that a picture lies under a place, and its values."""
    parts: list[tuple[str, list[object]]] = [_below(place.removeprefix("./"))]
    try:
        file = expand_home(place)
    except PatchseekError:  # a name that begins with ~ and is nobody's
        file = Path(place)
    if file.is_absolute() or "://" in place:
        parts = []
        whole = place if "://" in place else file.resolve().as_posix()
        for root_id, stored in db.execute("SELECT id, path FROM root").fetchall():
            root = f"{store.root_of(stored)}".rstrip("/") + "/"
            if whole.startswith(root):
                text, values = _below(whole.removeprefix(root))
                parts.append((f"(root = ? AND {text})", [root_id, *values]))
            elif root.startswith(whole.rstrip("/") + "/"):
                parts.append(("root = ?", [root_id]))
    condition = " OR ".join(text for text, _ in parts) or "0"
    values = [value for _, more in parts for value in more]
    if not db.execute(f"SELECT 1 FROM image WHERE NOT removed AND ({condition}) LIMIT 1", values).fetchone():
        raise QueryError(f"no picture of the collection matches {place!r}")
    return f"({condition})", values


def _below(place: str) -> tuple[str, list[object]]:
    """A picture, or below a folder, by the index of paths; or a shell pattern, whose * goes through folders."""
    folder = place.rstrip("/")
    if folder in ("", "."):
        return "1", []
    text, values = "path = ? OR path > ? AND path < ?", [folder, folder + "/", folder + "0"]  # "0" comes next after "/"
    if re.search(r"[*?[]", folder):
        text, values = text + " OR path GLOB ?", [*values, folder.replace("[!", "[^")]
    return f"({text})", list(values)


def _tagged(db: sqlite3.Connection, tag: str) -> tuple[str, list[object]]:
    known = tags_of(db)
    if tag not in known:
        others = (
            f"there are {', '.join(known)}" if known else "none has any; put one on with: patchseek tag NAME PLACES"
        )
        raise QueryError(f"no picture has the tag {tag!r}; {others}")
    return "id IN (SELECT image FROM tag WHERE name = ?)", [tag]


def _nanoseconds(moment: Moment | None, end: bool = False) -> int | None:
    """Since 1970. end: of a day, its end."""
    if moment is None:
        return None
    try:
        found = datetime.fromisoformat(moment if isinstance(moment, str) else moment.isoformat())
        is_day = len(moment) <= 10 if isinstance(moment, str) else not isinstance(moment, datetime)
        if end and is_day:
            found += timedelta(days=1)
        return round(found.timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError, OSError) as error:
        raise QueryError(f"{moment!r}: a date is written 2024-05-31 or 2024-05-31T18:00") from error
