"""What somebody said of finds: appended to the catalogue and never changed. Knows neither queries nor what was found.

A judgement belongs to the content of a picture, not to its row: it survives moves, indexing anew, another encoder.
"""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

from ..sources import split_page
from ._catalogue import has_table
from ._store import Store

Content = tuple[str, int]
"""SHA-256 of a picture's file, and which page of it."""

_TABLE = "judgement"
_COLUMNS = "query, sha256, page, width, height, x0, y0, x1, y1, verdict, at, who"


@dataclass(frozen=True)
class Judgement:
    """What somebody said: whether a query's object is at a place of a picture."""

    query: str
    # what was looked for: a key, see judgements.query_key
    sha256: str
    page: int
    # of the picture judged
    width: int
    height: int
    # pixels of the upright picture
    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1] of it: the place
    verdict: str | None
    # see judgements.VERDICTS; None: what was said before is taken back
    at: float
    # seconds since 1970
    who: str

    @property
    def content(self) -> Content:
        """Which picture."""
        return self.sha256, self.page


def add_judgement(store: Store, said: Judgement) -> None:
    """Put a judgement behind those of before. Needs no write lock. Raises StoreLocked, StoreError."""
    query, sha256, page, width, height, box, *rest = astuple(said)
    with store.catalogue.noting(_TABLE) as db:
        db.execute(
            f"INSERT INTO judgement ({_COLUMNS}, number) VALUES ({', '.join('?' * 12)}, "
            "(SELECT coalesce(max(number), 0) + 1 FROM judgement WHERE query = ?))",
            (query, sha256, page, width, height, *box, *rest, query),
        )


def judgements_of(store: Store, query: str) -> list[Judgement]:
    """All that was said of a query's finds, in the order in which it was; of one picture, the last one stands."""
    with store.catalogue.reading() as db:
        if not has_table(db, _TABLE):
            return []
        rows = db.execute(f"SELECT {_COLUMNS} FROM judgement WHERE query = ? ORDER BY number", (query,)).fetchall()
    return [_judgement(row) for row in rows]


def _judgement(row: tuple[Any, ...]) -> Judgement:
    """The judgement that a row of _COLUMNS is."""
    query, sha256, page, width, height, x0, y0, x1, y1, verdict, at, who = row
    return Judgement(query, sha256, page, width, height, (x0, y0, x1, y1), verdict, at, who)


def ids_of(store: Store, contents: Iterable[Content]) -> dict[Content, list[int]]:
    """The ids of the pictures that have some contents, rising; a content that none has now is left out."""
    found: dict[Content, list[int]] = {content: [] for content in contents}
    hashes = json.dumps(sorted({sha256 for sha256, _ in found}))
    query = "SELECT id, sha256, path FROM image WHERE NOT removed AND sha256 IN (SELECT value FROM json_each(?))"
    with store.catalogue.reading() as db:
        rows = db.execute(f"{query} ORDER BY id", (hashes,)).fetchall()
    for image_id, sha256, path in rows:
        if (content := (sha256, split_page(path)[1])) in found:
            found[content].append(image_id)
    return {content: ids for content, ids in found.items() if ids}
