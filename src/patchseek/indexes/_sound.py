"""That engines take in numbers alone. A feature that is none stands anywhere in an engine, and spoils what is trained.

Collections of earlier versions may hold such features; see `store.find_problems`. A shard is looked at once.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._words import counted
from ..encoders import flawed
from ..errors import EngineError
from ..store import Half, Snapshot

_BLOCK_IMAGES = 256  # looked at in one go
_HASHED = r"[0-9a-f]{64}(:\d+)?"  # a shard, or some of its regions, by its bytes
_known: set[str] = set()
# the shards in which every feature is a number: under one hash, bytes never change


def require_sound(
    snapshot: Snapshot,
    among: NDArray[np.bool_] | None = None,
    mapped: Callable[[Callable[[int], int], Iterable[int]], Iterable[int]] = map,
) -> None:
    """Raise EngineError where a picture that can be found has a feature that is no number, in the shards asked for.

    among: (N,) True at the positions that matter, all by default. mapped: as `map`, maybe by several threads.
    """
    for part, array, shard in snapshot.by_shard():
        if shard in _known or (among is not None and not among[part].any()):
            continue
        live = snapshot.live[part]

        def look(start: int, array: Half = array, live: NDArray[np.bool_] = live) -> int:
            flaws = flawed(array[start : start + _BLOCK_IMAGES]).any(axis=1)
            _refuse(int((flaws & live[start : start + _BLOCK_IMAGES]).sum()))
            return int(flaws.sum())

        n_flawed = sum(mapped(look, range(0, len(array), _BLOCK_IMAGES)))
        if not n_flawed and re.fullmatch(_HASHED, shard):
            _known.add(shard)


def require_numbers(features: NDArray[Any]) -> None:
    """Raise EngineError unless all features (n, R, D) of pictures that can be found are numbers."""
    _refuse(int(flawed(features).any(axis=1).sum()))


def without_flaws(blocks: Iterable[tuple[int, Half]], dim: int) -> Iterator[NDArray[np.float16]]:
    """The rows (n, D) of blocks; zeros for what is no number, as only removed pictures may have it."""
    for _, block in blocks:
        flaws = flawed(block)
        rows = np.where(flaws[..., None], np.float16(0), block) if flaws.any() else block
        yield rows.reshape(-1, dim)


def _refuse(n: int) -> None:
    if n:
        raise EngineError(
            f"features that are no numbers, of {counted(n, 'picture')} at least: `patchseek verify` names them, and "
            "with --repair takes them out, so that the next `patchseek index` encodes them anew"
        )
