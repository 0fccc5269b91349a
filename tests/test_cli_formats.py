"""The command line writes in every format, and judges before the search what could not be written."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from patchseek import Collection
from patchseek.cli import cli
from patchseek.cli._targets import WrongUse

from .conftest import TinyEncoder, blot


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A collection of three pictures, of the tiny encoder and without points."""
    home = tmp_path_factory.mktemp("home")
    (home / "pictures").mkdir()
    for i in range(3):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    Collection.open(home / "pictures", encoder=TinyEncoder(), points=False, create=True).add(home / "pictures")
    return home


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch):
    monkeypatch.setattr("patchseek.collection.open_encoder", lambda *_, **__: TinyEncoder())


def search(home, *arguments):
    """Search in the same process with a part of picture 1."""
    command = ["search", str(home / "pictures" / "1.png"), "--box", "160,120,160,120", "-c", str(home / "pictures")]
    done = CliRunner().invoke(cli, [*command, "--top", "2", "--refine", "0", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def test_a_format_of_text_goes_to_standard_output_as_its_short_form_does(home):
    for name in ("json", "jsonl", "csv"):
        assert search(home, "--format", name).stdout == search(home, f"--{name}").stdout
    coco = json.loads(search(home, "--format", "coco", "--label", "cup").stdout)
    assert [c["name"] for c in coco["categories"]] == ["cup"] and coco["images"][0]["file_name"] == "1.png"


def test_a_file_is_written_beside_what_is_printed(home, tmp_path):
    done = search(home, "--format", "coco", "--output", tmp_path / "found.json", "--sha256", "--json")
    coco, printed = json.loads((tmp_path / "found.json").read_text()), json.loads(done.stdout)
    assert [a["bbox"] for a in coco["annotations"]] == [r["box"] for r in printed["results"]]
    assert [i["sha256"] for i in coco["images"]] == [r["sha256"] for r in printed["results"]]
    assert coco["info"]["weights"] == printed["collection"]["weights"]


SAY = {
    "found.json": "json",
    "found.JSONL": "jsonl",
    "found.ndjson": "jsonl",
    "found.csv": "csv",
    "found.parquet": "parquet",
    "found.pq": "parquet",
    "found.xml": "cvat",
    "found.jsonld": "annotations",
}
"""What the suffix of an --output says, where no --format is given."""


@pytest.mark.parametrize("many", [False, True], ids=["one search", "many"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.extra("parquet") if SAY[name] == "parquet" else ()) for name in SAY]
)
def test_a_suffix_says_the_format(name, many, home, tmp_path):
    pictures = home / "pictures"
    asked = ["--queries", pictures / "1.png"] if many else [pictures / "1.png", "--box", "160,120,160,120"]
    command = ["search", *map(str, asked), "-c", str(pictures), "--refine", "0", "--output"]
    said, named = tmp_path / name, tmp_path / f"named{Path(name).suffix}"
    done = CliRunner().invoke(cli, [*command, str(said)])
    assert done.exit_code == 0 and f"written: {said}" in done.stderr, done.output
    assert CliRunner().invoke(cli, [*command, str(named), "--format", SAY[name]]).exit_code == 0
    assert said.read_bytes() == named.read_bytes()


def test_points_are_said_in_json_however_that_is_asked_for(home, tmp_path):
    """--why: of a collection without points there are none, but it is no wrong use."""
    for form in (["--json"], ["--format", "jsonl"], ["--output", tmp_path / "found.json"]):
        search(home, "--why", *form)
    with pytest.raises(WrongUse, match="--why is said in a picture or in JSON"):
        cli.main(["search", "x.png", "--why", "--output", str(tmp_path / "found.csv")], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "x"], "in which format.* name it by --format: folders are yolo, voc, xmp, crops"),
        (["--output", "x.txt"], "in which format.* .csv, .json, .jsonl, .jsonld, .ndjson, .parquet, .pq, .xml say it"),
        (["--output", "no/x.csv"], "there is no folder no"),
        (["--format", "yolo"], "--format yolo is a folder: name it by --output"),
        pytest.param(["--format", "parquet"], "--format parquet is a file", marks=pytest.mark.extra("parquet")),
        (["--format", "coco", "--json"], "both write to standard output"),
        (["--format", "crops", "--output", "x", "--server", "http://127.0.0.1:1"], "looks at the pictures"),
        (["--format", "nonsense"], "is not one of"),
        (["--format", "cvat", "--output", "found.json"], "cannot be written as '.json'; use one of .xml"),
    ],
)
def test_what_cannot_be_written_is_a_wrong_use_and_nothing_is_done(home, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((WrongUse, click.UsageError), match=words):
        cli.main(["search", "no.png", "-c", str(home / "pictures"), *arguments], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_are_left_out_are_said_and_the_exit_code_tells(home, tmp_path):
    (home / "pictures" / "1.png").rename(home / "1.png")
    try:
        (home / "pictures" / "1.png").symlink_to(home / "nowhere.png")
        command = ["search", str(home / "1.png"), "-c", str(home / "pictures"), "--refine", "0"]
        done = CliRunner().invoke(cli, [*command, "--format", "crops", "--output", str(tmp_path / "crops")])
    finally:
        (home / "pictures" / "1.png").unlink()
        (home / "1.png").rename(home / "pictures" / "1.png")
    assert done.exit_code == 3, done.output
    assert len(list((tmp_path / "crops").iterdir())) == 2
    assert "1.png" in done.stdout  # the table is there all the same
