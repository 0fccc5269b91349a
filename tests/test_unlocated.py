"""Benchmarks that do not know every true box: mAP is given everywhere, LocScore left out with a line that says why."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import evaluate as ev
from patchseek.cli._benchmarks import evaluate_command, score_command
from patchseek.cli._encoder import EncoderChoice
from patchseek.compression import compress_report
from patchseek.datasets import open_dataset

from .conftest import TinyEncoder, blot

pytestmark = pytest.mark.usefixtures("own_cache")

ROOT = Path(__file__).parent.parent
OBJECTS = [f"object_{i:03}" for i in range(4)]
LINE = "LocScore is left out: the true box of {} of 4 positives is not known, first {}"


@pytest.fixture
def official(tmp_path):
    """ILIAS of four objects: a query and a positive each, all with their boxes."""
    root = tmp_path / "ilias"
    for i, name in enumerate(OBJECTS):
        for key in (f"query/Q{i:03}_00", f"pos/P{i:03}_00"):
            path = root / "ilias_core" / name / f"{key}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            blot(i, 64, 48).save(path, quality=95)
            path.with_name(f"{path.stem}_bbox.txt").write_text("0 0 64 48\n")
    return root


def positive(i: int, suffix: str) -> str:
    return f"{OBJECTS[i]}/pos/P{i:03}_00{suffix}"


def lose_boxes(root: Path) -> str:
    """Empty one file of boxes and delete another; the line that is to be said of it."""
    (root / "ilias_core" / positive(1, "_bbox.txt")).write_text("")
    (root / "ilias_core" / positive(2, "_bbox.txt")).unlink()
    return LINE.format(2, positive(1, ".jpg"))


def test_a_missing_file_of_boxes_is_a_box_that_is_not_known_and_the_files_are_counted(official):
    line = lose_boxes(official)
    (official / "ilias_core" / OBJECTS[3] / "query" / "Q003_00_bbox.txt").unlink()
    data = open_dataset(official)
    assert data.positives(data.queries[2]) == {positive(2, ".jpg"): None}
    assert data.queries[3].box is None
    core = official / "ilias_core"
    assert data.first_notes == (
        f"1 of 4 queries have no file of boxes, first {core / OBJECTS[3]}/query/Q003_00_bbox.txt: "
        "the whole picture is the query",
        f"1 of 4 positives have no file of boxes, first {core / positive(2, '_bbox.txt')}: "
        "their true boxes are not known",
        line,
    )


def test_where_every_box_is_known_nothing_is_said(official):
    data = open_dataset(official)
    assert (data.unlocated, data.first_notes) == (None, ())


@pytest.fixture
def command(monkeypatch, tmp_path):
    """command(evaluate_command, ...) with the tiny encoder, in the temporary folder."""
    monkeypatch.setattr(EncoderChoice, "open", lambda _: TinyEncoder())
    monkeypatch.chdir(tmp_path)
    return lambda which, *words: CliRunner().invoke(which, [*map(str, words)], catch_exceptions=False)


@pytest.mark.parametrize("engine", ["exact", "PQ13x2"])
def test_eval_score_and_report_give_map_and_say_that_locscore_is_left_out(official, command, tmp_path, engine):
    line = lose_boxes(official)
    done = command(evaluate_command, official, "--level", 0, "--level", 1, "--index", engine)
    assert done.exit_code == 0, done.output
    assert f"note: {line}\n" in done.stderr
    report = (tmp_path / "eval" / "report.md").read_text()
    assert f"\n- {line}\n" in report
    assert report.count("LocScore") == 1 + report.count("| LocScore")
    assert "\n| mAP | 100.00 |" in report
    assert "LocScore(" not in report.split("\n## ")[0]
    assert done.stderr.count(line) == (1 if engine == "exact" else 3), "with each of two tables of compression"
    kept = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert line in kept["levels"]["L1"]["notes"]
    done = command(score_command, tmp_path / "eval" / "results-L1-0-distractors.json", official)
    assert f"note: {line}\n" in done.stderr
    scored = json.loads(done.stdout)
    assert scored["metrics"]["mAP"] == 1
    assert not any(name.startswith("LocScore") for name in scored["metrics"])


@pytest.fixture
def copied(official):
    """The same, where the positives without a box are copies of queries: without those, every true box is known."""
    for i in (1, 2):
        query = official / "ilias_core" / OBJECTS[i] / "query" / f"Q{i:03}_00.jpg"
        blot(i, 64, 48).crop((0, 0, 56, 48)).save(query, quality=95)
        shutil.copy(query, official / "ilias_core" / positive(i, ".jpg").replace("_00.", "_01."))
    return official


def test_where_all_positives_without_a_box_are_left_out_there_is_a_locscore_and_nothing_says_otherwise(
    copied, command, tmp_path
):
    results = tmp_path / "eval" / "results-L1-0-distractors.json"
    for words, is_left_out in (((), True), (("--exclude-copies",), False)):
        done = command(evaluate_command, copied, "--level", 1, "--overwrite", *words)
        scored = command(score_command, results, copied, *words)
        report = (tmp_path / "eval" / "report.md").read_text()
        assert ("\n| LocScore(gate, 0.4) |" in report, "LocScore is left out" in report) == (
            not is_left_out,
            is_left_out,
        )
        assert ("LocScore(gate, 0.4)" in json.loads(scored.stdout)["metrics"]) is not is_left_out
        for said in (done.stderr, scored.stderr):
            assert ("LocScore is left out" in said) is is_left_out


def revisited(root: Path) -> Path:
    (root / "jpg").mkdir(parents=True)
    names = [f"a{i}" for i in range(6)]
    for i, name in enumerate(names):
        blot(i, 64, 48).save(root / "jpg" / f"{name}.jpg", quality=95)
    blot(0, 64, 48).save(root / "jpg" / "q.jpg", quality=95)
    judged = {"bbx": [0, 0, 64, 48], "easy": [0], "hard": [], "junk": [3]}
    (root / "gnd_roxford5k.json").write_text(json.dumps({"imlist": names, "qimlist": ["q"], "gnd": [judged]}))
    return root


def test_a_compressed_index_is_measured_where_no_true_box_is_known(tmp_path, tiny):
    data = open_dataset(f"roxford5k:{revisited(tmp_path / 'roxford5k')}")
    settings = ev.EvalSettings(level=1, engine="PQ13x2")
    gallery = ev.encode_gallery(data, tiny, settings.pyramid, tmp_path / "cache")
    queries, engine = ev.encode_queries(data, tiny), ev.open_engine(gallery, settings)
    results = ev.run_benchmark(data, gallery, queries, engine, settings)
    report = compress_report(data, gallery, queries, engine, results, ev.EvalSettings(level=1))
    assert report.figures["mAP exact"] == 1
    assert not any("LocScore" in name for name in report.figures)
    assert report.table().endswith("\n  LocScore is left out: the true box of 1 of 1 positives is not known, first a0")


@pytest.fixture
def main(monkeypatch, tmp_path, capsys):
    """main("--pq", "pq") -> figures, or None; and what was said on stderr. The encoder is the tiny one."""
    main = runpy.run_path(str(ROOT / "main.py"))["main"]
    monkeypatch.setitem(main.__globals__, "open_encoder", lambda *_, **__: TinyEncoder())
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[dict[str, float] | None, str]:
        monkeypatch.setattr(sys, "argv", ["main.py", *words])
        try:
            main()
        except SystemExit:
            return None, capsys.readouterr().err
        said = capsys.readouterr()
        return json.loads(said.out.splitlines()[-1]), said.err

    return call


PQ = ("--pq_m", "13", "--pq_nbits", "2", "--pq_nlist", "2", "--pq_nprobe", "2", "--tile_size_res", "1")


@pytest.mark.parametrize("pq", ["False", "pq", "ivfpq"])
def test_main_gives_map_with_every_kind_of_compression(official, main, pq):
    line = lose_boxes(official)
    for metrics in ("mAP", "mAP, locscore"):
        figures, said = main("--pq", pq, *PQ, "--compute_metrics", metrics)
        assert figures.keys() == {"mAP"}
        assert f"note: {line}\n" in said


def test_main_does_not_start_where_only_what_cannot_be_had_was_asked_for(official, main, tmp_path):
    line = lose_boxes(official)
    figures, said = main("--compute_metrics", "locscore")
    assert figures is None
    assert f"error: --compute_metrics locscore: {line}\n" in said
    assert not (tmp_path / "features").exists()


@pytest.mark.usefixtures("copied")
def test_main_gives_locscore_where_all_positives_without_a_box_are_left_out(main):
    words = ("--tile_size_res", "1", "--compute_metrics", "locscore")
    figures, said = main(*words)
    assert figures is None
    assert "error: --compute_metrics locscore: LocScore is left out: the true box of 2 of 6 positives" in said
    figures, said = main(*words, "--exclude_copies", "True")
    assert figures.keys() == {"locscore"}
    assert "LocScore is left out" not in said


def test_sheets_are_drawn_where_a_true_box_is_not_known(official, main, tmp_path):
    lose_boxes(official)
    figures, _ = main("--visualize", "True", "--tile_size_res", "1")
    assert figures == {"mAP": 100}
    with Image.open(tmp_path / "logs" / "visualize" / "0000.png") as sheet:
        assert sheet.width > 100
