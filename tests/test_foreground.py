"""What stands on even ground: the box around it, by hand; and that a query without a box is asked for by it."""

import numpy as np
import pytest
import skimage
from PIL import Image

from patchseek import Collection
from patchseek.boxes import WHOLE, iou
from patchseek.foreground import foreground
from patchseek.images import from_image, read
from patchseek.queries import asked_box

DATA = skimage.__path__[0] + "/data/"
COFFEE = Image.open(DATA + "coffee.png").convert("RGB").crop((150, 50, 450, 350))  # 300 x 300, no ground of its own


def on(ground, box, size=(640, 480), shown=COFFEE):
    """A picture of one colour in which x y w h shows something."""
    x, y, w, h = box
    image = Image.new("RGB", size, ground)
    image.paste(shown.resize((w, h)), (x, y))
    return image


@pytest.mark.parametrize("ground", ["white", "black", (240, 238, 230), (20, 90, 200)])
@pytest.mark.parametrize("box", [(200, 100, 300, 300), (0, 0, 320, 480), (100, 0, 200, 480), (600, 430, 40, 50)])
def test_the_box_is_that_of_what_stands_on_the_ground(ground, box, tmp_path):
    path = tmp_path / "shown.jpg"
    on(ground, box).save(path, quality=85)
    x, y, w, h = box
    expected = x / 640, y / 480, (x + w) / 640, (y + h) / 480
    assert iou([foreground(read(path))], [expected]).item() > 0.88


def test_large_pictures_and_pale_edges_are_looked_at_alike():
    large = on("white", (1000, 2000, 1500, 1500), (4000, 5000))
    assert foreground(from_image(large)) == pytest.approx((0.25, 0.4, 0.625, 0.7), abs=0.005)


def test_what_is_clear_around_the_thing_is_ground():
    thing = Image.new("RGBA", (400, 400))
    thing.paste(COFFEE.resize((100, 200)).convert("RGBA"), (50, 120))
    assert foreground(from_image(thing)) == pytest.approx((0.125, 0.3, 0.375, 0.8), abs=0.01)


@pytest.mark.parametrize("name", ["coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg"])
def test_a_photograph_is_whole(name):
    assert foreground(read(DATA + name)) == WHOLE


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((90, 120, 3), 255, np.uint8),  # nothing there
        np.tile(np.linspace(0, 255, 300, dtype=np.uint8)[None, :, None], (200, 1, 3)),  # a shade across a wall
        np.zeros((1, 1, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8),
    ],
)
def test_where_nothing_stands_on_ground_the_picture_is_whole(pixels):
    picture = from_image(Image.fromarray(pixels))
    assert foreground(picture) == WHOLE
    assert asked_box(picture, None) is None


def test_a_speck_on_the_page_is_no_thing():
    page = Image.new("RGB", (256, 256), "white")
    page.putpixel((3, 250), (0, 0, 0))
    page.paste(COFFEE.resize((64, 64)), (96, 96))
    assert foreground(from_image(page)) == (96 / 256, 96 / 256, 160 / 256, 160 / 256)


def test_a_box_that_is_given_stands_whatever_the_ground():
    picture = from_image(on("white", (200, 100, 300, 300)))
    assert asked_box(picture, (0, 0, 640, 480)) == WHOLE
    assert asked_box(picture, (10, 10, 64, 48)) == pytest.approx((10 / 640, 10 / 480, 74 / 640, 58 / 480))


def test_a_thing_on_a_wide_page_is_boxed_as_without_the_page(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    scene = Image.open(DATA + "rocket.jpg").convert("RGB").resize((640, 480))
    scene.paste(COFFEE.resize((160, 160)), (320, 200))
    scene.save(folder / "scene.png")
    for name in ("astronaut.png", "chelsea.png"):
        Image.open(DATA + name).convert("RGB").resize((640, 480)).save(folder / name)
    collection = Collection.open(tmp_path / "collection", create=True)
    collection.add(folder)
    page = on("white", (400, 30, 300, 300), (800, 500))
    truth = [320 / 640, 200 / 480, 480 / 640, 360 / 480]
    boxed = {box: collection.search(page, box=box, top=1)[0] for box in (None, (0, 0, 800, 500))}
    assert [match.image.path for match in boxed.values()] == ["scene.png", "scene.png"]
    fits = {box: iou([match.box], [truth]).item() for box, match in boxed.items()}
    assert fits[None] > 0.85 > fits[0, 0, 800, 500]
