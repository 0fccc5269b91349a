"""What a report says of a run is what was run: the pictures ranked, the query as it was asked, boxes by their files."""

# ruff: noqa: F811  # fixtures of another file

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import evaluate as ev
from patchseek import report
from patchseek.cli._benchmarks import evaluate_command, score_command
from patchseek.cli._encoder import EncoderChoice
from patchseek.datasets import open_dataset
from patchseek.errors import DatasetError, PatchseekError

from .conftest import TinyEncoder, blot
from .test_evaluate import dataset, run, write_tar  # noqa: F401  # the first is a fixture

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.usefixtures("dataset")
def test_the_report_of_a_run_with_distractors_counts_what_was_ranked(tmp_path, monkeypatch):
    monkeypatch.setattr(EncoderChoice, "open", lambda _: TinyEncoder())
    monkeypatch.chdir(tmp_path)
    tar = write_tar(tmp_path / "more.tar", 6)
    words = ["set", "--level", "0", "--distractors", str(tar)]
    done = CliRunner().invoke(evaluate_command, words, catch_exceptions=False)
    assert "with the pictures of --distractors, 16 are ranked\n" in done.stderr
    head = (tmp_path / "eval" / "report.md").read_text().splitlines()[0]
    assert head == "# set: 2 queries of 2 objects, 16 gallery pictures, 14 of them distractors"
    note = "mAP@1000 and oracle@1000 are those of the 16 pictures ranked for a query: there are no 1000"
    assert f"- {note}\n" in (tmp_path / "eval" / "report.md").read_text()
    results = str(tmp_path / "eval" / "results-L0-14-distractors.json")
    done = CliRunner().invoke(score_command, [results, "set", "--k", "17"], catch_exceptions=False)
    assert "note: mAP@17 and oracle@17 are those of the 16 pictures ranked" in done.stderr
    done = CliRunner().invoke(score_command, [results, "set", "--k", "16"], catch_exceptions=False)
    assert done.stderr == ""
    assert json.loads(done.stdout)["metrics"]["oracle@16"] == 1


@pytest.mark.parametrize(("asked", "n_boxes"), [("box", 1), ("whole", 0)])
def test_a_sheet_draws_the_querys_box_where_that_was_asked_for_alone(
    dataset, tiny, tmp_path, monkeypatch, asked, n_boxes
):
    drawn = []
    real = report.contact_sheet

    def note(query, tiles):
        drawn.append(len(query.boxes))
        return real(query, tiles)

    monkeypatch.setattr(report, "contact_sheet", note)
    results = run(dataset, tiny, tmp_path, ev.EvalSettings(level=1, query=asked))[-1]
    report.draw_results(results, dataset, tmp_path / "sheets")
    assert drawn == [n_boxes] * 2


def test_a_box_that_its_picture_does_not_hold_any_more_names_the_file(dataset, tiny, tmp_path):
    results = run(dataset, tiny, tmp_path)[-1]
    blot(0, 16, 16).save(tmp_path / "set" / "q0.png")
    blot(0, 16, 16).save(tmp_path / "set" / "0.png")
    for work in (
        lambda: ev.read_queries(dataset, tiny),
        lambda: report.draw_results(results, dataset, tmp_path / "sheets"),
        lambda: report.write_report(tmp_path / "out", dataset, {"L1": results}, {"L1": ev.score(results, dataset)}),
    ):
        with pytest.raises(PatchseekError, match=r"lies outside \S*(set/q?0\.png|g0) of 16 x 16 pixels"):
            work()


@pytest.mark.usefixtures("dataset")
def test_an_annotation_outside_its_picture_names_row_and_picture(tmp_path):
    rows = json.loads((tmp_path / "set" / "gallery.json").read_text())
    rows[1]["bbox"] = [[50, 24, 32, 24]]
    (tmp_path / "set" / "gallery.json").write_text(json.dumps(rows))
    with pytest.raises(DatasetError, match=r"gallery\.json: row 2 \('g1'\): box 50,24,32,24 reaches outside .* 1\.png"):
        open_dataset(tmp_path / "set")


@pytest.mark.parametrize("box", ["5 5 1e-300 1e-300", "64 0 5 5", "-9 -9 5 5", "70 70 1 1"])
def test_an_official_box_without_a_pixel_is_left_out_with_a_note_that_names_the_file(tmp_path, tiny, box):
    for key in ("cup/query/Q000_00", "cup/pos/P000_00"):
        path = tmp_path / "official" / "ilias_core" / f"{key}.jpg"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (64, 48)).save(path)
        path.with_name(f"{path.stem}_bbox.txt").write_text(f"{box}\n")
    data = open_dataset(tmp_path / "official")
    assert data.queries[0].box is None
    assert all("Q000_00" in note or "P000_00" in note for note in data.notes)
    assert len(data.notes) == 2
    assert len(ev.read_queries(data, tiny)) == 1


@pytest.mark.parametrize(
    "entry", [["g0", 0.5], ["g0", 0.5, [1, 2, 3]], ["g0", "high", None], [7, 0.5, None], ["g0", 1, []], 7, None]
)
def test_results_that_are_no_ranked_list_are_told_by_the_query(dataset, tiny, tmp_path, entry):
    results = run(dataset, tiny, tmp_path)[-1]
    results["results"]["q1"] = [entry] * 2
    with pytest.raises(PatchseekError, match=r"q1|ranked twice|is not a number"):
        ev.score(results, dataset)
    del results["results"]["q1"]
    with pytest.raises(DatasetError, match=r"set: the results hold no list of picture, score and box .* 'q1'"):
        ev.score(results, dataset)


def test_a_level_that_finds_nothing_right_has_no_iou_in_the_table_and_the_others_have_theirs(tmp_path, tiny):
    (tmp_path / "set").mkdir()
    asked, hidden = blot(1), blot(3).resize((128, 96))
    asked.save(tmp_path / "set" / "q.png")
    Image.blend(asked, blot(2), 0.1).save(tmp_path / "set" / "like.png")  # the best of whole pictures
    hidden.paste(asked, (64, 48))
    hidden.save(tmp_path / "set" / "holds.png")  # the best of quarters
    rows = [{"id": name, "image": f"{name}.png", "instance": None, "bbox": None} for name in ("like", "holds")]
    (tmp_path / "set" / "query.json").write_text(
        json.dumps([{"id": "q", "image": "q.png", "instance": "o", "bbox": None}])
    )
    for right, box, shares in ((0, [0, 0, 64, 48], "100.00 | "), (1, [64, 48, 64, 48], " | 100.00")):
        rows[right] |= {"instance": ["o"], "bbox": [box]}
        rows[1 - right] |= {"instance": None, "bbox": None}
        (tmp_path / "set" / "gallery.json").write_text(json.dumps(rows))
        data = open_dataset(tmp_path / "set")
        results = {f"L{n}": run(data, tiny, tmp_path, ev.EvalSettings(level=n, top=1))[-1] for n in (0, 1)}
        scores = {label: ev.score(found, data) for label, found in results.items()}
        assert ["mean IoU" in score["metrics"] for score in scores.values()] == [right == 0, right == 1]
        text = report.write_report(tmp_path / "out", data, results, scores)
        assert f"\n| mean IoU | {shares} |\n" in text


def test_a_sheet_shows_no_picture_that_its_query_ignores(dataset, tiny, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(report, "contact_sheet", lambda _, tiles: shown.append(len(tiles)) or Image.new("RGB", (8, 8)))
    monkeypatch.setattr(report, "save", lambda *_: None)
    results = run(dataset, tiny, tmp_path)[-1]
    report.draw_results(results, dataset.without({"q1": ["g4", "g5"]}), tmp_path / "sheets")
    assert shown == [10, 8]
