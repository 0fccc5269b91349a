"""Order and bounds of the pipeline, checked against doing one thing after another."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchseek._ahead import map_ahead
from patchseek.encode import Regions, encode_stream
from patchseek.regions import Pyramid

from .conftest import LIMIT, TinyEncoder


def patches(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=12))
def test_a_stream_gives_each_item_the_features_of_its_own_patches_in_order(counts):
    encoder = TinyEncoder()
    items = [(i, patches(n, seed=i)) for i, n in enumerate(counts)]
    out = list(encode_stream(iter(items), Regions(encoder, Pyramid())))
    assert [item for item, _ in out] == list(range(len(counts)))
    for (_, own), (_, features) in zip(items, out, strict=True):
        assert features == pytest.approx(encoder.encode(own), abs=1e-6)


def test_batches_are_full_across_items():
    sizes = []

    class Noting(TinyEncoder):
        def encode(self, patches):
            sizes.append(len(patches))
            return super().encode(patches)

    list(encode_stream(((i, patches(5)) for i in range(6)), Regions(Noting(), Pyramid())))
    assert sorted(sizes) == [2, 7, 7, 7, 7]


def test_map_ahead_keeps_order_and_never_runs_far_ahead():
    started, used = [], []

    def slow(i):
        started.append(i)
        time.sleep(0.001 * (i % 3))
        return i

    for i in map_ahead(slow, range(50), n_workers=3, ahead=5):
        used.append(i)
        assert len(started) <= len(used) + 5
    assert used == list(range(50))


def test_map_ahead_uses_its_workers_at_once():
    both = threading.Barrier(2, timeout=LIMIT)
    assert len(list(map_ahead(lambda _: both.wait(), range(4), n_workers=2, ahead=4))) == 4


def test_an_error_reaches_the_consumer_and_stops_the_workers():
    def fail(i):
        if i == 3:
            raise ValueError("three")
        return i

    seen = []
    with pytest.raises(ValueError, match="three"):
        for i in map_ahead(fail, range(1000), n_workers=2, ahead=4):
            seen.append(i)
    assert seen == [0, 1, 2]
