"""Lines of any slope, outlines in place of boxes, and pairs of pictures with lines between them."""

import math

import numpy as np
import pytest

from patchseek.draw import ANSWER, INK, MAT, QUERY, QUERY_MAT, Pair, Tile, draw_boxes, pair_sheet
from patchseek.draw._strokes import stroke
from patchseek.errors import BoxError, PatchseekError

from .test_draw import places, plain

BOX = (0.1, 0.1, 0.9, 0.9)
DIAMOND = ((0.5, 0.1), (0.9, 0.5), (0.5, 0.9), (0.1, 0.5))


def drawn(outline, line=3):
    return draw_boxes(plain(200, 200), [BOX], outlines=[outline], line=line)


def test_a_level_line_covers_the_pixels_that_it_lies_on_and_half_of_those_beside():
    pixels = np.zeros((9, 20, 3), np.uint8)
    stroke(pixels, [(5, 4.5), (15, 4.5)], (200, 100, 50), 2)
    assert pixels[:, 10, 0].tolist() == [0, 0, 0, 100, 200, 100, 0, 0, 0]  # from 3.5 to 5.5
    assert tuple(pixels[4, 10]) == (200, 100, 50)
    assert not pixels[:, :3].any() and not pixels[:, 17:].any()


def test_a_slanted_line_is_as_wide_as_it_should_be():
    pixels = np.zeros((100, 100, 3), np.uint8)
    stroke(pixels, [(0, 0), (100, 100)], (255, 255, 255), 3)
    across = pixels[30:70, 50, 0].sum() / 255  # a column cuts it at 45 degrees
    assert across == pytest.approx(3 * math.sqrt(2), abs=0.1)


def test_one_corner_is_a_dot_and_what_is_outside_is_left_out():
    pixels = np.zeros((20, 20, 3), np.uint8)
    stroke(pixels, [(10, 10)], (255, 255, 255), 6)
    assert pixels[..., 0].sum() / 255 == pytest.approx(math.pi * 3**2, abs=1)
    for away in [[(-50, -50), (-40, -60)], [(500, 5)], [(-1e9, 10), (1e9, 10)], [(5, -1e6), (5, 1e6)]]:
        stroke(pixels, away, (255, 255, 255), 3)
    assert (pixels[10, :, 0] == 255).all() and (pixels[:, 5, 0] == 255).all()


def test_a_line_may_let_shine_through_what_lies_below():
    pixels = np.full((5, 5, 3), 100, np.uint8)
    stroke(pixels, [(0, 2.5), (5, 2.5)], (200, 200, 200), 3, opacity=0.25)
    assert pixels[2, 2].tolist() == [125, 125, 125]


def test_a_turned_outline_is_drawn_in_place_of_its_box_between_dark_lines():
    picture = drawn(DIAMOND, line=6)
    assert np.allclose(places(picture, ANSWER), (20, 20, 179, 179), atol=4)
    assert tuple(picture[60, 60]) == ANSWER  # the middle of its upper left side
    assert tuple(picture[57, 57]) == tuple(picture[63, 62]) == INK
    assert (picture[20:60, 20:60] == 200).all(axis=2).mean() > 0.8  # the corner of the box is empty


@pytest.mark.parametrize(
    "outline",
    [
        None,
        (),
        [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)],
        [(0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.1)],  # turned by a quarter
        [(0.9, 0.1), (0.1, 0.1), (0.1, 0.9), (0.9, 0.9)],  # mirrored
        [(0.105, 0.1), (0.9, 0.105), (0.895, 0.9), (0.1, 0.895)],  # by a pixel
    ],
)
def test_an_outline_that_is_a_box_is_drawn_as_the_box(outline):
    assert (drawn(outline) == draw_boxes(plain(200, 200), [BOX], line=3)).all()


def test_a_slanted_outline_beyond_the_picture_is_clipped():
    picture = drawn([(-0.2, 0.3), (0.6, -0.4), (1.4, 0.6), (0.4, 1.3)])
    assert picture.shape == (200, 200, 3) and (picture == ANSWER).all(axis=2).any()


def test_each_box_has_its_own_outline_and_label():
    picture = draw_boxes(
        plain(200, 200), [BOX, (0, 0, 0.3, 0.3)], outlines=[DIAMOND, None], colours=[ANSWER, QUERY], labels="ab", line=3
    )
    assert places(picture, QUERY)[:2] == (0, 0) and tuple(picture[60, 60]) == ANSWER


@pytest.mark.parametrize("outline", [DIAMOND[:3], [(math.nan, 0), *DIAMOND[1:]], [(math.inf, 0), *DIAMOND[1:]]])
def test_what_is_no_outline_is_refused(outline):
    with pytest.raises(BoxError, match="four corners"):
        drawn(outline)


def test_as_many_outlines_as_boxes_are_taken():
    with pytest.raises(PatchseekError, match="found 1, 0 and 2"):
        draw_boxes(plain(9, 9), [BOX], outlines=[DIAMOND, DIAMOND])


# ---- pairs


def test_a_pair_has_lines_from_the_points_asked_to_those_found():
    # tile 160: what was asked in 100 x 120, the result in 160 x 120 that begins at 140; gaps of 10
    pair = Pair(plain(100, 100, 90), Tile(plain(160, 120, 60)), [(0, 0.505, 0.5, 60.5 / 120)])
    sheet = pair_sheet(None, [pair], tile=160)
    assert sheet.shape == (10 + 120 + 4 * 10 + 10, 10 + 300 + 10, 3)
    assert tuple(sheet[12, 12]) == QUERY_MAT and tuple(sheet[15, 130]) == MAT
    assert np.allclose(np.array(places(sheet, QUERY)).reshape(2, 2).mean(axis=0), (10 - 0.5, 70 - 0.5), atol=1)
    assert np.allclose(places(sheet, ANSWER)[2:], (230, 70), atol=3)
    assert np.abs(sheet[70, 130].astype(int) - ANSWER).sum() < 50  # the line, in the gap


def test_no_more_lines_are_drawn_than_can_be_told_apart():
    rows = [(0.5, 0.5, 0.5, 0.5)] * 40 + [(1.0, 1.0, 0.0, 1.0)]
    result = Tile(plain(160, 120, 60))
    few, many = (pair_sheet(None, [Pair(plain(50, 50, 90), result, rows[:n])], tile=160) for n in (40, 41))
    assert (few == many).all()


def test_a_result_without_partners_says_so_and_repeats_nothing():
    sheet = pair_sheet(None, [Pair(plain(100, 100, 90), Tile(plain(160, 120, 60)))], tile=160)
    assert not (sheet == 90).all(axis=2).any() and (sheet == 60).all(axis=2).any()
    part = sheet[10:130, 10:110]
    assert not (part == QUERY_MAT).all()  # something is written there


def test_points_that_are_no_numbers_are_refused():
    with pytest.raises(BoxError, match="finite"):
        pair_sheet(None, [Pair(plain(9, 9), Tile(plain(9, 9)), [(0, 0, math.nan, 0)])])


def test_pairs_stand_in_two_columns_beside_the_query():
    pairs = [Pair(plain(9, 9), Tile(plain(9, 9), f"{i}.jpg", score=0.5)) for i in range(3)]
    sheet = pair_sheet(Tile(plain(9, 9)), pairs, tile=160)
    assert sheet.shape == (10 + 2 * (160 + 10), 280 + 40 + 2 * 310, 3)
    with pytest.raises(PatchseekError, match="neither"):
        pair_sheet(None, [])
