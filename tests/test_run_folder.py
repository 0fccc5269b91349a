"""`eval` into a folder in which something is already: one run, one folder, and nothing of anybody else's is touched."""

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
from patchseek._progress import unheard
from patchseek.cli import cli
from patchseek.errors import PatchseekError
from patchseek.evaluate import RunFolder

from .conftest import TinyEncoder, blot

pytestmark = pytest.mark.usefixtures("own_cache")

PLOTS = {"precision-recall.png", "levels.png", "by-size.png", "by-centre-distance.png"}
ALWAYS = {"evaluation.json", "metrics.json", "report.md"} | PLOTS


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder to work in, with one set of six pictures and one query; `choose` says which encoder is opened."""
    for name in ("set", "other"):
        folder = tmp_path / name
        folder.mkdir()
        rows = []
        for i in range(6):
            blot(i).save(folder / f"{i}.png")
            rows.append({"id": f"g{i}", "image": f"{i}.png", "instance": None, "bbox": None})
        rows[0] |= {"instance": [name], "bbox": [[32, 24, 32, 24]]}
        blot(0).crop((32, 24, 64, 48)).save(folder / "q.png")
        query = {"id": "q", "image": "q.png", "instance": name, "bbox": None}
        (folder / "gallery.json").write_text(json.dumps(rows))
        (folder / "query.json").write_text(json.dumps([query]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def evaluate(monkeypatch):
    """evaluate("set", "--level", "0", encoder="tiny", code=0) -> what it said."""

    def run(*arguments, encoder="tiny", code=0):
        monkeypatch.setattr(encoders, "open_encoder", lambda *_, **__: TinyEncoder(encoder))
        done = CliRunner().invoke(cli, ["eval", *arguments])
        if done.exception and not isinstance(done.exception, SystemExit | PatchseekError):
            raise done.exception
        assert done.exit_code == code, done.output
        return str(done.exception) if isinstance(done.exception, PatchseekError) else done.output

    return run


def listed(folder):
    return {path.name for path in folder.iterdir()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def results(*levels):
    return {f"results-L{level}-5-distractors.json" for level in levels}


def encoder_of(file):
    return json.loads(file.read_text())["encoder"]["name"]


def test_the_same_annotations_of_other_pictures_are_another_run(home, evaluate):
    shutil.copytree(home / "set", home / "grey" / "set")
    for file in (home / "grey" / "set").glob("?.png"):
        with Image.open(file) as picture:
            picture.convert("L").convert("RGB").save(file)
    evaluate("set", "--level", "0")
    before = contents(home / "eval")
    said = evaluate("grey/set", "--level", "0", code=1)
    assert f"another run (dataset pictures: {home / 'set'} there, {home / 'grey' / 'set'} here)" in said
    assert contents(home / "eval") == before
    evaluate("grey/set", "--level", "0", "--overwrite")
    assert contents(home / "eval") != before


@pytest.mark.extra("plots")
def test_a_run_leaves_its_files_and_says_what_it_was_of(home, evaluate):
    evaluate("set")
    assert listed(home / "eval") == ALWAYS | results(0, 1, 2, 3)
    record = json.loads((home / "eval" / "evaluation.json").read_text())["run"]
    assert (record["encoder"]["name"], record["levels"], record["dataset"]["name"]) == ("tiny", [0, 1, 2, 3], "set")


@pytest.mark.parametrize(
    ("again", "encoder", "message"),
    [
        (["set"], "big", "encoder name: tiny there, big here"),
        (["set", "--level", "1"], "tiny", "levels: 0 there, 0 1 here"),
        (["other"], "tiny", "dataset name: set there, other here"),
        (["set", "--query", "whole"], "tiny", "query: box there, whole here"),
        (["set", "--top", "3"], "tiny", "top: 0 there, 3 here"),
        (["set", "--refine", "2"], "tiny", "refine: 0 there, 2 here"),
        (["set", "--index", "Flat"], "tiny", "index: exact there, Flat here"),
        (["set", "--boxes", "enclosing"], "tiny", "boxes: best there, enclosing here"),
        (["set", "--exclude-copies"], "tiny", "exclude_copies: False there, True here"),
    ],
    ids=str,
)
def test_another_run_into_the_same_folder_is_refused_and_nothing_changes(home, evaluate, again, encoder, message):
    evaluate("set", "--level", "0")
    before = contents(home / "eval")
    said = evaluate(*again, "--level", "0", encoder=encoder, code=1)
    assert said.startswith("eval: holds another run (")
    assert message in said
    assert said.endswith("); name another --out, or say --overwrite")
    assert contents(home / "eval") == before


@pytest.mark.extra("plots")
def test_told_so_it_removes_the_files_of_the_other_run_and_no_other(home, evaluate):
    evaluate("set", "--similarities")
    for name in ("notes.txt", "results.json", "my-levels.png", "results-L0-best.json"):
        (home / "eval" / name).write_text("mine")
    (home / "eval" / "results-L9-5-distractors.json").mkdir()
    evaluate("set", "--level", "0", "--overwrite", encoder="big")
    mine = {"notes.txt", "results.json", "my-levels.png", "results-L0-best.json", "results-L9-5-distractors.json"}
    assert listed(home / "eval") == ALWAYS | results(0) | mine
    assert encoder_of(home / "eval" / "results-L0-5-distractors.json") == "big"
    assert (home / "eval" / "results.json").read_text() == "mine"


@pytest.mark.extra("plots")
def test_the_same_run_may_be_started_again(home, evaluate):
    evaluate("set", "--similarities", "--level", "1")
    assert "similarities-L1-5-distractors.json" in listed(home / "eval")
    evaluate("set", "--level", "1", "--top", "0")
    assert listed(home / "eval") == ALWAYS | results(1)


def test_a_run_that_broke_off_is_no_mixture(home, evaluate, monkeypatch):
    evaluate("set")
    plain = ev.run_benchmark

    def break_off(data, gallery, features, engine, settings, refiners=(), on_progress=unheard):
        if settings.level == 1:
            raise PatchseekError("killed")
        return plain(data, gallery, features, engine, settings, refiners, on_progress)

    monkeypatch.setattr(ev, "run_benchmark", break_off)
    assert evaluate("set", "--overwrite", encoder="big", code=1) == "killed"
    assert listed(home / "eval") == {"evaluation.json"} | results(0)
    monkeypatch.undo()
    monkeypatch.chdir(home)
    assert "encoder name: big there, tiny here" in evaluate("set", code=1)
    evaluate("set", encoder="big")
    assert {encoder_of(home / "eval" / name) for name in results(0, 1, 2, 3)} == {"big"}


def test_a_run_that_fails_before_its_first_result_removes_nothing(home, evaluate):
    evaluate("set")
    before = contents(home / "eval")
    evaluate("set", "--overwrite", "--index", "Nonsense", code=1)
    assert contents(home / "eval") == before
    evaluate("set", "--out", "new", "--index", "Nonsense", code=1)
    assert not (home / "new").exists()


@pytest.mark.extra("plots")
def test_a_folder_of_an_earlier_version_is_refused_or_emptied(home, evaluate):
    evaluate("set")
    (home / "eval" / "evaluation.json").unlink()
    (home / "eval" / "notes.txt").write_text("mine")
    said = evaluate("set", "--level", "0", code=1)
    assert said == (
        "eval: holds by-centre-distance.png of a run that nothing is known of; name another --out, or say --overwrite"
    )
    evaluate("set", "--level", "0", "--overwrite")
    assert listed(home / "eval") == ALWAYS | results(0) | {"notes.txt"}


def test_a_record_that_is_another_programs_is_never_touched(home, evaluate):
    (home / "eval").mkdir()
    (home / "eval" / "evaluation.json").write_text('["mine"]')
    for more in ([], ["--overwrite"]):
        assert "evaluation.json: not written by patchseek eval" in evaluate("set", *more, code=1)
    assert contents(home / "eval") == {"evaluation.json": b'["mine"]'}


@pytest.mark.extra("plots")
def test_a_folder_with_other_things_in_it_may_be_used(home, evaluate):
    evaluate("set", "--out", ".", "--level", "0")
    assert listed(home) == {"set", "other", "cache"} | ALWAYS | results(0)


def test_two_runs_at_once_do_not_share_a_folder(home, evaluate):
    with RunFolder(home / "eval", {}):
        assert evaluate("set", code=1) == "eval: another run is writing here; name another --out"
    evaluate("set", "--level", "0")


def test_other_tars_are_another_run(home, evaluate):
    for name in ("a.tar", "b.tar"):
        with tarfile.open(home / name, "w") as tar:
            tar.add(home / "set" / "3.png", "x.png")
    (home / "keys.txt").write_text("x\n")
    evaluate("set", "--level", "0", "--distractors", "a.tar", "--distractors", "b.tar", code=0)
    evaluate("set", "--level", "0", "--distractors", "b.tar", "--distractors", str(home / "a.tar"))
    assert "distractors" in evaluate("set", "--level", "0", "--distractors", "a.tar", code=1)
    keep = ["--distractors", "a.tar", "--distractors", "b.tar", "--keep", "keys.txt"]
    assert f"keep: none there, {home / 'keys.txt'} here" in evaluate("set", "--level", "0", *keep, code=1)


def test_a_list_of_other_keys_under_the_same_name_is_another_run(home, evaluate):
    with tarfile.open(home / "a.tar", "w") as tar:
        tar.add(home / "set" / "3.png", "x.png")
        tar.add(home / "set" / "4.png", "y.png")
    words = ["set", "--level", "0", "--distractors", "a.tar", "--keep", "keys.txt"]
    (home / "keys.txt").write_text("x\ny\n")
    evaluate(*words)
    (home / "keys.txt").write_text("# the same\ny\nx\ny\n")
    evaluate(*words)
    (home / "keys.txt").write_text("")
    before = contents(home / "eval")
    assert "another run (keys: " in evaluate(*words, code=1)
    assert contents(home / "eval") == before


def test_another_folder_takes_the_other_run(home, evaluate):
    evaluate("set", "--level", "0")
    evaluate("set", "--level", "0", "--out", "elsewhere", encoder="big")
    assert encoder_of(home / "eval" / "results-L0-5-distractors.json") == "tiny"
    assert encoder_of(home / "elsewhere" / "results-L0-5-distractors.json") == "big"


def test_a_folder_that_was_moved_is_still_of_its_run(home, evaluate):
    evaluate("set", "--level", "0")
    shutil.move(home / "eval", home / "kept")
    evaluate("set", "--level", "0", "--out", "kept")
    assert "levels: 0 there, 1 here" in evaluate("set", "--level", "1", "--out", "kept", code=1)


def test_two_runs_of_main_in_one_second_have_a_log_each(home, tiny, monkeypatch, capsys):
    (home / "ilias").symlink_to(home / "set")
    main = runpy.run_path(str(Path(__file__).parent.parent / "main.py"))["main"]
    monkeypatch.setitem(main.__globals__, "open_encoder", lambda *_, **__: tiny)
    monkeypatch.setattr(main.__globals__["time"], "strftime", lambda _: "20270101-120000")
    for level in ("0", "1"):
        arguments = ["main.py", "--model_name", "embedded", "--compute_metrics", "mAP", "--tile_size_res", level]
        monkeypatch.setattr(sys, "argv", arguments)
        main()
    assert listed(home / "logs") == {"20270101-120000-embedded.json", "20270101-120000-embedded-2.json"}
    assert "20270101-120000-embedded-2.json" in capsys.readouterr().out
