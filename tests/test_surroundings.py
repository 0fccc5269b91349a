"""Odd surroundings: no home, streams that are closed or full, letters that cannot be written, a catalogue held."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.errors import StoreDamaged, StoreError, StoreLocked
from patchseek.indexes._owner import owner_of
from patchseek.server import ServerSettings, create_app
from patchseek.store import Writer, _catalogue

from .conftest import blot
from .contract_engine import make_snapshot

FULL = "/dev/full"
NOBODY = """
import pwd, sys
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody  # as in a container whose user has no entry
sys.argv = ["patchseek", *sys.argv[1:]]
from patchseek.cli import main
main()
"""


def run(*arguments, shell="", folder=None, **environment):
    """Run patchseek with the given redirections (`shell`) and no environment but this one."""
    path = os.environ.get("PYTHONPATH", "")
    whole = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "XDG_STATE_HOME": os.devnull} | environment
    command = ["sh", "-c", f'exec "$0" "$@" {shell}', sys.executable, "-m", "patchseek", *arguments]
    done = subprocess.run(command, cwd=folder, env=whole, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done


@pytest.fixture
def collection(tmp_path, make_folder, tiny):
    """A collection of three pictures, one of them with letters outside Latin-1."""
    opened = Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    opened.add(make_folder("a.png", "b.png", "日本.png"))
    with Writer(opened.store) as writer:
        writer.tag("ščerba", [1])
    return opened


@pytest.mark.parametrize("arguments", [["--help"], ["index", "--help"], ["info", "-c", "nowhere"], ["plan", "--help"]])
def test_without_a_home_folder_the_command_answers(arguments, tmp_path):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if "nowhere" in arguments else 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("collection")
def test_without_a_home_folder_nothing_is_noted_and_a_collection_is_found_by_its_folder(tmp_path):
    done = run("info", folder=tmp_path, HOME="")
    assert done.returncode == 1
    assert b"no collection here" in done.stderr
    assert run("info", "-c", "collection", folder=tmp_path, HOME="").returncode == 0


@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["info", "-c", "collection"], ["info", "--json", "-c", "collection"]]
)
@pytest.mark.parametrize("shell", [f">{FULL}", ">&-"], ids=["full", "closed"])
def test_results_that_cannot_be_written_are_an_error_of_one_line(arguments, shell, tmp_path):
    done = run(*arguments, shell=shell, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"patchseek: error: the results cannot be written to standard output (")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize("shell", [f"2>{FULL}", "2>&-", "<&-"], ids=["full", "closed", "no input"])
def test_chatter_that_cannot_be_written_stops_nothing(shell, tmp_path):
    done = run("info", "-c", "collection", shell=shell, folder=tmp_path)
    assert done.returncode == 0
    assert b"images         3" in done.stdout
    assert run("info", "-c", "nowhere", shell=shell, folder=tmp_path).returncode == 1
    assert run("nonsense", shell=shell, folder=tmp_path).returncode == 2


def test_no_file_takes_the_number_of_a_closed_stream(collection, tmp_path):
    before = collection.store.catalogue.path.read_bytes()
    assert run("verify", "-c", "collection", shell="<&- >&- 2>&-", folder=tmp_path).returncode == 1
    assert collection.store.catalogue.path.read_bytes() == before
    assert collection.verify() == []


@pytest.mark.usefixtures("collection")
def test_a_reader_of_results_who_has_enough_is_no_error(tmp_path):
    done = run("encoders", "--help", shell="| true", folder=tmp_path)
    assert done.stderr == b""


@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["latin-1", "ascii", "C"],
)
def test_letters_that_cannot_be_written_become_escapes(environment, tmp_path):
    done = run("tag", "-c", "collection", folder=tmp_path, **environment)
    assert done.returncode == 0
    assert b"\\u0161\\u010derba: 1" in done.stdout
    done = run("remove", "*.png", "-c", "collection", folder=tmp_path, **environment)
    assert done.stdout.split() == [b"a.png", b"b.png", b"\\u65e5\\u672c.png"]


def test_a_catalogue_that_another_program_holds_is_locked_and_not_damaged(collection, monkeypatch, caplog):
    monkeypatch.setattr(_catalogue, "SILENT_SECONDS", 0.01)
    monkeypatch.setattr(_catalogue, "WAIT_SECONDS", 0.02)
    monkeypatch.setattr(_catalogue, "COMMIT_SECONDS", 0.02)
    holder = sqlite3.connect(collection.store.catalogue.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for change in (lambda: len(collection), collection.store.snapshot, lambda: Collection.open(collection.path)):
        with pytest.raises(StoreLocked, match="another program holds the catalogue; nothing was changed"):
            change()
    with pytest.raises(StoreLocked, match="another program holds the catalogue"):
        collection.remove("a.png")
    assert "waiting until nobody else holds the catalogue" in caplog.text
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    holder.execute("ROLLBACK")
    assert len(collection) == 3
    holder.execute("BEGIN")  # a reader that does not end: what is changed cannot be put in
    holder.execute("SELECT count(*) FROM image").fetchall()
    with pytest.raises(StoreLocked):
        collection.remove("a.png")
    holder.execute("ROLLBACK")
    assert collection.remove("a.png") == ["a.png"]
    holder.close()


def test_a_catalogue_that_is_none_is_still_damaged(collection):
    collection.store.catalogue.path.write_bytes(b"no catalogue at all" * 100)
    with pytest.raises(StoreDamaged):
        len(collection)
    with pytest.raises(StoreDamaged), collection.store.catalogue.writing():
        pass


def test_a_folder_whose_name_is_not_utf_8_is_refused_with_advice_or_indexed_as_the_collections_own(tmp_path, tiny):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    blot(1).save(odd / "a.png")
    outside = Collection.open(tmp_path / "outside", encoder=tiny, points=False, create=True)
    with pytest.raises(StoreError, match=r"not valid UTF-8.*rename"):
        outside.add(odd)
    assert len(outside) == 0
    inside = Collection.open(odd / ".patchseek", encoder=tiny, points=False, create=True)
    assert inside.add(odd).added == 1
    inside.use_index("SQ8")
    assert inside.search(odd / "a.png")[0].image.path == "a.png"
    done = run("info", "-c", str(odd), folder=tmp_path)
    assert done.returncode == 0
    assert b"caf\\udce9" in done.stdout


REPORT = """
import sys
from pathlib import Path
from patchseek import evaluate as ev
from patchseek.datasets import open_dataset
from patchseek.regions import Pyramid
from patchseek.report import write_report
from tests.conftest import TinyEncoder
folder, tiny = Path(sys.argv[1]), TinyEncoder()
dataset, settings = open_dataset(folder), ev.EvalSettings(1)
gallery = ev.encode_gallery(dataset, tiny, Pyramid.up_to(1), folder / "cache")
features = ev.encode_queries(dataset, tiny)
results = ev.run_benchmark(dataset, gallery, features, ev.open_engine(gallery, settings), settings)
write_report(folder / "out", dataset, {"L1": results}, {"L1": ev.score(results, dataset)})
"""


def test_a_report_is_utf_8_in_whatever_locale(tmp_path):
    for i in range(3):
        blot(i).save(tmp_path / f"{i}.png")
    query = {"id": "q", "image": "0.png", "instance": "cup", "meta": {"kind": "hrníček"}}
    gallery = [{"id": str(i), "image": f"{i}.png", "instance": ["cup"]} for i in (1, 2)]
    (tmp_path / "query.json").write_text(json.dumps([query]))
    (tmp_path / "gallery.json").write_text(json.dumps(gallery))
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", REPORT, str(tmp_path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env={**os.environ, **plain}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hrníček" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_rows_in_a_database_have_an_owner_in_a_folder_of_any_name(tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    assert owner_of(make_snapshot(), odd, "milvus") == owner_of(make_snapshot(), odd, "milvus")


def test_a_server_tells_a_folder_whose_name_is_not_utf_8_with_escapes(tmp_path, tiny):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    blot(1).save(odd / "a.png")
    collection = Collection.open(odd / ".patchseek", encoder=tiny, points=False, create=True)
    collection.add(odd)
    app = create_app(collection, ServerSettings(allow_dirs=(odd,)))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        about = client.get("/api/collection").json()
        assert (about["name"], about["folders"][0]["name"]) == ("caf\\udce9", "caf\\udce9")
        assert about["path"].endswith("/caf\\udce9/.patchseek")
        assert client.get("/api/images/1").json()["file"].endswith("/caf\\udce9/a.png")
        assert client.post("/api/search", data={"image_id": 1}).json()["results"][0]["image"] == "a.png"
        assert client.post("/api/folders/0/index").json()["title"] == "caf\\udce9"
        assert client.get("/api/jobs").status_code == 200
