"""The contract of every engine, against brute force in a few lines."""

import dataclasses
import json
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchseek.errors import EngineError, QueryError
from patchseek.indexes import _exact, open_index
from patchseek.indexes._best import best_columns
from patchseek.store import Snapshot

GPU = find_spec("torch") and import_module("torch").cuda.is_available()
DEVICE = pytest.param(f"exact;device={'cuda' if GPU else 'cpu'}", marks=pytest.mark.extra("timm"))
FAITHFUL = ["exact", DEVICE, "Flat", "IVF4,Flat;nprobe=4"]
COMPRESSED = ["SQfp16", "SQ8", "PQ8", "IVF4,PQ8", "OPQ8_16,IVF4,PQ8", "HNSW16,Flat"]


def unit(rng, *shape):
    x = rng.normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def make_snapshot(n_images=60, n_regions=5, dim=16, removed=(), seed=0, shards=(0.3, 0.5)):
    features = unit(np.random.default_rng(seed), n_images, n_regions, dim).astype(np.float16)
    live = np.ones(n_images, bool)
    live[list(removed)] = False
    arrays = np.split(features, [int(share * n_images) for share in shards])
    hashes = tuple(f"{seed}-{i}-{len(a)}" for i, a in enumerate(arrays))
    return Snapshot(arrays, hashes, np.arange(n_images) + 100, live, n_regions, dim)


def brute_force(snapshot, queries, k):
    """[(position, region, score), ...] of each query, by loops."""
    answers = []
    for query in queries.astype(np.float64):
        best = []
        for position in np.flatnonzero(snapshot.live):
            scores = snapshot.features(np.array([position]))[0].astype(np.float64) @ query
            best.append((-scores.max(), position, int(scores.argmax())))
        answers.append([(position, region, -score) for score, position, region in sorted(best)[:k]])
    return answers


def assert_brute_force(hits, snapshot, queries, k, tolerance=1e-5):
    """The hits are those of brute force, place by place, and padding where there are fewer than k."""
    for q, expected in enumerate(brute_force(snapshot, queries, k)):
        n = len(expected)
        assert hits.positions[q, :n].tolist() == [position for position, _, _ in expected]
        assert hits.regions[q, :n].tolist() == [region for _, region, _ in expected]
        assert hits.scores[q, :n] == pytest.approx([score for _, _, score in expected], abs=tolerance)
        assert (hits.positions[q, n:] == -1).all()


@pytest.mark.parametrize("engine", FAITHFUL)
@pytest.mark.parametrize("removed", [(), (0, 1, 2, 17, 59), range(1, 60)], ids=["all", "some removed", "one left"])
@pytest.mark.parametrize("k", [1, 7, 60, 500])
def test_a_faithful_engine_answers_as_brute_force_does(engine, removed, k):
    snapshot = make_snapshot(removed=removed)
    queries = unit(np.random.default_rng(1), 3, 16)
    assert_brute_force(open_index(engine, snapshot).search(queries, k), snapshot, queries, k)


@pytest.mark.parametrize("n_queries", [1, 20])
@pytest.mark.parametrize("few", [True, False], ids=["few", "many"])
@pytest.mark.parametrize("engine", [*FAITHFUL, "SQfp16", "PQ8;rerank=400"])
@pytest.mark.parametrize(
    "chosen",
    [(), (7,), range(4, 9), (0, 3, 18, 29, 30, 59), range(0, 60, 20), range(60)],
    ids=["none", "one", "a folder", "scattered", "sparse", "all"],
)
def test_only_pictures_of_a_choice_answer(engine, chosen, few, n_queries, monkeypatch):
    monkeypatch.setattr(_exact, "EXACT_BYTES", 1 << 30 if few else 0)
    snapshot = make_snapshot(removed=(3, 6, 58))
    among = np.zeros(60, bool)
    among[list(chosen)] = True
    queries = unit(np.random.default_rng(1), n_queries, 16)
    chosen_ones = dataclasses.replace(snapshot, live=snapshot.live & among)
    index = open_index(engine, snapshot)
    for k in (1, 4, 500):
        assert_brute_force(index.search(queries, k, among), chosen_ones, queries, k, 1e-3)


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


@pytest.mark.parametrize("engine", FAITHFUL + COMPRESSED)
def test_every_engine_gives_k_distinct_live_pictures_best_first(engine):
    snapshot = make_snapshot(n_images=300, removed=range(0, 300, 3))
    hits = open_index(engine, snapshot).search(unit(np.random.default_rng(2), 4, 16), 150)
    for positions, scores in zip(hits.positions, hits.scores, strict=True):
        found = positions[positions >= 0]
        assert len(set(found)) == len(found)
        assert snapshot.live[found].all()
        assert (np.diff(scores[positions >= 0]) <= 1e-6).all()
        if "IVF" not in engine and "HNSW" not in engine:
            assert len(found) == 150


@pytest.mark.parametrize("engine", FAITHFUL + COMPRESSED)
def test_every_engine_finds_the_picture_a_query_was_taken_from(engine):
    snapshot = make_snapshot(n_images=300)
    queries = snapshot.features(np.array([3, 250, 120]))[:, 2]
    hits = open_index(engine, snapshot).search(np.ascontiguousarray(queries), 5)
    assert hits.positions[:, 0].tolist() == [3, 250, 120]
    assert hits.regions[:, 0].tolist() == [2, 2, 2]


@pytest.mark.parametrize("engine", ["exact", DEVICE, "Flat", "PQ8"])
def test_one_picture_that_owns_all_the_best_rows_does_not_hide_the_others(engine):
    snapshot = make_snapshot(n_images=300, n_regions=30)
    query = unit(np.random.default_rng(5), 1, 16)
    for array in snapshot.arrays:
        array[: len(array) // 2] = query[0]
    hits = open_index(engine, snapshot).search(query, 299)
    assert len(set(hits.positions[0])) == 299


@pytest.mark.parametrize("engine", ["exact", DEVICE, "Flat"])
@pytest.mark.parametrize("n_queries", [1, 20])
def test_ties_stand_in_order_of_position(engine, n_queries):
    snapshot = make_snapshot(n_images=40)
    for array in snapshot.arrays:
        array[:] = 0
        array[..., 0] = 1
    queries = np.tile(np.eye(1, 16, dtype=np.float32), (n_queries, 1))
    index = open_index(engine, snapshot)
    for k in (1, 17, 40):
        hits = index.search(queries, k)
        assert hits.positions.tolist() == [list(range(k))] * n_queries
        assert (hits.regions == 0).all() or engine != "exact"


@pytest.mark.parametrize("engine", ["exact", DEVICE, "Flat"])
def test_wrong_queries_are_an_error(engine):
    index = open_index(engine, make_snapshot())
    with pytest.raises(QueryError, match="another encoder"):
        index.search(np.zeros((1, 8), np.float32), 3)
    with pytest.raises(QueryError, match="at least 1"):
        index.search(np.zeros((1, 16), np.float32), 0)


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


def test_a_lower_level_is_searched_by_its_regions_only(tmp_path):
    snapshot = make_snapshot()
    query = np.ascontiguousarray(snapshot.features(np.array([9]))[0, 4:5])
    lower = snapshot.first_regions(3)
    for engine in ("exact", "Flat"):
        assert open_index(engine, snapshot, tmp_path).search(query, 1).regions[0, 0] == 4
        hits = open_index(engine, lower, tmp_path).search(query, 60)
        assert hits.regions.max() <= 2
        assert hits.scores[0].tolist() == pytest.approx([s for _, _, s in brute_force(lower, query, 60)[0]], abs=1e-5)


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
