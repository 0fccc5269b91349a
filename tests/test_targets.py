"""What a command is to write at its end is judged before its work; what still goes wrong takes no result away."""

import json
import os
import re
import sys

import click
import pytest
from PIL import Image

from patchseek.cli import cli
from patchseek.cli._table import write_table
from patchseek.cli._targets import WrongUse, attempt, check_file, check_folder
from patchseek.datasets import open_dataset
from patchseek.errors import PatchseekError
from patchseek.report import Unwritten, write_report

from .commands import run
from .conftest import blot

BOXES = [[324, 202, 146, 2100], [4000, 3000, 1234, 5678]]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an indexed folder of three pictures, and an annotated set of one query."""
    home = tmp_path_factory.mktemp("home")
    (home / "pictures").mkdir()
    for i in range(3):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    run(home, "index", "pictures")
    rows = [{"id": f"g{i}", "image": f"pictures/{i}.png", "instance": "a" if i else None} for i in range(3)]
    (home / "gallery.json").write_text(json.dumps(rows))
    (home / "query.json").write_text(json.dumps([{"id": "q", "image": "pictures/1.png", "instance": "a"}]))
    return home


def test_a_file_that_can_be_written_is_fine_and_not_touched(tmp_path):
    check_file(tmp_path / "new.png", (".png",))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.png").write_bytes(b"old")
    check_file(tmp_path / "old.png")
    assert (tmp_path / "old.png").read_bytes() == b"old"
    check_folder(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere/x.png", "there is no folder"),
        ("folder", "it is a folder"),
        ("file/x.png", "cannot be written"),
        ("x" * 300 + ".png", "name too long"),
        ("x.gif", "use one of .png"),
        ("x", "no suffix"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_with_the_reason(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(PatchseekError, match=f"(?i){re.escape(reason)}"):
        check_file(tmp_path / name, () if "." not in reason and "suffix" not in reason else (".png",))


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PatchseekError, match="is not a folder"):
        check_folder(tmp_path / "file" / "out")


def test_what_is_read_only_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # as a user who is not root sees it
    (tmp_path / "old.png").write_bytes(b"old")
    for path in ("old.png", "new.png"):
        with pytest.raises(PatchseekError, match="read-only"):
            check_file(tmp_path / path)
    with pytest.raises(PatchseekError, match="read-only"):
        check_folder(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "pictures/1.png", "--save", "nowhere/found.png"], "there is no folder nowhere"),
        (["search", "pictures/1.png", "--save", "found.webp"], "use one of .png, .jpg, .jpeg"),
        (["search", "pictures/1.png", "--parquet", "found.txt"], "use one of .parquet, .pq"),
        (["search", "pictures/1.png", "--parquet", "nowhere/found.parquet"], "there is no folder nowhere"),
        (["index", "pictures", "-c", "new", "--report", "nowhere/report.json"], "there is no folder nowhere"),
        (["eval", ".", "--out", "query.json/out"], "is not a folder"),
        (["backup", "nowhere/copy.tar"], "nowhere"),
        (["backup", "pictures"], "already there"),
        (["restore", "copy.tar", "pictures"], "already there"),
        (["restore", "copy.tar", "nowhere/again"], "there is no folder nowhere"),
        (["encoders", "fetch", "clip", "--folder", "query.json/models"], "is not a folder"),
        (["dataset", "ilias", "prepare", ".", "--out", "query.json/out"], "is not a folder"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_the_work(home, arguments, message):
    before = sorted(path.name for path in home.iterdir())
    done = run(home, *arguments, code=2)
    (line,) = done.stderr.splitlines()
    assert message in line
    assert done.stdout == ""
    assert sorted(path.name for path in home.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "no.png", "--csv", "--json"], "--json and --csv both write to standard output"),
        (["search", "no.png", "--jsonl", "--csv", "--json"], "--json and --jsonl and --csv both"),
        (["search", "no.png", "--save", "found.png", "--preview"], "give one of them"),
        (["search", "no.png", "--depth", "10", "--no-points"], "--no-points is --depth 0"),
        (["search", "no.png", "--since", "2025-01-01", "--until", "2024-01-01"], "nothing was ever changed since"),
        (["search", "no.png", "--until", "soon"], "'soon': a date is written"),
        (["search", "no.png", "--min-confidence", "1.5"], "0<=x<=1"),
        (["search", "--text", "cup", "--preview"], "words alone cannot be drawn"),
        (["index", "nowhere", "--with-points", "--no-points"], "give one of them"),
        (["index", "picture.png", "--exclude", "*.tif"], "picture.png is no folder"),
        (["serve", "--create"], "say where"),
    ],
)
def test_what_contradicts_itself_is_a_wrong_use_and_nothing_is_done(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"")
    with pytest.raises((WrongUse, click.UsageError), match=re.escape(message)):
        cli.main(arguments, standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_parquet_without_its_library_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUse, match="--parquet: pyarrow is not installed"):
        cli.main(["search", "no.png", "--parquet", "found.parquet"], standalone_mode=False)


@pytest.mark.extra("parquet")
def test_results_are_printed_though_what_should_hold_them_turns_out_to_be_full(home):
    (home / "full.png").symlink_to("/dev/full")
    (home / "full.parquet").symlink_to("/dev/full")
    done = run(home, *("search", "pictures/1.png", "--json", "--save", "full.png", "--parquet", "full.parquet"), code=1)
    assert json.loads(done.stdout)["results"][0]["image"] == "1.png"
    lines = [line for line in done.stderr.splitlines() if not line.startswith("collection:")]
    assert len(lines) == 1
    assert "full.parquet: cannot be written" in lines[0]
    assert "full.png: the picture could not be written" in lines[0]


@pytest.mark.extra("parquet")
def test_one_file_that_cannot_be_written_does_not_keep_the_other(home):
    (home / "full2.parquet").symlink_to("/dev/full")
    done = run(home, "search", "pictures/1.png", "--save", "found.png", "--parquet", "full2.parquet", code=1)
    assert "full2.parquet" in done.stderr
    with Image.open(home / "found.png") as sheet:
        assert sheet.width > 100


def test_a_report_that_cannot_be_written_still_has_its_text(tmp_path, home, tiny):
    from patchseek import evaluate as ev
    from patchseek.regions import Pyramid

    dataset, settings = open_dataset(home), ev.EvalSettings(1)
    gallery = ev.encode_gallery(dataset, tiny, Pyramid.up_to(1), tmp_path / "cache")
    features = ev.encode_queries(dataset, tiny)
    results = ev.run_benchmark(dataset, gallery, features, ev.open_engine(gallery, settings), settings)
    (tmp_path / "file").write_text("")
    with pytest.raises(Unwritten) as caught:
        write_report(tmp_path / "file", dataset, {"L1": results}, {"L1": ev.score(results, dataset)})
    assert "| mAP" in caught.value.text
    assert attempt(ev.write_results, results, tmp_path / "file" / "results.json")


def shown(width, results, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    write_table(results)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("several", [False, True])
def test_no_number_of_a_box_is_cut_in_a_terminal_of_any_width(width, several, monkeypatch, capsys):
    result = {
        "rank": 12,
        "image": "holidays/2024/" + "very long name " * 4 + ".jpg",
        "image_id": 3,
        "score": 0.91234,
        "confidence": 0.987,
        "box": BOXES[0],
        "width": 12000,
        "height": 9000,
    }
    if several:
        result["boxes"] = [{"box": box, "score": 0.9} for box in BOXES]
    text = shown(width, [result, result | {"confidence": None}], monkeypatch, capsys)
    lines = text.splitlines()
    for box in BOXES if several else BOXES[:1]:
        assert sum(",".join(map(str, box)) in line for line in lines) == 2
    assert text.count("12000x9000") == 2
    assert "99%" in text
    assert "…" not in text
    name = "".join(line[:200] for line in lines)
    assert name.replace(" ", "").count(".jpg") == 2
