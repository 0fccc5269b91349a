"""What every search engine promises, and what the exact ones promise beyond that, against brute force in a few lines.

A class of a test file inherits one of the contracts and gives a fixture `engine`, a string as `open_index` takes it.
"""

import dataclasses

import numpy as np
import pytest

from patchseek.errors import QueryError
from patchseek.indexes import _exact, open_index
from patchseek.store import Snapshot


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


def first_shards(snapshot, n_shards):
    """The snapshot as it was when it had only its first shards."""
    n = sum(map(len, snapshot.arrays[:n_shards]))
    return dataclasses.replace(
        snapshot,
        arrays=snapshot.arrays[:n_shards],
        shards=snapshot.shards[:n_shards],
        ids=snapshot.ids[:n],
        live=snapshot.live[:n],
    )


def chosen(snapshot, among):
    """The snapshot with nothing live but what may answer, and that as an engine takes it."""
    may = np.zeros(len(snapshot.live), bool)
    may[list(among)] = True
    return dataclasses.replace(snapshot, live=snapshot.live & may), may


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


class EngineContract:
    """Every engine, approximate ones too."""

    finds_all = True
    """Whether as many pictures are found as there are; a graph, or some clusters of many, may know fewer."""

    def test_it_answers_with_distinct_live_pictures_best_first(self, engine, tmp_path):
        snapshot = make_snapshot(n_images=300, removed=range(0, 300, 3))
        hits = open_index(engine, snapshot, tmp_path).search(unit(np.random.default_rng(2), 4, 16), 150)
        assert hits.positions.shape == hits.regions.shape == hits.scores.shape == (4, 150)
        for positions, regions, scores in zip(hits.positions, hits.regions, hits.scores, strict=True):
            n = int((positions >= 0).sum())
            assert n == 150 if self.finds_all else 0 < n <= 150
            assert len(set(positions[:n])) == n
            assert snapshot.live[positions[:n]].all()
            assert set(regions[:n]) <= set(range(5))
            assert (np.diff(scores[:n]) <= 1e-6).all() and np.isfinite(scores[:n]).all()
            assert (positions[n:] == -1).all() and (regions[n:] == -1).all() and (scores[n:] == -np.inf).all()

    def test_it_finds_the_picture_that_a_query_was_taken_from(self, engine, tmp_path):
        snapshot = make_snapshot(n_images=300)
        queries = np.ascontiguousarray(snapshot.features(np.array([3, 250, 120]))[:, 2])
        hits = open_index(engine, snapshot, tmp_path).search(queries, 5)
        assert hits.positions[:, 0].tolist() == [3, 250, 120]
        assert hits.regions[:, 0].tolist() == [2, 2, 2]

    def test_one_query_is_answered_as_it_is_among_many(self, engine, tmp_path):
        snapshot, queries = make_snapshot(n_images=300), unit(np.random.default_rng(8), 40, 16)
        index = open_index(engine, snapshot, tmp_path)
        together = index.search(queries, 20)
        for q in range(0, 40, 13):
            alone = index.search(queries[q : q + 1], 20)
            assert alone.positions[0].tolist() == together.positions[q].tolist()
            assert alone.scores[0] == pytest.approx(together.scores[q], abs=1e-5)

    @pytest.mark.parametrize("few", [True, False], ids=["searched exactly", "by the engine"])
    def test_only_pictures_of_a_choice_answer(self, engine, tmp_path, few, monkeypatch):
        monkeypatch.setattr(_exact, "EXACT_BYTES", 1 << 30 if few else 0)
        snapshot, queries = make_snapshot(removed=(3, 6, 58)), unit(np.random.default_rng(1), 3, 16)
        index = open_index(engine, snapshot, tmp_path)
        for among in ((), (7,), (0, 3, 18, 29, 30, 59), range(60)):
            part, may = chosen(snapshot, among)
            for positions in index.search(queries, 500, may).positions:
                found = positions[positions >= 0].tolist()
                assert len(found) == len(set(found)) and part.live[found].all()
                assert len(found) == part.n_live or not (self.finds_all or few)

    def test_nothing_is_found_where_nothing_is_asked_or_nothing_is_there(self, engine, tmp_path):
        snapshot = make_snapshot(removed=(0, 1))
        hits = open_index(engine, snapshot, tmp_path).search(np.empty((0, 16), np.float32), 3)
        assert hits.positions.shape == (0, 3)
        gone = dataclasses.replace(snapshot, live=np.zeros(60, bool))
        hits = open_index(engine, gone, tmp_path).search(unit(np.random.default_rng(1), 2, 16), 3)
        assert hits.positions.shape[0] == 2 and (hits.positions == -1).all() and (hits.scores == -np.inf).all()

    def test_wrong_queries_are_an_error(self, engine, tmp_path):
        index = open_index(engine, make_snapshot(), tmp_path)
        for among in (None, np.ones(60, bool)):
            with pytest.raises(QueryError, match="another encoder"):
                index.search(np.ones((1, 8), np.float32), 3, among)
            with pytest.raises(QueryError, match="at least 1"):
                index.search(np.ones((1, 16), np.float32), 0, among)
            with pytest.raises(QueryError, match="not all zero"):
                index.search(np.zeros((1, 16), np.float32), 3, among)


class FaithfulContract(EngineContract):
    """Engines that compare a query with every feature, or may as well have done so."""

    tolerance = 1e-5
    """Of a score; an engine may keep features in fewer bits."""

    @pytest.mark.parametrize("removed", [(), (0, 1, 2, 17, 59), range(1, 60)], ids=["all", "some removed", "one left"])
    def test_it_answers_as_brute_force_does(self, engine, tmp_path, removed):
        snapshot, queries = make_snapshot(removed=removed), unit(np.random.default_rng(1), 3, 16)
        index = open_index(engine, snapshot, tmp_path)
        for k in (1, 7, 60, 500):
            assert_brute_force(index.search(queries, k), snapshot, queries, k, self.tolerance)

    @pytest.mark.parametrize("n_queries", [1, 20])
    @pytest.mark.parametrize(
        "among",
        [(), (7,), range(4, 9), (0, 3, 18, 29, 30, 59), range(0, 60, 20), range(60)],
        ids=["none", "one", "a folder", "scattered", "sparse", "all"],
    )
    def test_a_choice_is_searched_as_brute_force_does(self, engine, tmp_path, among, n_queries, monkeypatch):
        monkeypatch.setattr(_exact, "EXACT_BYTES", 0)  # else so few are searched without the engine
        snapshot, queries = make_snapshot(removed=(3, 6, 58)), unit(np.random.default_rng(1), n_queries, 16)
        part, may = chosen(snapshot, among)
        index = open_index(engine, snapshot, tmp_path)
        for k in (1, 4, 500):
            assert_brute_force(index.search(queries, k, may), part, queries, k, max(self.tolerance, 1e-5))

    def test_pictures_that_own_all_the_best_rows_do_not_hide_the_others(self, engine, tmp_path):
        snapshot, query = make_snapshot(n_images=100, n_regions=30), unit(np.random.default_rng(5), 1, 16)
        snapshot.arrays[0][:9] = query[0]  # 270 rows
        hits = open_index(engine, snapshot, tmp_path).search(query, 20)
        expected = brute_force(snapshot, query, 20)[0]
        assert sorted(hits.positions[0, :9].tolist()) == list(range(9))
        assert hits.positions[0, 9:].tolist() == [position for position, _, _ in expected[9:]]

    def test_a_lower_level_is_searched_by_its_regions_only(self, engine, tmp_path):
        snapshot, query = make_snapshot(), unit(np.random.default_rng(9), 1, 16)
        for part in (snapshot, snapshot.first_regions(3), snapshot):
            hits = open_index(engine, part, tmp_path).search(query, 60)
            assert hits.regions.max() < part.n_regions
            assert_brute_force(hits, part, query, 60, self.tolerance)

    def test_pictures_that_come_later_are_found_and_those_that_go_are_not(self, engine, tmp_path):
        snapshot, queries = make_snapshot(), unit(np.random.default_rng(3), 3, 16)
        thinned = make_snapshot(removed=range(10, 50))
        for now in (first_shards(snapshot, 1), first_shards(snapshot, 2), snapshot, thinned):
            index = open_index(engine, now, tmp_path)
            assert_brute_force(index.search(queries, 30), now, queries, 30, self.tolerance)


class OrderlyContract(FaithfulContract):
    """Engines of which it is also known which of equal pictures come first."""

    @pytest.mark.parametrize("n_queries", [1, 20])
    def test_ties_stand_in_order_of_position(self, engine, tmp_path, n_queries):
        snapshot = make_snapshot(n_images=40)
        for array in snapshot.arrays:
            array[:] = 0
            array[..., 0] = 1
        queries = np.tile(np.eye(1, 16, dtype=np.float32), (n_queries, 1))
        index = open_index(engine, snapshot, tmp_path)
        for k in (1, 17, 40):
            assert index.search(queries, k).positions.tolist() == [list(range(k))] * n_queries

    def test_not_even_where_half_of_all_rows_are_alike(self, engine, tmp_path):
        snapshot, query = make_snapshot(n_images=100, n_regions=30), unit(np.random.default_rng(5), 1, 16)
        for array in snapshot.arrays:
            array[: len(array) // 2] = query[0]
        hits = open_index(engine, snapshot, tmp_path).search(query, 100)
        assert hits.positions[0].tolist() == [position for position, _, _ in brute_force(snapshot, query, 100)[0]]
