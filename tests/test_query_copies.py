"""Gallery pictures that are byte for byte a query's picture: named once, and left out when that is asked for."""

import json
import runpy
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import encoders
from patchseek import evaluate as ev
from patchseek.cli import cli
from patchseek.datasets import open_dataset
from patchseek.errors import DatasetError
from patchseek.report import draw_results, write_report

from .conftest import blot

pytestmark = pytest.mark.usefixtures("own_cache")

BOX = [32, 24, 32, 24]


@pytest.fixture
def folder(tmp_path):
    """Two objects in two gallery pictures each; a query for either, of which nothing is in the gallery so far."""
    folder = tmp_path / "set"
    folder.mkdir()
    gallery, queries = [], []
    for i in range(2):
        for kind, seed in (("near", 10 + i), ("far", 20 + i)):
            picture = blot(seed)
            picture.paste(blot(i).crop((0, 0, 32, 24)), (32, 24))
            picture.save(folder / f"{kind}{i}.png")
            row = {"id": f"{kind}{i}", "image": f"{kind}{i}.png", "instance": [f"o{i}"], "bbox": [BOX]}
            gallery.append(row)
        blot(i).save(folder / f"asked{i}.png")
        queries.append({"id": f"q{i}", "image": f"asked{i}.png", "instance": f"o{i}", "bbox": [0, 0, 32, 24]})
    write(folder, gallery, queries)
    return folder


def write(folder, gallery, queries):
    (folder / "gallery.json").write_text(json.dumps(gallery))
    (folder / "query.json").write_text(json.dumps(queries))


def read(folder):
    return (json.loads((folder / f"{name}.json").read_text()) for name in ("gallery", "query"))


def add(folder, name, right_for=None):
    """Put a file of the folder into the gallery."""
    gallery, queries = read(folder)
    known = {"instance": [right_for], "bbox": [[0, 0, 32, 24]]} if right_for else {"instance": None, "bbox": None}
    write(folder, [*gallery, {"id": name.partition(".")[0], "image": name, **known}], queries)


def run(folder, tiny, cache, distractors=()):
    data, settings = open_dataset(folder), ev.EvalSettings(level=1)
    gallery = ev.encode_gallery(data, tiny, settings.pyramid, cache, distractors=distractors)
    queries = ev.encode_queries(data, tiny)
    return data, ev.run_benchmark(data, gallery, queries, ev.open_engine(gallery, settings), settings)


def report(data, results, out):
    return write_report(out, data, {"L1": results}, {"L1": ev.score(results, data)})


def test_where_there_is_no_copy_nothing_is_said(folder, tiny, tmp_path):
    data, results = run(folder, tiny, tmp_path)
    assert results["copies"] == {}
    assert ev.score(results, data)["copies"] == {}
    assert "Copies" not in report(data, results, tmp_path / "out")


def test_a_copy_under_another_name_is_named_once_with_the_count(folder, tiny, tmp_path):
    shutil.copy(folder / "asked0.png", folder / "twin.png")
    add(folder, "twin.png", "o0")
    data, results = run(folder, tiny, tmp_path)
    assert results["results"]["q0"][0][0] == "twin", "it is ranked"
    assert results["copies"] == {"q0": ["twin"]}
    text = report(data, results, tmp_path / "out")
    line = (
        "Copies: 1 gallery picture is byte for byte the picture of a query (1 of 2 queries): 1 count as right, "
        "0 as wrong; --exclude-copies leaves them out. q0: twin. "
    )
    assert text.count("Copies:") == text.count(line) == 1
    kept = json.loads((tmp_path / "out" / "metrics.json").read_text())["levels"]["L1"]
    assert (kept["copies"], kept["exclude_copies"]) == ({"q0": ["twin"]}, False)


def test_left_out_it_is_neither_right_nor_wrong(folder, tiny, tmp_path):
    plain, before = run(folder, tiny, tmp_path / "plain")
    for name, right in (("twin", "o0"), ("stray", None)):
        shutil.copy(folder / "asked0.png", folder / f"{name}.png")
        add(folder, f"{name}.png", right)
    data, results = run(folder, tiny, tmp_path / "copies")
    assert ev.score(results, data)["metrics"] != ev.score(before, plain)["metrics"]
    without = data.without(results["copies"])
    assert without.positives("q0").keys() == {"near0", "far0"}
    assert without.n_distractors == data.n_distractors
    scored = ev.score(results, without)
    assert scored["exclude_copies"] is True
    ranks = {q: [name for name, *_ in r if name not in ("twin", "stray")] for q, r in results["results"].items()}
    assert ranks["q0"] == [name for name, *_ in before["results"]["q0"]]
    assert scored["metrics"]["top-1"] == ev.score(before, plain)["metrics"]["top-1"]
    text = report(without, results, tmp_path / "out")
    assert "2 gallery pictures are byte for byte the picture of a query (1 of 2 queries): left out for that" in text


def test_a_copy_is_left_out_for_its_own_query_alone(folder, tiny, tmp_path):
    shutil.copy(folder / "asked0.png", folder / "both.png")
    add(folder, "both.png", "o1")
    data, results = run(folder, tiny, tmp_path)
    without = data.without(results["copies"])
    assert without.ignored("q0") == {"both"}
    assert without.positives("q1").keys() == {"near1", "far1", "both"}


def test_a_copy_among_the_distractors_of_a_tar_is_one_too(folder, tiny, tmp_path):
    with tarfile.open(tmp_path / "more.tar", "w") as tar:
        tar.add(folder / "asked1.png", "00aa.png")
        tar.add(folder / "near1.png", "00bb.png")
    data, results = run(folder, tiny, tmp_path, [tmp_path / "more.tar"])
    assert results["copies"] == {"q1": ["more.tar/00aa"]}
    assert "0 count as right, 1 as wrong" in report(data, results, tmp_path / "out")
    ranked = ev.rankings(results, data.without(results["copies"]))
    assert "more.tar/00aa" in ranked[0].ids
    assert "more.tar/00aa" not in ranked[1].ids


def test_the_same_pixels_in_another_format_are_no_copy_and_the_report_says_so(folder, tiny, tmp_path):
    for name in ("asked0.bmp", "twin.png"):
        with Image.open(folder / "asked0.png") as picture:
            picture.save(folder / name)
    shutil.copy(folder / "asked0.png", folder / "copy.png")
    add(folder, "asked0.bmp", "o0")
    add(folder, "copy.png", "o0")
    data, results = run(folder, tiny, tmp_path)
    assert results["copies"] == {"q0": ["copy"]}
    text = report(data, results, tmp_path / "out")
    assert (
        "Only equal bytes count: the same picture in another format or size, or one that a query was cut from," in text
    )


def test_a_query_that_is_a_box_in_a_gallery_picture_is_ignored_there_and_its_copies_are_named(folder, tiny, tmp_path):
    shutil.copy(folder / "near0.png", folder / "copy.png")
    add(folder, "copy.png", "o0")
    gallery, queries = read(folder)
    write(folder, gallery, [{**queries[0], "image": "near0.png", "bbox": BOX}, queries[1]])
    data, results = run(folder, tiny, tmp_path)
    assert data.ignored("q0") == {"near0"}
    assert results["copies"] == {"q0": ["copy"]}


def test_a_link_to_the_query_is_a_copy(folder, tiny, tmp_path):
    (folder / "link.png").symlink_to(folder / "asked0.png")
    add(folder, "link.png", "o0")
    assert run(folder, tiny, tmp_path)[1]["copies"] == {"q0": ["link"]}


def test_a_query_that_only_its_copy_answers_counts_in_no_figure(folder, tiny, tmp_path):
    gallery, queries = read(folder)
    write(folder, [row for row in gallery if row["instance"] != ["o0"]], queries)
    shutil.copy(folder / "asked0.png", folder / "twin.png")
    add(folder, "twin.png", "o0")
    data, results = run(folder, tiny, tmp_path)
    without = data.without(results["copies"])
    scored = ev.score(results, without)
    assert (scored["dataset"]["n_queries"], scored["dataset"]["unanswered"]) == (1, ["q0"])
    text = report(without, results, tmp_path / "out")
    assert "1 of these queries had no other right picture, and count in no figure." in text
    gallery, _ = read(folder)
    write(folder, [row for row in gallery if row["instance"] != ["o1"]], queries[:1])
    data, results = run(folder, tiny, tmp_path)
    with pytest.raises(DatasetError, match="no query has a right picture but those that are to be left out"):
        data.without(results["copies"])


@pytest.mark.parametrize("is_old", [False, True], ids=["of today", "of an earlier version"])
def test_a_results_file_is_scored_with_and_without_copies(folder, tiny, tmp_path, is_old):
    shutil.copy(folder / "asked0.png", folder / "twin.png")
    add(folder, "twin.png", "o0")
    _, results = run(folder, tiny, tmp_path)
    if is_old:
        del results["copies"]
    ev.write_results(results, tmp_path / "results.json")
    command = ["score", str(tmp_path / "results.json"), str(folder)]
    with_them, without = (
        json.loads(CliRunner().invoke(cli, [*command, *more]).stdout) for more in ([], ["--exclude-copies"])
    )
    assert with_them["copies"] == without["copies"] == {"q0": ["twin"]}
    assert (with_them["exclude_copies"], without["exclude_copies"]) == (False, True)
    assert with_them["metrics"] != without["metrics"]


def test_main_names_them_and_leaves_them_out(folder, tiny, tmp_path, monkeypatch, capsys):
    for name in ("twin", "again"):
        shutil.copy(folder / "asked0.png", folder / f"{name}.png")
        add(folder, f"{name}.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ilias").symlink_to(folder)
    main = runpy.run_path(str(Path(__file__).parent.parent / "main.py"))["main"]
    monkeypatch.setitem(main.__globals__, "open_encoder", lambda *_, **__: tiny)
    found = []
    for more in ([], ["--exclude_copies", "True"]):
        arguments = ["main.py", "--model_name", "embedded", "--query", "box", "--compute_metrics", "mAP", *more]
        monkeypatch.setattr(sys, "argv", arguments)
        main()
        done = capsys.readouterr()
        assert "note: 2 gallery pictures are byte for byte the picture of a query" in done.err
        found.append(json.loads(done.out.splitlines()[-1])["mAP"])
    assert found[0] < found[1]


def test_eval_takes_the_option(folder, tmp_path, monkeypatch, tiny):
    monkeypatch.setattr(encoders, "open_encoder", lambda *_, **__: tiny)
    shutil.copy(folder / "asked0.png", folder / "twin.png")
    add(folder, "twin.png", "o0")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["eval", str(folder), "--level", "1", "--exclude-copies"])
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "eval" / "metrics.json").read_text())["levels"]["L1"]
    assert kept["exclude_copies"] is True
    assert json.loads(next((tmp_path / "eval").glob("results*")).read_text())["copies"] == {"q0": ["twin"]}


def test_sheets_of_an_earlier_run_do_not_stay(folder, tiny, tmp_path):
    sheets = tmp_path / "sheets"
    sheets.mkdir()
    for name in ("0007.png", "mine.png"):
        (sheets / name).write_bytes(b"")
    data, results = run(folder, tiny, tmp_path)
    draw_results(results, data, sheets)
    assert sorted(path.name for path in sheets.iterdir()) == ["0000.png", "0001.png", "index.html", "mine.png"]


@pytest.mark.parametrize(("k", "name"), [(0, "mAP@4"), (2, "mAP@2")])
def test_a_k_of_0_is_all_that_is_ranked(folder, tiny, tmp_path, k, name):
    data, results = run(folder, tiny, tmp_path)
    assert name in ev.score(results, data, k=k)["metrics"]


@pytest.mark.parametrize("top", [0, None])
def test_a_top_of_0_is_all(folder, tiny, tmp_path, top):
    data, settings = open_dataset(folder), ev.EvalSettings(level=1, top=top)
    gallery = ev.encode_gallery(data, tiny, settings.pyramid, tmp_path)
    queries, engine = ev.encode_queries(data, tiny), ev.open_engine(gallery, settings)
    results = ev.run_benchmark(data, gallery, queries, engine, settings)["results"]
    assert [len(ranked) for ranked in results.values()] == [4, 4]
