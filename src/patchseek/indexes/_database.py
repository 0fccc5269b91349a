"""What engines that keep rows in a database have in common: whose rows were found, and what to do when they are stale.

The collection on disk is the truth and the database a cache of it. It names its rows by a picture's id and a region.
"""

import logging
import threading
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot
from ._gather import RankedRows
from ._protocol import Hits

_log = logging.getLogger(__name__)

_CHECKED = 100
# rows of an answer whose scores are compared with the collection's own
_ROUNDING = 1e-3
# by which two ways of computing an inner product of unit vectors may differ, generously

Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""What a database answers a query with: ids of pictures, regions and scores, (n,) each."""


class StaleEngine(EngineError):
    """A database that no longer holds what was sent to it. is_altered: what is there differs."""

    def __init__(self, message: str, *, is_altered: bool = False) -> None:
        super().__init__(message)
        self.is_altered = is_altered


class Mender:
    """Has a database that proves stale brought up to date, by one thread for all, and asks again."""

    def __init__(self) -> None:
        self._n_mended, self._mending = 0, threading.Lock()

    def answer(self, answer: Callable[[], Hits], mend: Callable[[bool], None]) -> Hits:
        """What `answer` says, at the second try where it raised StaleEngine. mend: is given its is_altered."""
        n_mended = self._n_mended
        try:
            return answer()
        except StaleEngine as error:
            _log.warning("%s; looking what is missing there", error)
            with self._mending:
                if self._n_mended == n_mended:  # else another thread has done it meanwhile
                    mend(error.is_altered)
                    self._n_mended += 1
        return answer()


class Names:
    """Finds the rows of a snapshot by the names that a database has for them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._by_id = np.argsort(snapshot.ids)

    def rows(self, queries: Features, found: Iterable[Found], depth: int, *, are_exact: bool) -> RankedRows:
        """What was found for queries (Q, D) that asked for `depth` rows each. Unknown pictures are left out.

        are_exact: the scores are inner products; raises StaleEngine unless they are those of the collection's features.
        """
        known, is_all = [], []
        for query, one in zip(queries, found, strict=True):
            scores, rows = self._known(*one)
            if are_exact:
                check_scores(self._snapshot, query, scores, rows)
            known.append((scores, rows))
            is_all.append(len(one[0]) < depth)
        shape = len(known), max((len(rows) for _, rows in known), default=0)
        table = RankedRows(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64), np.array(is_all, bool))
        for q, (scores, rows) in enumerate(known):
            table.scores[q, : len(rows)], table.rows[q, : len(rows)] = scores, rows
        return table

    def _known(
        self, images: NDArray[np.int64], regions: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows (m,), best first and ties in order of row, of the live pictures that the snapshot knows.

        A database may hold more than a snapshot of yesterday knows.
        """
        snapshot, by_id = self._snapshot, self._by_id
        if not len(by_id):
            return np.empty(0, np.float32), np.empty(0, np.int64)
        places = np.minimum(np.searchsorted(snapshot.ids, images, sorter=by_id), len(by_id) - 1)
        positions = by_id[places]
        known = (snapshot.ids[positions] == images) & snapshot.live[positions]
        rows, scores = (positions * snapshot.n_regions + regions)[known], scores[known]
        order = np.lexsort((rows, -scores))
        return scores[order], rows[order]


def check_scores(
    snapshot: Snapshot, query: NDArray[np.float32], scores: NDArray[np.float32], rows: NDArray[np.int64]
) -> None:
    """Raise StaleEngine unless the first scores (n,) of a query (D,) are those of the collection's own rows (n,)."""
    scores, rows = scores[:_CHECKED], rows[:_CHECKED]
    exact = snapshot.rows(rows).astype(np.float32) @ query
    n_unlike = len(rows) - int((np.abs(exact - scores) <= _ROUNDING).sum())
    if n_unlike:
        raise StaleEngine(f"{n_unlike} scores are not those of the collection's own features", is_altered=True)
