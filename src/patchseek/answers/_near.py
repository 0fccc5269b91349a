"""Pictures that are near to others: near-duplicates, what was refused, and what is like the first results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..rank import Candidate, T, View
from ..search import Query
from ..store import Snapshot

SAME_PICTURE = 0.95
"""Mean cosine of the regions of two pictures, region by region, from which they count as one."""
ALPHA = 3.0
"""Exponent of alpha query expansion: Radenovic et al. 2018, "Fine-tuning CNN image retrieval"."""
_MEASURED = 400
# of the pictures found, so many at most say what a query finds in strangers


@dataclass(frozen=True, eq=False)
class Without:
    """A Step that leaves out pictures that were refused, and those that are nearly the same."""

    n: int
    refused: Features
    # (m, R, D) unit length: those of the regions of each

    def look(self, _: Query, view: View[T], candidates: Sequence[Candidate[T]]) -> Sequence[Candidate[T]]:
        """See Step."""
        snapshot = view.snapshot
        refused = _flat(self.refused[:, : snapshot.n_regions])
        return [each for each in candidates if not _is_in(_flat_of(each, snapshot), refused, snapshot)]


def distinct(candidates: Sequence[Candidate[T]], snapshot: Snapshot) -> list[Candidate[T]]:
    """The candidates without those whose picture is nearly that of a better one."""
    kept: list[Candidate[T]] = []
    seen = np.empty((0, snapshot.n_regions * snapshot.dim), np.float32)
    for candidate in candidates:
        feature = _flat_of(candidate, snapshot)
        if not _is_in(feature, seen, snapshot):
            kept.append(candidate)
            seen = np.concatenate([seen, feature])
    return kept


def same_pictures(snapshot: Snapshot, positions: NDArray[np.int64]) -> list[int]:
    """For each of the pictures at positions (n,), which of them is the first that is nearly the same; maybe itself."""
    flat = _flat(snapshot.features(positions))
    alike = flat @ flat.T >= SAME_PICTURE * snapshot.n_regions
    np.fill_diagonal(alike, True)
    first: list[int] = alike.argmax(axis=1).tolist()
    return first


def _is_in(feature: Features, seen: Features, snapshot: Snapshot) -> bool:
    """Whether a picture (1, R * D) is nearly one of those seen (m, R * D)."""
    return bool((seen @ feature[0] >= SAME_PICTURE * snapshot.n_regions).any())


def _flat_of(candidate: Candidate[T], snapshot: Snapshot) -> Features:
    return _flat(snapshot.features(np.array([candidate.position], np.int64)))


def _flat(features: Features) -> Features:
    """Features (m, R, D) as (m, R * D)."""
    return features.reshape(len(features), -1)


def expand(query: Query, candidates: Sequence[Candidate[T]], snapshot: Snapshot) -> Query:
    """Alpha query expansion: the query's feature and those of its first results, weighted by likeness to the ALPHA."""
    if not candidates:
        return query
    features = snapshot.features(np.array([candidate.position for candidate in candidates], np.int64))
    winners = features[np.arange(len(candidates)), [candidate.region for candidate in candidates]]
    weights = np.array([max(candidate.likeness, 0.0) for candidate in candidates]) ** ALPHA
    lays, features = query.features
    wide = features + weights @ winners
    upright, *others = _unit(wide)
    wanted = None if query.wanted is None else _unit((query.wanted + weights @ winners)[None])[0]
    return replace(query, feature=upright, laid=dict(zip(lays[1:], others, strict=True)), wanted=wanted)


def _unit(features: NDArray[np.floating[Any]]) -> Features:
    """Features (n, D) of unit length."""
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True), np.float32)


def less_like(query: Query, candidates: Sequence[Candidate[T]], snapshot: Snapshot) -> float:
    """How much less alike strangers are to a query since what is not wanted was taken off it; 0 where nothing was.

    The median, over pictures found, of what the best region lost. Most of many pictures are strangers.
    """
    if query.wanted is None or not candidates:
        return 0.0
    positions = np.array([candidate.position for candidate in candidates[-_MEASURED:]], np.int64)
    likeness: NDArray[np.float32] = snapshot.features(positions) @ np.stack([query.wanted, query.feature], axis=1)
    before, now = likeness.max(axis=1).T
    return float(np.median(before - now))
