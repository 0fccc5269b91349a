"""`patchseek judge`: what is said of pictures for a saved query, by path, pattern or id, and of those much the same."""

import getpass
import json
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from patchseek import Collection
from patchseek.cli import cli
from patchseek.judgements import Judgements
from patchseek.saved import Saved

from .conftest import blot

PLAIN = {"refine": 0, "depth": 0, "turned": False}


@pytest.fixture
def home(tmp_path, tiny):
    """Five pictures of 64 x 48, one below sub, and a copy, all found by "three", which is to be judged."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for number in range(5):
        blot(number).save(folder / ("sub/4.png" if number == 4 else f"{number}.png"))
    shutil.copy(folder / "2.png", folder / "sub" / "2 again.png")
    collection = Collection.open(folder, encoder=tiny, points=False, create=True)
    collection.add(folder)
    saved = Saved(collection)
    saved.add("three", folder / "3.png", box=(8, 8, 24, 16))
    list(saved.run(**PLAIN))
    return tmp_path


def run(home, *arguments, code=0):
    done = CliRunner().invoke(cli, ["judge", *map(str, arguments), "-c", str(home / "pictures")])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def standing(home):
    """Name of a picture -> what stands, and the box."""
    saved = Saved(Collection.open(home / "pictures"))
    (query,) = saved.get("three")
    return {
        each.record["image"]: (each.verdict, tuple(each.record["box"]), each.judgement.who)
        for each in saved.findings(query)
        if each.judgement
    }


def found(home):
    saved = Saved(Collection.open(home / "pictures"))
    return {each.record["image"]: each for each in saved.findings(saved.get("three")[0])}


def test_pictures_are_judged_by_path_id_and_pattern_with_the_finds_box(home):
    boxes = {name: tuple(each.record["box"]) for name, each in found(home).items()}
    first = found(home)["0.png"].images[0].id
    done = run(home, "three", "1.png", home / "pictures" / "3.png", "--image-id", first, "--yes", "--who", "Ann")
    assert standing(home) == {name: ("yes", boxes[name], "Ann") for name in ("0.png", "1.png", "3.png")}
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["yes", f"{n}.png"] for n in (1, 3, 0)]
    assert "judged 3 pictures" in done.stderr
    run(home, "three", "sub/", "--no")
    now = standing(home)
    assert {name: said[0] for name, said in now.items()} == {
        **dict.fromkeys(("0.png", "1.png", "3.png"), "yes"),
        **dict.fromkeys(("2.png", "sub/4.png"), "no"),  # of copies, the first one is named
    }
    assert now["2.png"][2] == getpass.getuser()


def test_the_box_may_be_said_and_a_picture_that_is_no_find_is_judged_whole(home, tiny):
    run(home, "three", "1.png", "--yes", "--box", "4,5,30,20")
    assert standing(home)["1.png"][1] == (4, 5, 30, 20)
    blot(9).save(home / "pictures" / "9.png")
    collection = Collection.open(home / "pictures", encoder=tiny)
    collection.add(home / "pictures")
    done = run(home, "three", "9.png", "--unsure", "--json")
    told = json.loads(done.stdout)
    assert (told["verdict"], told["box"], told["images"]) == ("unsure", [0, 0, 64, 48], ["9.png"])


def test_what_stands_and_all_that_was_said(home):
    run(home, "three", "1.png", "2.png", "--yes", "--who", "Ann")
    run(home, "three", "1.png", "--no", "--who", "Bob")
    run(home, "three", "2.png", "--take-back", "--who", "Ann")
    stands = run(home, "three", "--list").stdout.splitlines()
    assert len(stands) == 1 and stands[0].startswith("no ") and "1.png" in stands[0] and "by Bob" in stands[0]
    said = [json.loads(line) for line in run(home, "three", "--history", "--json").stdout.splitlines()]
    assert [(each["verdict"], each["who"], each["images"]) for each in said] == [
        ("yes", "Ann", ["1.png"]),
        ("yes", "Ann", ["2.png", "sub/2 again.png"]),
        ("no", "Bob", ["1.png"]),
        (None, "Ann", ["2.png", "sub/2 again.png"]),
    ]
    assert "taken back 2.png, sub/2 again.png" in run(home, "three", "--history").stdout


def test_nothing_said_is_said(home):
    done = run(home, "three", "--list")
    assert done.stdout == "" and "nothing was said of what three has found" in done.stderr


def test_a_judgement_stays_when_its_picture_moves_and_when_it_goes(home, tiny):
    run(home, "three", "1.png", "--yes")
    (home / "pictures" / "1.png").rename(home / "pictures" / "sub" / "moved.png")
    collection = Collection.open(home / "pictures", encoder=tiny)
    collection.add(home / "pictures")
    assert "yes        sub/moved.png" in run(home, "three", "--list").stdout
    (home / "pictures" / "sub" / "moved.png").unlink()
    collection.add(home / "pictures", prune=True)
    assert "(not in the collection any more)" in run(home, "three", "--list").stdout


def test_what_is_none_is_a_line_and_the_rest_is_judged(home):
    done = run(home, "three", "8.png", "1.png", "", "--image-id", 99, "--yes", code=3)
    failed = [line for line in done.stderr.splitlines() if "failed: " in line]
    assert len(failed) == 3 and set(standing(home)) == {"1.png"}
    assert "8.png" in failed[0] and "an empty text" in failed[1] and "no picture with id 99" in failed[2]
    done = run(home, "three", "2.png", "--yes", "--box", "60,40,30,30", code=3)
    assert "reaches outside the picture of 64 x 48" in done.stderr and set(standing(home)) == {"1.png"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["three", "1.png"], "say one of --yes"),
        (["three", "1.png", "--yes", "--no"], "say one of --yes"),
        (["three", "--yes"], "say which pictures"),
        (["three", "1.png", "--list"], "nothing to judge"),
        (["three", "--list", "--history"], "give one of them"),
        (["three", ".", "--yes", "--box", "1,1,9,9"], "--box is of one picture, and these are 6"),
        (["tree", "1.png", "--yes"], "did you mean 'three'"),
        (["three", "1.png", "--yes", "--box", "1,2,3"], "four numbers"),
    ],
)
def test_wrong_use_judges_nothing(home, arguments, line):
    done = CliRunner().invoke(cli, ["judge", *arguments, "-c", str(home / "pictures")])
    assert done.exit_code != 0 and line in f"{done.exception} {done.output}"
    assert standing(home) == {}


def test_finds_that_are_nearly_the_same_are_judged_as_well(tmp_path):
    """Of the embedded encoder, which knows them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, picture in (("a.png", data.astronaut()), ("b.png", data.astronaut()), ("d.png", data.astronaut())):
        Image.fromarray(picture).save(folder / name, compress_level=1 + "abd".index(name[0]))
    Image.fromarray(data.coffee()).save(folder / "c.png")
    saved = Saved(Collection.open(folder, points=False, create=True))
    saved.collection.add(folder)
    query = saved.add("three", folder / "a.png")
    list(saved.run(**PLAIN))
    said = Judgements(saved.collection)
    (judged_before,) = (each.images[0].id for each in saved.findings(query) if each.record["image"] == "d.png")
    said.add(query.key, judged_before, "unsure", (0, 0, 9, 9), who="Ann")
    done = run(tmp_path, "three", "a.png", "--yes", "--twins")
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    assert lines == [["yes", "a.png"], ["yes", "b.png"]]  # what somebody has judged stays as it was
    assert done.stdout.splitlines()[1].endswith("nearly the same as a.png")
    assert {name: said[0] for name, said in standing(tmp_path).items()} == {
        "a.png": "yes",
        "b.png": "yes",
        "d.png": "unsure",
    }
    told = [
        json.loads(line)
        for line in run(tmp_path, "three", "b.png", "--take-back", "--twins", "--json").stdout.splitlines()
    ]
    assert [(each["images"], each.get("nearly_the_same_as")) for each in told] == [
        (["b.png"], None),
        *((["a.png"], "b.png"), (["d.png"], "b.png")),
    ]
    assert standing(tmp_path) == {}
