"""Saved queries come from annotations in one go, and go into a file and come back the same."""

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import cli
from patchseek.errors import DatasetError, PatchseekError, QueryError
from patchseek.formats import BoxQuery
from patchseek.judgements import Judgements
from patchseek.saved import Saved, read_queries, write_queries
from patchseek.saved._set import names_of

from .conftest import blot

CUP, JUG, LATER = (8, 8, 24, 16), (0, 0, 30, 40), (32, 8, 30, 30)


@pytest.fixture
def home(tmp_path, tiny):
    """Four pictures of 64 x 48 in a collection of the tiny encoder."""
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        blot(number).save(tmp_path / "pictures" / f"{number}.png")
    opened(tmp_path, tiny).add(tmp_path / "pictures")
    return tmp_path


def opened(home, tiny, name="pictures"):
    return Collection.open(home / name, encoder=tiny, points=False, create=True)


@pytest.fixture
def saved(home, tiny):
    return Saved(opened(home, tiny), clock=iter(range(1_700_000_000, 1_800_000_000)).__next__)


def run(home, *arguments, code=0):
    done = CliRunner().invoke(cli, [*map(str, arguments), "-c", str(home / "pictures")])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def coco(home, *boxes, name="set.json"):
    """Annotations (picture, category, box) as COCO has them, beside the pictures."""
    pictures = sorted({picture for picture, _, _ in boxes})
    kinds = sorted({kind for _, kind, _ in boxes})
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in pictures],
        "categories": [{"id": i, "name": kind} for i, kind in enumerate(kinds, 1)],
        "annotations": [
            {"id": 100 + i, "image_id": picture, "category_id": kinds.index(kind) + 1, "bbox": list(box)}
            for i, (picture, kind, box) in enumerate(boxes)
        ],
    }
    (home / "pictures" / name).write_text(json.dumps(content))
    return home / "pictures" / name


# import of annotations


def test_a_set_of_annotations_becomes_queries_under_what_it_calls_them(home, saved):
    file = coco(home, (0, "cup", CUP), (1, "cup", CUP), (1, "jug", JUG))
    done = run(home, "query", "import", file, "--note", "of the set")
    assert "saved 3 queries" in done.stderr
    said = Judgements(saved.collection)
    expected = {"cup": (0, CUP), "cup 2": (1, CUP), "jug": (1, JUG)}
    found = {query.name: query for query in saved.all()}
    assert set(found) == set(expected)
    for name, (picture, box) in expected.items():
        query = found[name]
        assert query.key == said.key(home / "pictures" / f"{picture}.png", box=box), name
        assert query.note == "of the set" and query.views[0].file == f"{picture}.png"


def test_what_cannot_be_saved_is_a_line_with_its_place_and_the_rest_goes_on(home, saved):
    saved.add("vase", home / "pictures" / "3.png")
    outside, missing = (60, 40, 30, 30), (0, 0, 9, 9)
    file = coco(
        home,
        *((0, "cup", CUP), (1, "lid", outside), (9, "pot", missing)),
        *((2, "vase", CUP), (0, "mug", CUP), (3, "x" * 201, CUP), (2, "jug", JUG)),
    )
    done = run(home, "query", "import", file, code=3)
    failed = [line for line in done.stderr.splitlines() if "failed: " in line]
    assert [query.name for query in saved.all()] == ["cup", "jug", "vase"]
    for words in (
        ("set.json", "60,40,30,30 reaches outside"),
        ("set.json", "there is no picture '9.png'"),
        ("set.json", "'vase': there is a saved query of this name already"),
        ("set.json", "'mug': the same is saved already, as 'cup'"),
        ("set.json", "a name is a line of 1 to 200 characters"),
    ):
        assert sum(all(word in line for word in words) for line in failed) == 1, (words, failed)
    assert len(failed) == 5
    again = run(home, "query", "import", file, code=3)
    assert again.stderr.count("there is a saved query of this name already") == 3  # and what failed fails again


def test_all_boxes_of_a_category_are_pictures_of_one_query_and_a_bad_one_is_left_out(home, saved):
    file = coco(home, (0, "cup", CUP), (1, "cup", (60, 40, 30, 30)), (2, "cup", LATER), (2, "jug", JUG))
    done = run(home, "query", "import", file, "--by", "category", code=3)
    cup, jug = saved.all()
    assert [(view.file, view.box) for view in cup.views] == [("0.png", CUP), ("2.png", LATER)]
    assert [(view.file, view.box) for view in jug.views] == [("2.png", JUG)]
    assert done.stderr.count("failed: ") == 1


def test_a_folder_of_pictures_and_pictures_elsewhere(home, saved):
    (home / "marks").mkdir()
    blot(70).save(home / "marks" / "anchor.png")
    (home / "marks" / "torn.png").write_bytes(b"\x89PNG no more")
    run(home, "query", "import", home / "marks", code=3)
    assert [query.name for query in saved.all()] == ["anchor.png"]
    shutil.move(coco(home, (1, "jug", JUG)), home / "marks" / "set.json")
    run(home, "query", "import", home / "marks" / "set.json", "--pictures", home / "pictures")
    assert saved.get("jug")[0].views[0].box == JUG


def test_a_set_takes_the_place_of_what_was_saved_before(home, saved):
    run(home, "query", "import", coco(home, (0, "cup", CUP)))
    run(home, "query", "import", coco(home, (0, "cup", LATER)), "--replace")
    (cup,) = saved.all()
    assert cup.views[0].box == LATER


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["cup", "cup", "cup"], ["cup", "cup 2", "cup 3"]),
        (["cup", "cup", "cup 2"], ["cup", "cup 3", "cup 2"]),
        (["", "cup", ""], ["#0", "cup", "#2"]),
    ],
)
def test_names_are_made_unique(labels, names):
    assert names_of([BoxQuery(f"#{i}", label, (), ()) for i, label in enumerate(labels)]) == names


# a file of queries


@pytest.fixture
def three(home, saved):
    """A query of a box, one of two pictures with one that is not meant and words, and one cut out of a large file."""
    saved.add("cup", home / "pictures" / "0.png", box=CUP, note="a note", who="Ann")
    views = [home / "pictures" / "1.png", home / "pictures" / "2.png"]
    saved.add("jug", views, box=[JUG, None], exclude=home / "pictures" / "3.png", text="a jug")
    noise = np.random.default_rng(1).integers(0, 255, (1000, 1200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(home / "large.png")
    saved.add("large", home / "large.png", box=(400, 300, 200, 160))
    (home / "large.png").unlink()
    return home / "queries.zip"


def elsewhere(home, tiny):
    """Another, empty collection."""
    return Saved(opened(home, tiny, "other"), clock=lambda: 5.0)


def test_queries_come_back_the_same_in_another_collection(home, saved, three, tiny):
    assert "3 queries" in run(home, "query", "export", "--output", three).stderr
    other = elsewhere(home, tiny)
    done = read_queries(other, three)
    assert list(done.saved) == other.all() == saved.all() and done.problems == ()
    for query in other.all():
        for view in query.views:
            content = other.picture(view)
            assert hashlib.sha256(content).hexdigest() == view.kept and content == saved.picture(view)
    cut = other.get("large")[0].views[0]
    assert Image.open(BytesIO(other.picture(cut))).size == (300, 240) and cut.corner == (350, 260)


def test_removed_queries_come_back_by_the_command_line(home, saved, three):
    before = saved.all()
    run(home, "query", "export", "jug", "large", "--output", three)
    saved.remove("jug", "large")
    done = run(home, "query", "import", three)
    assert "saved 2 queries" in done.stderr and saved.all() == before
    again = run(home, "query", "import", three, code=3)
    assert again.stderr.count("there is a saved query of this name already") == 2


def test_the_same_queries_are_the_same_bytes_and_each_picture_is_there_once(home, saved, three):
    saved.add("cup again", home / "pictures" / "0.png", box=LATER)
    files = []
    for _ in range(2):
        assert write_queries(saved, saved.all(), three) == []
        files.append(three.read_bytes())
    assert files[0] == files[1]
    with zipfile.ZipFile(three) as archive:
        names = [name for name in archive.namelist() if name != "queries.json"]
        assert len(names) == len(set(names)) == 5
        for name in names:
            assert hashlib.sha256(archive.read(name)).hexdigest() == Path(name).stem


def test_a_query_whose_pixels_are_damaged_is_left_out_of_the_file(home, saved, three):
    kept = saved.get("cup")[0].views[0].kept
    with saved.collection.store.catalogue.noting("kept_picture") as db:
        db.execute("UPDATE kept_picture SET content = x'00' WHERE sha256 = ?", (kept,))
    assert "failed: cup: " in run(home, "query", "export", "--output", three, code=3).stderr
    saved.remove("jug", "large")
    assert run(home, "query", "import", three).stderr.count("failed") == 0


@dataclass
class Held:
    """What is in a file of queries."""

    members: dict[str, bytes]
    # the pictures, and what else
    listed: Any

    @property
    def first(self):
        return self.listed["queries"][0]

    @property
    def view(self):
        """The picture of the first one."""
        return self.first["views"][0]

    @property
    def name(self):
        """Of its member."""
        return next(name for name in self.members if self.view["kept"] in name)


def test_a_file_whose_name_is_no_text_is_saved_and_comes_back(home, saved, tiny):
    path = Path(os.fsdecode(os.fsencode(home) + b"/\xff.png"))
    blot(20).save(path)
    query = saved.add("odd", path)
    assert query.views[0].file == "\\udcff.png" and saved.all() == [query]
    write_queries(saved, [query], home / "q.zip")
    assert list(read_queries(elsewhere(home, tiny), home / "q.zip").saved) == [query]


def rewritten(file, change, compression=zipfile.ZIP_STORED):
    """Write the file anew, with something changed."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    held = Held(members, json.loads(members.pop("queries.json")))
    change(held)
    held.members.setdefault("queries.json", json.dumps(held.listed).encode())
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in held.members.items():
            archive.writestr(name, content)


FAULTS = {
    "bytes of its picture": lambda held: held.members.update({held.name: b"\0" + held.members[held.name][1:]}),
    "is not in the file": lambda held: held.members.pop(held.name),
    "its key is not that of": lambda held: held.view["box"].__setitem__(0, 9),
    "lies outside its picture": lambda held: held.view["box"].__setitem__(2, 900),
    "'sizes' is 3 whole": lambda held: held.view.update(width=10**30),
    "a name is a line": lambda held: held.first.update(name="a\nb"),
    "'name' is None": lambda held: held.first.pop("name"),
    "'note' is": lambda held: held.first.update(note="\ud800"),
    "'at' is seconds": lambda held: held.first.update(at=1e300),
    "'views' is": lambda held: held.first.update(views="none"),
    "a query is an object": lambda held: held.listed["queries"].__setitem__(0, 7),
    "64 hexadecimal": lambda held: held.view.update(kept="../../etc/passwd"),
    "there is a saved query": lambda held: held.first.update(name="taken"),
    "the same is saved": lambda held: held.listed["queries"].insert(0, {**held.listed["queries"][1], "name": "first"}),
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_query_that_is_not_what_was_written_is_one_line_and_the_others_come(home, saved, three, tiny, line):
    write_queries(saved, saved.all(), three)
    rewritten(three, FAULTS[line])
    other = elsewhere(home, tiny)
    other.add("taken", home / "pictures" / "3.png", box=LATER)
    done = read_queries(other, three)
    assert len(done.problems) == 1 and line in done.problems[0] and "\n" not in done.problems[0]
    assert str(three) in done.problems[0] and "query " in done.problems[0]
    assert len(done.saved) == (3 if line == "the same is saved" else 2)


def test_what_is_kept_must_hold_the_box(home, saved, three, tiny):
    def move(held):
        (view,) = held.listed["queries"][2]["views"]
        view["corner"] = [0, 0]  # which no key tells

    write_queries(saved, saved.all(), three)
    rewritten(three, move)
    done = read_queries(elsewhere(home, tiny), three)
    assert len(done.saved) == 2 and "is not in the 300 x 240 pixels kept of it" in done.problems[0]


def test_nothing_is_unpacked_and_sizes_are_limited(home, saved, three, monkeypatch):
    zeros = bytes(3 << 20)
    digest = hashlib.sha256(zeros).hexdigest()

    def swell(held):
        held.members["../outside.txt"] = held.members["/tmp/patchseek-outside.txt"] = b"out"
        held.members[f"pictures/{digest}.png"] = zeros
        held.view["kept"] = digest

    write_queries(saved, saved.all(), three)
    rewritten(three, swell, zipfile.ZIP_DEFLATED)
    assert three.stat().st_size < 3 << 20
    monkeypatch.setattr("patchseek.saved._bundle.MOST", 2 << 20)
    before = sorted(home.rglob("*"))
    done = read_queries(saved, three, replace=True)
    assert "more than 2 MB" in done.problems[0] and len(done.problems) == 1 and len(done.saved) == 2
    assert {path for path in set(home.rglob("*")) - set(before) if "catalogue" not in path.name} == set()
    assert not Path("/tmp/patchseek-outside.txt").exists()


def without(change):
    return lambda file: rewritten(file, change)


NO_QUERIES = {
    "cannot be read as a zip file": lambda file: file.write_bytes(b"PK no zip"),
    "no saved queries in it; such": lambda file: zipfile.ZipFile(file, "w").close(),
    "no saved queries in it that": without(lambda held: held.listed.update(patchseek_queries=2)),
    "not valid JSON": without(lambda held: held.members.update({"queries.json": b"{"})),
    "not UTF-8": without(lambda held: held.members.update({"queries.json": b"\xff"})),
}


@pytest.mark.parametrize("line", NO_QUERIES)
def test_a_file_without_saved_queries_is_one_line(saved, three, line):
    write_queries(saved, saved.all(), three)
    NO_QUERIES[line](three)
    with pytest.raises(DatasetError, match=line) as raised:
        read_queries(saved, three)
    assert str(raised.value).startswith(str(three)) and "\n" not in str(raised.value)


def test_whatever_byte_is_wrong_only_lines_come_of_it(home, saved, three, tiny):
    write_queries(saved, saved.get("cup"), three)
    whole, rng, other = three.read_bytes(), np.random.default_rng(0), elsewhere(home, tiny)
    n_whole = 0
    for place in rng.integers(0, len(whole), 80):
        torn = bytearray(whole[:place] if place % 7 == 0 else whole)
        if place % 7:
            torn[place] ^= int(rng.integers(1, 256))
        three.write_bytes(bytes(torn))
        try:
            n_whole += bool(read_queries(other, three, replace=True).saved)
        except PatchseekError as error:
            assert "\n" not in str(error)
    assert n_whole < 80
    assert all(query.key == saved.get("cup")[0].key for query in other.all())


def test_wrong_use_of_the_file(home, saved, three):
    for arguments in (
        ["--output", "q.json"],
        [],
        ["--format", "csv", "--output", "f.csv"],
        ["--accepted"],
        ["--accepted", "--finds", "--format", "csv"],
        ["--accepted", "--format", "yolo"],
    ):
        done = CliRunner().invoke(cli, ["query", "export", *arguments, "-c", str(home / "pictures")])
        assert done.exception is not None and type(done.exception).__name__ == "WrongUse", arguments
    saved.remove("cup", "jug", "large")
    for arguments in (["export", "--output", three], ["report", "--output", home / "r.html"]):
        done = CliRunner().invoke(cli, ["query", *map(str, arguments), "-c", str(home / "pictures")])
        assert isinstance(done.exception, QueryError) and "no query is saved" in str(done.exception)
    assert not three.exists() and not list(home.glob(".queries*"))
