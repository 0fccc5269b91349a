"""The pyramid of the paper, counted by hand."""

import numpy as np
import pytest

from patchseek.boxes import area
from patchseek.errors import PatchseekError
from patchseek.regions import Pyramid


@pytest.mark.parametrize(("level", "n"), [(0, 1), (1, 5), (2, 14), (3, 30), (4, 55)])
def test_levels_are_cumulative(level, n):
    assert Pyramid.up_to(level).n_regions == len(Pyramid.up_to(level).boxes) == n


def test_half_overlap_makes_84_windows_at_level_3():
    assert Pyramid.up_to(3, overlap=0.5).n_regions == 1 + 9 + 25 + 49


def test_regions_run_level_by_level_and_row_by_row():
    boxes = Pyramid((0, 1)).boxes
    assert boxes.tolist() == [[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]


def test_a_level_can_stand_alone():
    assert Pyramid((3,)).n_regions == 16
    assert Pyramid((3,)).boxes[6] == pytest.approx([0.5, 0.25, 0.75, 0.5])


def test_half_overlapping_windows_of_level_1():
    assert Pyramid((1,), overlap=0.5).boxes[:, 0].tolist() == [0, 0.25, 0.5] * 3


@pytest.mark.parametrize("overlap", [0, 0.1, 0.25, 1 / 3, 0.5, 0.75])
def test_windows_reach_every_edge_and_have_the_size_of_their_level(overlap):
    pyramid = Pyramid.up_to(3, overlap)
    assert area(pyramid.boxes) == pytest.approx(1 / (pyramid.level_of + 1.0) ** 2)
    for level in pyramid.levels:
        boxes = pyramid.boxes[pyramid.level_of == level]
        assert boxes.min() == 0
        assert boxes.max() == 1


def test_the_boxes_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Pyramid().boxes[0, 0] = 1


@pytest.mark.parametrize("levels", [(), (1, 0), (0, 0), (-1,), (16,)])
def test_impossible_levels_are_an_error(levels):
    with pytest.raises(PatchseekError, match="levels"):
        Pyramid(levels)


def test_impossible_overlap_is_an_error():
    with pytest.raises(PatchseekError, match="overlap"):
        Pyramid(overlap=0.95)


def test_equal_pyramids_are_equal():
    assert Pyramid((0, 1, 2, 3)) == Pyramid(tuple(np.arange(4)))
