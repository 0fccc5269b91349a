"""Numbers small enough to check by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchseek.boxes import area, clip, from_pixels, iou, suppress, to_pixels, union
from patchseek.errors import BoxError


def test_area_of_half_a_picture_and_of_an_inverted_box():
    assert area([[0, 0, 0.5, 1], [0.6, 0, 0.5, 1]]).tolist() == [0.5, 0.0]


def test_iou_of_two_halves_that_share_a_quarter_is_one_third():
    left, middle = [0, 0, 0.5, 1], [0.25, 0, 0.75, 1]
    assert iou([left], [left, middle, [0.5, 0, 1, 1]]) == pytest.approx(np.array([[1, 0.25 / 0.75, 0]]))


def test_iou_of_empty_boxes_is_zero():
    assert iou([[0.5, 0.5, 0.5, 0.5]], [[0.5, 0.5, 0.5, 0.5]]).tolist() == [[0.0]]


def test_clip_keeps_the_part_inside_and_leaves_its_argument():
    boxes = np.array([[-0.1, 0.2, 1.3, 0.9]])
    assert clip(boxes).tolist() == [[0, 0.2, 1, 0.9]]
    assert boxes[0, 0] == -0.1


def test_union_encloses_all():
    assert union([[0.1, 0.5, 0.2, 0.6], [0.3, 0.1, 0.4, 0.2]]).tolist() == [0.1, 0.1, 0.4, 0.6]


def test_union_of_nothing_is_an_error():
    with pytest.raises(BoxError, match="no boxes"):
        union(np.empty((0, 4)))


def test_suppress_keeps_the_best_of_a_pile_and_what_stands_apart():
    boxes = [[0, 0, 0.5, 0.5], [0.01, 0, 0.51, 0.5], [0.6, 0.6, 1, 1]]
    assert suppress(boxes, [0.5, 0.9, 0.7]).tolist() == [1, 2]


def test_pixels_of_the_middle_cell():
    assert to_pixels((0.25, 0.5, 0.5, 1), 400, 100) == (100, 50, 100, 50)


def test_a_sliver_is_still_one_pixel_inside_the_picture():
    assert to_pixels((0.9999, 0.9999, 1, 1), 100, 100) == (99, 99, 1, 1)


def test_pixels_to_box():
    assert from_pixels((100, 50, 100, 50), 400, 100) == (0.25, 0.5, 0.5, 1)


def test_four_numbers_up_to_one_are_shares():
    assert from_pixels((0.2, 0.1, 0.3, 0.4), 640, 480) == pytest.approx((0.2, 0.1, 0.5, 0.5))


def test_a_box_that_laps_over_by_two_pixels_is_clipped():
    assert from_pixels((-2, 0, 52, 52), 50, 50) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    "box",
    [(500, 0, 10, 10), (0, 0, 200, 50), (-30, 0, 40, 40), (10, 10, 0, 5), (10, 10, 5, -5), (0, 0, float("nan"), 5)],
)
def test_a_box_outside_empty_or_not_a_number_is_an_error_of_one_line(box):
    with pytest.raises(BoxError) as caught:
        from_pixels(box, 100, 100)
    assert "\n" not in str(caught.value)


whole = st.integers(1, 300)


@given(whole, whole, st.data())
def test_pixels_survive_the_way_in_and_out(width, height, data):
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    if max(x, y, w, h) > 1:
        assert to_pixels(from_pixels((x, y, w, h), width, height), width, height) == (x, y, w, h)
