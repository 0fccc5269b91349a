"""Pictures of one score: no figure may depend on which of them the gallery lists first."""

import json
import runpy
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from patchseek import evaluate as ev
from patchseek._ties import in_order
from patchseek.compression import compress_report
from patchseek.datasets import open_dataset, write_similarities
from patchseek.errors import PatchseekError
from patchseek.metrics import Ranking, average_precision, make_ranking, only

from .conftest import blot

ROOT = Path(__file__).parent.parent
N = 40


def make_set(folder, *, copies_first):
    """Forty objects, each in one picture of the gallery, and each of these once more as a distractor, byte for byte."""
    folder.mkdir()
    rights, copies, queries = [], [], []
    for i in range(N):
        for name in (f"right{i}.png", f"copy{i}.png"):
            blot(i).save(folder / name)
        blot(i).crop((32, 24, 64, 48)).save(folder / f"asked{i}.png")
        rights.append({"id": f"right{i}", "image": f"right{i}.png", "instance": [f"o{i}"], "bbox": [[32, 24, 32, 24]]})
        copies.append({"id": f"copy{i}", "image": f"copy{i}.png", "instance": None, "bbox": None})
        queries.append({"id": f"q{i}", "image": f"asked{i}.png", "instance": f"o{i}", "bbox": None})
    gallery = copies + rights if copies_first else rights + copies
    (folder / "gallery.json").write_text(json.dumps(gallery))
    (folder / "query.json").write_text(json.dumps(queries))
    return open_dataset(folder)


def run(dataset, tiny, cache, **settings):
    settings = ev.EvalSettings(level=1, **settings)
    gallery = ev.encode_gallery(dataset, tiny, settings.pyramid, cache)
    queries, asked = ev.encode_queries(dataset, tiny), ev.read_queries(dataset, tiny)
    engine = ev.open_engine(gallery, settings)
    return gallery, queries, engine, ev.run_benchmark(dataset, gallery, asked, engine, settings, settings.steps(tiny))


def official_map(results, k):
    """mAP@k by steps of recall over falling thresholds, as ILIAS's scorer has it, from the lists of a results file."""
    precisions = []
    for query, ranked in results["results"].items():
        right = query.replace("q", "right")
        top = sorted(ranked, key=lambda entry: -entry[1])[:k]
        at = next((score for name, score, _ in top if name == right), None)
        precisions.append(0 if at is None else 1 / sum(score >= at for _, score, _ in top))
    return sum(precisions) / len(precisions)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    return [make_set(folder / "a", copies_first=False), make_set(folder / "b", copies_first=True)]


@pytest.mark.parametrize("settings", [{}, {"top": 1}, {"top": 5}, {"refine": 5}, {"engine": "PQ1x2"}], ids=str)
def test_no_figure_depends_on_which_copy_the_gallery_lists_first(sets, tiny, tmp_path, settings):
    found = [run(data, tiny, tmp_path / str(i), **settings)[-1] for i, data in enumerate(sets)]
    first, second = (ev.score(results, data)["metrics"] for results, data in zip(found, sets, strict=True))
    for figure in ("mAP", "mAP@1000", "mAP(revisited)", "top-1", "P@1"):  # a product's last bit depends on its place
        assert first[figure] == pytest.approx(second[figure], abs=0.05), figure
    assert first["mAP"] < (0.2 if settings.get("engine") else 0.9)


def test_a_right_picture_that_ties_with_its_copy_is_first_about_half_of_the_time(sets, tiny, tmp_path):
    results = run(sets[0], tiny, tmp_path)[-1]
    for ranked in results["results"].values():
        assert ranked[0][1] == pytest.approx(ranked[1][1], abs=2e-6)
        assert ranked[1][1] > ranked[2][1] + 0.01
    metrics = ev.score(results, sets[0])["metrics"]
    assert 0.3 < metrics["top-1"] < 0.7
    assert metrics["mAP"] == pytest.approx(metrics["top-1"] + (1 - metrics["top-1"]) / 2)


@pytest.mark.parametrize("engine", ["exact", "PQ1x2"])
def test_map_at_k_is_that_of_the_official_scorer_in_ties_too(sets, tiny, tmp_path, engine):
    results = run(sets[0], tiny, tmp_path, engine=engine)[-1]
    assert ev.score(results, sets[0])["metrics"]["mAP@1000"] == pytest.approx(official_map(results, 1000), abs=1e-12)
    if engine == "exact":
        assert official_map(results, 1000) == pytest.approx(0.5, abs=0.05)


def test_a_results_file_scores_the_same_in_whatever_order_it_lists_ties(sets, tiny, tmp_path):
    results = run(sets[0], tiny, tmp_path)[-1]
    before = ev.score(results, sets[0])
    for ranked in results["results"].values():
        ranked.sort(key=lambda entry: entry[0].startswith("copy"))
        ranked.sort(key=lambda entry: -entry[1])
    assert sum(ranked[0][0].startswith("right") for ranked in results["results"].values()) > 30
    assert ev.score(results, sets[0]) == before


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the scorer leaves closing to Python
def test_the_scorer_beside_the_annotated_sets_finds_the_same_in_a_results_file_with_ties(
    sets, tiny, tmp_path, data_sets
):
    reference = runpy.run_path(str(data_sets / "evaluate.py"))["score"]
    results = run(sets[0], tiny, tmp_path)[-1]
    theirs = reference(str(sets[0].gallery[0].image.parent), results["results"])["all"]
    metrics = ev.score(results, sets[0])["metrics"]
    assert (round(metrics["mAP"], 4), round(metrics["top-1"], 4)) == (theirs["mAP"], theirs["R1"])


def test_an_exact_search_loses_nothing_to_itself_in_ties(sets, tiny, tmp_path):
    gallery, queries, engine, results = run(sets[0], tiny, tmp_path, engine="Flat")
    figures = compress_report(sets[0], gallery, queries, engine, results, ev.EvalSettings(level=1)).figures
    assert (figures["recall@10"], figures["mAP lost"]) == (1, 0)


def test_the_pictures_below_the_refined_ones_tie_with_none_of_them(sets, tiny, tmp_path):
    for ranked in run(sets[0], tiny, tmp_path, refine=5)[-1]["results"].values():
        scores = [score for _, score, _ in ranked]
        assert scores[4] > scores[5]
        assert all(a >= b for a, b in pairwise(scores))


def test_main_does_not_favour_the_right_ones_either(sets, tiny, tmp_path, monkeypatch, capsys):
    figures = []
    for i, data in enumerate(sets):
        place = tmp_path / str(i)
        place.mkdir()
        (place / "ilias").symlink_to(data.gallery[0].image.parent)
        monkeypatch.chdir(place)
        main = runpy.run_path(str(ROOT / "main.py"))["main"]
        monkeypatch.setitem(main.__globals__, "open_encoder", lambda *_, **__: tiny)
        monkeypatch.setattr(sys, "argv", ["main.py", "--model_name", "embedded", "--compute_metrics", "mAP, top-1"])
        main()
        figures.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert figures[0] == pytest.approx(figures[1], abs=5)
    assert 30 < figures[0]["top-1"] < 70


def test_similarities_are_written_in_an_order_that_says_nothing_of_what_is_right(tmp_path):
    names = [f"p{i}" for i in range(9)]
    for order in (names, names[::-1]):
        write_similarities(tmp_path / "s.json", {"q": [(name, 0.5) for name in order] + [("best", 1.0)]})
        listed = list(json.loads((tmp_path / "s.json").read_text())["q"])
        assert listed == ["best", *(names[i] for i in in_order(names, [0.5] * 9))]
    assert listed[1:] not in (names, names[::-1])


def test_only_equal_scores_are_shuffled_and_always_the_same_way():
    rng = np.random.default_rng(0)
    names, scores = [f"{i}.jpg" for i in range(200)], rng.integers(0, 20, 200) / 20
    order = in_order(names, scores)
    assert sorted(order.tolist()) == list(range(200))
    assert scores[order].tolist() == sorted(scores.tolist(), reverse=True)
    again = rng.permutation(200)
    assert [names[i] for i in order] == [names[again[i]] for i in in_order([names[i] for i in again], scores[again])]
    assert in_order([], []).tolist() == []


def test_the_precision_of_a_tie_at_k_is_that_at_its_end_or_at_k():
    results = [("a", 3, None), ("x", 2, None), ("b", 2, None), ("y", 2, None), ("c", 1, None)]
    ranking = make_ranking(results, {"a": None, "b": None, "c": None})
    assert average_precision(ranking) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert average_precision(ranking, 5) == pytest.approx((1 + 2 / 4 + 3 / 5) / 3)
    assert average_precision(ranking, 3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(only(ranking, {"b"}), 9) == pytest.approx(1 / 3)


def test_a_ranking_has_a_score_for_every_picture():
    with pytest.raises(PatchseekError, match="2 pictures need as many scores, found 1"):
        Ranking(("a", "b"), np.full(2, np.nan), frozenset("a"), frozenset(), np.zeros(1))
