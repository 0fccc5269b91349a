"""Benchmark runs on a set small enough to rank by hand, and the reports they leave."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchseek import Collection
from patchseek import evaluate as ev
from patchseek.compression import compress_report, pq_engine, recall
from patchseek.datasets import open_dataset
from patchseek.errors import DatasetError, EngineError, PatchseekError
from patchseek.points import identify
from patchseek.report import draw_results, write_report

from .conftest import blot


@pytest.fixture
def dataset(tmp_path):
    """Ten pictures; the lower right quarter of 0 and of 1 is an object, and two photographs show it."""
    folder = tmp_path / "set"
    folder.mkdir()
    gallery, queries = [], []
    for i in range(10):
        blot(i, 64, 48).save(folder / f"{i}.png")
        known = {"instance": [f"object{i}"], "bbox": [[32, 24, 32, 24]]} if i < 2 else {"instance": None, "bbox": None}
        gallery.append({"id": f"g{i}", "image": f"{i}.png", **known})
    for i in range(2):
        photo = Image.new("RGB", (100, 100), "white")
        photo.paste(blot(i, 64, 48).crop((32, 24, 64, 48)), (10, 20))
        photo.save(folder / f"q{i}.png")
        queries.append({"id": f"q{i}", "image": f"q{i}.png", "instance": f"object{i}", "bbox": [10, 20, 32, 24]})
    (folder / "query.json").write_text(json.dumps(queries))
    (folder / "gallery.json").write_text(json.dumps(gallery))
    return open_dataset(folder)


def run(dataset, tiny, cache, settings=None, **more):
    settings = settings or ev.EvalSettings(level=1)
    gallery = ev.encode_gallery(dataset, tiny, settings.pyramid, cache, **more)
    queries = ev.encode_queries(dataset, tiny, settings.query)
    engine = ev.open_engine(gallery, settings)
    return gallery, queries, engine, ev.run_benchmark(dataset, gallery, queries, engine, settings)


def test_the_right_picture_comes_first_with_the_box_of_its_quarter(dataset, tiny, tmp_path):
    results = run(dataset, tiny, tmp_path)[-1]
    for i in range(2):
        ranked = results["results"][f"q{i}"]
        assert len(ranked) == 10
        assert ranked[0][0] == f"g{i}"
        assert ranked[0][2] == [32, 24, 32, 24]
    metrics = ev.score(results, dataset)["metrics"]
    assert metrics["mAP"] == metrics["top-1"] == metrics["mean IoU"] == metrics["LocScore(gate, 0.4)"] == 1


def test_refinement_settles_the_first_anew_and_leaves_the_rest_below(dataset, tiny, tmp_path):
    settings = ev.EvalSettings(level=1, refine=4)
    gallery, _, engine, plain = run(dataset, tiny, tmp_path)
    asked = ev.read_queries(dataset, tiny)
    refined = ev.run_benchmark(dataset, gallery, asked, engine, settings, settings.steps(tiny))
    for name, ranked in refined["results"].items():
        before = plain["results"][name]
        assert {entry[0] for entry in ranked[:4]} == {entry[0] for entry in before[:4]}
        assert [(entry[0], entry[2]) for entry in ranked[4:]] == [(entry[0], entry[2]) for entry in before[4:]]
        scores = [entry[1] for entry in ranked]
        assert scores == sorted(scores, reverse=True)
    assert ev.score(refined, dataset)["metrics"]["mAP"] == 1


def test_a_benchmark_ranks_as_a_search_does(dataset, tiny, tmp_path):
    collection = Collection.open(
        tmp_path / "collection", encoder=tiny, pyramid=ev.EvalSettings(level=1).pyramid, create=True
    )
    collection.add(dataset.folder, exclude=["q*.png"])
    gallery, _, engine, _ = run(dataset, tiny, tmp_path, points=identify())
    turned = {"depth": 8, "refine": 6, "turned": True}
    for looks in ({"refine": 6}, {"depth": 8}, {"depth": 8, "refine": 6}, {"refine": 6, "top": 3}, turned):
        settings = ev.EvalSettings(level=1, **looks)
        asked = ev.read_queries(dataset, tiny, points=True, turned=settings.turned)
        assert all(query.points for query in asked)
        found = ev.run_benchmark(dataset, gallery, asked, engine, settings, settings.steps(tiny))["results"]
        for query in dataset.queries:
            options = {
                "top": settings.top,
                "depth": settings.depth,
                "refine": settings.refine,
                "turned": settings.turned,
            }
            matches = collection.search(query.image, box=query.box, **options)
            assert len(matches) == (settings.top or 10)
            listed = [[f"g{match.image.path.removesuffix('.png')}", list(match.pixels)] for match in matches]
            assert [[name, box] for name, _, box in found[query.id]] == listed
            scores = [score for _, score, _ in found[query.id]][: settings.refine]
            assert scores == pytest.approx([match.score for match in matches][: settings.refine], abs=1e-5)


def test_distractors_in_tars_are_refined_like_those_with_files(dataset, tiny, tmp_path):
    names = {}
    with tarfile.open(tmp_path / "more.tar", "w") as tar:
        for i, name in enumerate(["./x/a.png", "/b.png", "c.1.png", "c.2.png"]):  # each shows a query's own object
            blot(i % 2, 64, 48).resize((80, 60)).save(tmp_path / "set" / f"d{i}.png")
            tar.add(
                tmp_path / "set" / f"d{i}.png", filter=lambda member, name=name: member.replace(name=name, deep=False)
            )
            names[f"d{i}"] = "more.tar/" + name.removesuffix("" if "c." in name else ".png")
    rows = json.loads((tmp_path / "set" / "gallery.json").read_text())
    rows += [{"id": name, "image": f"{name}.png", "instance": None, "bbox": None} for name in names]
    (tmp_path / "set" / "gallery.json").write_text(json.dumps(rows))
    unpacked = open_dataset(tmp_path / "set")
    asked, settings = ev.read_queries(dataset, tiny), ev.EvalSettings(level=1, refine=6)
    found = []
    for data, tars in ((dataset, [tmp_path / "more.tar"]), (unpacked, [])):
        gallery, _, engine, _ = run(data, tiny, tmp_path / "cache", distractors=tars)
        results = ev.run_benchmark(data, gallery, asked, engine, settings, settings.steps(tiny))
        found.append({q: {name: rest for name, *rest in ranked} for q, ranked in results["results"].items()})
        assert ev.score(results, data)["metrics"]["mAP"] < 1
    for packed, loose in zip(found[0].values(), found[1].values(), strict=True):
        assert packed == {names.get(name, name): rest for name, rest in loose.items()}
    gallery, _, engine, _ = run(dataset, tiny, tmp_path / "cache", distractors=[tmp_path / "more.tar"])
    (tmp_path / "more.tar").write_bytes(b"")
    settings = ev.EvalSettings(level=1, refine=12)
    with pytest.raises(DatasetError, match=r"more\.tar"):
        ev.run_benchmark(dataset, gallery, asked, engine, settings, settings.steps(tiny))


def test_a_results_file_says_what_it_was_made_with_and_can_be_scored_again(dataset, tiny, tmp_path):
    results = run(dataset, tiny, tmp_path)[-1]
    ev.write_results(results, tmp_path / "out" / "results.json")
    again = ev.read_results(tmp_path / "out" / "results.json")
    assert again["encoder"]["name"] == "tiny"
    assert again["dataset"] == {
        "name": "set", "n_queries": 2, "n_gallery": 10, "n_distractors": 8, "data_hash": dataset.data_hash
    }  # fmt: skip
    assert again["settings"]["level"] == 1
    assert "numpy" in again["versions"]
    assert ev.score(again, dataset) == ev.score(results, dataset)


def test_a_lower_level_of_an_encoded_gallery_is_what_encoding_it_alone_gives(dataset, tiny, tmp_path):
    whole = ev.encode_gallery(dataset, tiny, ev.EvalSettings(level=2).pyramid, tmp_path)
    queries, settings = ev.encode_queries(dataset, tiny), ev.EvalSettings(level=1)
    lower = whole.at_level(1)
    found = ev.run_benchmark(dataset, lower, queries, ev.open_engine(lower, settings), settings)
    alone = run(dataset, tiny, tmp_path / "alone")[-1]
    for query, ranked in alone["results"].items():
        scores = {name: score for name, score, _ in ranked}
        assert {name: score for name, score, _ in found["results"][query]} == pytest.approx(scores, abs=0.01)
        assert found["results"][query][0][0] == ranked[0][0]


def test_results_of_other_annotations_are_not_scored(dataset, tiny, tmp_path):
    results = run(dataset, tiny, tmp_path)[-1]
    results["dataset"]["data_hash"] = "other"
    with pytest.raises(DatasetError, match="not those that the results were made with"):
        ev.score(results, dataset)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99, "encoder": {}}'])
def test_what_is_no_results_file_is_refused(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(PatchseekError, match=r"results\.json"):
        ev.read_results(tmp_path / "results.json")


def test_a_gallery_picture_that_cannot_be_read_is_an_error(dataset, tiny, tmp_path):
    (tmp_path / "set" / "5.png").write_bytes(b"broken")
    with pytest.raises(DatasetError, match=r"5\.png"):
        ev.encode_gallery(dataset, tiny, ev.EvalSettings(level=1).pyramid, tmp_path)


def write_tar(path: Path, n: int) -> Path:
    with tarfile.open(path, "w") as tar:
        for i in range(n):
            content = io.BytesIO()
            blot(100 + i, 64, 48).save(content, "JPEG")
            member = tarfile.TarInfo(f"{i:04x}.jpg")
            member.size = content.tell()
            content.seek(0)
            tar.addfile(member, content)
        broken = tarfile.TarInfo("ffff.jpg")
        broken.size = 4
        tar.addfile(broken, io.BytesIO(b"nope"))
    return path


def test_distractors_are_streamed_from_tars_and_counted_in_the_name(dataset, tiny, tmp_path):
    tar = write_tar(tmp_path / "yfcc-000.tar", 6)
    gallery, *_, results = run(dataset, tiny, tmp_path, distractors=[tar])
    assert results["dataset"]["n_gallery"] == 16
    assert results["dataset"]["n_distractors"] == 14
    names = {name for name, _, _ in results["results"]["q0"]}
    assert "yfcc-000.tar/0003" in names
    assert ev.score(results, dataset)["metrics"]["top-1"] == 1
    again = run(dataset, tiny, tmp_path, distractors=[tar])[0]
    assert again.snapshot.shards == gallery.snapshot.shards, "a second run encodes nothing"
    few = run(dataset, tiny, tmp_path / "few", distractors=[tar], keep={"0001", "0002"})[-1]
    assert few["dataset"]["n_gallery"] == 12


@pytest.mark.extra("plots")
def test_a_report_has_tables_plots_and_numbers(dataset, tiny, tmp_path):
    results = run(dataset, tiny, tmp_path)[-1]
    text = write_report(tmp_path / "out", dataset, {"L1": results}, {"L1": ev.score(results, dataset)})
    assert "| mAP | 100.00 |" in text
    assert "8 of them distractors" in text
    kept = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert kept["levels"]["L1"]["metrics"]["mAP"] == 1
    assert kept["breakdowns"]["L1"]["size"][0]["mAP"] == 1
    for name in ("precision-recall", "levels", "by-size", "by-centre-distance"):
        with Image.open(tmp_path / "out" / f"{name}.png") as plot:
            assert plot.width > 300


def test_sheets_show_a_right_box_in_green(dataset, tiny, tmp_path):
    page = draw_results(run(dataset, tiny, tmp_path)[-1], dataset, tmp_path / "sheets")
    assert page.read_text().count("<img") == 2
    with Image.open(tmp_path / "sheets" / "0000.png") as sheet:
        green = np.abs(np.asarray(sheet).astype(int) - (0, 158, 115)).sum(axis=2) < 30
    assert green.any()


def test_a_compression_report_counts_bytes_and_losses(dataset, tiny, tmp_path):
    exact = ev.EvalSettings(level=1)
    settings = ev.EvalSettings(level=1, engine="IVF4,PQ13x4;nprobe=4", train_level=1)
    assert settings.train_regions == [1, 2, 3, 4]
    gallery, queries, engine, results = run(dataset, tiny, tmp_path, settings)
    figures = compress_report(dataset, gallery, queries, engine, results, exact).figures
    n = 10 * 5
    assert figures["float32"] == n * 13 * 4
    assert figures["codes"] == n * 7  # 13 codes of 4 bits
    assert figures["ids"] == n * 8
    assert figures["centroids"] == 4 * 13 * 4
    assert figures["codebooks"] == 13 * 16 * 1 * 4
    assert figures["total"] == sum(figures[name] for name in ("codes", "ids", "centroids", "codebooks", "other"))
    assert figures["mAP lost"] == pytest.approx(figures["mAP exact"] - figures["mAP compressed"])
    assert "compression" in compress_report(dataset, gallery, queries, engine, results, exact).table()


def test_exact_search_as_its_own_compression_loses_nothing(dataset, tiny, tmp_path):
    settings = ev.EvalSettings(level=1, engine="Flat;metric=L2")
    gallery, queries, engine, results = run(dataset, tiny, tmp_path, settings)
    figures = compress_report(dataset, gallery, queries, engine, results, ev.EvalSettings(level=1)).figures
    assert figures["recall@10"] == 1
    assert figures["mAP lost"] == figures["LocScore(gate, 0.4) lost"] == 0


def test_recall_counts_the_share_of_the_exact_best():
    exact = {"q": [["a"], ["b"], ["c"]], "r": [["a"], ["b"], ["c"]]}
    found = {"q": [["b"], ["a"], ["d"]], "r": [["c"], ["d"], ["e"]]}
    assert recall(exact, found, k=2) == pytest.approx((1 + 0) / 2)


def test_the_originals_names_become_factory_strings():
    assert pq_engine("pq", 1024, 10**5, m=64) == "PQ64x8"
    assert pq_engine("ivfpq", 1024, 10**5, m=64, nlist=8192, nprobe=8192) == "IVF8192,PQ64x8;nprobe=8192"
    assert pq_engine("pq", 1024, 10**5, m=16, is_l2=True) == "PQ16x8;metric=L2"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"m": 48}, r"these do: 4, 8, 16"),
        ({"m": 64, "n_train": 200}, "at most --pq_nbits 7 works"),
        ({"m": 64, "kind": "ivfpq", "nlist": 8192, "n_train": 4885}, r"--pq_nlist must lie in 1\.\.4885"),
        ({"m": 64, "kind": "ivfpq", "nprobe": 300}, r"--pq_nprobe must lie in 1\.\.256"),
        ({"m": 64, "kind": "opq"}, "must be one of pq, ivfpq"),
    ],
)
def test_a_compression_that_cannot_be_trained_says_what_would_work(options, hint):
    with pytest.raises(EngineError, match=hint):
        pq_engine(options.pop("kind", "pq"), 1024, options.pop("n_train", 10**5), **options)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": -1}, r"level must lie in 0\.\.15, found -1"),
        ({"level": 16}, r"level must lie in 0\.\.15, found 16"),
        ({"top": -1}, "top must be at least 0, found -1"),
        ({"refine": -1}, "refine must be at least 0, found -1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(PatchseekError, match=message):
        ev.EvalSettings(**settings)


@pytest.mark.parametrize("level", [-1, 2])
def test_a_gallery_has_no_level_that_was_not_encoded(dataset, tiny, tmp_path, level):
    gallery = ev.encode_gallery(dataset, tiny, ev.EvalSettings(level=1).pyramid, tmp_path)
    with pytest.raises(PatchseekError, match=f"level must be one of 0, 1, found {level}"):
        gallery.at_level(level)


def test_a_negative_k_is_refused(dataset, tiny, tmp_path):
    with pytest.raises(PatchseekError, match="k must be at least 0, found -1"):
        ev.score(run(dataset, tiny, tmp_path)[-1], dataset, k=-1)
