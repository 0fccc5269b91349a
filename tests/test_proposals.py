"""Which boxes are proposed of pictures whose things are known: laid by hand, seen by an encoder followed by hand."""

import numpy as np
import pytest
import skimage
from PIL import Image

from patchseek.boxes import iou
from patchseek.encoders import Cells, open_encoder
from patchseek.images import from_image, read
from patchseek.proposals import boxes_of, differing, propose

from .conftest import TinyEncoder

GREY, RED, BLUE = (128, 128, 128), (220, 20, 20), (20, 20, 220)


class Mosaic(TinyEncoder):
    """The tiny encoder, which also shows what is where: a cell is the mean colour of its pixels."""

    window, power = 32, None
    cells = property(lambda self: self)

    def encode_cells(self, patches):
        cells = self.encode_map(patches)
        return self.encode(patches), Cells(cells, cells)

    def encode_map(self, windows):
        size = windows.shape[1] // 8
        cells = windows.reshape(-1, 8, size, 8, size, 3).mean(axis=(2, 4)).astype(np.float32) + 1
        return cells / np.linalg.norm(cells, axis=3, keepdims=True)


def laid(*things, size=(64, 64)):
    """A grey picture with things (colour, x y w h) on it."""
    image = Image.new("RGB", size, GREY)
    for colour, (x, y, w, h) in things:
        image.paste(colour, (x, y, x + w, y + h))
    return from_image(image)


def shares(x, y, w, h, side=64):
    return np.array([(x, y, x + w, y + h)]) / side


@pytest.mark.parametrize("box", [(16, 8, 24, 24), (40, 40, 16, 16), (8, 24, 48, 16), (0, 16, 32, 32)])
def test_one_thing_is_the_first_box_wherever_it_lies(box):
    found = propose(laid((RED, box)), Mosaic())
    assert 1 <= len(found) <= 3
    assert iou(found[:1], shares(*box)).item() > 0.75


def test_two_things_apart_have_a_box_each():
    boxes = (8, 8, 16, 16), (40, 32, 16, 24)
    found = propose(laid((RED, boxes[0]), (BLUE, boxes[1])), Mosaic())
    assert all(iou(found, shares(*box)).max() > 0.6 for box in boxes)


def test_shares_are_those_of_the_picture_whatever_its_shape():
    found = propose(laid((RED, (64, 16, 64, 32)), size=(256, 64)), Mosaic())
    assert iou(found[:1], [(0.25, 0.25, 0.5, 0.75)]).item() > 0.75


def test_cells_differ_by_their_angle_to_the_mean_of_the_border():
    cells = np.tile(np.float32([2, 0]), (4, 4, 1))
    cells[1, 2] = 0, 5
    cells[2, 1] = 3, 3
    expected = np.zeros((4, 4))
    expected[1, 2], expected[2, 1] = 1, 1 - np.sqrt(0.5)
    assert np.allclose(differing(cells), expected, atol=1e-6)


def test_parts_that_touch_at_corners_alone_are_two():
    seen = np.zeros((28, 28), np.float32)
    seen[4:12, 4:12] = seen[12:20, 12:20] = 1
    found = boxes_of([seen])
    assert sorted(map(tuple, (found * 28).round().astype(int).tolist())) == [(4, 4, 12, 12), (12, 12, 20, 20)]


def test_of_what_is_even_flat_or_no_number_nothing_is_proposed():
    assert propose(laid(), Mosaic()).shape == (0, 4)
    assert propose(laid(), open_encoder()).shape == (0, 4)  # whose padding alone makes its cells differ
    assert boxes_of([np.full((8, 8), 0.5, np.float32)]).shape == (0, 4)
    assert boxes_of([]).shape == (0, 4)
    assert boxes_of([differing(np.full((8, 8, 3), np.nan, np.float32))]).shape == (0, 4)


def test_an_encoder_without_cells_proposes_nothing():
    assert propose(laid((RED, (16, 16, 24, 24))), TinyEncoder()).shape == (0, 4)


def test_the_embedded_encoder_finds_the_cup_in_its_photograph():
    picture = read(skimage.__path__[0] + "/data/coffee.png")
    cup = np.array([(165, 65, 475, 300)]) / ([picture.width, picture.height] * 2)
    assert iou(propose(picture, open_encoder()), cup).max() > 0.5
