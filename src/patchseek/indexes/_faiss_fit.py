"""How well a trained FAISS index represents features: what its codes and its clusters lose of them.

For codes: a feature against what is decoded from its code. An offset and a factor that all features have in common
change no ranking (a rotation around the mean of the training features leaves such), and are taken out.
For clusters: a feature against the centroid of its cluster.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ._outgrown import DISTANCE, strangeness

CODES = "codes"
CLUSTERS = "clusters"


def measure(index: Any, own: Features, others: Features) -> tuple[dict[str, NDArray[np.float32]], ...]:
    """Errors of features that trained an index (n, D) and of others (m, D): two times {kind: errors (n,) or (m,)}.

    In squared lengths. Where FAISS does not tell what it keeps, others are held against the trained ones themselves.
    """
    features, found = np.concatenate([own, others]), dict[str, tuple[NDArray[np.float32], ...]]()
    try:
        errors = _squares(features, _decoded(index, features), len(own))
        found[CODES] = errors[: len(own)], errors[len(own) :]
        if (moved := _from_centroids(index, features)) is not None:
            errors = _lengths(moved)
            found[CLUSTERS] = errors[: len(own)], errors[len(own) :]
    except (RuntimeError, NotImplementedError):  # FAISS's word for what an index has not
        found[DISTANCE] = strangeness(own, others)
    finite = {kind: each for kind, each in found.items() if all(np.isfinite(part).all() for part in each)}
    return {kind: each[0] for kind, each in finite.items()}, {kind: each[1] for kind, each in finite.items()}


def trains(factory: str, dim: int) -> bool:
    """Whether an index that was built before depends on what it was trained with."""
    import faiss

    index: Any = faiss.index_factory(dim, factory)
    return not index.is_trained


def _squares(features: Features, decoded: Features, n_own: int) -> NDArray[np.float32]:
    """Squared distances (n,) of features and decoded ones (n, D), mean and scale of the first n_own made equal."""
    x, y = features - features[:n_own].mean(axis=0), decoded - decoded[:n_own].mean(axis=0)
    length = float(np.vdot(y[:n_own], y[:n_own]))
    scale = float(np.vdot(x[:n_own], y[:n_own])) / length if length > 1e-6 * n_own else 1.0
    return _lengths(x - np.float32(scale) * y)


def _lengths(vectors: Features) -> NDArray[np.float32]:
    """Squared lengths (n,) of vectors (n, D)."""
    lengths: NDArray[np.float32] = np.einsum("nd,nd->n", vectors, vectors)
    return lengths


def _steps(index: Any) -> list[Any]:
    """What an index does to a feature before the index inside it sees that, in order."""
    import faiss

    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain: Any = index.chain
    return [faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size())]


def _inner(index: Any) -> Any:
    """The index inside one: behind a transform, under a refinement, in a graph; None where there is none."""
    import faiss

    name = "index" if isinstance(index, faiss.IndexPreTransform) else "base_index"
    inner = getattr(index, name, None) or getattr(index, "storage", None)
    return None if inner is None else faiss.downcast_index(inner)


def _decoded(index: Any, features: Features) -> Features:
    """The features (n, D) as the index keeps them. Raises RuntimeError where it cannot tell."""
    import faiss

    index = faiss.downcast_index(index)
    steps, inner = _steps(index), _inner(index)
    for step in steps:
        features = step.apply(features)
    decoded: Features = index.sa_decode(index.sa_encode(features)) if inner is None else _decoded(inner, features)
    for step in reversed(steps):
        decoded = step.reverse_transform(decoded)
    return decoded


def _from_centroids(index: Any, features: Features) -> Features | None:
    """Each feature (n, d) from the centroid of its cluster, behind what transforms it; None where there are none."""
    import faiss

    index = faiss.downcast_index(index)
    for step in _steps(index):
        features = step.apply(features)
    if (inner := _inner(index)) is not None:
        return _from_centroids(inner, features)
    if not isinstance(index, faiss.IndexIVF):
        return None
    quantizer = faiss.downcast_index(index.quantizer)
    _, clusters = quantizer.search(features, 1)
    moved: Features = features - quantizer.reconstruct_batch(np.maximum(clusters[:, 0], 0))
    return moved
