"""Libraries full of copies, bursts and changed files, with the default encoder on scenes whose boxes are known."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import patchseek as ps
from patchseek.boxes import from_pixels, iou
from patchseek.confidence import DOUBTFUL
from patchseek.rank import evidence_of

SCRIPT = Path(__file__).parent.parent / "demo" / "make_pictures.py"
N_SCENES = 10


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "set"
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def encoder():
    return ps.open_encoder()


@pytest.fixture(scope="module")
def queries(demo):
    """Those whose object is in the first scenes."""
    gallery = json.loads((demo / "gallery.json").read_text())[:N_SCENES]
    shown = {name for entry in gallery for name in entry["instance"] or ()}
    return [query for query in json.loads((demo / "query.json").read_text()) if query["instance"] in shown]


def scenes(demo, n=N_SCENES):
    return sorted((demo / "pictures").glob("*.jpg"))[:n]


def byte_copies(path, folder):
    for i in range(2):
        shutil.copy(path, folder / f"copy {i} of {path.name}")


def edited(path, folder):
    """As phones and chats do it: smaller, recompressed, brighter."""
    with Image.open(path) as picture:
        w, h = picture.size
        picture.resize((w * 2 // 3, h * 2 // 3)).save(folder / f"small-{path.name}", quality=80)
        picture.save(folder / f"sent-{path.name}", quality=50)
        ImageEnhance.Brightness(picture).enhance(1.2).save(folder / f"bright-{path.name}")


def burst(path, folder):
    """Four frames of a hand that moves."""
    with Image.open(path) as picture:
        w, h = picture.size
        for i, (x, y) in enumerate([(0, 0), (w // 12, 0), (w // 24, h // 24), (w // 12, h // 12)]):
            picture.crop((x, y, x + w * 11 // 12, y + h * 11 // 12)).save(folder / f"frame-{i}-{path.name}")


def fill(folder, paths, copy=None, copied=()):
    folder.mkdir()
    for path in paths:
        shutil.copy(path, folder)
        if copy and path in copied:
            copy(path, folder)
    return folder


def confidences(collection, demo, queries):
    found = [collection.search(demo / query["image"], box=query["bbox"], top=1)[0] for query in queries]
    return np.array([match.confidence for match in found])


@pytest.fixture(scope="module")
def plain(demo, encoder, queries, tmp_path_factory):
    """The confidences where nothing is there twice."""
    folder = fill(tmp_path_factory.mktemp("plain") / "pictures", scenes(demo))
    collection = ps.Collection.open(folder / ".patchseek", encoder=encoder, create=True)
    collection.add(folder)
    return confidences(collection, demo, queries)


@pytest.mark.parametrize(("copy", "share"), [(edited, 1), (burst, 1), (burst, 0.5)])
def test_copies_take_no_confidence_away(tmp_path, demo, encoder, queries, plain, copy, share):
    paths = scenes(demo)
    folder = fill(tmp_path / "pictures", paths, copy, paths[: int(share * len(paths))])
    collection = ps.Collection.open(folder / ".patchseek", encoder=encoder, create=True)
    collection.add(folder)
    found = confidences(collection, demo, queries)
    assert (plain > 0.9).all(), "each object is in the collection"
    assert found.min() > DOUBTFUL
    assert np.median(found) > 0.9


def test_byte_copies_change_nothing_at_all(tmp_path, demo, encoder, queries, plain):
    paths = scenes(demo)
    folder = fill(tmp_path / "pictures", paths, byte_copies, paths)
    collection = ps.Collection.open(folder / ".patchseek", encoder=encoder, create=True)
    collection.add(folder)
    assert confidences(collection, demo, queries) == pytest.approx(plain, abs=1e-5)  # float32, in other batches


def test_a_collection_of_one_picture_and_its_copies_says_nothing_of_confidence(tmp_path, demo, encoder):
    folder = fill(tmp_path / "pictures", scenes(demo, 1))
    for i in range(20):
        shutil.copy(scenes(demo, 1)[0], folder / f"{i}.jpg")
    collection = ps.Collection.open(folder / ".patchseek", encoder=encoder, create=True)
    collection.add(folder)
    assert collection.background is None


@pytest.fixture(scope="module")
def cup(demo):
    """The query, and the pixels of its object in the sixth scene."""
    query = next(query for query in json.loads((demo / "query.json").read_text()) if query["instance"] == "cup")
    entry = json.loads((demo / "gallery.json").read_text())[5]
    x, y, w, h = entry["bbox"][entry["instance"].index("cup")]
    with Image.open(demo / entry["image"]) as scene:
        return demo / query["image"], query["bbox"], scene.crop((x, y, x + w, y + h))


PLACES = [(60 + 380 * (i % 3), 100 + 380 * (i // 3)) for i in range(6)]
"""Of six equal cups on a picture of 1200 x 800."""


@pytest.fixture(scope="module")
def shelf(demo, encoder, cup, tmp_path_factory):
    """Half of the scenes, and one with six cups."""
    folder = fill(tmp_path_factory.mktemp("shelf") / "pictures", scenes(demo, 30))
    picture = Image.open(scenes(demo, 40)[-1]).resize((1200, 800))
    for place in PLACES:
        picture.paste(cup[2], place)
    picture.save(folder / "shelf.jpg")
    collection = ps.Collection.open(folder / ".patchseek", encoder=encoder, create=True)
    collection.add(folder)
    return collection


def test_six_equal_cups_are_six_boxes(shelf, cup):
    path, box, pixels = cup
    shown = next(m for m in shelf.search(path, box=box, several=True) if m.image.path == "shelf.jpg")
    truth = [from_pixels((x, y, *pixels.size), 1200, 800) for x, y in PLACES]
    shares = iou([found.box for found in shown.boxes], truth)
    assert len(shown.boxes) == 6
    assert sorted(shares.argmax(axis=1).tolist()) == list(range(6))
    assert shares.max(axis=1).min() > 0.5


def test_one_copy_is_one_box_and_further_ones_are_not_doubtful(shelf, demo, queries):
    holders = {Path(e["image"]).name: e["instance"] or () for e in json.loads((demo / "gallery.json").read_text())}
    known = shelf.background
    for query in queries:
        matches = shelf.search(demo / query["image"], box=query["bbox"], several=True, top=6)
        once = [m for m in matches if holders.get(m.image.path, ()).count(query["instance"]) == 1]
        assert {len(match.boxes) for match in once} == {1}
        further = [found for match in matches for found in match.boxes[1:]]
        assert all(known.confidence(evidence_of(found)) >= DOUBTFUL for found in further)


def test_the_cup_is_found_in_a_panorama(tmp_path, demo, encoder, cup):
    path, box, pixels = cup
    folder = fill(tmp_path / "pictures", scenes(demo, 30))
    panorama = Image.new("RGB", (9000, 600))
    for i, scene in enumerate(scenes(demo, 60)[40:]):
        with Image.open(scene) as picture:
            panorama.paste(picture.resize((450, 600)), (450 * i, 0))
    size = (240, round(240 * pixels.height / pixels.width))
    panorama.paste(pixels.resize(size), (5200, 200))
    for name, picture in (("wide.jpg", panorama), ("high.jpg", panorama.transpose(Image.Transpose.TRANSPOSE))):
        picture.save(folder / name, quality=92)
    for entry in json.loads((demo / "gallery.json").read_text()):
        if "cup" in (entry["instance"] or ()):
            (folder / Path(entry["image"]).name).unlink(missing_ok=True)
    collection = ps.Collection.open(folder / ".patchseek", encoder=encoder, create=True)
    collection.add(folder)
    first = collection.search(path, box=box)[0]
    assert first.image.path == "wide.jpg"
    assert iou([first.box], [from_pixels((5200, 200, *size), 9000, 600)])[0, 0] > 0.5
