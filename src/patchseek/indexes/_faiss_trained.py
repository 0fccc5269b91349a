"""Is a saved FAISS index still trained well enough for the pictures of now? Looks at a sample; see `_outgrown`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..store import Snapshot
from . import Refit
from ._faiss_child import load
from ._faiss_fit import measure, trains
from ._faiss_recipe import Recipe
from ._faiss_saved import Saved, Training, note_judged, state_of
from ._outgrown import Sample, Trained, is_soon_done, sample, summaries, why_outgrown

_log = logging.getLogger(__name__)

TRAIN_ROWS = 262_144
"""Features that train an index at most; k-means gains little from more than a few hundred a centroid."""


@dataclass(frozen=True)
class Held:
    """What of a saved index can be used."""

    saved: Saved | None = None
    index: Any = None
    # read already, where looking at it took that
    outgrown: str | None = None
    # see Index


def training_rows(recipe: Recipe, snapshot: Snapshot, n_most: int = TRAIN_ROWS) -> NDArray[np.int64]:
    """The rows that train an index, n_most at most: of live pictures, unless there are none."""
    return recipe.training_rows(_live(snapshot), snapshot.n_regions, n_most)


def _live(snapshot: Snapshot) -> NDArray[np.int64]:
    """Positions of live pictures; of all where none is."""
    live = np.flatnonzero(snapshot.live)
    return live if len(live) else np.arange(snapshot.n_positions)


def usable(saved: Saved, recipe: Recipe, snapshot: Snapshot, refit: Refit) -> Held:
    """The saved index, judged; nothing where another shall be trained."""
    if not snapshot.n_live or not trains(recipe.factory, snapshot.dim):
        return Held(saved)
    if refit is Refit.WHERE_CHANGED and saved.training.state != state_of(snapshot):
        _log.info("the index %s was trained on other pictures; building it anew", recipe.factory)
        return Held()
    held = judged(saved, recipe, snapshot)
    is_due = refit is not Refit.WHERE_SOON_DONE or is_soon_done(snapshot, saved.training.seconds)
    if held.outgrown and is_due:
        _log.info("the index %s no longer fits: %s; building it anew", recipe.factory, held.outgrown)
        return Held()
    return held


def judged(saved: Saved, recipe: Recipe, snapshot: Snapshot) -> Held:
    """The saved index, and why it no longer fits. Nothing where it cannot be read."""
    if known := saved.judged(snapshot):
        return Held(saved, None, known[0])
    index = read_saved(saved, recipe)
    if index is None:
        return Held()
    outgrown = _judge(index, saved.training, recipe, snapshot)
    return Held(note_judged(saved, snapshot, outgrown), index, outgrown)


def read_saved(saved: Saved, recipe: Recipe) -> Any:
    """The saved index; None, with a warning, where it cannot be read."""
    try:
        return load(saved.path)
    except (OSError, RuntimeError) as error:
        _log.warning("the saved index of %s cannot be read (%s); building it anew", recipe.factory, error)
        return None


def _judge(index: Any, training: Training, recipe: Recipe, snapshot: Snapshot) -> str | None:
    n_known = sum(len(array) for array in snapshot.arrays[: training.state["n_shards"]])
    live = np.flatnonzero(snapshot.live)
    own, new = live[live < n_known], live[live >= n_known]
    errors: Sequence[dict[str, NDArray[np.float32]]] = ({}, {})
    if len(own):
        errors = measure(index, _sample(recipe, snapshot, own), _sample(recipe, snapshot, new))
    return why_outgrown(
        Trained(training.state["n_live"], training.n_rows, training.errors),
        Sample(len(own), errors[0]),
        Sample(len(new), errors[1]),
        snapshot.n_regions,
        recipe.n_centroids,
        TRAIN_ROWS,
    )


def _sample(recipe: Recipe, snapshot: Snapshot, positions: NDArray[np.int64]) -> Features:
    return sample(snapshot, positions, recipe.train_regions)


def describe(index: Any, recipe: Recipe, snapshot: Snapshot, seconds: float) -> Training:
    """What an index was just trained on, and how well it keeps that. seconds: that building it took."""
    errors: dict[str, tuple[float, float]] = {}
    if trains(recipe.factory, snapshot.dim):
        own = _sample(recipe, snapshot, _live(snapshot))
        errors = summaries(measure(index, own, own[:0])[0])
    return Training(state_of(snapshot), len(training_rows(recipe, snapshot)), round(seconds, 1), errors)
