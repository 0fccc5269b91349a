"""Does an engine that was trained on some features still fit those it searches? Judges by numbers; knows no engine.

Training finds clusters or code words for the features of the moment. Others may come later that these serve badly: a
search then ranks by scores that are far from the truth. How badly, the error of a sample tells, beside the error of
the features it was trained with; and where there were too few to train with, their number tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store import Snapshot

GROWN = 4
"""Times as many features as it was trained on after which an engine is trained anew, where more would serve it."""
ENOUGH = 256
"""Features a centroid that k-means makes use of; FAISS takes no more."""
WORSE = 1.25
"""Times the error of its training that an engine may come to."""
SLACK = 0.01
"""Error that counts as none, in squared lengths of features of unit length."""
SURE = 0.1
"""Error by which newcomers must stand out where nobody noted what trained an engine: it may have been they, too."""
FEW = 0.01
"""Share of newcomers, in all that is searched, below which their own error is not looked at."""
SAMPLE = 512
"""Rows whose error is measured, of those trained on and of those that came later."""
DISTANCE = "distance to what it was trained on"
"""What is measured where the codes and clusters of an engine cannot be asked for."""
_PICTURES = 64  # at least, where there are as many, of which these rows are
SOON = 60
"""Seconds that training anew may have taken the last time to be done during a search."""
SOON_BYTES = 256 << 20
"""float16 features up to which training anew is done during a search: some ten seconds with most engines."""


@dataclass(frozen=True)
class Trained:
    """What an engine was trained on."""

    n_live: int
    # pictures that could be found then
    n_rows: int
    # features that trained it; 0 where nobody noted it
    errors: Mapping[str, tuple[float, float]]
    # by what was measured: mean, and what 99 of 100 of its own features do not exceed; empty where nobody noted it


@dataclass(frozen=True)
class Sample:
    """Errors (n,) of a sample by what was measured, for pictures of which there are n_live."""

    n_live: int
    errors: Mapping[str, NDArray[np.float32]]


def why_outgrown(
    trained: Trained, own: Sample, new: Sample, n_regions: int, n_centroids: int, n_most: int
) -> str | None:
    """Why an engine no longer fits, in a clause; None where it does.

    own, new: live pictures of those it was trained on, and later ones. n_most: features that train an engine at most.
    """
    if not own.n_live:
        return "no picture that it was trained on is left"
    if not trained.errors and 2 * own.n_live < trained.n_live:  # what is left cannot be held against that
        return f"of {trained.n_live:,} pictures that it was trained on {own.n_live:,} are left"
    n_live = own.n_live + new.n_live
    if trained.n_rows and trained.n_rows < min(ENOUGH * n_centroids, n_most) and n_live > GROWN * trained.n_live:
        n_then, n_now = trained.n_live * n_regions, n_live * n_regions
        return f"it was trained on {n_then:,} features and now holds {n_now:,}"
    for kind, errors in own.errors.items():
        mean_own, high_own = trained.errors.get(kind, _summary(errors))
        later = new.errors.get(kind, errors[:0])
        mean_new = float(later.mean()) if len(later) else 0.0
        mean_now = (float(errors.mean()) * own.n_live + mean_new * new.n_live) / n_live
        if not trained.n_rows:
            if mean_new > 2 * high_own + SURE:
                return f"the error of its {kind} is {mean_new:.2f} for newer pictures, and {mean_own:.2f} for the first"
            continue
        if mean_now > WORSE * mean_own + SLACK:
            return f"the error of its {kind} is {mean_now:.2f}, and was {mean_own:.2f} when it was trained"
        if new.n_live > FEW * n_live and mean_new > WORSE * high_own + SLACK:
            return f"the error of its {kind} is {mean_new:.2f} for newer pictures, and {mean_own:.2f} for older ones"
    return None


def _summary(errors: NDArray[np.float32]) -> tuple[float, float]:
    """Mean, and what 99 of 100 do not exceed."""
    return float(errors.mean()), float(np.quantile(errors, 0.99))


def summaries(errors: Mapping[str, NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    """Of each kind of errors (n,): mean, and what 99 of 100 do not exceed."""
    return {kind: _summary(each) for kind, each in errors.items() if len(each)}


def sample(snapshot: Snapshot, positions: NDArray[np.int64], regions: Sequence[int] | None) -> NDArray[np.float16]:
    """Features (n, D) of a few regions, all may be meant, of pictures evenly spread among positions (m,).

    In turn of every picture one, and of an even number of pictures where there are several.
    """
    allowed = np.arange(snapshot.n_regions) if regions is None else np.array(regions)
    n_pictures = min(len(positions), max(_PICTURES, SAMPLE // len(allowed)))
    n_pictures -= n_pictures % 2 if n_pictures > 1 else 0
    chosen = positions[np.linspace(0, len(positions) - 1, n_pictures).astype(np.int64)]
    n_each = min(len(allowed), -(-SAMPLE // max(n_pictures, 1)))
    turns = (np.arange(n_each)[:, None] * len(allowed) // n_each + np.arange(n_pictures)) % len(allowed)
    return snapshot.rows((chosen * snapshot.n_regions + allowed[turns]).ravel())


def strangeness(own: NDArray[np.float16], others: NDArray[np.float16]) -> tuple[NDArray[np.float32], ...]:
    """How far features are from the nearest of every other one of own (n, D): of the rest of own, and of others (m, D).

    In squared lengths. For engines that do not tell where their clusters are.
    """
    anchors = own[::2].astype(np.float32)  # of every other picture, see sample
    half = (anchors * anchors).sum(axis=1)
    rests = [part.astype(np.float32) for part in (own[1::2] if len(own) > 1 else own, others)]
    return tuple(((x * x).sum(axis=1) + (half - 2 * x @ anchors.T).min(axis=1, initial=np.inf)) for x in rests)


def is_soon_done(snapshot: Snapshot, seconds: float) -> bool:
    """Whether training anew may be done during a search. seconds: what it took the last time, 0 where unknown."""
    return seconds <= SOON and 2 * snapshot.n_positions * snapshot.n_regions * snapshot.dim <= SOON_BYTES
