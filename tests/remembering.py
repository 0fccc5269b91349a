"""What the networks that ship say of pixels, computed once in a process of tests.

The same small pictures are indexed in hundreds of tests, and each patch goes through the network by itself, whatever
others it comes with. The tests of the networks do without this.
"""

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from patchseek.encoders import Features, _embedded
from patchseek.patches import Patches
from patchseek.points import PointNetwork, Points, _extract

ITSELF = ("test_encoder", "test_points", "test_cards", "test_cpus", "test_sets", "test_flaws")
"""How the files of tests begin that are about networks, or see no pixels twice."""
MOST = 20_000
"""Answers that are kept: a hundred megabytes of the longest."""


class Remembered:
    """The latest answers to what was asked, by the hash of it. Several threads may ask."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Any:
        """The answer, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: bytes, answer: Any) -> None:
        """Keep an answer, and let go of the oldest."""
        with self._lock:
            self._kept[key] = answer
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)


_features, _points = Remembered(), Remembered()
_open = functools.cache(_embedded.open_embedded)
_encode, _points_of = _embedded.EmbeddedEncoder.encode, _extract._points_of


def _key(content: bytes, *of: object) -> bytes:
    return hashlib.blake2b(content, digest_size=16, key=hashlib.sha256(repr(of).encode()).digest()).digest()


def encode(self: _embedded.EmbeddedEncoder, patches: Patches) -> Features:
    """As EmbeddedEncoder.encode, which is asked of what was not asked before."""
    if patches.ndim != 4 or patches.dtype != np.uint8 or not len(patches):
        return _encode(self, patches)
    keys = [_key(patch.tobytes(), self.identity, self.runs_on) for patch in patches]
    found = [_features.get(key) for key in keys]
    missing = [i for i, feature in enumerate(found) if feature is None]
    if missing:
        for i, feature in zip(missing, _encode(self, patches[missing]), strict=True):
            _features.put(keys[i], feature.copy())
            found[i] = feature
    return np.stack(found)


def points_of(grey: Image.Image, n: int, network: PointNetwork) -> Points:
    """As _points_of, alike."""
    key = _key(grey.tobytes(), grey.size, n, network.weights, network.runs_on)
    found: Points | None = _points.get(key)
    if found is None:
        found = _points_of(grey, n, network)
        _points.put(key, found)
    return found


@contextmanager
def remembering() -> Iterator[None]:
    """Until the end of the block, what was asked before is not computed again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_embedded, "open_embedded", _open)
        patch.setattr(_embedded.EmbeddedEncoder, "encode", encode)
        patch.setattr(_extract, "_points_of", points_of)
        yield
