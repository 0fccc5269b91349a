import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from patchseek.confidence import DOUBTFUL
from patchseek.draw import ANSWER, INK, MAT, QUERY, QUERY_MAT, RIGHT, Tile, contact_sheet, draw_boxes, save, shorten
from patchseek.errors import BoxError, PatchseekError


def plain(width: int, height: int, grey: int = 200) -> np.ndarray:
    return np.full((height, width, 3), grey, np.uint8)


def places(pixels: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """x0 y0 x1 y1, ends included, of the pixels of exactly one colour."""
    y, x = np.nonzero((pixels == colour).all(axis=2))
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


def test_the_line_lies_just_inside_the_box_between_two_dark_lines():
    drawn = draw_boxes(plain(20, 30), [(0.2, 0.2, 0.8, 0.8)], line=2)  # x 4..15, y 6..23
    row = [tuple(int(v) for v in pixel) for pixel in drawn[15]]
    ground = (200, 200, 200)
    assert row[:10] == [ground] * 3 + [INK] + [ANSWER] * 2 + [INK] + [ground] * 3
    assert row[10:] == [ground] * 3 + [INK] + [ANSWER] * 2 + [INK] + [ground] * 3
    assert places(drawn, ANSWER) == (4, 6, 15, 23)
    assert places(drawn, INK) == (3, 5, 16, 24)


def test_the_pixels_given_are_not_changed():
    pixels = plain(30, 30)
    pixels.flags.writeable = False
    boxes = np.array([(0.1, 0.1, 0.9, 0.9)])
    drawn = draw_boxes(pixels, boxes, labels=["a"])
    assert (pixels == 200).all() and not (drawn == 200).all()
    assert boxes.tolist() == [[0.1, 0.1, 0.9, 0.9]]


def test_without_boxes_the_pixels_come_back_as_they_are():
    assert (draw_boxes(plain(9, 7), []) == 200).all()
    assert draw_boxes(plain(9, 7), np.zeros((0, 4))).shape == (7, 9, 3)


def test_each_box_has_its_colour_and_the_first_lies_on_top():
    drawn = draw_boxes(plain(40, 20), [(0, 0, 0.5, 1), (0.25, 0, 1, 1)], colours=[RIGHT, QUERY], line=1)
    assert places(drawn, RIGHT) == (0, 0, 19, 19)
    assert places(drawn, QUERY)[2:] == (39, 19)
    assert tuple(drawn[10, 19]) == RIGHT and tuple(drawn[0, 15]) == RIGHT


def test_a_line_is_wider_on_a_larger_picture():
    def width(side: int) -> int:
        drawn = draw_boxes(plain(side, side), [(0, 0, 1, 1)])
        return int((drawn[side // 2, : side // 2] == ANSWER).all(axis=1).sum())

    assert [width(side) for side in (100, 400, 1000, 2000)] == [2, 2, 5, 10]


def test_boxes_at_the_edge_tiny_or_outside_are_drawn_inside_the_picture():
    for box in [(0, 0, 1, 1), (0.5, 0.5, 0.5, 0.5), (-1, -1, 0.2, 2), (1, 1, 1, 1), (2, 2, 3, 3), (0.9, 0.9, 0.1, 0.1)]:
        drawn = draw_boxes(plain(10, 6), [box], labels=["label far wider than the picture"])
        assert drawn.shape == (6, 10, 3)
    for side in range(1, 9):
        drawn = draw_boxes(plain(20, 20), [(0.25, 0.25, 0.25 + side / 20, 0.7)], line=3)
        assert places(drawn, ANSWER) == (5, 5, 4 + side, 13)
        assert places(drawn, INK) == (4, 4, 5 + side, 14)


def test_a_label_stands_above_its_box_or_inside_it_at_the_upper_edge():
    above = draw_boxes(plain(200, 100), [(0.1, 0.5, 0.9, 0.9)], labels=["cup"], line=1)
    assert places(above, ANSWER)[1] == 50 - 13  # letters of 10 pixels need 13
    inside = draw_boxes(plain(200, 100), [(0.1, 0.05, 0.9, 0.9)], labels=["cup"], line=1)
    assert places(inside, ANSWER)[1] == 5


@pytest.mark.parametrize(
    "given",
    [
        {"pixels": np.zeros((4, 4), np.uint8)},
        {"pixels": np.zeros((4, 4, 4), np.uint8)},
        {"pixels": np.zeros((4, 4, 3))},
        {"pixels": np.zeros((0, 4, 3), np.uint8)},
        {"colours": [RIGHT, RIGHT, RIGHT]},
        {"colours": []},
        {"labels": ["one"]},
    ],
)
def test_arguments_that_do_not_fit_are_refused(given):
    with pytest.raises(PatchseekError, match="found"):
        draw_boxes(**{"pixels": plain(8, 8), "boxes": [(0, 0, 1, 1)] * 2, **given})


def test_a_box_that_is_not_finite_is_refused():
    with pytest.raises(BoxError, match="finite"):
        draw_boxes(plain(8, 8), [(0, 0, math.nan, 1)])


def test_the_colours_stay_apart_for_readers_without_red_or_green_cones():
    # dichromacy after Machado, Oliveira and Fernandes (2009), on linear RGB; distances in CIE 1976 L*a*b*
    protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]

    def lab(colour: tuple[int, int, int], eye: list[list[float]]) -> np.ndarray:
        linear = np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.array(colour) / 255])
        xyz = np.array(to_xyz) @ (np.array(eye) @ linear).clip(0, 1) / (0.9505, 1, 1.089)
        x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    for eye in (protan, deutan):
        for a, b in ((RIGHT, ANSWER), (RIGHT, QUERY), (ANSWER, QUERY)):
            assert np.linalg.norm(lab(a, eye) - lab(b, eye)) > 30


def test_a_sheet_has_one_column_for_the_query_and_as_many_rows_as_the_results_need():
    tiles = [Tile(plain(40, 30), f"{i}.jpg", score=0.5) for i in range(7)]
    # tile 150: fields of 150 x 112, text in 4 x 10 below, gaps of 10; the query's field is 150 * 7 // 4 wide
    cell, wide = 112 + 40, 262
    assert contact_sheet(None, tiles[:3], columns=5, tile=150).shape == (10 + cell + 10, 10 + 3 * 160, 3)
    assert contact_sheet(None, tiles, columns=5, tile=150).shape == (10 + 2 * (cell + 10), 10 + 5 * 160, 3)
    assert contact_sheet(tiles[0], tiles[:2], tile=150).shape == (cell + 20, 150 + 40 + 2 * 160, 3)
    assert contact_sheet(tiles[0], tiles, tile=150).shape == (10 + 2 * (cell + 10), wide + 40 + 5 * 160, 3)
    assert contact_sheet(tiles[0], [], tile=150).shape == (cell + 20, 150 + 40, 3)


@pytest.mark.parametrize(
    ("width", "height", "shown"), [(400, 300, (149, 112)), (900, 100, (150, 17)), (50, 100, (56, 112))]
)
def test_a_picture_keeps_its_shape_on_a_sheet(width, height, shown):
    sheet = contact_sheet(None, [Tile(plain(width, height, 90))], tile=150)
    x0, y0, x1, y1 = places(sheet, (90, 90, 90))
    assert (x1 - x0 + 1, y1 - y0 + 1) == shown
    assert x0 - 10 == (150 - shown[0]) // 2 and y0 - 10 == (112 - shown[1]) // 2  # in the middle of its field
    assert tuple(sheet[121, 159]) == MAT


def test_the_query_stands_on_blue_at_the_left_with_its_own_colour():
    box = [(0.25, 0.25, 0.75, 0.75)]
    sheet = contact_sheet(Tile(plain(40, 30), boxes=box), [Tile(plain(40, 30), boxes=box)], tile=150)
    assert places(sheet, QUERY_MAT) == (0, 0, 169, sheet.shape[0] - 1)
    assert places(sheet, QUERY)[2] < 170 < places(sheet, ANSWER)[0]
    x0, y0, x1, y1 = places(sheet, ANSWER)
    field_x, field_y = 150 + 4 * 10, 10
    assert (x0 - field_x, x1 + 1 - field_x) == (37, 112)  # a quarter and three quarters of 149
    assert (y0 - field_y, y1 + 1 - field_y) == (28, 84)


def test_boxes_of_what_is_doubtful_are_faint_and_how_sure_it_is_stands_in_place_of_the_score():
    def drawn(**said: float) -> tuple[np.ndarray, np.ndarray]:
        sheet = contact_sheet(None, [Tile(plain(40, 30, 90), "", [(0.25, 0.25, 0.75, 0.75)], **said)], tile=150)
        return sheet[10:122], sheet[122:]

    pixels, text = drawn(confidence=DOUBTFUL, score=0.5)
    assert places(pixels, ANSWER)
    for doubtful in (0.0, DOUBTFUL - 0.01):
        faint, _ = drawn(confidence=doubtful)
        assert not (faint == ANSWER).all(axis=2).any()
        left = faint[56, 10 + 37 + 1]  # a quarter of 149 into it
        assert left.tolist() == [round(0.4 * c + 0.6 * 90) for c in ANSWER]
    assert (text == drawn(confidence=DOUBTFUL)[1]).all()
    assert (text != drawn(score=0.5)[1]).any()
    assert (drawn(score=0.5)[0] == pixels).all(), "without confidence, nobody says that it is doubtful"


def test_results_may_come_one_by_one_and_empty_sheets_are_refused():
    def results() -> Iterator[Tile]:
        yield from (Tile(plain(30, 30)) for _ in range(3))

    assert contact_sheet(None, results(), tile=80).shape[1] == 5 + 3 * 85
    with pytest.raises(PatchseekError, match="neither"):
        contact_sheet(None, [])
    with pytest.raises(PatchseekError, match="found 0 and 240"):
        contact_sheet(None, [Tile(plain(3, 3))], columns=0)
    with pytest.raises(PatchseekError, match="found 5 and 20"):
        contact_sheet(None, [Tile(plain(3, 3))], tile=20)


def test_a_caption_gives_up_its_middle_and_only_as_much_as_it_must():
    font = ImageFont.load_default(14)
    assert isinstance(font, ImageFont.FreeTypeFont)
    name = "holiday-in-the-mountains-with-everyone-0417.jpg"
    assert shorten(name, 1000, font) == name
    short = shorten(name, 150, font)
    start, end = short.split("\u2026")
    assert name.startswith(start) and name.endswith(end) and len(start) - len(end) in (0, 1)
    longer = name[: len(start) + 1] + "\u2026" + name[-len(end) - 1 :]
    assert font.getlength(short) <= 150 < font.getlength(longer)
    assert shorten(name, 0, font) == "\u2026"


def test_hostile_captions_are_drawn_without_control_characters():
    font = ImageFont.load_default(14)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert shorten("a\nb\x00c\u202ed\udcffe\u2028f\x1b[31m", 1000, font) == "a?b?c?d?e?f?[31m"
    for caption in (
        "\u65e5\u672c\u8a9e.jpg",
        "\u0301" * 500,
        "x" * 1_000_000,
        "\U0001f431",
        "\u05d0\u05d1 abc",
        "\udc80",
    ):
        tile = Tile(plain(30, 20), caption, [(0, 0, 1, 1)], labels=[caption], score=math.nan)
        assert contact_sheet(tile, [tile], tile=80).dtype == np.uint8


def test_a_very_long_picture_still_shows_on_a_sheet():
    assert contact_sheet(None, [Tile(plain(5000, 1)), Tile(plain(1, 5000))], tile=80).shape[1] == 5 + 2 * 85


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("A.JPEG", "JPEG")])
def test_a_picture_is_written_as_its_suffix_says(tmp_path, name, kind):
    pixels = plain(8, 4)
    pixels[:, 4:] = 50
    save(pixels, tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert picture.format == kind
        assert np.abs(np.asarray(picture, int) - pixels).max() <= (0 if kind == "PNG" else 6)


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.exe"])
def test_an_unknown_suffix_is_refused_and_nothing_written(tmp_path, name):
    with pytest.raises(PatchseekError, match=r"use one of \.png, \.jpg, \.jpeg"):
        save(plain(4, 4), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_our_error_with_its_cause(tmp_path: Path):
    with pytest.raises(PatchseekError, match="No such file or directory") as caught:
        save(plain(4, 4), tmp_path / "missing" / "a.png")
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(PatchseekError, match="could not be written"):
        save(plain(4, 4), "a\0.png")
