"""Many queries at once: the same answers as one by one, and from the command line a run that goes on where it ended."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from patchseek import Collection
from patchseek.cli import cli
from patchseek.cli._partial import Partial
from patchseek.cli._search_many import _digest
from patchseek.cli._targets import WrongUse
from patchseek.errors import BoxError, ImageError
from patchseek.formats import Label, Row, by_label, one_a_box

from .conftest import blot

BOXES = {
    "0.png": [(0, 0, 160, 120)],
    "1.png": [(160, 120, 160, 120), (0, 120, 160, 120)],
    "2.png": [(160, 0, 160, 120)],
}
N = 3


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three pictures in a collection that keeps no points, and COCO with four boxes in them of two categories."""
    home = tmp_path_factory.mktemp("home")
    (home / "pictures").mkdir()
    for i in range(N):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    Collection.open(home / "pictures", points=False, create=True).add(home / "pictures")
    boxes = [(i, box) for i, own in enumerate(BOXES.values()) for box in own]
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(BOXES)],
        "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "jug"}],
        "annotations": [
            {"id": 10 + n, "image_id": i, "category_id": 1 + (i == 2), "bbox": box} for n, (i, box) in enumerate(boxes)
        ],
    }
    (home / "coco.json").write_text(json.dumps(content))
    return home


@pytest.fixture(scope="module")
def collection(home):
    return Collection.open(home / "pictures")


def asked(home):
    return [(home / "pictures" / name, box) for name, own in BOXES.items() for box in own]


def alike(one, other):
    """Whether two lists of matches are the same but for the last digits of scores."""
    assert [m.image.path for m in one] == [m.image.path for m in other]
    np.testing.assert_allclose([m.score for m in one], [m.score for m in other], atol=2e-3)
    np.testing.assert_allclose([m.box for m in one], [m.box for m in other], atol=0.02)


@pytest.mark.parametrize(
    "options", [{"refine": 0}, {"refine": 2, "top": 2, "turned": False}, {"refine": 0, "under": "1.png"}]
)
def test_many_answers_are_those_of_one_by_one(home, collection, options):
    many = list(collection.search_many(asked(home), **options))
    assert len(many) == 4
    for matches, (path, box) in zip(many, asked(home), strict=True):
        alike(matches, collection.search(path, box=box, **options))
    assert many[0][0].image.path == ("1.png" if "under" in options else "0.png")


def test_several_pictures_of_one_object_are_one_query(home, collection):
    views = asked(home)[1:3]
    (matches,) = collection.search_many([views], refine=0)
    alike(matches, collection.search([path for path, _ in views], box=[box for _, box in views], refine=0))


def test_what_cannot_be_searched_with_is_told_and_the_rest_goes_on(home, collection):
    first, second, *_ = asked(home)
    (home / "torn.png").write_bytes(b"no picture")
    queries = [first, (first[0], (300, 200, 90, 90)), home / "torn.png", [second, home / "gone.png"], 3]
    problems = {}
    many = list(collection.search_many(queries, on_problem=problems.__setitem__, refine=0))
    assert [len(matches) for matches in many] == [3, 0, 0, 3, 3]
    assert {number: type(error) for number, error in problems.items()} == {1: BoxError, 2: ImageError, 3: ImageError}
    with pytest.raises(BoxError, match="reaches outside"):
        list(collection.search_many(queries, refine=0))
    assert list(collection.search_many([])) == []


def test_an_answer_does_not_depend_on_where_it_was_begun(home, collection, monkeypatch):
    monkeypatch.setattr("patchseek.many.AT_ONCE", 3)
    views = [[pair] for pair in asked(home)]
    whole = list(collection.answer_many(views, refine=0))
    for begin in range(5):
        assert list(collection.answer_many(views, begin=begin, refine=0)) == whole[begin:]


def test_an_empty_collection_finds_nothing(home, tmp_path, tiny):
    empty = Collection.open(tmp_path / "empty", encoder=tiny, points=False, create=True)
    assert list(empty.search_many(asked(home)[:1])) == [[]]


def test_queries_have_ids_of_their_own_and_names_gather_boxes():
    box = (1.0, 2.0, 3.0, 4.0)
    rows = [
        Row("f: 1", "a.jpg", "a.jpg", (Label("cup", box, key="7"), Label("jug", box))),
        Row("f: 2", "a.jpg", "a.jpg", (Label("cup", box, key="7"),)),
        Row("f: 3", "b.jpg", "b.jpg", (Label(""),)),
    ]
    assert [query.id for query in one_a_box(rows)] == ["a.jpg#7", "a.jpg#2", "a.jpg#7~2", "b.jpg"]
    assert [(query.id, len(query.places)) for query in by_label(rows)] == [("cup", 2), ("jug", 1), ("b.jpg", 1)]


# ---- the command line


def search(home, *arguments, code=0):
    command = ["search", "-c", str(home / "pictures"), "--pictures", str(home / "pictures"), "--refine", "0"]
    done = CliRunner().invoke(cli, [*command, *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_every_box_of_a_file_is_a_query_and_results_are_in_one_file(home, tmp_path):
    search(home, "--queries", home / "coco.json", "--top", "1", "--output", tmp_path / "found.json", "--sha256")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [query["id"] for query in found["queries"]] == ["0.png#10", "1.png#11", "1.png#12", "2.png#13"]
    assert [(r["query"], r["label"], r["image"]) for r in found["results"]] == [
        ("0.png#10", "cup", "0.png"),
        ("1.png#11", "cup", "1.png"),
        ("1.png#12", "cup", "1.png"),
        ("2.png#13", "jug", "2.png"),
    ]
    assert found["queries"][1]["box"] == [160, 120, 160, 120] and len(found["results"][0]["sha256"]) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_by_category_all_its_boxes_ask_together(home, tmp_path):
    output = tmp_path / "found.json"
    search(home, "--queries", home / "coco.json", "--by", "category", "--format", "coco", "--output", output)
    found = json.loads(output.read_text())
    assert [c["name"] for c in found["categories"]] == ["cup", "jug"]
    assert len(found["annotations"]) == 2 * N and {a["query"] for a in found["annotations"]} == {"cup", "jug"}


def test_bad_boxes_are_lines_and_the_exit_code_tells(home, tmp_path):
    content = json.loads((home / "coco.json").read_text())
    content["annotations"][0]["bbox"] = [300, 200, 90, 90]
    content["annotations"][1]["category_id"] = 9
    (tmp_path / "coco.json").write_text(json.dumps(content))
    output = tmp_path / "found.csv"
    done = search(home, "--queries", tmp_path / "coco.json", "--format", "csv", "--output", output, code=3)
    lines = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert f"{tmp_path / 'coco.json'}: annotation 2: there is no category 9" in lines[0]
    assert f"{tmp_path / 'coco.json'}: image 1: box 300,200,90,90 reaches outside" in lines[1] and len(lines) == 2
    assert output.read_text().startswith("query,label,rank,") and output.read_text().count("\n") == 1 + 2 * N


def test_where_nothing_is_left_to_ask_with_what_was_written_before_stays(home, tmp_path):
    (tmp_path / "rows.json").write_text('[{"image": "gone.png", "bbox": [1, 2, 3, 4]}]')
    output = tmp_path / "found.json"
    output.write_text("of before")
    done = search(home, "--queries", tmp_path / "rows.json", "--output", output, code=1)
    assert "row 1 ('gone.png'): there is no picture 'gone.png'" in done.stderr
    assert output.read_text() == "of before"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--queries", "x.json"], "name it by --output"),
        (["--queries", "x.json", "--output", "y.json", "query.png"], "takes the place of QUERIES"),
        (["--queries", "x.json", "--output", "y.json", "--text", "a cup"], "--text is for one search"),
        (["--queries", "x.json", "--csv"], "of --queries it is --format csv --output FILE"),
        (["--queries", "x.json", "--parquet", "y.parquet"], "of --queries it is --format parquet --output FILE"),
        (["--queries", "x.json", "--output", "y.json", "--open"], "--open is for one search"),
        (["--queries", "x.json", "--output", "y.txt"], "in which format"),
        (["--queries", "x.json", "--output", "y.csv", "--format", "coco"], "use one of .json"),
        (["--queries", "x.json", "--output", "y.json", "--until", "soon"], "a date is written"),
        (["--queries", "x.json", "--output", "y.json", "--pictures", "z"], "--pictures z: there is no such folder"),
        (["query.png", "--pictures", "."], "give that, too"),
    ],
)
def test_what_does_not_go_together_is_a_wrong_use_and_nothing_is_done(home, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUse, match=words):
        cli.main(["search", "-c", str(home / "pictures"), *arguments], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


def test_killed_and_begun_again_it_gives_the_same_file(home, tmp_path):
    """A process dies while it writes its second record, torn; the next one answers only what is left."""
    arguments = ["search", "-c", home / "pictures", "--queries", home / "coco.json", "--pictures", home / "pictures"]
    arguments += ["--refine", "1", "--top", "2", "--output"]
    run = [*map(str, arguments)]
    die = (
        "import os, sys; from patchseek.cli import _partial, main; append = _partial.Writing._append\n"
        "lines = []\n"
        "def dying(self, line):\n"
        "    lines.append(line)\n"
        "    if len(lines) < 3: return append(self, line)\n"
        "    self._file.write(line.encode()[:20]); self._file.flush(); os.kill(os.getpid(), 9)\n"
        "_partial.Writing._append = dying; sys.argv[0] = 'patchseek'; main()"
    )
    whole, output = tmp_path / "whole.json", tmp_path / "found.json"
    assert CliRunner().invoke(cli, [*run, str(whole)]).exit_code == 0
    killed = subprocess.run([sys.executable, "-c", die, *run, str(output)], env=os.environ, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert not output.exists() and (tmp_path / "found.json.partial").read_bytes().count(b"\n") == 2
    done = CliRunner().invoke(cli, [*run, str(output)])
    assert done.exit_code == 0 and "going on after 1 of 4 queries" in done.stderr
    assert output.read_bytes() == whole.read_bytes() and not (tmp_path / "found.json.partial").exists()


def test_a_damaged_state_or_one_of_other_pictures_is_begun_anew(tmp_path):
    facts = {"of": 1}
    with Partial(tmp_path / "out", facts).writing() as write:
        write({"a": 1})
        write({"a": 2})
    path, whole = tmp_path / "out.partial", (tmp_path / "out.partial").read_bytes()
    assert Partial(tmp_path / "out", facts).read(5) == [{"a": 1}, {"a": 2}]
    assert Partial(tmp_path / "out", {"of": 2}).read(5) == []
    path.write_bytes(whole.replace(b'{"a": 1}', bytes(8)))
    assert Partial(tmp_path / "out", facts).read(5) == []
    picture = tmp_path / "a.png"
    picture.write_bytes(b"one")
    queries = one_a_box([Row("here", "a.png", str(picture), (Label(""),))])
    before = _digest(queries)
    assert _digest(queries) == before
    picture.write_bytes(b"other")
    assert _digest(queries) != before


def test_what_is_begun_of_another_search_is_begun_anew(home, tmp_path):
    output = tmp_path / "found.json"
    (tmp_path / "found.json.partial").write_text('{"queries": "another"}\n{"results": []}\n')
    done = search(home, "--queries", home / "coco.json", "--output", output)
    assert "going on" not in done.stderr and len(json.loads(output.read_text())["results"]) == 4 * N
