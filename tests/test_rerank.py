"""Refinement: rectangles of a map by brute force, agreement by hand, boxes of pasted objects, copies."""

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

import patchseek as ps
from patchseek.boxes import iou
from patchseek.encoders import open_encoder
from patchseek.images import Picture
from patchseek.patches import crop
from patchseek.regions import Pyramid
from patchseek.rerank import Recipe, Refiner
from patchseek.rerank._agreement import agreement
from patchseek.rerank._geometry import fit, locate
from patchseek.rerank._maps import around, composed, enclosing, of_boxes
from patchseek.rerank._neighbourhoods import propose, surround
from patchseek.search import Query, encode_query, join

from .conftest import blot

DATA = Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="module")
def embedded():
    return open_encoder("embedded")


def photograph(size: tuple[int, int], *objects: tuple[Image.Image, tuple[int, int]]) -> Picture:
    """A smooth background with pictures pasted at places."""
    ramp = np.linspace(90, 160, size[0], dtype=np.uint8)[None].repeat(size[1], 0)
    canvas = Image.fromarray(np.stack([ramp, ramp[:, ::-1], ramp], axis=2))
    for thing, place in objects:
        canvas.paste(thing, place)
    return Picture(np.asarray(canvas), *size)


def thing(name: str, width: int, height: int) -> Image.Image:
    """A photograph, small, as an object to paste."""
    with Image.open(DATA / name) as photo:
        return photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def as_picture(image: Image.Image) -> Picture:
    return Picture(np.asarray(image), *image.size)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def test_a_neighbourhood_is_twice_the_region_and_inside_the_picture():
    regions = np.array([[0.25, 0.25, 0.5, 0.5], [0, 0, 0.25, 0.25], [0.75, 0.5, 1, 0.75], [0, 0, 1, 1]])
    expected = [[0.125, 0.125, 0.625, 0.625], [0, 0, 0.5, 0.5], [0.5, 0.375, 1, 0.875], [0, 0, 1, 1]]
    assert surround(regions) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_the_likeness_of_a_rectangle_is_that_of_its_generalized_mean(power):
    rng = np.random.default_rng(0)
    cells, feature = rng.random((6, 8, 5)).astype(np.float32), unit(rng.random(5))
    boxes, likeness = propose(cells, power, feature, 4)
    for box, found in zip(boxes, likeness, strict=True):
        x0, y0, x1, y1 = (box * [8, 6, 8, 6]).round().astype(int)
        pooled = (cells[y0:y1, x0:x1].astype(np.float64) ** power).mean(axis=(0, 1)) ** (1 / power)
        assert found == pytest.approx(pooled @ feature / np.linalg.norm(pooled), abs=1e-5)
    assert (np.diff(likeness) <= 0).all()
    overlaps = iou(boxes, boxes) - np.eye(len(boxes))
    assert overlaps.max() <= 0.5


def test_no_rectangle_is_much_more_alike_than_the_one_found():
    rng = np.random.default_rng(2)
    cells = rng.random((9, 9, 12)).astype(np.float32)
    cells[2:6, 3:8] += 2 * rng.random(12)  # an object of its own mixture
    feature = unit((cells[2:6, 3:8] ** 3).mean(axis=(0, 1)) ** (1 / 3))
    likeness = propose(cells, 3.0, feature, 1)[1][0]
    every = [
        np.mean(cells[y0:y1, x0:x1] ** 3, axis=(0, 1)) ** (1 / 3)
        for y0 in range(8)
        for y1 in range(y0 + 2, 10)
        for x0 in range(8)
        for x1 in range(x0 + 2, 10)
    ]
    assert likeness > float((unit(np.array(every)) @ feature).max()) - 0.01


def test_agreement_is_one_with_itself_and_none_with_strangers():
    rng = np.random.default_rng(1)
    query = unit(rng.normal(size=(7, 7, 64)))
    strangers = unit(rng.normal(size=(2, 7, 7, 64)))
    assert agreement(query, query[None], 0.4) == pytest.approx([1])
    assert agreement(query, strangers, 0.4).max() < 0.1


def test_agreement_counts_parts_that_moved_two_cells_and_no_more():
    query = np.zeros((7, 7, 49), np.float32)
    query.reshape(49, 49)[:] = np.eye(49)  # every cell is like itself alone
    moved = np.stack([np.roll(query, shift, axis=1) for shift in (0, 2, 3)])
    # by two: five of seven columns meet their partner near by; by three: none does (rolled-round ones are four away)
    assert agreement(query, moved, 0.4) == pytest.approx([1, 5 / 7, 0])


def one_of_a_kind(side: int) -> np.ndarray:
    """Cells (side, side, side * side), each like itself alone."""
    return np.eye(side * side, dtype=np.float32).reshape(side, side, -1)


def test_details_fit_where_they_lie_together_and_not_where_they_are_scattered():
    query = one_of_a_kind(14)
    blank = np.zeros_like(query)
    moved, stretched = blank.copy(), blank.copy()
    moved[:, 3:] = query[:, :-3]  # eleven of fourteen columns are in the patch
    stretched[::2] = query[:7]  # seven of fourteen rows, twice as far apart as they were
    scattered = np.random.default_rng(0).permutation(query.reshape(196, -1)).reshape(query.shape)
    fits = fit(query, np.stack([query, moved, stretched, scattered, blank]))
    assert fits[:3] == pytest.approx([1, 11 / 14, 7 / 14])
    assert fits[3] < 0.3, "a map brings a part of any scatter near"
    assert fits[4] == 0


def test_details_say_where_the_whole_lies():
    """Of a thing of 14 x 14 cells, each like itself alone, seen moved, half as wide, and not at all."""
    query = one_of_a_kind(14)
    blank = np.zeros_like(query)
    moved, narrow = blank.copy(), blank.copy()
    moved[:, 3:] = query[:, :-3]
    narrow[:, 2:9] = query[:, ::2]
    boxes = around(locate(query, np.stack([query, moved, narrow, blank])))
    assert boxes[0] == pytest.approx([0, 0, 1, 1])
    assert boxes[1] == pytest.approx([3 / 14, 0, 17 / 14, 1])
    # every other column is there, in columns 2 to 8, so the whole is half as wide, from 2 to 9; where few are near the
    # first guess, sizes are drawn towards the old ones
    assert boxes[2] == pytest.approx([2 / 14, 0, 9 / 14, 1], abs=0.1)
    assert boxes[3].tolist() == [0, 0, 1, 1], "what has no partners stays where it is"


def test_a_shifted_patch_is_moved_onto_the_thing(embedded):
    cat = thing("chelsea.png", 240, 180)
    picture = photograph((640, 480), (cat, (200, 120)))
    query = encode_query(as_picture(cat), embedded)
    truth = np.array([200 / 640, 120 / 480, 440 / 640, 300 / 480])
    for shift in ([0.08, 0, 0.08, 0], [0, -0.08, 0, -0.08], [-0.06, -0.06, 0.06, 0.06]):
        patch = truth + shift
        cells = embedded.encode_cells(crop(picture, [patch], embedded.feed))[1]
        found = enclosing(composed(of_boxes(patch[None]), locate(query.cells[0].fine[0], cells.fine)))[0]
        assert iou([found], [truth])[0, 0] > max(0.8, iou([patch], [truth])[0, 0] + 0.15)


def test_refined_scores_tell_the_thing_from_another_with_the_same_parts(embedded):
    cat = thing("chelsea.png", 240, 240)
    quarters = [cat.crop((x, y, x + 120, y + 120)) for x, y in ((120, 120), (0, 120), (120, 0), (0, 0))]
    pictures = [
        photograph((640, 480), (cat, (200, 120))),
        photograph((640, 480), *zip(quarters, [(200, 120), (320, 120), (200, 240), (320, 240)], strict=True)),
    ]
    query = encode_query(as_picture(cat), embedded)
    regions = np.tile([0.3, 0.25, 0.7, 0.75], (2, 1))
    same, shuffled = Refiner(query, embedded).refine(pictures, of_boxes(regions)[:, None])
    assert same.evidence > 1.5 > 1.3 > shuffled.evidence
    assert same.score > shuffled.score


def test_a_fragment_and_a_box_too_large_agree_less_than_the_box_that_fits(embedded):
    cat = thing("chelsea.png", 160, 120)
    picture = photograph((640, 480), (cat, (240, 180)))
    refiner = Refiner(encode_query(as_picture(cat), embedded), embedded)
    fits = (240 / 640, 180 / 480, 400 / 640, 300 / 480)
    fragment = (240 / 640, 180 / 480, 320 / 640, 300 / 480)
    large = (180 / 640, 120 / 480, 460 / 640, 360 / 480)
    scores = refiner.score(crop(picture, [fits, fragment, large], embedded.feed))
    assert scores.argmax() == 0
    assert scores[0] > 0.9


@pytest.mark.parametrize("place", [(50, 60), (300, 150), (430, 300)])
def test_the_box_of_an_object_across_cells_is_found(embedded, place):
    cat = thing("chelsea.png", 150, 110)
    picture = photograph((640, 480), (cat, place))
    query = encode_query(as_picture(cat), embedded)
    x, y = place
    truth = [x / 640, y / 480, (x + 150) / 640, (y + 110) / 480]
    grid = Pyramid().boxes
    region = grid[int((embedded.encode(crop(picture, grid, embedded.feed)) @ query.feature).argmax())]
    refined = next(Refiner(query, embedded).refine([picture], [of_boxes(region[None])]))
    assert iou([refined.box], [truth])[0, 0] > max(0.55, 0.1 + iou([region], [truth])[0, 0])


def test_an_encoder_without_cells_refines_by_patches_alone(tiny):
    thing = blot(3, 96, 96)
    picture = photograph((256, 256), (thing, (90, 70)))
    query = encode_query(Picture(np.asarray(thing), 96, 96), tiny)
    assert tiny.cells is None
    assert query.cells == ()
    grid = Pyramid().boxes
    likeness = tiny.encode(crop(picture, grid, tiny.feed)) @ query.feature
    refined = next(Refiner(query, tiny).refine([picture], [of_boxes(grid[likeness.argmax()][None])]))
    assert refined.score > likeness.max()
    patch = crop(picture, [refined.box], tiny.feed)
    assert refined.score == pytest.approx(float((tiny.encode(patch) @ query.feature)[0]), abs=1e-6)


def test_pictures_that_are_not_there_keep_their_place_and_chunks_change_nothing(tiny, monkeypatch):
    pictures = [photograph((128, 96), (blot(i, 48, 48), (30, 20))) for i in range(5)]
    regions = np.tile(Pyramid().boxes[5], (6, 1))
    refiner = Refiner(encode_query(pictures[2], tiny), tiny, Recipe(blind_steps=()))
    asked = [*pictures[:3], None, *pictures[3:]]
    whole = list(refiner.refine(asked, of_boxes(regions)[:, None]))
    assert [found is None for found in whole] == [False] * 3 + [True] + [False] * 2
    monkeypatch.setattr("patchseek.rerank.CHUNK", 2)
    for one, other in zip(refiner.refine(asked, of_boxes(regions)[:, None]), whole, strict=True):
        if one is None or other is None:
            assert one is other
            continue
        assert one.box == other.box
        assert (one.score, one.evidence) == pytest.approx((other.score, other.evidence), abs=1e-6)
    assert list(refiner.refine([], [])) == []


def test_all_copies_in_a_picture_are_found_and_nothing_else(embedded):
    cat, other = thing("chelsea.png", 130, 100), thing("coffee.png", 130, 100)
    places = [(40, 40), (400, 60), (200, 320)]
    picture = photograph((640, 480), *[(cat, place) for place in places], (other, (470, 330)))
    query = encode_query(as_picture(cat), embedded)
    grid = Pyramid().boxes
    heat = embedded.encode(crop(picture, grid, embedded.feed)) @ query.feature
    copies = Refiner(query, embedded).find_copies(picture, heat, grid)
    truth = [[x / 640, y / 480, (x + 130) / 640, (y + 100) / 480] for x, y in places]
    assert (iou([copy.box for copy in copies], truth).max(axis=0) > 0.5).all(), "every copy is found"
    assert len(copies) == 3, "and nothing else"
    assert [copy.score for copy in copies] == sorted((copy.score for copy in copies), reverse=True)


def test_several_queries_are_their_mean_and_what_is_excluded_is_taken_off(tiny):
    a, b, c = (encode_query(photograph((64, 64), (blot(i, 48, 48), (8, 8))), tiny) for i in range(3))
    assert join([a]) is a
    assert join([a, b]).feature == pytest.approx(unit(a.feature + b.feature), abs=1e-6)
    assert join([a, b], [c]).feature == pytest.approx(unit((a.feature + b.feature) / 2 - c.feature / 2), abs=1e-6)
    opposite = Query(-a.feature)
    with pytest.raises(ps.QueryError, match="cancel"):
        join([a, opposite])
