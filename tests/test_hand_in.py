"""Accepted finds go into every format and into a report that needs nothing else; places are judged by a command."""

import csv
import hashlib
import json
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import cli
from patchseek.formats import FORMATS
from patchseek.saved import Saved, accepted, hand_in

from .conftest import blot

PLAIN = {"refine": 0, "depth": 0, "turned": False}
CUP, LATER = (8, 8, 24, 16), (32, 8, 30, 30)


@pytest.fixture
def home(tmp_path, tiny):
    """Four pictures of 64 x 48 in a collection of the tiny encoder."""
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        blot(number).save(tmp_path / "pictures" / f"{number}.png")
    opened(tmp_path, tiny).add(tmp_path / "pictures")
    return tmp_path


def opened(home, tiny):
    return Collection.open(home / "pictures", encoder=tiny, points=False, create=True)


@pytest.fixture
def saved(home, tiny):
    return Saved(opened(home, tiny), clock=iter(range(1_700_000_000, 1_800_000_000)).__next__)


def run(home, *arguments, code=0):
    done = CliRunner().invoke(cli, [*map(str, arguments), "-c", str(home / "pictures")])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def size(file):
    with Image.open(file) as picture:
        return picture.size


@pytest.fixture
def judged(home, saved):
    """Two queries that have found all four: of "zero", 0 is accepted as found, 1 with another box, 2 refused."""
    saved.add("zero", home / "pictures" / "0.png", box=CUP)
    saved.add("one", home / "pictures" / "1.png")
    list(saved.run(**PLAIN))
    zero, one = saved.get("zero", "one")
    found = {each.record["image"]: each for each in saved.findings(zero)}
    assert len(found) == 4
    for name, verdict, box in (("0.png", "yes", None), ("1.png", "yes", LATER), ("2.png", "no", None)):
        record = found[name].record
        saved.judgements.add(zero.key, record["image_id"], verdict, box or record["box"], who="Ann")
    saved.judgements.add(one.key, 2, "yes", (0, 0, 64, 48), who="Bob")
    return {name: tuple(each.record["box"]) for name, each in found.items()}


def test_the_record_of_an_accepted_find_has_the_box_that_was_judged(saved, judged):
    found = {each.record["image"]: each.record for each in saved.findings(saved.get("zero")[0])}
    assert tuple(found["1.png"]["box"]) == LATER != judged["1.png"]
    assert tuple(found["0.png"]["box"]) == judged["0.png"] and found["0.png"]["verdict"] == "yes"
    saved.judgements.add(saved.get("zero")[0].key, found["2.png"]["image_id"], "no", LATER)
    again = {each.record["image"]: each.record for each in saved.findings(saved.get("zero")[0])}
    assert tuple(again["2.png"]["box"]) == judged["2.png"]  # a refusal says nothing of where it is


@pytest.mark.usefixtures("judged")
def test_a_corrected_box_takes_what_was_said_of_the_old_one_away(saved):
    zero = saved.get("zero")[0]
    told = json.dumps({"boxes": [{"box": [1, 1, 2, 2], "score": 1.0}], "outline": [[0, 0]] * 4})
    with saved.collection.store.catalogue.noting("query_find") as db:
        db.execute("UPDATE query_find SET record = json_patch(record, ?)", (told,))
    found = {each.record["image"]: each.record for each in saved.findings(zero)}
    assert "boxes" in found["0.png"] and "boxes" in found["2.png"]
    assert not {"boxes", "outline"} & set(found["1.png"])


def test_accepted_finds_as_csv_say_box_query_and_who(home, judged):
    run(home, "query", "export", "--accepted", "--format", "csv", "--output", home / "found.csv")
    with (home / "found.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = [(row["query"], row["label"], row["image"], tuple(int(row[k]) for k in "xywh")) for row in rows]
    assert sorted(told) == [
        ("one", "one", "1.png", (0, 0, 64, 48)),
        ("zero", "zero", "0.png", judged["0.png"]),
        ("zero", "zero", "1.png", LATER),
    ]
    assert {(row["query"], row["judged_by"], row["verdict"]) for row in rows} == {
        ("zero", "Ann", "yes"),
        ("one", "Bob", "yes"),
    }
    for row in rows:
        assert row["sha256"] == hashlib.sha256((home / "pictures" / row["image"]).read_bytes()).hexdigest()
        assert row["judged_at"].startswith("2023-11-14T")  # 1,700,000,000 seconds since 1970
    assert [row["rank"] for row in rows if row["query"] == "zero"] == ["1", "2"]


@pytest.mark.usefixtures("judged")
def test_all_probable_finds_leave_out_what_was_refused(home):
    done = run(home, "query", "export", "zero", "--finds", "--format", "jsonl")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["image"] for each in found} == {"0.png", "1.png", "3.png"}
    assert {each["image"]: each["verdict"] for each in found}["3.png"] is None
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)


def with_its_library(name):
    return pytest.param(name, marks=pytest.mark.extra("parquet")) if name == "parquet" else name


@pytest.mark.parametrize("name", [with_its_library(name) for name in FORMATS])
def test_every_format_is_written(home, judged, name):
    suffix = (FORMATS[name].suffixes or ("",))[0]
    target = home / f"out{suffix}"
    run(home, "query", "export", "--accepted", "--format", name, "--output", target)
    files = [path for path in target.rglob("*") if path.is_file()] if FORMATS[name].is_folder else [target]
    assert files and all(path.stat().st_size for path in files)
    if name == "crops":
        assert sorted(map(size, files)) == sorted([judged["0.png"][2:], LATER[2:], (64, 48)])


def test_accepted_finds_are_read_by_pycocotools(home, judged, capsys):
    from pycocotools.coco import COCO

    run(home, "query", "export", "--accepted", "--format", "coco", "--output", home / "found.json")
    read = COCO(home / "found.json")
    capsys.readouterr()
    names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
    files = {each["id"]: each["file_name"] for each in read.loadImgs(read.getImgIds())}
    boxes = {(names[a["category_id"]], files[a["image_id"]]): tuple(a["bbox"]) for a in read.loadAnns(read.getAnnIds())}
    assert boxes == {
        ("zero", "0.png"): judged["0.png"],
        ("zero", "1.png"): LATER,
        ("one", "1.png"): (0, 0, 64, 48),
    }


@pytest.mark.usefixtures("judged")
def test_what_has_gone_is_left_out_with_a_line(home, saved):
    (home / "pictures" / "0.png").unlink()
    blot(99).save(home / "pictures" / "1.png")
    done = run(home, "query", "export", "--accepted", "--format", "jsonl", code=3)
    assert done.stdout == ""
    assert "zero: 0.png: its file is gone; left out" in done.stderr
    assert done.stderr.count("changed since it was indexed") == 2
    saved.collection.add(home / "pictures", prune=True)
    assert (
        "zero: 0.png: is no longer in the collection"
        in run(home, "query", "export", "--accepted", "--format", "csv", code=3).stderr
    )


@pytest.mark.usefixtures("judged")
def test_a_copy_stands_for_a_file_that_is_gone(home, saved):
    shutil.copy(home / "pictures" / "0.png", home / "pictures" / "copy.png")
    saved.collection.add(home / "pictures")
    (home / "pictures" / "0.png").unlink()
    done = hand_in(saved, saved.get("zero"))
    assert [result["image"] for result in done.answer.results] == ["copy.png", "1.png"] and not done.problems


@pytest.mark.usefixtures("judged")
def test_what_was_accepted_and_no_run_has_found_is_handed_in(saved):
    zero = saved.get("zero")[0]
    list(saved.run("zero", top=1, **PLAIN))  # other options: their finds take the place of those of before
    assert len(saved.findings(zero)) == 1
    found = accepted(saved, zero)
    assert [each.record["image"] for each in found] == ["0.png", "1.png"]
    assert tuple(found[1].record["box"]) == LATER and found[1].record["confidence"] is None
