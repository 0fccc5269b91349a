"""Several copies of one thing in a picture, each by a map of its own: where it can be opened, and where it has gone."""

import numpy as np
import pytest
import skimage
from PIL import Image

from patchseek import Collection
from patchseek.boxes import iou

DATA = skimage.__path__[0] + "/data/"
CUP = Image.open(DATA + "coffee.png").convert("RGB").crop((150, 50, 450, 350))
SIZE = (1000, 800)
COPIES = ((50, 60, 200, 0), (400, 100, 150, 0), (700, 480, 240, 0), (150, 480, 140, 90))
"""x, y, side in pixels; degrees."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    (folder / "pictures").mkdir()
    scene = Image.open(DATA + "rocket.jpg").convert("RGB").resize(SIZE)
    for x, y, side, turn in COPIES:
        scene.paste(CUP.resize((side, side)).rotate(turn), (x, y))
    scene.save(folder / "pictures" / "scene.png")
    for name in ("astronaut.png", "chelsea.png"):
        Image.open(DATA + name).convert("RGB").save(folder / "pictures" / name)
    collection = Collection.open(folder / "collection", create=True)
    collection.add(folder / "pictures")
    return collection, folder


def truths(*chosen):
    return [[x / 1000, y / 800, (x + side) / 1000, (y + side) / 800] for x, y, side, _ in chosen]


def test_each_copy_has_a_box_that_fits_and_so_it_has_when_the_picture_is_gone(collection):
    opened, folder = collection
    scene = folder / "pictures" / "scene.png"
    upright = truths(*COPIES[:3])
    there = opened.search(CUP, several=True, top=1)[0]
    scene.rename(folder / "elsewhere.png")
    try:
        gone = opened.search(CUP, several=True, top=1)[0]
    finally:
        (folder / "elsewhere.png").rename(scene)
    for match in (there, gone):
        assert match.image.path == "scene.png"
        overlaps = iou([box.box for box in match.boxes], upright)
        assert (overlaps.max(axis=0) > 0.85).all()
        assert [box.score for box in match.boxes] == sorted((box.score for box in match.boxes), reverse=True)
        assert match.boxes[0].box == match.box
    assert len(gone.boxes) == 3  # one that lies turned has points of its own, and is not asked for beside sure ones
    assert np.shape(gone.boxes[1].outline) == (4, 2)


def test_with_one_copy_wanted_there_is_one_box(collection):
    assert collection[0].search(CUP, top=1)[0].boxes == ()


@pytest.fixture(scope="module")
def lying(tmp_path_factory):
    """Scenes with the cup in other lays, once each."""
    folder = tmp_path_factory.mktemp("lying")
    for name, thing in {
        "turned by 180": CUP.rotate(180),
        "turned by 90": CUP.rotate(90),
        "turned by 25": CUP.convert("RGBA").rotate(25, expand=True),
        "mirrored": CUP.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }.items():
        scene = Image.open(DATA + "rocket.jpg").convert("RGB").resize(SIZE)
        small = thing.resize((230, 230))
        scene.paste(small, (360, 250), small if small.mode == "RGBA" else None)
        scene.save(folder / f"{name}.png")
    opened = Collection.open(folder / ".patchseek", create=True)
    opened.add(folder)
    return opened


@pytest.mark.parametrize("depth", [500, 0], ids=["with points", "without"])
def test_where_it_lies_turned_or_mirrored_to_look_for_all_copies_makes_no_box_worse(lying, depth):
    truth = [[360 / 1000, 250 / 800, 590 / 1000, 480 / 800]]
    asked = {"top": 4, "mirrored": True, "depth": depth}
    alone = {match.image.path: match for match in lying.search(CUP, **asked)}
    for match in lying.search(CUP, several=True, **asked):
        (before,), (after,) = iou([alone[match.image.path].box], truth), iou([match.box], truth)
        assert after >= before - 0.02, (match.image.path, before, after)
        assert match.box == match.boxes[0].box and match.outline == match.boxes[0].outline
        assert match.boxes[0].score == pytest.approx(match.score)
