"""In which order pictures of one score stand where a ranking is measured. Knows names and scores.

Positives usually stand first in the list that a gallery is made from, so that any order of that list would let them win
every tie. A hash of the name knows nothing of what is right, and is the same in every run and on every machine.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SEED = b"patchseek"


def in_order(names: Sequence[str], scores: ArrayLike) -> NDArray[np.int64]:
    """The indices (n,) of pictures by score (n,), larger first, equal scores in the order of a hash of the names."""
    scores = np.asarray(scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(scores[order][1:] != scores[order][:-1]) + 1
    starts, ends = np.concatenate([[0], ends]), np.concatenate([ends, [len(order)]])
    tied = ends - starts > 1
    for start, end in zip(starts[tied].tolist(), ends[tied].tolist(), strict=True):
        order[start:end] = sorted(order[start:end].tolist(), key=lambda i: _lot(names[i]))
    return order


def _lot(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16, key=_SEED).digest()
