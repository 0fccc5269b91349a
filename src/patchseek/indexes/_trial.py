"""Try an engine on features of the very collection that it shall search, before it becomes the choice.

A feature of a picture is searched for, and the picture should come first, since nothing is more like it. What else
should come, exact search says. An engine that compresses much may confuse pictures that are alike, and one that looks
into few clusters misses some: that is a choice, and the figure is told. An engine that loses most is broken.

A trial on a few pictures, or on pictures that are all alike, tells little of those that come later. So what was tried
is noted, and the choice is tried again once there are more than twice as many pictures.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._platform import replace
from ..encoders import Features, flawed
from ..store import Snapshot
from ._exact import search_store
from ._outgrown import is_soon_done
from ._protocol import Hits, Index
from ._sound import require_sound

N_QUERIES = 64
"""Features that are searched for."""
BEST = 10
"""Pictures that are asked for."""
LEAST_OWN = 0.5
"""Share of features that must find their own picture among the best. With 4 bytes a row, nine of ten do."""
LEAST_RECALL = 0.2
"""Share of exact search's pictures that must be found. Who finds a feature's own picture and no other has a tenth."""
GROWN = 2
"""Times as many pictures as it was tried on up to which a trial is believed."""
_NOTE = "tried.json"  # in the folder of kept indexes
_ALIKE = 0.01  # pictures whose exact scores differ by less are as good as each other


@dataclass(frozen=True)
class Trial:
    """What an engine found of a collection's own features."""

    n_queries: int
    own: float
    # share of features that found their own picture among the best BEST, or as many that are as good
    first: float
    # share of features whose own picture came first, or one that is as good
    recall: float
    # share of exact search's best BEST pictures that were found, or others that are as good

    @property
    def fault(self) -> str | None:
        """Why such an engine is of no use, in a clause; None where it is of some."""
        if self.own < LEAST_OWN:
            what = f"only {self.own:.0%} of {self.n_queries} features of the collection itself find their own picture"
            return f"{what} among the best {BEST}"
        if self.recall < LEAST_RECALL:
            return f"of the best {BEST} pictures that exact search finds it finds only {self.recall:.0%}"
        return None

    def __str__(self) -> str:
        return (
            f"tried with {self.n_queries} features of the collection itself: {self.first:.0%} find their own picture "
            f"first, recall@{BEST} is {self.recall:.2f} beside exact search"
        )


def try_on_own(index: Index, snapshot: Snapshot, seed: int = 0) -> Trial | None:
    """See indexes.try_engine. seed: decides which features of live pictures are searched for."""
    live = np.flatnonzero(snapshot.live)
    if not len(live):
        return None
    rng = np.random.default_rng(seed)
    own = rng.choice(live, min(N_QUERIES, len(live) * snapshot.n_regions))
    queries = snapshot.rows(own * snapshot.n_regions + rng.integers(0, snapshot.n_regions, len(own))).astype(np.float32)
    if flawed(queries).any():  # of an earlier version's collection; no query can be made of these
        require_sound(snapshot)
    truth, found = search_store(snapshot, queries, BEST), index.search(queries, BEST)
    return _compare(snapshot, queries, own, truth, found)


@dataclass(frozen=True)
class Tried:
    """What is noted of a trial."""

    engine: str
    n_live: int
    # pictures that could be found then
    fault: str | None
    # see Trial

    def keep(self, cache: Path) -> None:
        """Note it in the folder of kept indexes, where that can be written."""
        with suppress(OSError):
            cache.mkdir(exist_ok=True)
            partial = cache / f"{_NOTE}.tmp"
            partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
            replace(partial, cache / _NOTE)


def last_tried(cache: Path, engine: str, snapshot: Snapshot) -> Tried | None:
    """The last trial, where it was of this engine and still tells something of the pictures of now."""
    try:
        tried = Tried(**json.loads((cache / _NOTE).read_text(encoding="utf-8")))
        return tried if tried.engine == engine and snapshot.n_live <= GROWN * tried.n_live else None
    except (OSError, ValueError, TypeError):  # none yet, or damaged
        return None


def fault_of(engine: str, index: Index, snapshot: Snapshot, cache: Path) -> str | None:
    """See indexes.try_again."""
    tried = last_tried(cache, engine, snapshot)
    if (tried is not None and tried.fault is None) or not is_soon_done(snapshot, 0):
        return tried.fault if tried is not None else None
    trial = try_on_own(index, snapshot)
    if trial is None:
        return None
    Tried(engine, snapshot.n_live, trial.fault).keep(cache)
    return trial.fault


def _compare(snapshot: Snapshot, queries: Features, own: NDArray[np.int64], truth: Hits, found: Hits) -> Trial:
    scores = _exact_scores(snapshot, queries, truth, found)
    right = scores >= truth.scores[:, -1:] - _ALIKE  # as good as the last of the best
    mine = (found.positions == own[:, None]) | (scores >= truth.scores[:, :1] - _ALIKE)
    n = truth.positions.shape[1]
    return Trial(len(own), float(mine.any(axis=1).mean()), float(mine[:, 0].mean()), float(right.sum() / len(own) / n))


def _exact_scores(snapshot: Snapshot, queries: Features, truth: Hits, found: Hits) -> NDArray[np.float32]:
    """Exact scores (Q, k) of the pictures found, -inf where there is none; those that exact search found are known."""
    scores = np.full(found.positions.shape, -np.inf, np.float32)
    for q, positions in enumerate(found.positions):
        known = dict(zip(truth.positions[q].tolist(), truth.scores[q].tolist(), strict=True))
        for i, position in enumerate(positions.tolist()):
            if position >= 0:
                scores[q, i] = known.get(position) or _score(snapshot, queries[q], position)
    return scores


def _score(snapshot: Snapshot, query: NDArray[np.float32], position: int) -> float:
    """The exact score of a picture."""
    return float((snapshot.features(np.array([position]))[0] @ query).max())
