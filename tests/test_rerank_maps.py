"""Turned things: maps by hand, patches turned back against Pillow, colours by hand, what refinement makes of a seed."""

import numpy as np
import pytest
from PIL import Image

from patchseek.boxes import iou
from patchseek.patches import GREY, Feed, crop
from patchseek.rerank import Refiner
from patchseek.rerank._colours import colour_likeness
from patchseek.rerank._cutting import cut_out
from patchseek.rerank._geometry import locate
from patchseek.rerank._maps import are_boxes, around, composed, enclosing, of_boxes, outlines, turn, within
from patchseek.search import SMALL, Query, encode_query, join

from .conftest import blot
from .test_rerank import as_picture, embedded, one_of_a_kind, photograph, thing  # noqa: F401  embedded is a fixture

BOXES = np.array([[0.1, 0.2, 0.5, 0.4], [0, 0, 1, 1]])
A_QUARTER = np.array([[0.0, -0.2, 0.6], [0.4, 0.0, 0.1]])
"""The query's upper edge goes down at x = 0.6, its left edge goes to the left: it is turned by 90 degrees."""


def turned_by(degrees: float, middle: tuple[float, float], w: float, h: float, size: tuple[int, int]) -> np.ndarray:
    """The map of a query of w x h pixels turned clockwise, as one sees it, about its middle in a picture."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[c * w, -s * h], [s * w, c * h]])
    shift = np.array(middle) - linear @ (0.5, 0.5)
    return np.c_[linear, shift] / np.array(size)[:, None]


def test_a_box_is_a_map_and_the_map_that_box():
    maps = of_boxes(BOXES)
    assert outlines(maps)[0] == pytest.approx(np.array([[0.1, 0.2], [0.5, 0.2], [0.5, 0.4], [0.1, 0.4]]))
    assert around(maps) == pytest.approx(BOXES)
    assert enclosing(maps) == pytest.approx(BOXES)
    assert are_boxes(maps).all()
    assert turn(maps[0], 640, 480) == 0


def test_a_quarter_turn_swaps_the_sides_and_keeps_the_box_around_it():
    maps = A_QUARTER[None]
    assert outlines(maps)[0] == pytest.approx(np.array([[0.6, 0.1], [0.6, 0.5], [0.4, 0.5], [0.4, 0.1]]))
    assert enclosing(maps)[0] == pytest.approx([0.4, 0.1, 0.6, 0.5]), "an ellipse fills the box as the outline does"
    assert not are_boxes(maps).any()
    assert turn(maps[0], 640, 480) == pytest.approx(90)


def test_what_is_turned_by_half_a_quarter_gets_a_box_that_leaves_the_corners_out():
    there = turned_by(45, (100, 100), 100, 100, (200, 200))[None]
    half = 100 * np.sqrt(0.5)  # of the outline; that of the circle inside it is 50
    assert around(there)[0] * 200 == pytest.approx([100 - half, 100 - half, 100 + half, 100 + half])
    middle = (half + 50) / 2
    assert enclosing(there)[0] * 200 == pytest.approx([100 - middle, 100 - middle, 100 + middle, 100 + middle])
    assert turn(there[0], 200, 200) == pytest.approx(45)


def test_half_a_turn_and_a_mirrored_map_are_no_boxes():
    assert not are_boxes(np.array([[[-0.5, 0, 0.8], [0, -0.5, 0.8]], [[-0.5, 0, 0.8], [0, 0.5, 0.1]]])).any()


def test_a_map_within_a_map_is_the_one_after_the_other():
    inner = np.array([[0.5, 0.0, 0.25], [0.0, 1.0, 0.0]])  # the middle half in x
    places = np.array([[0.0, 0.0, 1], [1, 0, 1], [0.3, 0.7, 1]])
    by_hand = [A_QUARTER @ [*(inner @ place), 1] for place in places]
    assert places @ composed(A_QUARTER[None], inner)[0].T == pytest.approx(np.array(by_hand))
    assert enclosing(composed(of_boxes(BOXES), inner)) == pytest.approx(
        np.array([[0.2, 0.2, 0.4, 0.4], [0.25, 0, 0.75, 1]])
    )


def test_boxes_are_clipped_to_the_picture_and_turned_maps_are_left_alone():
    beyond = of_boxes(np.array([[-0.1, 0.2, 0.5, 1.2]]))
    kept = within(np.concatenate([beyond, A_QUARTER[None] + 0.5]))
    assert around(kept[:1])[0] == pytest.approx([0, 0.2, 0.5, 1])
    assert kept[1].tolist() == (A_QUARTER + 0.5).tolist()


@pytest.mark.parametrize("fit", ["squash", "center-crop", "pad"])
def test_patches_of_maps_that_are_boxes_are_those_of_the_boxes(fit):
    picture = as_picture(thing("chelsea.png", 300, 200))
    feed = Feed(64, fit)
    assert (cut_out(picture, of_boxes(BOXES), feed) == crop(picture, around(of_boxes(BOXES)), feed)).all()


@pytest.mark.parametrize(("degrees", "back"), [(90, Image.Transpose.ROTATE_90), (180, Image.Transpose.ROTATE_180)])
def test_what_was_turned_is_turned_back(degrees, back):
    cat = thing("chelsea.png", 240, 180)
    canvas = photograph((640, 480), (cat.transpose({90: Image.Transpose.ROTATE_270, 180: back}[degrees]), (200, 100)))
    w, h = (240, 180) if degrees == 180 else (180, 240)
    there = turned_by(degrees, (200 + w / 2, 100 + h / 2), 240, 180, (640, 480))
    feed = Feed(96)
    upright = crop(as_picture(cat), [(0, 0, 1, 1)], feed)[0].astype(float)
    found = cut_out(canvas, there[None], feed)[0].astype(float)
    inner = slice(4, -4)  # at the edges the background shines in
    assert abs(found - upright)[inner, inner].mean() < 3
    assert abs(found[::-1, ::-1] - upright)[inner, inner].mean() > 20


def test_what_is_turned_by_any_angle_is_turned_back():
    cat = thing("chelsea.png", 240, 180)
    size = (640, 480)
    turned = cat.convert("RGBA").rotate(-30, Image.Resampling.BICUBIC, expand=True)  # Pillow's angles go the other way
    canvas = photograph(size).image.copy()
    canvas.paste(turned, (320 - turned.width // 2, 240 - turned.height // 2), turned)
    found = cut_out(as_picture(canvas), turned_by(30, (320, 240), 240, 180, size)[None], Feed(96))[0].astype(float)
    upright = crop(as_picture(cat), [(0, 0, 1, 1)], Feed(96))[0].astype(float)
    assert abs(found - upright)[6:-6, 6:-6].mean() < 6


def test_what_lies_outside_the_picture_is_grey_and_patches_keep_their_order():
    picture = as_picture(thing("chelsea.png", 300, 200))
    outside, inside = A_QUARTER + np.array([[0, 0, 3], [0, 0, 0]]), A_QUARTER
    half = turned_by(90, (300, 100), 100, 100, (300, 200))
    patches = cut_out(picture, np.stack([outside, of_boxes(BOXES)[0], inside, half]), Feed(32))
    assert (patches[0] == GREY).all()
    assert (patches[1] == crop(picture, BOXES[:1], Feed(32))[0]).all()
    assert (patches[2] == cut_out(picture, inside[None], Feed(32))[0]).all()
    assert (patches[3][:12] == GREY).all(), "the query's upper half is to the right of the picture's edge"
    assert patches[3][20:].std() > 5


def test_details_say_how_the_whole_is_turned():
    """Of cells each like itself alone: what is sheared by two cells over the height of the patch."""
    query = one_of_a_kind(14)
    sheared = np.zeros_like(query)
    for row in range(14):
        shift = round((row - 6.5) * 2 / 13)
        sheared[row, max(0, shift) : 14 + min(0, shift)] = query[row, max(0, -shift) : 14 - max(0, shift)]
    found = locate(query, sheared[None])[0]
    assert found[:, :2] == pytest.approx(np.array([[1, 2 / 13], [0, 1]]), abs=0.05)
    assert found @ (0.5, 0.5, 1) == pytest.approx([0.5, 0.5], abs=0.01)


def flat(*colours: tuple[int, int, int]) -> np.ndarray:
    """A small patch of vertical stripes, each of one colour."""
    return np.repeat(np.array(colours, np.uint8)[None], 28, axis=0).repeat(28 // len(colours), axis=1)


def test_colours_are_alike_whatever_the_light_and_unlike_where_red_is_blue():
    red_and_white, blue_and_white = flat((200, 40, 40), (220, 220, 220)), flat((40, 40, 200), (220, 220, 220))
    darker = (red_and_white * 0.6).astype(np.uint8)
    warmer = (red_and_white * [1.0, 0.85, 0.7]).astype(np.uint8)
    grey = flat((100, 100, 100), (220, 220, 220))
    moved = np.roll(red_and_white, 1, axis=1)
    found = colour_likeness(red_and_white, np.stack([red_and_white, darker, warmer, moved, blue_and_white, grey]))
    assert found[0] == pytest.approx(1, abs=0.01)
    assert found[1:4].min() > 0.9
    assert found[4] < 0.6
    assert found[5] == 0
    assert (colour_likeness(grey, np.stack([grey, red_and_white])) == 0).all(), "a query without colours says nothing"


def test_a_seed_that_is_turned_is_followed_and_its_outline_told(embedded):  # noqa: F811
    cat, size = thing("chelsea.png", 200, 150), (640, 480)
    turned = cat.convert("RGBA").rotate(-60, Image.Resampling.BICUBIC, expand=True)
    canvas = photograph(size).image.copy()
    canvas.paste(turned, (300 - turned.width // 2, 220 - turned.height // 2), turned)
    picture, query = as_picture(canvas), encode_query(as_picture(cat), embedded)
    truth = turned_by(60, (300, 220), 200, 150, size)
    seed = turned_by(52, (308, 226), 180, 140, size)
    region = around(seed[None])
    (plain,) = Refiner(query, embedded).refine([picture], [of_boxes(region)])
    (seeded,) = Refiner(query, embedded).refine([picture], [seed[None]])
    assert seeded.score > plain.score + 0.1
    assert iou([seeded.box], enclosing(truth[None]))[0, 0] > 0.8
    away = (np.array(seeded.outline) - outlines(truth[None])[0]) * size
    assert np.linalg.norm(away, axis=1).max() < 20, "pixels from the true corners"


def test_every_encoder_starts_from_a_turned_seed_and_compares_colours(tiny):
    patch = blot(3, 96, 72)
    turned = patch.transpose(Image.Transpose.ROTATE_270)
    picture = photograph((256, 256), (turned, (90, 70)))
    query = encode_query(as_picture(patch), tiny)
    seed = turned_by(90, (90 + 36, 70 + 48), 96, 72, (256, 256))
    region = around(seed[None])
    (plain,) = Refiner(query, tiny).refine([picture], [of_boxes(region)])
    (seeded,) = Refiner(query, tiny).refine([picture], [seed[None]])
    assert seeded.score > max(0.9, plain.score + 0.3)
    assert seeded.colour is not None
    assert seeded.colour > 0.9
    assert iou([seeded.box], region)[0, 0] > 0.9


def test_words_have_no_colours_and_several_pictures_have_all_of_theirs(tiny):
    first, second = (encode_query(photograph((64, 64), (blot(i, 48, 48), (8, 8))), tiny) for i in range(2))
    assert first.small[0].shape == (SMALL.size, SMALL.size, 3)
    assert len(join([first, second]).small) == 2
    picture = photograph((64, 64), (blot(1, 48, 48), (8, 8)))
    box = np.array([[0.0, 0.0, 1.0, 1.0]])
    (both,) = Refiner(join([first, second]), tiny).refine([picture], [of_boxes(box)])
    assert both.colour == pytest.approx(1, abs=0.05), "the more alike one counts"
    (words,) = Refiner(Query(first.feature), tiny).refine([picture], [of_boxes(box)])
    assert words.colour is None
