"""Figures small enough to check by eye, a slow and obvious version of each formula, and an independent scorer."""

import json
import runpy
from itertools import pairwise
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchseek.errors import BoxError, PatchseekError
from patchseek.metrics import (
    DEFINITIONS,
    THRESHOLDS,
    Ranking,
    average_precision,
    hit_at,
    in_bin,
    loc_score,
    make_ranking,
    mean_by_group,
    mean_iou,
    mean_over_queries,
    only,
    oracle,
    pooled_overlaps,
    precision_at,
    revisited_average_precision,
    revisited_precision_at,
    share_located,
    summary,
)


def ranked(marks, n_relevant=None, overlaps=()):
    """ranked("+-+", 3, [0.3, 0.6]): pictures p1 p2 p3, of which p1 and p3 are right with these IoU; one is missed."""
    marks = marks.replace(" ", "")
    ids = tuple(f"p{rank}" for rank in range(1, len(marks) + 1))
    right = [name for name, mark in zip(ids, marks, strict=True) if mark == "+"]
    positives = frozenset(right) | {f"missed{i}" for i in range((n_relevant or len(right)) - len(right))}
    given_overlaps = dict(zip(right, overlaps, strict=False))
    return Ranking(ids, np.array([given_overlaps.get(name, nan) for name in ids]), positives, positives)


# ---- average precision and its kin, by hand


def test_a_perfect_list_has_average_precision_one():
    assert average_precision(ranked("++--")) == 1


def test_hits_at_ranks_1_and_4_of_ten_relevant_make_0_15():
    assert average_precision(ranked("+--+-", 10)) == pytest.approx((1 / 1 + 2 / 4) / 10)


def test_at_k_5_the_same_list_is_measured_against_5_and_makes_0_3():
    assert average_precision(ranked("+--+-", 10), k=5) == pytest.approx(0.3)


def test_at_k_the_later_positives_count_for_nothing_but_their_share_stays():
    assert average_precision(ranked("+--+"), k=3) == pytest.approx((1 / 1) / 2)


def test_a_list_without_hits_has_average_precision_zero():
    assert average_precision(ranked("---", 2)) == average_precision(ranked("", 2)) == 0


def test_the_revisited_average_precision_joins_the_points_by_trapezoids():
    assert revisited_average_precision(ranked("-++")) == pytest.approx(((0 / 1 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2)


def test_the_revisited_average_precision_starts_at_precision_one():
    assert revisited_average_precision(ranked("+-", 2)) == pytest.approx((1 + 1) / 2 / 2)


def test_the_oracle_counts_what_a_better_order_could_reach():
    ranking = ranked("-+-+", 3)
    assert [oracle(ranking, k) for k in (2, 3, 4)] == pytest.approx([1 / 2, 1 / 3, 2 / 3])


def test_the_oracle_of_fewer_pictures_than_k_is_that_of_those_there_are():
    few = ranked("-+-+", 3)
    assert oracle(few, 1000) == oracle(few, 4) == pytest.approx(2 / 3)
    assert oracle(ranked("+-", 0), 1000) == 1
    assert oracle(ranked("", 3), 1000) == 0


def test_the_precision_of_revisited_oxford_is_that_at_its_last_positive():
    """By hand: precision at min(k, rank of the last positive), junk taken out of the list before ranks are counted."""
    assert [revisited_precision_at(ranked("-++"), k) for k in (1, 2, 3, 10)] == pytest.approx([0, 1 / 2, 2 / 3, 2 / 3])
    assert [revisited_precision_at(ranked("+---"), k) for k in (1, 5)] == [1, 1]
    assert [revisited_precision_at(ranked("+-+-", 5), k) for k in (2, 3, 4)] == pytest.approx([1 / 2, 2 / 3, 2 / 3])
    assert revisited_precision_at(ranked("---", 2), 5) == 0
    results = [(name, 1 - i / 10, None) for i, name in enumerate(["j1", "a", "j2", "x", "b", "y"])]
    ranking = make_ranking(results, {"a": None, "b": None}, {"j1", "j2"})
    assert [revisited_precision_at(ranking, k) for k in (1, 2, 3, 5)] == pytest.approx([1, 1 / 2, 2 / 3, 2 / 3])
    assert [precision_at(ranking, k) for k in (1, 2, 3, 5)] == pytest.approx([1, 1 / 2, 2 / 3, 2 / 5])
    with pytest.raises(PatchseekError, match="k must be at least 1"):
        revisited_precision_at(ranking, 0)


def test_top_k_asks_for_any_positive():
    assert [hit_at(ranked("-+-"), k) for k in (1, 2, 9)] == [0, 1, 1]


def test_precision_at_k_divides_by_k_even_beyond_the_list():
    assert [precision_at(ranked("-++"), k) for k in (1, 2, 4)] == [0, 1 / 2, 2 / 4]


# ---- LocScore, by hand: hits at ranks 1 and 3 with IoU 0.3 and 0.6


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("continuous", (1 * 0.3 + 2 / 3 * 0.6) / 2),
        ("gate", (0 + 2 / 3) / 2),
        ("gate-strict", (0 + 1 / 3) / 2),
        ("gate-times-iou", (0 + 2 / 3 * 0.6) / 2),
    ],
)
def test_the_four_loc_scores_of_one_list(definition, expected):
    assert loc_score(ranked("+-+", 2, [0.3, 0.6]), definition, (0.4,)) == pytest.approx(expected)


def test_the_average_loc_score_lets_the_first_hit_pass_two_thresholds_of_five():
    both, second = (1 + 2 / 3) / 2, (2 / 3) / 2
    ranking = ranked("+-+", 2, [0.3, 0.6])
    assert loc_score(ranking, "gate", THRESHOLDS["average"]) == pytest.approx((2 * both + 3 * second) / 5)


def test_an_iou_of_exactly_the_threshold_passes():
    assert (
        loc_score(ranked("+", 1, [0.4 - 1e-15]), "gate", (0.4,)) == share_located([ranked("+", 1, [0.5 - 1e-15])]) == 1
    )
    assert loc_score(ranked("+", 1, [0.3999]), "gate", (0.4,)) == share_located([ranked("+", 1, [0.4999])]) == 0


def test_missed_positives_and_a_cut_at_k_weigh_as_in_average_precision():
    assert loc_score(ranked("+--+-", 10, [0.5, 0.5]), "continuous", k=5) == pytest.approx(0.3 / 2)
    assert loc_score(ranked("+--+-", 10, [0.5, 0.5]), "gate", (0.4,)) == pytest.approx(0.15)


def test_a_positive_without_a_predicted_box_is_right_but_not_located():
    ranking = ranked("++", 2, [nan, 0.5])
    assert loc_score(ranking, "gate", (0.4,)) == pytest.approx((0 + 2 / 2) / 2)
    assert loc_score(ranking, "gate-strict", (0.4,)) == pytest.approx((0 + 1 / 2) / 2)


def test_loc_score_refuses_positives_whose_true_box_is_unknown():
    ranking = make_ranking([("a", 2, (0, 0, 1, 1)), ("b", 1, (0, 0, 1, 1))], {"a": None, "b": (0, 0, 1, 1)})
    with pytest.raises(PatchseekError, match="that of a is unknown"):
        loc_score(ranking)
    assert loc_score(only(ranking, ranking.boxed)) == 1


def test_the_names_of_thresholds_are_those_of_the_original():
    assert {name: list(d) for name, d in THRESHOLDS.items()} == {"default": [0.4], "average": [0.2, 0.3, 0.4, 0.5, 0.6]}


# ---- from results to a ranking


def test_results_are_sorted_by_score_and_ties_keep_their_order():
    ranking = make_ranking([("a", 0.1, None), ("b", 0.5, None), ("c", 0.9, None), ("d", 0.5, None)], {"d": None})
    assert ranking.ids == ("c", "b", "d", "a")
    assert ranking.relevant.tolist() == [False, False, True, False]


def test_a_hundred_ties_keep_their_order_too():
    names = [f"p{i}" for i in range(100)]
    halves = make_ranking([(name, float(i % 2), None) for i, name in enumerate(names)], {})
    assert halves.ids == (*names[1::2], *names[::2])


def test_ignored_pictures_are_neither_right_nor_wrong():
    results = [("junk", 0.9, None), ("a", 0.5, None), ("cut", 0.4, None)]
    ranking = make_ranking(results, {"a": None, "cut": None}, ignored={"junk", "cut"})
    assert ranking.ids == ("a",)
    assert ranking.n_relevant == average_precision(ranking) == 1


def test_positives_that_were_not_returned_are_missed():
    assert average_precision(make_ranking([("a", 1, None)], {"a": None, "b": None})) == 0.5


def test_a_box_meets_the_nearest_of_two_copies_or_the_box_around_both():
    results, copies = [("a", 1, (0, 0, 2, 2))], {"a": [(0, 0, 2, 1), (8, 0, 10, 2)]}
    assert make_ranking(results, copies, boxes="best").overlaps.tolist() == [0.5]
    assert make_ranking(results, copies, boxes="enclosing").overlaps.tolist() == [4 / 20]


def test_overlaps_are_unknown_without_a_prediction_without_a_truth_and_for_other_pictures():
    box = (0, 0, 1, 1)
    results = [("right", 4, box), ("no prediction", 3, None), ("no truth", 2, box), ("other", 1, box)]
    ranking = make_ranking(results, {"right": box, "no prediction": [box], "no truth": None})
    assert ranking.overlaps[0] == 1
    assert np.isnan(ranking.overlaps[1:]).all()
    assert ranking.boxed == {"right", "no prediction"}


def test_no_results_make_an_empty_ranking():
    assert make_ranking([], {"a": None}).ids == ()


@pytest.mark.parametrize("box", [(50, 60, 20, 30), (0, 0, nan, 1), (0, 0, 1)])
def test_a_box_that_is_no_x0_y0_x1_y1_is_an_error_that_names_the_picture(box):
    with pytest.raises(BoxError, match=r"^pic: a box is finite x0 y0 x1 y1"):
        make_ranking([("pic", 1, box)], {"pic": (0, 0, 1, 1)})
    with pytest.raises(BoxError, match=r"^pic: a box is finite x0 y0 x1 y1"):
        make_ranking([], {"pic": box})


def test_a_picture_that_is_ranked_twice_is_an_error():
    with pytest.raises(PatchseekError, match="b is ranked twice"):
        make_ranking([("a", 3, None), ("b", 2, None), ("b", 1, None)], {"a": None})


def test_a_score_that_is_not_a_number_is_an_error():
    with pytest.raises(PatchseekError, match="score of b is not a number"):
        make_ranking([("a", 3, None), ("b", nan, None)], {"a": None})


def test_a_ranking_needs_one_overlap_per_picture():
    with pytest.raises(PatchseekError, match="2 pictures"):
        Ranking(("a", "b"), np.array([nan]), frozenset(), frozenset())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda r: average_precision(r, 0),
        lambda r: hit_at(r, 0),
        lambda r: precision_at(r, -1),
        lambda r: oracle(r, 0),
        lambda r: loc_score(r, "iou"),
        lambda r: loc_score(r, "gate", ()),
        lambda r: loc_score(r, "gate", (0.0,)),
        lambda r: loc_score(r, "gate", (40,)),
    ],
)
def test_an_impossible_wish_is_an_error_of_one_line(wrong):
    with pytest.raises(PatchseekError) as caught:
        wrong(ranked("+"))
    assert "\n" not in str(caught.value)


def test_another_policy_for_several_boxes_is_an_error():
    with pytest.raises(PatchseekError, match="boxes must be best or enclosing, found all"):
        make_ranking([], {}, boxes="all")


# ---- over queries


def test_no_query_has_no_mean():
    with pytest.raises(PatchseekError, match="no query"):
        mean_over_queries([], average_precision)


def test_the_mean_over_queries_does_not_weigh_them_by_their_positives():
    one_of_one, half_of_nine = ranked("+"), ranked("+" * 4 + "-" * 5 + "+" * 5)
    assert mean_over_queries([one_of_one, half_of_nine], lambda r: 1 if r is one_of_one else 0.5) == 0.75


@pytest.mark.parametrize("metric", [average_precision, lambda r: hit_at(r, 1), revisited_average_precision])
def test_a_query_without_positives_is_an_error(metric):
    with pytest.raises(PatchseekError, match="query 2 of 2 has no positive"):
        mean_over_queries([ranked("+"), ranked("--")], metric)


@pytest.mark.parametrize("metric", [average_precision, revisited_average_precision, loc_score])
def test_so_it_is_when_it_is_scored_alone(metric):
    with pytest.raises(PatchseekError, match="without positives"):
        metric(ranked("--"))


def test_iou_is_pooled_over_pairs_not_averaged_over_queries():
    rankings = [ranked("+-+", 3, [0.3, 0.6]), ranked("++", 2, [0.6, nan])]
    assert pooled_overlaps(rankings).tolist() == [0.3, 0.6, 0.6]
    assert mean_iou(rankings) == pytest.approx(0.5)
    assert share_located(rankings, 0.5) == share_located(rankings, 0.6) == pytest.approx(2 / 3)


def test_without_any_box_the_mean_iou_is_not_a_number():
    assert isnan(mean_iou([ranked("+")]))
    assert isnan(share_located([]))


def test_only_removes_positives_from_the_list_and_from_what_is_to_be_found():
    ranking = only(ranked("+-+-", 4, [0.3, 0.6]), {"p3", "missed0"})
    assert ranking.ids == ("p2", "p3", "p4")
    assert ranking.positives == ranking.boxed == {"p3", "missed0"}
    assert average_precision(ranking) == pytest.approx((1 / 2) / 2)
    assert pooled_overlaps([ranking]).tolist() == [0.6]


def test_removed_positives_make_room_before_the_cut_at_k():
    ranking = ranked("++-+")
    assert average_precision(only(ranking, {"p4"}), k=2) == pytest.approx(1 / 2)


def test_a_bin_holds_its_lower_edge_and_drops_queries_without_positives():
    queries, sizes = [ranked("-++"), ranked("+")], [{"p2": 0.1, "p3": 0.2}, {"p1": 0.2}]
    small, large = in_bin(queries, sizes, 0, 0.2), in_bin(queries, sizes, 0.2, float("inf"))
    assert [r.ids for r in small] == [("p1", "p2")]
    assert [r.ids for r in large] == [("p1", "p3"), ("p1",)]
    assert mean_over_queries(large, average_precision) == pytest.approx((1 / 2 + 1) / 2)


def test_a_positive_without_a_size_is_an_error():
    with pytest.raises(PatchseekError, match="p2 has no value"):
        in_bin([ranked("++")], [{"p1": 0.1}], 0, 1)


def test_a_group_averages_over_objects_however_often_each_is_asked_for():
    queries = [ranked("+"), ranked("-", 1), ranked("+"), ranked("-", 1)]
    objects = ["cup", "cup", "vase", "car"]
    means = mean_by_group(queries, objects, {"cup": "kitchen", "vase": "kitchen", "car": "street"}, average_precision)
    assert means == {"kitchen": 0.75, "street": 0}
    with pytest.raises(PatchseekError, match="car belongs to no group"):
        mean_by_group(queries, objects, {"cup": "kitchen", "vase": "kitchen"}, average_precision)


def test_the_summary_of_two_queries_names_every_choice():
    figures = summary([ranked("+-+", 2, [0.3, 0.6]), ranked("-", 1)], k=2, ranks=(1, 3))
    assert figures == pytest.approx(
        {
            "mAP": (1 + 2 / 3) / 2 / 2,
            "mAP@2": 1 / 2 / 2,
            "oracle@2": 1 / 2 / 2,
            "mAP(revisited)": (1 + (1 / 2 + 2 / 3) / 2) / 2 / 2,
            "top-1": 0.5,
            "top-3": 0.5,
            "P@1": 1 / 2,
            "P@3": 2 / 3 / 2,
            "mP@1": 1 / 2,
            "mP@3": 2 / 3 / 2,
            "LocScore(continuous)": 0.35 / 2,
            "LocScore(gate, 0.4)": 1 / 3 / 2,
            "LocScore(gate, 0.2..0.6)": (2 * 5 / 6 + 3 * 1 / 3) / 5 / 2,
            "LocScore(gate-strict, 0.4)": 1 / 6 / 2,
            "LocScore(gate-strict, 0.2..0.6)": (2 * 5 / 6 + 3 * 1 / 6) / 5 / 2,
            "LocScore(gate-times-iou, 0.4)": 0.2 / 2,
            "LocScore(gate-times-iou, 0.2..0.6)": (2 * 0.35 + 3 * 0.2) / 5 / 2,
            "mean IoU": 0.45,
            "IoU@0.5": 0.5,
        }
    )


def test_the_summary_scores_no_boxes_that_nobody_drew():
    figures = summary([make_ranking([("a", 1, (0, 0, 1, 1))], {"a": None})])
    assert figures["mAP"] == 1
    assert not [name for name in figures if "LocScore" in name or "IoU" in name]


# ---- against slow, obvious versions

tenths = st.integers(0, 10).map(lambda n: n / 10)
hits = st.one_of(st.just("-"), st.just("+"), tenths)
rankings = st.tuples(st.lists(hits, max_size=12), st.integers(0, 4)).filter(lambda r: set(r[0]) - {"-"} or r[1])
cuts = st.none() | st.integers(1, 15)


def built(hits, n_missed):
    """A ranking whose hits are "-" (wrong), "+" (right, no box predicted) or the IoU of a right one."""
    found = [hit for hit in hits if hit != "-"]
    marks = "".join("-" if hit == "-" else "+" for hit in hits)
    return ranked(marks, len(found) + n_missed, [nan if hit == "+" else hit for hit in found])


def slow_sum(hits, n_missed, k, worth):
    """Walk down the list with a counter; worth(IoU or 0) -> (weight of the positive, does it count as right?)"""
    right = total = 0
    for rank, hit in enumerate(hits, 1):
        if hit != "-" and (k is None or rank <= k):
            credit, counts = worth(0 if hit == "+" else hit)
            right += counts
            total += credit * right / rank
    n_relevant = sum(hit != "-" for hit in hits) + n_missed
    return total / (n_relevant if k is None or n_relevant < k else k)


@given(rankings, cuts)
def test_average_precision_is_what_a_walk_down_the_list_gives(ranking, k):
    expected = slow_sum(*ranking, k, lambda _: (1, True))
    assert average_precision(built(*ranking), k) == pytest.approx(expected)


@given(rankings, cuts, st.integers(1, 10))
def test_every_loc_score_is_what_a_walk_down_the_list_gives(ranking, k, tenth):
    def passes(overlap):
        return round(overlap * 10) >= tenth

    worths = {
        "continuous": lambda overlap: (overlap, True),
        "gate": lambda overlap: (passes(overlap), True),
        "gate-strict": lambda overlap: (passes(overlap), passes(overlap)),
        "gate-times-iou": lambda overlap: (overlap * passes(overlap), True),
    }
    assert set(worths) == set(DEFINITIONS)
    for definition, worth in worths.items():
        expected = slow_sum(*ranking, k, worth)
        assert loc_score(built(*ranking), definition, (tenth / 10,), k) == pytest.approx(expected), definition


@given(rankings)
def test_the_revisited_average_precision_is_the_area_under_the_line(ranking):
    hits, n_missed = ranking
    n_relevant = sum(hit != "-" for hit in hits) + n_missed
    points, right = [(0.0, 1.0)], 0  # of recall and precision, from rank 0 on
    for rank, hit in enumerate(hits, 1):
        right += hit != "-"
        points.append((right / n_relevant, right / rank))
    area = sum((r1 - r0) * (p0 + p1) / 2 for (r0, p0), (r1, p1) in pairwise(points))
    assert revisited_average_precision(built(*ranking)) == pytest.approx(area)


@given(rankings, st.integers(1, 15))
def test_the_oracle_is_the_average_precision_of_the_best_order_of_the_first_k(ranking, k):
    hits, n_missed = ranking
    best = sorted(hits[:k], key=lambda hit: hit == "-")
    assert oracle(built(*ranking), k) == pytest.approx(average_precision(built(best + hits[k:], n_missed), k))


@given(rankings, st.integers(1, 15))
def test_hits_and_precision_count_marks(ranking, k):
    n_right = sum(hit != "-" for hit in ranking[0][:k])
    assert hit_at(built(*ranking), k) == min(n_right, 1)
    assert precision_at(built(*ranking), k) == n_right / k


@given(rankings, st.sets(st.integers(1, 12)))
def test_only_is_the_list_written_without_the_removed_positives(ranking, ranks):
    hits, n_missed = ranking
    kept = [hit for rank, hit in enumerate(hits, 1) if hit == "-" or rank in ranks]
    missed = {f"missed{i}" for i in range(n_missed)}
    got, expected = only(built(*ranking), {f"p{rank}" for rank in ranks} | missed), built(kept, n_missed)
    assert got.relevant.tolist() == expected.relevant.tolist()
    np.testing.assert_array_equal(got.overlaps, expected.overlaps)
    assert got.n_relevant == expected.n_relevant


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 5), st.integers(1, 35), st.randoms())
def test_average_precision_at_k_is_the_official_formula_of_ilias(right, n_missed, k, random):
    """There: AP of the first k by steps of recall over falling score thresholds, times hits / min(k, n_relevant)."""
    scores = random.sample(range(1000), len(right))
    results = [(f"p{i}", float(score), None) for i, score in enumerate(scores)]
    positives = {f"p{i}": None for i, yes in enumerate(right) if yes} | {f"missed{i}": None for i in range(n_missed)}
    if not positives:
        return
    top = sorted(zip(scores, right, strict=True), reverse=True)[:k]
    n_hits = sum(yes for _, yes in top)
    area = recall_before = 0.0
    for threshold, _ in top if n_hits else ():
        above = [yes for score, yes in top if score >= threshold]
        recall = sum(above) / n_hits
        area += (recall - recall_before) * sum(above) / len(above)
        recall_before = recall
    expected = area * n_hits / min(k, len(positives))
    assert average_precision(make_ranking(results, positives), k) == pytest.approx(expected)


# ---- against the independent scorer beside the annotated sets


def corners(box):
    x, y, w, h = box
    return x, y, x + w, y + h


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the scorer leaves closing to Python
@pytest.mark.parametrize("name", ["dev-set", "composite-set"])
def test_made_up_results_score_as_with_the_reference_scorer(data_sets, name):
    reference = runpy.run_path(str(data_sets / "evaluate.py"))["score"]
    queries = json.loads((data_sets / name / "query.json").read_text())
    gallery = json.loads((data_sets / name / "gallery.json").read_text())
    rng = np.random.default_rng(7)

    def made_up(query, picture):
        """A score of two digits, so that there are ties; a box near a true one; some of both are missing."""
        names = picture["instance"] or []
        true = picture["bbox"][names.index(query["instance"])] if query["instance"] in names else [50, 50, 200, 200]
        shifted = np.add(true, rng.normal(0, 0.15, 4) * [*true[2:], *true[2:]])
        box = None if rng.random() < 0.1 else [*shifted[:2].tolist(), *np.maximum(shifted[2:], 1).tolist()]
        return [picture["id"], round(rng.random() + 0.5 * (query["instance"] in names), 2), box]

    results = {q["id"]: [made_up(q, p) for p in gallery if rng.random() < 0.9] for q in queries}
    groups = {"all": []}
    for query in queries:
        wanted = query["instance"]
        positives = {
            p["id"]: [corners(b) for n, b in zip(p["instance"], p["bbox"], strict=True) if n == wanted]
            for p in gallery
            if wanted in (p["instance"] or [])
        }
        ignored = [p["id"] for p in gallery if wanted in p.get("ignore", [])]
        found = [(picture, score, box and corners(box)) for picture, score, box in results[query["id"]]]
        ranking = make_ranking(found, positives, ignored)
        kind = wanted.split("_")[0]
        groups["all"].append(ranking)
        groups.setdefault(kind if kind in ("rack", "logo", "home", "grocery") else "object", []).append(ranking)

    expected = reference(str(data_sets / name), results)
    assert groups.keys() == expected.keys()
    for group, theirs in expected.items():
        ours = summary(groups[group])
        assert len(groups[group]) == theirs["queries"]
        assert len(pooled_overlaps(groups[group])) == theirs["loc_pairs"]
        assert ours["mAP"] == pytest.approx(theirs["mAP"], abs=0.000051)  # theirs is rounded to 4 digits
        assert ours["top-1"] == pytest.approx(theirs["R1"], abs=0.000051)
        assert ours["mean IoU"] == pytest.approx(theirs["meanIoU"], abs=0.00051)  # and these to 3
        assert ours["IoU@0.5"] == pytest.approx(theirs["IoU50"], abs=0.00051)
