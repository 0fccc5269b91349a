"""Which pictures of a collection are meant: by place, tag and date. Asks the catalogue alone."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ..errors import QueryError
from ..patterns import OneOrSeveral, plain, several
from ._catalogue import tags_of
from ._places import ids_in
from ._records import storable
from ._store import Store

Moment = str | date
"""A day or a moment, as ISO 8601 text ("2024-05-31", "2024-05-31T18:00") or as Python has it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Choice:
    """What pictures must be to be meant. Nothing said: all of them. Raises QueryError for a date that is none."""

    under: OneOrSeveral = ()
    # folders relative to what was indexed or absolute, single pictures, or patterns (see `patterns`); any of them
    tags: OneOrSeveral = ()
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
        """The ids (n,) of the pictures meant, rising. Raises QueryError for a place or tag that none has."""
        places, tags = several(self.under), several(self.tags)
        with store.catalogue.reading() as db:
            under = ids_in(db, store, places) if places else None
            conditions, values = ["NOT removed"], list[object]()
            if tags:
                names = [name for tag in tags for name in _tagged(db, tag)]
                conditions.append(f"id IN (SELECT image FROM tag WHERE name IN ({', '.join('?' * len(names))}))")
                values += names
            for moment, comparison in zip(self._moments, (">=", "<"), strict=True):
                if moment is not None:
                    conditions.append(f"mtime_ns {comparison} ?")
                    values.append(storable(moment))
            if under is not None and not values:
                return under
            rows = db.execute(f"SELECT id FROM image WHERE {' AND '.join(conditions)} ORDER BY id", values).fetchall()
        ids = np.array(rows, np.int64).reshape(-1)
        return ids if under is None else np.intersect1d(ids, under)


def same_tags(known: Sequence[str], tag: str) -> list[str]:
    """Those of the known tags that are this one, however its letters are written."""
    return [name for name in known if plain(name) == plain(tag)]


def _tagged(db: sqlite3.Connection, tag: str) -> list[str]:
    """The tag as the catalogue has it. Raises QueryError where no picture has it."""
    known = list(tags_of(db))
    same = same_tags(known, tag)
    if not same:
        others = (
            f"there are {', '.join(known)}" if known else "none has any; put one on with: patchseek tag NAME PLACES"
        )
        raise QueryError(f"no picture has the tag {tag!r}; {others}")
    return same


def _nanoseconds(moment: Moment | None, end: bool = False) -> int | None:
    """Since 1970. end: of a day, its end."""
    if moment is None:
        return None
    try:
        found = datetime.fromisoformat(moment if isinstance(moment, str) else moment.isoformat())
    except (ValueError, TypeError, AttributeError) as error:
        raise QueryError(f"{moment!r}: a date is written 2024-05-31 or 2024-05-31T18:00") from error
    is_day = len(moment) <= 10 if isinstance(moment, str) else not isinstance(moment, datetime)
    later = _DAY if end and is_day else timedelta()
    try:
        since = (found + later).astimezone() - _EPOCH
    except (ValueError, OverflowError, OSError):  # next to the ends of the calendar, where no local time can be told
        since = found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH + later
    return since // timedelta(microseconds=1) * 1000
