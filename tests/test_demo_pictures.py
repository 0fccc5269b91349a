import importlib.util
import json
import subprocess
import sys
from collections import Counter
from math import pi
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageDraw

SCRIPT = Path(__file__).parent.parent / "demo" / "make_pictures.py"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample") / "set"
    done = subprocess.run([sys.executable, "-W", "error", str(SCRIPT), str(directory)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "60 pictures" in done.stderr
    return directory


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pictures", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photos(script):
    return script.photographs()


def entries(directory: Path, name: str) -> list[dict]:
    return json.loads((directory / name).read_text(encoding="utf-8"))


def test_every_picture_is_listed_once_and_queries_lie_apart(sample):
    queries, gallery = entries(sample, "query.json"), entries(sample, "gallery.json")
    for part, listed in (("queries", queries), ("pictures", gallery)):
        found = sorted(path.relative_to(sample).as_posix() for path in (sample / part).iterdir())
        assert found == sorted(entry["image"] for entry in listed)
    assert {path.name for path in sample.iterdir()} == {"pictures", "queries", "query.json", "gallery.json"}
    assert len({entry["id"] for entry in queries + gallery}) == len(queries) + len(gallery) == 7 + 60


def test_every_object_is_in_six_scenes_and_25_scenes_hold_none(sample):
    gallery = entries(sample, "gallery.json")
    assert Counter(len(entry["instance"] or ()) for entry in gallery) == {0: 25, 1: 28, 2: 7}
    shown = Counter(name for entry in gallery for name in entry["instance"] or ())
    assert shown == {entry["instance"]: 6 for entry in entries(sample, "query.json")}


def test_boxes_lie_inside_pictures_of_at_most_1024_pixels(sample):
    for entry in entries(sample, "query.json") + entries(sample, "gallery.json"):
        with Image.open(sample / entry["image"]) as picture:
            width, height = picture.size
            assert picture.format == "JPEG" and picture.mode == "RGB" and max(picture.size) <= 1024
        boxes = [entry["bbox"]] if "queries/" in entry["image"] else entry["bbox"] or []
        for x, y, w, h in boxes:
            assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
            assert "pictures/" not in entry["image"] or 0.1 * width < max(w, h) < 0.55 * width
        assert (entry["instance"] is None) == (entry["bbox"] is None)


def test_another_process_makes_the_same_bytes(sample, script, photos, tmp_path):
    cuts = script.cut_outs(photos)
    contents = script.contents()
    for number in (1, 17, 42, 60):
        picture, boxes = script.make_scene(contents[number - 1], number, photos, cuts)
        picture.save(tmp_path / "again.jpg", quality=88)
        entry = entries(sample, "gallery.json")[number - 1]
        assert (sample / entry["image"]).read_bytes() == (tmp_path / "again.jpg").read_bytes()
        assert [list(box) for box in boxes] == (entry["bbox"] or [])


def test_the_box_of_a_placed_thing_is_where_its_pixels_are(script):
    disc = Image.new("RGBA", (61, 41), (255, 0, 255, 0))
    ImageDraw.Draw(disc).ellipse((0, 0, 60, 40), fill=(255, 0, 255, 255))
    for seed in range(5):
        scene = Image.new("RGB", (300, 200), "#808080")
        box = script.place(scene, disc, 0, [], np.random.default_rng(seed))
        red, green, _ = np.moveaxis(np.asarray(scene, int), 2, 0)
        y, x = np.nonzero((red > 200) & (green < 60))
        assert box == (x.min(), y.min(), x.max() + 1, y.max() + 1)


def test_things_do_not_cover_each_other(script):
    tile = Image.new("RGBA", (60, 60), "red")
    scene, taken = Image.new("RGB", (300, 200)), []
    random = np.random.default_rng(0)
    while (box := script.place(scene, tile, 0, taken, random)) is not None:
        assert not any(box[0] < c and a < box[2] and box[1] < d and b < box[3] for a, b, c, d in taken)
        taken.append(box)
    assert 3 <= len(taken) <= 10


def test_cut_outs_follow_the_objects(script, photos):
    cuts = script.cut_outs(photos)
    covered = {name: np.asarray(cut.picture.getchannel("A")).mean() / 255 for name, cut in cuts.items()}
    for name in ("patch", "coin", "wheel", "eye"):  # an ellipse covers pi / 4 of its box
        assert covered[name] == pytest.approx(pi / 4, abs=0.03)
    assert 0.3 < covered["motorcycle"] < 0.6  # one sees through its wheels and frame


def test_the_motorcycle_is_searched_from_another_viewpoint_than_it_is_shown(script, photos):
    cut = script.cut_outs(photos)["motorcycle"]
    assert cut.query == "left"
    x, y, w, h = cut.box
    query = photos["left"].crop((x, y, x + w, y + h)).resize(cut.picture.size)
    solid = np.asarray(cut.picture.getchannel("A")) > 250
    change = np.abs(np.asarray(query, int) - np.asarray(cut.picture.convert("RGB"), int))[solid]
    assert change.mean() > 10
