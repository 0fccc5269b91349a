"""Saved queries outlive their files, are asked of what is new alone, and find what a search finds."""

import json
import sqlite3
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from patchseek import Collection
from patchseek.cli import cli
from patchseek.errors import BoxError, QueryError, StoreDamaged
from patchseek.judgements import Judgements
from patchseek.saved import Saved

from .conftest import blot

BOX = (80, 60, 160, 120)
PLAIN = {"refine": 0, "depth": 0, "turned": False}


@pytest.fixture
def home(tmp_path):
    """Five pictures in a collection without points."""
    (tmp_path / "pictures").mkdir()
    for number in range(5):
        blot(number, 320, 240).save(tmp_path / "pictures" / f"{number}.png")
    Collection.open(tmp_path / "pictures", points=False, create=True).add(tmp_path / "pictures")
    return tmp_path


@pytest.fixture
def saved(home):
    return Saved(Collection.open(home / "pictures"), clock=iter(range(1_700_000_000, 1_800_000_000)).__next__)


def come(home, saved, *numbers):
    """Pictures come, and are indexed."""
    for number in numbers:
        blot(number, 320, 240).save(home / "pictures" / f"{number}.png")
    saved.collection.add(home / "pictures")


def names(finds):
    return [find.record["image"] for find in finds]


def test_a_saved_query_finds_what_a_search_finds_after_its_file_is_gone(home, saved):
    blot(3, 320, 240).save(home / "query.png")
    expected = saved.collection.search(home / "query.png", box=BOX, exclude=home / "pictures" / "4.png", **PLAIN)
    saved.add("three", home / "query.png", box=BOX, exclude=home / "pictures" / "4.png", note="north")
    (home / "query.png").unlink()
    (told,) = saved.run(**PLAIN)
    assert names(told.finds) == [match.image.path for match in expected] and "4.png" not in names(told.finds)
    assert [find.record["box"] for find in told.finds] == [list(match.pixels) for match in expected]
    np.testing.assert_allclose(
        [find.record["score"] for find in told.finds], [match.score for match in expected], atol=2e-3
    )


def test_of_a_large_file_what_lies_around_the_box_is_kept_and_searches_as_the_whole(saved, tmp_path):
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (1000, 1200, 3), dtype=np.uint8)).save(tmp_path / "large.png")
    box = (400, 300, 200, 160)
    query = saved.add("large", tmp_path / "large.png", box=box)
    (view,) = query.views
    kept = saved.picture(view)
    with Image.open(tmp_path / "large.png") as whole, Image.open(BytesIO(kept)) as cut:
        assert cut.size == (300, 240)  # a quarter of the box's sides on each side of it
        assert np.array_equal(np.asarray(cut), np.asarray(whole)[260:500, 350:650])
    expected = saved.collection.search(tmp_path / "large.png", box=box, **PLAIN)
    (told,) = saved.run(**PLAIN)
    assert names(told.finds) == [match.image.path for match in expected]
    assert told.finds[0].record["score"] == pytest.approx(expected[0].score, abs=2e-3)
    assert view.box == box and (view.width, view.height) == (1200, 1000)


def test_its_judgements_are_those_of_the_same_search(home, saved):
    said = Judgements(saved.collection)
    path = home / "pictures" / "2.png"
    query = saved.add("two", path, box=BOX)
    assert query.key == said.key(path, box=BOX) == said.key(3, box=BOX)
    with pytest.raises(QueryError, match="the same is saved already, as 'two'"):
        saved.add("id", 3, box=BOX)
    (told,) = saved.run(**PLAIN)
    image_id = told.finds[0].record["image_id"]
    said.add(query.key, image_id, "no", (0, 0, 10, 10))
    found = {each.record["image_id"]: each for each in saved.findings(query)}
    assert found[image_id].verdict == "no" and {each.verdict for each in found.values()} == {"no", None}
    assert saved.summary(query)["judged"] == {"yes": 0, "no": 1, "unsure": 0}


def test_new_pictures_alone_are_looked_at_and_what_is_known_is_no_news(home, saved):
    saved.add("three", home / "pictures" / "3.png")
    (first,) = saved.run(**PLAIN)
    assert first.n_looked_at == 5 and set(names(first.finds)) == {f"{n}.png" for n in range(5)}
    assert [told.n_looked_at for told in saved.run(only_new=True, **PLAIN)] == [0]
    come(home, saved, 7, 8)
    blot(3, 320, 240).save(home / "pictures" / "copy.png")  # of what was found before
    saved.collection.add(home / "pictures")
    (second,) = saved.run(only_new=True, **PLAIN)
    assert second.n_looked_at == 3 and set(names(second.finds)) == {"7.png", "8.png", "copy.png"}
    assert "copy.png" not in names(second.new)
    (query,) = saved.all()
    assert len(saved.findings(query)) == 7  # the copy is the picture of before
    (copied,) = [each for each in saved.findings(query) if len(each.images) == 2]
    assert {image.path for image in copied.images} == {"3.png", "copy.png"}


def test_how_a_query_is_asked_is_remembered(home, saved):
    saved.add("three", home / "pictures" / "3.png")
    list(saved.run(top=2, **PLAIN))
    come(home, saved, 7, 8, 9)
    (told,) = saved.run(only_new=True)
    assert told.n_looked_at == 3 and len(told.finds) == 2
    assert [told.n_looked_at for told in saved.run(only_new=True, top=2)] == [0]


def test_other_options_ask_anew_and_again_asks_what_has_been_asked(home, saved):
    saved.add("three", home / "pictures" / "3.png")
    list(saved.run(**PLAIN))
    assert [told.n_looked_at for told in saved.run(**PLAIN)] == [0]
    assert [told.n_looked_at for told in saved.run(again=True, **PLAIN)] == [5]
    (told,) = saved.run(only_new=True, top=2, **PLAIN)
    assert told.n_looked_at == 5 and len(told.finds) == 2
    assert len(saved.findings(told.query)) == 2  # those of other options are gone


def test_what_was_judged_stays_with_its_confidence_whatever_a_later_run_finds(home, saved):
    query = saved.add("three", home / "pictures" / "3.png")
    (told,) = saved.run(**PLAIN)
    last = told.finds[-1]
    Judgements(saved.collection).add(query.key, last.record["image_id"], "yes", last.record["box"])
    list(saved.run(top=2, **PLAIN))
    found = {each.find.content: each for each in saved.findings(query)}
    assert len(found) == 3 and found[last.content].verdict == "yes"
    assert found[last.content].record["score"] == last.record["score"]


def test_options_that_are_said_and_those_that_are_so_anyway_are_the_same(home, saved):
    saved.add("three", home / "pictures" / "3.png")
    list(saved.run(**PLAIN))
    (told,) = saved.run(only_new=True, top=50, mirrored=False, min_confidence=None, **PLAIN)
    assert told.n_looked_at == 0


def test_what_was_accepted_is_searched_with_and_what_was_refused_is_barred(home, saved):
    Image.fromarray(data.coffee()).save(home / "pictures" / "coffee.png")
    saved.collection.add(home / "pictures")
    query = saved.add("three", home / "pictures" / "3.png", box=BOX)
    list(saved.run(**PLAIN))
    said = Judgements(saved.collection)
    by_name = {each.record["image"]: each.record["image_id"] for each in saved.findings(query)}
    said.add(query.key, by_name["1.png"], "yes", (10, 20, 100, 80))
    said.add(query.key, by_name["coffee.png"], "no", (0, 0, 50, 50))
    views = [home / "pictures" / "3.png", home / "pictures" / "1.png"]
    (told,) = saved.run(learn="accepted", **PLAIN)
    expected = saved.collection.search(views, box=[BOX, (10, 20, 100, 80)], top=50, **PLAIN)
    assert told.learned == (1, 0) and names(told.finds) == [match.image.path for match in expected]
    (told,) = saved.run(learn="all", **PLAIN)
    assert told.learned == (1, 1)
    assert names(told.finds) == [match.image.path for match in expected if match.image.path != "coffee.png"]
    assert saved.summary(query)["judged"] == {"yes": 1, "no": 1, "unsure": 0}, "what was refused is still known"
    (told,) = saved.run(learn="no", **PLAIN)
    assert told.learned == (0, 0) and "coffee.png" in names(told.finds)
    (home / "pictures" / "1.png").unlink()
    (told,) = saved.run(learn="accepted", again=True, **PLAIN)
    assert told.learned == (0, 0) and not told.problems
    with pytest.raises(QueryError, match="learns from one of"):
        list(saved.run(learn="all of it"))


def test_a_run_that_is_ended_goes_on_with_the_next_query(home, saved):
    for number in (0, 1, 2):
        saved.add(f"q{number}", home / "pictures" / f"{number}.png")
    running = saved.run(**PLAIN)
    assert next(running).query.name == "q0"
    running.close()
    assert [(told.query.name, told.n_looked_at) for told in saved.run(**PLAIN)] == [("q1", 5), ("q2", 5), ("q0", 0)]


def test_a_find_survives_a_move_and_says_when_it_is_gone(home, saved):
    query = saved.add("three", home / "pictures" / "3.png")
    list(saved.run(**PLAIN))
    (home / "pictures" / "sub").mkdir()
    (home / "pictures" / "3.png").rename(home / "pictures" / "sub" / "moved.png")
    (home / "pictures" / "1.png").unlink()
    saved.collection.add(home / "pictures", prune=True)
    found = {each.record["image"]: each for each in saved.findings(query)}
    assert found["sub/moved.png"].images and not found["1.png"].images


def test_nearly_the_same_pictures_are_told(home, saved):
    for name, picture in (("a.png", data.astronaut()), ("b.png", data.astronaut()), ("c.png", data.coffee())):
        Image.fromarray(picture).save(home / "pictures" / name, compress_level=1 if name == "b.png" else 6)
    saved.collection.add(home / "pictures")
    query = saved.add("a", home / "pictures" / "a.png")
    list(saved.run(**PLAIN))
    found = saved.findings(query)
    first = saved.twins(found)
    same = {each.record["image"] for each, leader in zip(found, first, strict=True) if leader == first[0]}
    assert found[0].record["image"] in same and same == {"a.png", "b.png"}


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_name_is_a_line(home, saved, name):
    with pytest.raises(QueryError, match="a name is a line"):
        saved.add(name, home / "pictures" / "1.png")


def test_what_cannot_be_saved_leaves_nothing(home, saved):
    with pytest.raises(BoxError):
        saved.add("outside", home / "pictures" / "1.png", box=(300, 200, 90, 90))
    with pytest.raises(QueryError, match="nothing to look for"):
        saved.add("nothing")
    saved.add("one", home / "pictures" / "1.png")
    with pytest.raises(QueryError, match="already"):
        saved.add("one", home / "pictures" / "2.png")
    with pytest.raises(QueryError, match="did you mean 'one'"):
        saved.get("onne")
    assert [query.name for query in saved.all()] == ["one"]
    assert saved.add("one", home / "pictures" / "2.png", replace=True) == saved.get("one")[0]


def test_a_picture_is_kept_once_and_goes_with_its_last_query(home, saved):
    for name, box in (("a", (0, 0, 50, 50)), ("b", BOX)):
        saved.add(name, home / "pictures" / "1.png", box=box)
    catalogue = saved.collection.store.catalogue.path
    count = "SELECT count(*) FROM kept_picture"
    assert sqlite3.connect(catalogue).execute(count).fetchone() == (1,)
    saved.remove("a")
    assert sqlite3.connect(catalogue).execute(count).fetchone() == (1,)
    saved.remove("b")
    assert sqlite3.connect(catalogue).execute(count).fetchone() == (0,)


def test_a_query_whose_pixels_were_damaged_is_named_and_the_others_go_on(home, saved):
    saved.add("sound", home / "pictures" / "1.png")
    query = saved.add("torn", home / "pictures" / "2.png")
    with sqlite3.connect(saved.collection.store.catalogue.path) as db:
        db.execute("UPDATE kept_picture SET content = x'00' WHERE sha256 = ?", (query.views[0].kept,))
    told = {each.query.name: each for each in saved.run(**PLAIN)}
    assert len(told["sound"].finds) == 5 and not told["torn"].finds
    assert "the picture of a saved query is damaged" in str(told["torn"].problems[0])
    with pytest.raises(StoreDamaged):
        saved.picture(query.views[0])
    assert [line for line in saved.collection.verify() if "'torn'" in line]


def test_saved_queries_are_in_a_backup(home, saved, tmp_path):
    query = saved.add("one", home / "pictures" / "1.png", box=BOX)
    list(saved.run(**PLAIN))
    saved.collection.back_up(tmp_path / "b.tar")
    restored = Saved(Collection.restore(tmp_path / "b.tar", tmp_path / "restored"))
    assert restored.all() == [query] and restored.picture(query.views[0]) == saved.picture(query.views[0])
    assert [each.find for each in restored.findings(query)] == [each.find for each in saved.findings(query)]


def test_a_collection_of_before_has_no_saved_queries_and_takes_one(home, saved):
    with sqlite3.connect(saved.collection.store.catalogue.path) as db:
        for table in ("saved_query", "saved_view", "kept_picture", "query_run", "query_find", "judgement"):
            db.execute(f"DROP TABLE {table}")
    assert saved.all() == [] and saved.collection.verify() == []
    query = saved.add("one", home / "pictures" / "1.png")
    assert saved.findings(query) == [] and saved.summary(query)["asked"] is None
    (told,) = saved.run(**PLAIN)
    assert len(told.finds) == len(saved.findings(query)) == 5


def run(home, *arguments, code=0):
    done = CliRunner().invoke(cli, [*arguments, "-c", str(home / "pictures")])
    assert done.exit_code == code, done.output
    return done


def test_the_command_line_saves_lists_asks_shows_and_removes(home):
    picture = str(home / "pictures" / "3.png")
    assert "no query is saved" in run(home, "query", "list").stderr
    run(home, "query", "add", "three", picture, "--box", "80,60,160,120", "--note", "a note")
    done = run(home, "query", "add", "all of one", str(home / "pictures" / "1.png"))
    assert "patchseek query run 'all of one'" in done.stderr
    assert "three" in run(home, "query", "list").stdout and "not asked yet" in run(home, "query", "list").stdout
    done = run(home, "query", "run", "--json", "--refine", "0")
    assert "2 saved queries" in done.stderr
    new = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["query"] for each in new} <= {"three", "all of one"}
    assert "no picture has come since" in run(home, "query", "run", "--refine", "0").stderr
    first, *finds = map(json.loads, run(home, "query", "show", "three", "--json", "--all").stdout.splitlines())
    assert first["name"] == "three" and first["finds"] == len(finds) == 5 and first["note"] == "a note"
    assert "3.png" in run(home, "query", "show", "three", "--all").stdout
    assert "removed 1 saved query" in run(home, "query", "remove", "three").stderr
    with pytest.raises(QueryError, match="no saved query is called"):
        CliRunner().invoke(
            cli, ["query", "show", "three", "-c", str(home / "pictures")], catch_exceptions=False, standalone_mode=False
        )


def test_indexing_asks_saved_queries_of_what_is_new(home):
    run(home, "query", "add", "seven", str(home / "pictures" / "1.png"), "--box", "80,60,160,120")
    run(home, "query", "run", "--refine", "0", "--depth", "0")
    for number in (7, 8):
        blot(number, 320, 240).save(home / "pictures" / f"{number}.png")
    done = run(home, "index", str(home / "pictures"), "--report", str(home / "report.json"))
    told = json.loads((home / "report.json").read_text())["saved_queries"]
    assert (told["queries"], told["asked"], told["failed"]) == (1, 1, 0)
    assert f"{told['new_finds']} new find" in done.stderr
    assert {find["image"] for find in told["new"]} <= {"7.png", "8.png"}
    assert "saved query" not in run(home, "index", str(home / "pictures"), "--no-saved").stderr
