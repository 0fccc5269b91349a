"""What an operator types: commands over a collection of eight pictures."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from .commands import run, run_apart
from .conftest import blot


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Eight pictures, indexed once, and one file that is none."""
    home = tmp_path_factory.mktemp("home")
    (home / "pictures").mkdir()
    for i in range(8):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    (home / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    run(home, "index", "pictures", code=3)
    return home


def first(home, collection, run=run):
    done = run(home, "search", str(home / "pictures" / "3.png"), "-c", collection, "--json", "--top", "1")
    return json.loads(done.stdout)["results"][0]


def test_a_backup_is_restored_elsewhere_and_searched(home):
    assert re.fullmatch(r"copy\.tar: [01]\.\d MB\n", run(home, "backup", "copy.tar", "-c", "pictures").stdout)
    done = run(home, "restore", "copy.tar", "again")
    assert done.stdout == f"again: sound, 8 pictures of {home / 'pictures'}\n"
    assert first(home, "again") == first(home, "pictures")
    assert "0 added, 8 unchanged" in run(home, "index", "pictures", "-c", "again", code=3).stderr
    assert "already there" in run(home, "backup", "copy.tar", "-c", "pictures", code=2).stderr
    assert "already there" in run(home, "restore", "copy.tar", "again", code=2).stderr


@pytest.mark.extra("milvus")
def test_the_engine_is_changed_where_the_pictures_are_gone(home):
    shutil.copytree(home / "pictures" / ".patchseek", home / "alone")
    done = run(home, "use-index", "SQ8", "-c", "alone")
    n_bytes = next((home / "alone" / "indexes").glob("*.faiss")).stat().st_size
    assert f"alone: faiss SQ8, {n_bytes / 1e6:.1f} MB, ready after" in done.stdout
    assert json.loads(run(home, "info", "-c", "alone", "--json").stdout)["index"] == "SQ8"
    assert first(home, "alone")["image"] == "3.png"
    assert "cannot build" in run(home, "use-index", "PQ7", "-c", "alone", code=1).stderr
    assert json.loads(run(home, "info", "-c", "alone", "--json").stdout)["index"] == "SQ8"
    # Milvus Lite's threads say what they like on stderr, whenever they like: it has processes of its own
    assert "alone: milvus milvus_lite-" in run_apart(home, "use-index", "milvus:rows.db", "-c", "alone").stdout
    assert first(home, "alone", run_apart)["image"] == "3.png"
    assert "alone: exact, no bytes of its own" in run(home, "use-index", "exact", "-c", "alone").stdout


def test_a_search_may_be_limited_to_places_tags_and_days(home):
    query, names = str(home / "pictures" / "3.png"), lambda done: {line["image"] for line in json_lines(done.stdout)}
    search = ["search", query, "-c", "pictures", "--jsonl", "--refine", "0"]
    assert names(run(home, *search, "--under", "[0-2].png")) == {"0.png", "1.png", "2.png"}
    assert run(home, "tag", "rare", "1.png", "3.png", "-c", "pictures").stdout == "rare: put on 2 pictures\n"
    assert names(run(home, *search, "--tag", "rare")) == {"1.png", "3.png"}
    assert names(run(home, *search, "--tag", "rare", "--under", str(home / "pictures/1.png"))) == {"1.png"}
    assert run(home, "tag", "-c", "pictures").stdout == "rare: 2\n"
    assert json.loads(run(home, "info", "-c", "pictures", "--json").stdout)["tags"] == {"rare": 2}
    assert run(home, "tag", "rare", "*", "--remove", "-c", "pictures").stdout == "rare: taken off 2 pictures\n"
    assert len(names(run(home, *search, "--since", "2020-01-01"))) == 8
    assert "nothing found" in run(home, *search, "--until", "2020-01-01", code=4).stderr
    assert "matches 'nowhere'" in run(home, *search, "--under", "nowhere", code=1).stderr
    assert "'soon': a date is written" in run(home, *search, "--since", "soon", code=2).stderr
    assert "say which pictures" in run(home, "tag", "rare", code=2).stderr


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def log_lines(done):
    return json_lines(done.stderr)


def test_every_line_on_stderr_is_json_where_that_is_asked_for_and_the_run_leaves_a_report(home, monkeypatch):
    monkeypatch.delenv("PATCHSEEK_QUIET")
    (home / "run.json").write_text("of an older run")
    began = datetime.now(UTC)
    done = run(home, "--log-json", "index", "pictures", "-c", "logged", "--report", "run.json", code=3)
    lines = log_lines(done)
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    times = [datetime.fromisoformat(line["time"]) for line in lines]
    assert all(began <= time <= datetime.now(UTC) for time in times)
    *progress, failure, counts, about = lines
    encoded = [line for line in progress if line["doing"] == "encoding pictures"][-1]
    assert (encoded["done"], encoded["total"]) == (9, 9)
    assert 0 < encoded["rate"] < 9 / 0.01
    assert (failure["level"], failure["image"]) == ("WARNING", "broken.jpg")
    assert failure["reason"] in failure["message"]
    assert (counts["added"], counts["unchanged"], counts["failed"]) == (8, 0, 1)
    assert (about["images"], about["path"]) == (8, "logged")
    report = json.loads((home / "run.json").read_text())
    assert (report["added"], report["unchanged"], report["failed"], report["images"]) == (8, 0, 1, 8)
    assert report["failures"] == [{"image": "broken.jpg", "reason": failure["reason"]}]
    assert report["pictures_per_second"] == pytest.approx(8 / report["seconds"], rel=0.01)
    assert datetime.fromisoformat(report["began"]) <= datetime.fromisoformat(report["ended"])
    assert list(home.glob(".run.json*")) == []


def test_a_report_that_cannot_be_written_is_one_clear_line_before_the_work(home):
    done = run(home, "index", "pictures", "-c", "never", "--report", "nowhere/run.json", code=2)
    assert done.stderr == (
        "patchseek: error: nowhere/run.json: cannot be written (there is no folder nowhere); make it first\n"
    )
    assert not (home / "never").exists()


def test_what_the_library_logs_and_errors_are_json_too(home):
    (home / "pictures" / ".patchseek" / "indexes").mkdir(exist_ok=True)
    run(home, "search", "pictures/3.png", "-c", "pictures", "--index", "SQ8")
    index = next((home / "pictures" / ".patchseek" / "indexes").glob("*.faiss"))
    index.write_bytes(b"damaged")
    done = run(home, "--log-json", "search", "pictures/3.png", "-c", "pictures", "--index", "SQ8", "--json")
    assert json.loads(done.stdout)["results"][0]["image"] == "3.png", "results stay on stdout"
    warning = log_lines(done)[0]
    assert (warning["level"], warning["logger"]) == ("WARNING", "patchseek.indexes._faiss_saved")
    assert "is damaged; building it anew" in warning["message"]
    (error,) = log_lines(run(home, "--log-json", "search", "nowhere.jpg", "-c", "pictures", code=1))
    assert (error["level"], error["error"], error["exit_code"]) == ("ERROR", "ImageError", 1)
    assert error["message"].startswith("nowhere.jpg: ")
    (error,) = log_lines(run(home, "--log-json", "search", "--top", "none", code=2))
    assert (error["level"], error["exit_code"]) == ("ERROR", 2)


def test_an_error_that_nobody_foresaw_is_a_line_with_its_traceback():
    code = "import patchseek.cli as c; c.log_as_json(); c.cli.main = lambda **_: 1 / 0; c.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    (line,) = log_lines(done)
    assert (done.returncode, line["level"], line["message"]) == (1, "CRITICAL", "ZeroDivisionError: division by zero")
    assert line["exception"].startswith("Traceback")
