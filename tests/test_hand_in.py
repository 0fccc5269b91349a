"""Accepted finds go into every format, and into a report that needs nothing else."""

import base64
import csv
import hashlib
import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection, __version__
from patchseek.cli import cli
from patchseek.formats import FORMATS
from patchseek.saved import Saved, accepted, hand_in, write_report

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


def id_of(saved, name):
    return next(number for number, _, path in saved.collection.store.paths() if path == name)


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
    (root,) = saved.collection.store.roots()
    query = saved.add("three", root / "3.png")
    list(saved.run("three", top=1, **PLAIN))
    assert [each.record["image"] for each in saved.findings(query)] == ["3.png"]
    saved.judgements.add(query.key, id_of(saved, "1.png"), "yes", LATER)
    found = accepted(saved, query)
    assert [each.record["image"] for each in found] == ["1.png"]
    assert tuple(found[0].record["box"]) == LATER and found[0].record["confidence"] is None


# the report


class Read(HTMLParser):
    """What a page holds, as the standard library's parser sees it."""

    def __init__(self, file):
        super().__init__()
        self.tags, self.links, self.pictures, self.said = Counter(), [], [], []
        self.handlers = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            self.handlers += [name] if name.startswith("on") else []
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.links.append(value)
        if tag == "img":
            content = base64.b64decode(dict(attrs)["src"].removeprefix("data:image/jpeg;base64,"), validate=True)
            self.pictures.append(Image.open(BytesIO(content)).convert("RGB"))

    def handle_data(self, data):
        self.said.append(data.strip())


def reported(saved, home, clock=lambda: 1_750_000_000.0):
    problems = write_report(saved, saved.all(), home / "report.html", clock=clock)
    return Read(home / "report.html"), problems


@pytest.mark.usefixtures("judged")
def test_a_report_says_all_that_is_known_of_each_accepted_find(home, saved):
    saved.add(
        "two & <b>", home / "pictures" / "2.png", note="a note\nof two lines", exclude=home / "pictures" / "3.png"
    )
    page, problems = reported(saved, home)
    assert problems == []
    assert page.tags["h2"] == 3 and page.tags["section"] == 3
    assert {"one", "two & <b>", "zero", "a note", "of two lines"} <= set(page.said)
    assert "No find of it has been accepted." in page.said
    for name in ("0.png", "1.png"):
        file = home / "pictures" / name
        assert hashlib.sha256(file.read_bytes()).hexdigest() in page.said
        changed = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
        assert f"{file}, last changed {changed}" in page.said
    assert "3.2 1.png" in page.said and f"x {LATER[0]}, y {LATER[1]}, 30 x 30 pixels of 64 x 48" in page.said
    settings = saved.collection.store.settings.encoder
    assert page.said.count(f"SHA-256 {settings.weights}") == 4 and page.said.count(f"patchseek {__version__}") == 4
    assert (
        sum(said.endswith("by Ann") for said in page.said) == 2
        and sum(said.endswith("by Bob") for said in page.said) == 1
    )
    row = page.said.index("zero")  # of the table: looked at, runs, finds, accepted, refused, unsure, not judged
    assert [said for said in page.said[row + 1 :] if said][:7] == ["4", "1", "4", "2", "1", "0", "1"]


def test_a_report_needs_nothing_else_and_a_name_does_nothing(home, saved):
    name = "<img src=x onerror=alert(1)> \"><script>alert(2)<script> ' a\nb.png"
    blot(50).save(home / "pictures" / name)
    saved.collection.add(home / "pictures")
    (image,) = saved.collection.store.images([5])
    query = saved.add("<script>alert(3)</script>", home / "pictures" / name, note="</dd><script>alert(4)</script>")
    saved.judgements.add(query.key, image.id, "yes", CUP, who="<script src=//example.org/x.js></script>")
    page, _ = reported(saved, home)
    assert page.tags["script"] == 0 and page.handlers == [] and page.tags["link"] == page.tags["iframe"] == 0
    assert {link.partition(":")[0] for link in page.links} == {"data", "#q1"}
    assert (
        page.tags["img"] == 3 and f"1.1 {name}".replace("\n", "\\n") in page.said
    )  # the query, the find, what is in its box
    text = (home / "report.html").read_text()
    assert "url(" not in text and "@import" not in text and "default-src 'none'" in text


def test_pictures_of_a_report_show_the_box_and_what_is_in_it(home, saved):
    Image.new("RGB", (800, 600), (10, 20, 30)).save(home / "pictures" / "plain.png")
    saved.collection.add(home / "pictures")
    query = saved.add("plain", home / "pictures" / "plain.png", box=(400, 300, 200, 150))
    saved.judgements.add(query.key, 5, "yes", (400, 300, 200, 150))
    page, _ = reported(saved, home)
    asked, found, cut = page.pictures
    assert asked.size == found.size == (560, 420) and cut.size == (200, 150)
    for picture, channel in ((asked, 2), (found, 1)):  # 0.7 of the pixels: 280, 210, 140 x 105; blue asked, green found
        for place in ((281, 260), (418, 260), (350, 211), (350, 313)):
            assert picture.getpixel(place)[channel] > 100, place
        for place in ((270, 260), (430, 260), (350, 260), (350, 200), (350, 325)):
            assert max(picture.getpixel(place)) < 60, place
    assert max(cut.getpixel((0, 0))) < 60


@pytest.mark.usefixtures("judged")
def test_a_report_made_twice_is_the_same_but_for_its_date(home, saved):
    reported(saved, home, lambda: 1_750_000_000.25)
    first = (home / "report.html").read_bytes()
    reported(saved, home, lambda: 1_790_000_000.5)
    second = (home / "report.html").read_bytes()
    dates = [
        datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") for at in (1_750_000_000.25, 1_790_000_000.5)
    ]
    assert first != second and first.count(dates[0].encode()) == 1
    assert first.replace(dates[0].encode(), dates[1].encode()) == second


@pytest.mark.usefixtures("judged")
def test_copies_are_named_together_and_what_has_gone_is_said(home, saved):
    (home / "pictures" / "sub").mkdir()
    shutil.copy(home / "pictures" / "0.png", home / "pictures" / "sub" / "copy.png")
    (home / "pictures" / "1.png").unlink()
    saved.collection.add(home / "pictures", prune=True)
    done = run(home, "query", "report", "--output", home / "report.html", code=3)
    page = Read(home / "report.html")
    assert {"0.png (id 1)", "sub/copy.png (id 5)", "2 files of this content"} <= set(page.said)
    assert page.said.count("1.png: is no longer in the collection") == 2  # it was accepted for both queries
    assert page.said.count("no longer") == 2
    assert done.stderr.count("1.png: is no longer in the collection; it is not shown") == 2


@pytest.mark.usefixtures("judged")
def test_a_damaged_query_does_not_keep_the_report_away(home, saved):
    kept = saved.get("zero")[0].views[0].kept
    with saved.collection.store.catalogue.noting("kept_picture") as db:
        db.execute("UPDATE kept_picture SET content = x'00' WHERE sha256 = ?", (kept,))
    page, problems = reported(saved, home)
    assert len(problems) == 1 and problems[0].startswith("zero: ") and "damaged" in problems[0]
    assert sum("the picture of a saved query is damaged" in said for said in page.said) == 1
    assert len(page.pictures) == 1 + 3 * 2


@pytest.mark.usefixtures("judged")
def test_a_report_is_of_the_queries_that_are_named(home):
    run(home, "query", "report", "one", "--output", home / "one.html")
    page = Read(home / "one.html")
    assert page.tags["section"] == 1 and "zero" not in page.said
    done = CliRunner().invoke(cli, ["query", "report", "--output", str(home / "x.txt"), "-c", str(home / "pictures")])
    assert "use one of .html, .htm" in str(done.exception)
    assert not list(home.glob(".*.tmp"))
