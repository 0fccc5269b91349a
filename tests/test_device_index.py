"""Exact search on a device answers as exact search does, however little of the collection fits there."""

import numpy as np
import pytest
import torch

from patchseek.errors import EngineError
from patchseek.indexes import _device, open_index
from patchseek.indexes._device import DeviceIndex

from .contract_engine import assert_brute_force, make_snapshot, unit

pytestmark = pytest.mark.extra("timm")

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_fit", [0, 17, 18, 31, 60], ids=lambda n: f"{n} fit")
@pytest.mark.parametrize("n_queries", [1, 40])
def test_what_does_not_fit_is_searched_as_ever(n_fit, n_queries, device):
    snapshot = make_snapshot(removed=(3, 20, 59))  # shards of 18, 12 and 30 pictures of 5 regions of 16 numbers
    queries = unit(np.random.default_rng(1), n_queries, 16)
    index = DeviceIndex(snapshot, device, room=n_fit * 5 * 16 * 2)
    share = {0: ", 0% of it there", 17: ", 0% of it there", 18: ", 30% of it there", 31: ", 50% of it there", 60: ""}
    assert index.name == f"exact on {device}{share[n_fit]}"
    for k in (1, 9, 100):
        assert_brute_force(index.search(queries, k), snapshot, queries, k)


@pytest.mark.parametrize("device", DEVICES)
def test_equal_pictures_stand_in_their_order_on_either_side_of_what_fits(device):
    snapshot = make_snapshot(n_images=40)  # shards of 12, 8 and 20
    same = unit(np.random.default_rng(3), 5, 16).astype(np.float16)
    for array in snapshot.arrays:
        array[:] = same
    queries = unit(np.random.default_rng(4), 3, 16)
    for room in (0, 12 * 160, 20 * 160, 1 << 30):
        hits = DeviceIndex(snapshot, device, room).search(queries, 40)
        assert hits.positions.tolist() == [list(range(40))] * 3


@pytest.mark.parametrize("size", [1, 500, 5000])
def test_answers_do_not_depend_on_how_much_is_computed_at_a_time(size, monkeypatch):
    monkeypatch.setattr(_device, "SCORES_BYTES", size)
    snapshot = make_snapshot(removed=(0, 1))
    queries = unit(np.random.default_rng(2), 3, 16)
    assert_brute_force(open_index("exact;device=cpu", snapshot).search(queries, 60), snapshot, queries, 60)


def test_too_little_memory_for_the_scores_means_fewer_at_a_time(monkeypatch):
    asked = []

    def scores(_, features, queries, n):
        asked.append(len(features))
        if len(features) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert n == 1
        return features.float() @ queries

    monkeypatch.setattr(DeviceIndex, "_scores", scores)
    monkeypatch.setattr(_device, "SCORES_BYTES", 4 * 8 * 5 * 60)
    snapshot = make_snapshot()
    queries = unit(np.random.default_rng(2), 1, 16)
    assert_brute_force(open_index("exact;device=cpu", snapshot).search(queries, 7), snapshot, queries, 7)
    assert asked[:5] == [300, 150, 75, 35, 15]
    assert max(asked[5:]) == 15


def test_memory_that_somebody_else_took_means_fewer_shards_there(monkeypatch):
    empty = torch.empty

    def short(shape, **options):
        if shape[0] > 30:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return empty(shape, **options)

    monkeypatch.setattr(torch, "empty", short)
    snapshot = make_snapshot()
    queries = unit(np.random.default_rng(2), 2, 16)
    index = DeviceIndex(snapshot, "cpu", room=60 * 160)
    assert index.name == "exact on cpu, 50% of it there"
    assert_brute_force(index.search(queries, 9), snapshot, queries, 9)


def test_an_empty_collection_and_no_queries_have_empty_answers():
    empty = make_snapshot(n_images=0)
    assert open_index("exact;device=cpu", empty).search(np.eye(1, 16, dtype=np.float32), 3).positions.tolist() == [[-1]]
    hits = open_index("exact;device=cpu", make_snapshot()).search(np.empty((0, 16), np.float32), 3)
    assert hits.positions.shape == (0, 3)


def test_a_query_in_two_halves_is_the_whole_query():
    queries = torch.from_numpy(unit(np.random.default_rng(5), 50, 64))
    index = DeviceIndex(make_snapshot(), "cpu")
    index._device = "cuda"  # which multiplies halves
    high, low = index._asked(queries).float().T.chunk(2)
    assert index._asked(queries[:1]).shape == (64, 8)
    assert (high + low / 2**11 - queries).abs().max() <= 2**-25  # half the last bit of a float32 between 0.5 and 1


def test_a_device_that_is_not_there_is_an_error_of_one_line():
    with pytest.raises(EngineError, match="exact search on a device: device must be"):
        open_index("exact;device=tpu", make_snapshot())
