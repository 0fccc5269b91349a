"""What every encoder promises, as one check. Truth comes from the encoder itself, one patch at a time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from patchseek.encoders import Encoder
from patchseek.errors import EncoderError


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosines (N,) of rows (N, D), in float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def check_encoder(encoder: Encoder, patches: np.ndarray) -> None:
    """patches (N, S, S, 3) uint8, N >= 5, all different."""
    identity = encoder.identity
    features = encoder.encode(patches)
    assert features.dtype == np.float32
    assert features.shape == (len(patches), identity.dim)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-3)

    alone = np.concatenate([encoder.encode(patch[None]) for patch in patches])
    assert cosines(features, alone).min() > 0.9999, "a feature depends on its batch, or the order is lost"
    assert cosines(features, np.roll(features, 1, axis=0)).max() < 0.9999, "patches look alike"
    for n in (1, 3, encoder.batch, encoder.batch + 1):
        assert cosines(encoder.encode(patches[:n]), alone[:n]).min() > 0.9999
    assert encoder.encode(patches[:0]).shape == (0, identity.dim)

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(encoder.encode, [patches[i::5] for i in range(5)] * 3))
    for i, part in enumerate(parts):
        assert cosines(part, alone[i % 5 :: 5]).min() > 0.9999, "threads disturb each other"

    assert (encoder.batch >= 1, encoder.streams >= 1, bool(encoder.runs_on)) == (True, True, True)
    assert encoder.feed.size == identity.size
    size = identity.size
    for wrong in (
        patches.astype(np.float32),
        patches[0],
        patches[:, : size - 1],
        np.zeros((1, size, size, 4), np.uint8),
    ):
        with pytest.raises(EncoderError, match="patches must be"):
            encoder.encode(wrong)
    check_abilities(encoder, patches)


def check_abilities(encoder: Encoder, patches: np.ndarray) -> None:
    """What it says that it can do beyond that, it does, and the features are those of `encode`."""
    alone = encoder.encode(patches[:2])
    if encoder.cells is not None:
        features, cells = encoder.cells.encode_cells(patches[:2])
        assert cosines(features, alone).min() > 0.9999
        assert cells.coarse.ndim == cells.fine.ndim == 4 and len(cells.coarse) == len(cells.fine) == 2
        maps = encoder.cells.encode_map(np.zeros((1, encoder.cells.window, encoder.cells.window, 3), np.uint8))
        assert maps.ndim == 4
        assert encoder.cells.power in (None, 1) or maps.min() >= 0
    if encoder.words is not None:
        words = encoder.words.encode_text(["a cup", "a dog"])
        assert words.shape == (2, encoder.identity.dim)
        assert np.linalg.norm(words, axis=1) == pytest.approx(1, abs=1e-3)
    if encoder.regions is not None:
        regions = encoder.regions.encode_regions(patches[:2], [(0, 0, 1, 1), (0, 0, 0.5, 0.5)])
        assert regions.shape == (2, 2, encoder.identity.dim)
        assert cosines(regions[:, 0], alone).min() > 0.9999
