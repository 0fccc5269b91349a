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


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (100, 100), (300, 100), (100, 300)])
def test_up_to_three_to_one_every_picture_has_the_square_grids(width, height):
    assert Pyramid().boxes_of(width, height) is Pyramid().boxes


def grids(pyramid, width, height):
    """(columns, rows) of each level, counted in the boxes."""
    boxes = pyramid.boxes_of(width, height)
    assert len(boxes) == pyramid.n_regions
    levels = [boxes[pyramid.level_of == level] for level in pyramid.levels]
    return [(len(set(level[:, 0].round(9))), len(set(level[:, 1].round(9)))) for level in levels]


def test_long_pictures_have_as_many_cells_of_a_better_shape():
    assert grids(Pyramid(), 9000, 600) == [(1, 1), (4, 1), (9, 1), (16, 1)]
    assert grids(Pyramid(), 600, 9000) == [(1, 1), (1, 4), (1, 9), (1, 16)]
    assert grids(Pyramid(), 4000, 1000) == [(1, 1), (4, 1), (9, 1), (8, 2)]  # of 4:1, 9 columns are 4:9, 3 are 4:1
    assert grids(Pyramid(follows_shape=False), 9000, 600) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert grids(Pyramid((1,), overlap=0.5), 9000, 600) == [(9, 1)]


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5])
@pytest.mark.parametrize("size", [(9000, 600), (500, 4000), (1, 1000)])
def test_the_cells_of_long_pictures_cover_them_and_are_alike(overlap, size):
    pyramid = Pyramid.up_to(3, overlap)
    for level in pyramid.levels:
        boxes = pyramid.boxes_of(*size)[pyramid.level_of == level]
        assert boxes.min() == 0
        assert boxes.max() == pytest.approx(1)
        assert np.ptp(area(boxes)) == pytest.approx(0)
        for edge in (0, 1):
            starts = np.unique(boxes[:, edge].round(9))
            steps = np.diff(starts) if len(starts) > 1 else np.array([0.0])
            assert (steps <= (boxes[0, edge + 2] - boxes[0, edge]) * (1 - overlap) + 1e-6).all()


def test_the_boxes_of_long_pictures_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Pyramid().boxes_of(9000, 600)[0, 0] = 1
