"""Exact search and FAISS: the contracts of `contract_engine`, and what is theirs alone."""

import json
import re
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchseek.errors import EngineError
from patchseek.indexes import _exact, as_kept, judge_parameters, open_index
from patchseek.indexes._best import best_columns
from patchseek.store import Snapshot

from .contract_engine import (
    EngineContract,
    FaithfulContract,
    OrderlyContract,
    assert_brute_force,
    brute_force,
    make_snapshot,
    unit,
)

GPU = find_spec("torch") and import_module("torch").cuda.is_available()
DEVICE = pytest.param(f"exact;device={'cuda' if GPU else 'cpu'}", marks=pytest.mark.extra("timm"))


class TestOrderly(OrderlyContract):
    @pytest.fixture(params=["exact", DEVICE, "Flat"])
    def engine(self, request):
        return request.param


class TestFaithful(FaithfulContract):
    tolerance = 1e-3

    @pytest.fixture(params=["IVF4,Flat;nprobe=4", "SQfp16", "SQ8;rerank=4000"])
    def engine(self, request):
        return request.param


class TestCompressed(EngineContract):
    @pytest.fixture(params=["SQ8", "PQ8", "PQ8;rerank=400", "Flat;metric=L2"])
    def engine(self, request):
        return request.param


class TestApproximate(EngineContract):
    finds_all = False

    @pytest.fixture(params=["IVF4,PQ8", "OPQ8_16,IVF4,PQ8", "HNSW16,Flat"])
    def engine(self, request):
        return request.param


def test_a_part_of_a_snapshot_copies_nothing_and_takes_short_gaps_along():
    snapshot = make_snapshot(removed=[5])  # shards of 18, 12 and 30 pictures
    among = np.zeros(60, bool)
    among[[2, 4, 5, 7, 17, 18, 40]] = True
    part, positions = snapshot.only(among)
    assert positions.tolist() == [2, 3, 4, 5, 6, 7, 17, 18, 40]
    assert positions[part.live].tolist() == [2, 4, 7, 17, 18, 40]
    assert [len(array) for array in part.arrays] == [6, 1, 1, 1]
    assert all(np.shares_memory(array, snapshot.arrays[i]) for array, i in zip(part.arrays, (0, 0, 1, 2), strict=True))
    assert (part.features(np.arange(9)) == snapshot.features(positions)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 6),
    st.integers(1, 50),
    st.integers(0, 10**6),
    st.integers(1, 4000),
    st.sampled_from([1, 2, 20]),
)
def test_exact_search_does_not_depend_on_its_blocks(n_images, n_regions, k, seed, size, n_queries):
    rng = np.random.default_rng(seed)
    features = (
        rng.integers(-8, 9, (n_images, n_regions, 4)) / 8
    )  # sums of such products have no rounding, and many ties
    features[..., 0] = 1
    live = np.arange(n_images) % 4 > 0 if n_images > 1 else np.ones(1, bool)
    snapshot = Snapshot([features.astype(np.float16)], (str(seed),), np.arange(n_images), live, n_regions, 4)
    queries = (rng.integers(-8, 9, (n_queries, 4)) / 8).astype(np.float32)
    queries[~queries.any(axis=1), 0] = 1  # a query of nothing but zeros is refused, as another test says
    names = ("BLOCK_BYTES", "_PRUNE_AT", "_PIECE_ROWS")
    before = {name: getattr(_exact, name) for name in names}
    try:
        for name, value in zip(names, (16 * size, 3, size), strict=True):
            setattr(_exact, name, value)
        found = open_index("exact", snapshot).search(queries, k)
    finally:
        for name, value in before.items():
            setattr(_exact, name, value)
    for q, expected in enumerate(brute_force(snapshot, queries, k)):
        assert found.positions[q, : len(expected)].tolist() == [position for position, _, _ in expected]
        assert found.regions[q, : len(expected)].tolist() == [region for _, region, _ in expected]


@pytest.mark.parametrize("can_scan", [True, False])
@pytest.mark.parametrize("n_queries", [1, 3, 40])
def test_few_and_many_queries_are_answered_as_brute_force_does(n_queries, can_scan, monkeypatch):
    monkeypatch.setattr("patchseek.indexes._exact.can_scan", lambda: can_scan)
    snapshot = make_snapshot(n_images=200, removed=range(5, 200, 7))
    queries = unit(np.random.default_rng(6), n_queries, 16)
    assert_brute_force(open_index("exact", snapshot).search(queries, 25), snapshot, queries, 25)


def test_a_scan_goes_deeper_where_removed_pictures_own_all_the_best_rows():
    snapshot = make_snapshot(n_images=400, n_regions=30, removed=range(390))
    query = np.ascontiguousarray(snapshot.features(np.array([7]))[0, :1])
    for array in snapshot.arrays[:2]:
        array[:] = query[0]
    hits = open_index("exact", snapshot).search(query, 10)
    assert hits.positions[0].tolist() == [position for position, _, _ in brute_force(snapshot, query, 10)[0]]


@given(
    st.lists(st.sampled_from([0.5, -0.5, 0.0, -0.0, 0.25, -1.0, -np.inf]), min_size=1, max_size=30), st.integers(1, 31)
)
def test_the_best_columns_are_those_of_a_stable_sort(values, k):
    scores = np.array([values], np.float32)
    assert best_columns(scores, k).tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()


def test_a_saved_index_is_read_again_and_extended_by_new_shards(tmp_path, built):
    snapshot = make_snapshot()
    first = Snapshot(snapshot.arrays[:2], snapshot.shards[:2], snapshot.ids[:30], snapshot.live[:30], 5, 16)
    open_index("IVF4,Flat;nprobe=4", first, tmp_path / "cache")
    built.clear()
    queries = unit(np.random.default_rng(1), 3, 16)
    hits = open_index("IVF4,Flat;nprobe=4", snapshot, tmp_path / "cache").search(queries, 10)
    assert hits.positions.tolist() == open_index("exact", snapshot).search(queries, 10).positions.tolist()
    assert [(job.saved, job.n_rows) for job in built] == [(str(next((tmp_path / "cache").glob("*.faiss"))), 300)]


@pytest.mark.parametrize("damage", ["flip", "cut", "no manifest", "foreign manifest", "other vectors"])
def test_a_stale_or_damaged_index_is_built_anew_and_never_answers_wrongly(tmp_path, damage, caplog):
    caplog.set_level("INFO", "patchseek")
    open_index("Flat", make_snapshot(seed=0), tmp_path)
    index_path, manifest = next(tmp_path.glob("*.faiss")), next(tmp_path.glob("*.json"))
    content = index_path.read_bytes()
    if damage == "flip":
        index_path.write_bytes(content[:-4] + bytes([content[-4] ^ 255]) + content[-3:])
    elif damage == "cut":
        index_path.write_bytes(content[: len(content) // 2])
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "foreign manifest":
        manifest.write_text("[1, 2]")
    seed = 1 if damage == "other vectors" else 0
    snapshot, queries = make_snapshot(seed=seed), unit(np.random.default_rng(1), 3, 16)
    hits = open_index("Flat", snapshot, tmp_path).search(queries, 10)
    assert hits.positions.tolist() == open_index("exact", snapshot).search(queries, 10).positions.tolist()
    assert damage == "no manifest" or "building it anew" in caplog.text
    assert json.loads(manifest.read_text())["shards"] == list(snapshot.shards)


@pytest.mark.parametrize("engine", ["Nonsense", "PQ7", "IVF100000,Flat", "Flat;speed=9", "milvus:a\0b", "Fl\0at"])
def test_an_engine_that_cannot_be_built_is_an_error_of_one_line(engine):
    with pytest.raises(EngineError) as caught:
        open_index(engine, make_snapshot())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("engine", "advice"),
    [
        ("milvos:rows.db", "'milvos:'; did you mean milvus:?"),
        ("Milvus:rows.db", "'Milvus:'; did you mean milvus:?"),
        ("milvus", "'milvus'; did you mean milvus:?"),
        ("postgreql://me:secret@host/db", "'postgreql:'; did you mean postgresql://?"),
        ("exact;devise=cuda", "'exact;devise=cuda'; did you mean exact;device=?"),
        ("Exact", "'Exact'; did you mean exact?"),
        ("redis://me:secret@host", "'redis:'; there are exact, auto, "),
    ],
)
def test_a_slip_in_the_kind_of_an_engine_is_no_error_of_faiss(engine, advice):
    for judge in (judge_parameters, as_kept, lambda text: open_index(text, make_snapshot())):
        with pytest.raises(EngineError, match=f"^there is no engine {re.escape(advice)}") as caught:
            judge(engine)
        assert "secret" not in str(caught.value)
