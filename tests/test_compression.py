"""Compression chosen by measuring, and the re-ranking that makes it worth while."""

from dataclasses import replace

import numpy as np
import pytest

from patchseek.compression import candidates, choose_compression, measure_engines
from patchseek.errors import EngineError, QueryError
from patchseek.indexes import AUTO, choose_engine, open_index
from patchseek.indexes._rescore import rescore

from .contract_engine import brute_force, make_snapshot, unit


def test_rescored_rows_have_exact_scores_and_the_rest_stays_below_them():
    snapshot = make_snapshot(n_images=4, n_regions=2, dim=16)
    query = unit(np.random.default_rng(3), 1, 16)
    rows, guesses = np.array([[5, 2, 7, 0, -1]]), np.array([[0.9, 0.8, 0.7, 0.6, -np.inf]], np.float32)
    scores, order = rescore(snapshot, query, guesses, rows, 3)
    truth = {row: float(snapshot.features(np.array([row // 2]))[0, row % 2] @ query[0]) for row in (5, 2, 7)}
    assert order[0].tolist() == [*sorted(truth, key=truth.get, reverse=True), 0, -1]
    assert scores[0, :3] == pytest.approx(sorted(truth.values(), reverse=True), abs=1e-6)
    assert scores[0, 3] <= scores[0, 2]
    assert scores[0, 4] == -np.inf
    assert rows.tolist() == [[5, 2, 7, 0, -1]], "arguments stay as they were"


@pytest.mark.parametrize("engine", ["PQ2x4fs", "RaBitQ", "IVF4,PQ4x4fs;nprobe=4"])
@pytest.mark.parametrize("removed", [(), range(0, 300, 3)], ids=["all", "some removed"])
def test_an_engine_that_rescores_all_rows_answers_as_brute_force_does(engine, removed):
    snapshot = make_snapshot(n_images=300, removed=removed)
    queries = unit(np.random.default_rng(4), 3, 16)
    hits = open_index(f"{engine};rerank=1500", snapshot).search(queries, 20)
    for q, expected in enumerate(brute_force(snapshot, queries, 20)):
        assert hits.positions[q].tolist() == [position for position, _, _ in expected]
        assert hits.regions[q].tolist() == [region for _, region, _ in expected]
        assert hits.scores[q] == pytest.approx([score for _, _, score in expected], abs=1e-5)


def test_rerank_takes_a_number_of_rows():
    with pytest.raises(EngineError, match="rerank must be a whole number from 0"):
        open_index("PQ4;rerank=many", make_snapshot())


def test_auto_is_exact_for_a_small_collection_and_clusters_with_exact_scores_for_a_large_one():
    snapshot = make_snapshot()
    assert open_index(AUTO, snapshot).name == "exact"
    assert choose_engine(150_000, 1280) == "exact"
    assert choose_engine(3_000_000, 1280) == "IVF2048,PQ256x4fs;nprobe=512;rerank=1000"
    assert choose_engine(300_000_000, 100).startswith("IVF16384,PQ100x4fs;")


def test_single_rows_are_those_of_whole_pictures():
    snapshot = make_snapshot()
    rows = np.array([299, 0, 150, 7, 90])
    expected = [snapshot.features(np.array([row // 5]))[0, row % 5].tolist() for row in rows]
    assert snapshot.rows(rows).astype(np.float32).tolist() == expected


def test_the_smallest_engine_that_loses_little_enough_is_chosen():
    snapshot = make_snapshot(n_images=200, dim=32, removed=range(0, 200, 9))
    everything = list(measure_engines(snapshot, 40))
    assert {measured.engine for measured in everything} <= set(candidates(32))
    target = sorted(measured.lost for measured in everything)[2]
    tried = choose_compression(snapshot, target, 40)
    assert tried[-1].lost <= target < min((measured.lost for measured in tried[:-1]), default=101)
    assert tried[-1].n_bytes < tried[-1].factor * tried[-1].n_bytes == pytest.approx(4 * 200 * 5 * 32)


def test_loss_and_recall_are_those_of_brute_force():
    snapshot = make_snapshot(n_images=60, dim=32)
    for measured in measure_engines(snapshot, 20):
        if measured.engine.endswith("rerank=400") or measured.engine.endswith("rerank=2000"):
            assert measured.lost == pytest.approx(0, abs=1e-4), "300 rows, all of them scored again"
            assert measured.recall == 1


@pytest.mark.parametrize("n_kinds", [1, 3])
def test_of_many_equal_pictures_whichever_is_found_nothing_is_lost(n_kinds):
    snapshot = make_snapshot(n_images=60, dim=32)
    kinds = snapshot.features(np.arange(n_kinds)).astype(np.float16)
    equal = replace(snapshot, arrays=[kinds[np.arange(60) % n_kinds]], shards=("equal",))
    for measured in measure_engines(equal, 40):
        if "rerank" in measured.engine or n_kinds == 1:
            assert (measured.recall, measured.lost) == (1, pytest.approx(0, abs=1e-9)), measured.engine
    assert choose_compression(equal, 0.5, 40)[-1].engine == candidates(32)[0]


def test_exact_search_remains_where_nothing_loses_so_little():
    tried = choose_compression(make_snapshot(n_images=150, dim=32), -1.0, 10)
    assert tried[-1].engine == "exact"
    assert len(tried) > 3


def test_one_picture_is_too_few_to_measure_with():
    with pytest.raises(QueryError, match="too few"):
        list(measure_engines(make_snapshot(n_images=1), 5))
