"""Is a saved FAISS index still trained well enough for the pictures of now? Chooses a sample; see `_outgrown`."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..encoders import flawed
from ..store import Snapshot
from ._faiss_child import Report
from ._faiss_recipe import FaissRecipe
from ._faiss_saved import Saved, Training, state_of
from ._outgrown import DISTANCE, Sample, Trained, is_soon_done, sample, strangeness, summaries, why_outgrown
from ._protocol import Refit

_log = logging.getLogger(__name__)

TRAIN_ROWS = 262_144
"""Features that train an index at most; k-means gains little from more than a few hundred a centroid."""


class OutgrownError(Exception):
    """The saved index no longer fits, and another shall be trained."""


def live_positions(snapshot: Snapshot) -> NDArray[np.int64]:
    """Positions of live pictures; of all where none is."""
    live = np.flatnonzero(snapshot.live)
    return live if len(live) else np.arange(snapshot.n_positions)


def training_rows(recipe: FaissRecipe, snapshot: Snapshot, n_most: int = TRAIN_ROWS) -> NDArray[np.int64]:
    """The rows that train an index, n_most at most: of live pictures, unless there are none."""
    return recipe.training_rows(live_positions(snapshot), snapshot.n_regions, n_most)


def is_wanted(saved: Saved, recipe: FaissRecipe, snapshot: Snapshot, refit: Refit) -> bool:
    """Whether a saved index may be used, as far as its manifest tells."""
    training = saved.training
    if refit is Refit.WHERE_CHANGED and training.is_known and training.trains and training.state != state_of(snapshot):
        _log.info("the index %s was trained on other pictures; building it anew", recipe.factory)
        return False
    return not any(is_due(reason, saved, recipe, snapshot, refit) for reason in saved.judged(snapshot))


def is_due(reason: str | None, saved: Saved, recipe: FaissRecipe, snapshot: Snapshot, refit: Refit | None) -> bool:
    """Whether an index that no longer fits for a reason, or fits, shall be built anew; says so."""
    may = refit is not None
    if refit is Refit.WHERE_SOON_DONE:
        may = is_soon_done(snapshot, saved.training.seconds)
    if reason and may:
        _log.info("the index %s no longer fits: %s; building it anew", recipe.factory, reason)
    return bool(reason and may)


@dataclass
class Look:
    """A look at how well an index keeps pictures: of those that trained it, and of later ones. What came of it."""

    recipe: FaissRecipe
    snapshot: Snapshot
    saved: Saved | None
    # None: it is being trained
    refit: Refit | None
    # None: only look
    training: Training | None = None
    # of an index that is being trained
    outgrown: str | None = None
    # see Index

    def __post_init__(self) -> None:
        live, snapshot = live_positions(self.snapshot), self.snapshot
        if self.saved is not None and (known := self.saved.judged(snapshot)):
            live, self.outgrown = live[:0], known[0]
        n_shards = self.saved.training.state["n_shards"] if self.saved else len(snapshot.arrays)
        n_known = sum(len(array) for array in snapshot.arrays[:n_shards])
        self._positions = live[live < n_known], live[live >= n_known]
        samples = (sample(snapshot, part, self.recipe.train_regions) for part in self._positions)
        self.own, self.others = (part[~flawed(part)] for part in samples)

    def take_in(self, report: Report | None) -> None:
        """Judge by what the index says of the two samples; by the samples alone where it says nothing.

        Raises OutgrownError for a saved one that shall be replaced.
        """
        n_own, errors = len(self.own), report.errors if report else {}
        own, others = (
            {kind: np.array(each[part], np.float32) for kind, each in errors.items()}
            for part in (slice(0, n_own), slice(n_own, None))
        )
        if (report is None or not report.is_told) and n_own:
            own[DISTANCE], others[DISTANCE] = strangeness(self.own, self.others)
        if self.saved is None:
            n_rows = len(training_rows(self.recipe, self.snapshot))
            trains = report is None or report.trains
            self.training = Training(state_of(self.snapshot), n_rows, 0.0, trains, summaries(own))
            return
        then, n = self.saved.training, tuple(map(len, self._positions))
        trained = Trained(then.state["n_live"], then.n_rows, then.errors)
        samples, sizes = (Sample(n[0], own), Sample(n[1], others)), (self.snapshot.n_regions, self.recipe.n_centroids)
        self.outgrown = why_outgrown(trained, *samples, *sizes, TRAIN_ROWS)
        if is_due(self.outgrown, self.saved, self.recipe, self.snapshot, self.refit):
            raise OutgrownError

    def trained(self, seconds: float) -> Training:
        """What the index is trained on. seconds: that building it took, where it was trained now."""
        if self.saved is not None:
            return self.saved.training
        assert self.training is not None, "an index that is trained is looked at"
        return replace(self.training, seconds=round(seconds, 1))
