"""What somebody may search with. Truth is the same picture saved by Pillow and read as a file."""

from collections import deque
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import patchseek as ps

from .conftest import blot


@pytest.fixture
def collection(tmp_path, tiny, make_folder):
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    collection.add(make_folder(*(f"{i}.png" for i in range(4))))
    return collection


@pytest.fixture
def photo(tmp_path) -> Path:
    """A JPEG that lies on its side, as a camera saves it."""
    exif = Image.Exif()
    exif[274] = 6
    blot(5, 64, 32).save(tmp_path / "photo.jpg", exif=exif)
    return tmp_path / "photo.jpg"


def as_bytes(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


class Pipe:
    """Bytes that can be read once and not sought in."""

    def __init__(self, content):
        self.content = content

    def read(self):
        content, self.content = self.content, b""
        return content


def test_files_bytes_and_images_of_one_picture_are_the_same_query(collection, photo):
    content = photo.read_bytes()
    with photo.open("rb") as file, Image.open(photo) as image:
        asked = [photo, str(photo), content, bytearray(content), memoryview(content), BytesIO(content), Pipe(content)]
        for query in (*asked, file, image):
            found = collection.read(query)
            assert (found.width, found.height) == (32, 64), "upright"
            assert (found.pixels == ps.read(photo).pixels).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_file_is(collection, tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("photo.jpg", "photo.png", "photo.tif"):
        blot(5, 64, 32).save(tmp_path / name, exif=exif)
        with Image.open(tmp_path / name) as image:
            assert (collection.read(image).pixels == ps.read(tmp_path / name).pixels).all(), name


def grey(dtype):
    return np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(dtype)


MODES = {
    "1": (blot(1).convert("1"), "PNG"),
    "L": (blot(1).convert("L"), "PNG"),
    "LA": (Image.merge("LA", [blot(1).convert("L"), blot(2).convert("L")]), "PNG"),
    "P": (blot(1).quantize(16), "PNG"),
    "RGB": (blot(1), "PNG"),
    "RGBA": (Image.merge("RGBA", [*blot(1).split(), blot(2).convert("L")]), "PNG"),
    "I;16": (Image.fromarray(grey(np.uint16)), "PNG"),
    "I": (Image.fromarray(grey(np.int32)), "TIFF"),
    "F": (Image.fromarray(grey(np.float32) / 65535), "TIFF"),
    "CMYK": (blot(1).convert("CMYK"), "TIFF"),
    "YCbCr": (blot(1).convert("YCbCr"), "TIFF"),
}


@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_any_mode_looks_as_its_file_does(collection, mode):
    image, kind = MODES[mode]
    assert image.mode == mode
    assert (collection.read(image).pixels == ps.read(as_bytes(image, kind)).pixels).all()


def test_images_that_no_file_holds_look_as_pillow_shows_them(collection):
    see_through = Image.merge("RGBA", [*blot(1).split(), blot(2).convert("L")])
    over_white = np.asarray(Image.alpha_composite(Image.new("RGBA", (64, 48), "white"), see_through).convert("RGB"))
    assert np.abs(collection.read(see_through.convert("RGBa")).pixels.astype(int) - over_white).max() <= 2
    assert (collection.read(blot(1).convert("HSV")).pixels == np.asarray(blot(1).convert("HSV").convert("RGB"))).all()
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    assert np.abs(collection.read(to_lab.apply(blot(1))).pixels.astype(int) - np.asarray(blot(1))).mean() < 4


def test_arrays_are_pictures_of_their_values(collection):
    colours = np.asarray(blot(1))
    assert (collection.read(colours).pixels == colours).all()
    assert (collection.read(colours[::2, ::-1]).pixels == colours[::2, ::-1]).all(), "not contiguous"
    assert (collection.read(colours[..., 1]).pixels == colours[..., 1:2]).all(), "grey"
    opaque = np.dstack([colours, np.full(colours.shape[:2], 255, np.uint8)])
    assert (collection.read(opaque).pixels == colours).all()
    assert (collection.read(opaque * np.array([1, 1, 1, 0], np.uint8)).pixels == 255).all(), "over white"
    assert (collection.read(colours[:1, :1]).pixels == colours[:1, :1]).all()


def test_a_query_does_not_change_with_the_array_it_was_made_of(collection):
    colours = np.array(blot(1))
    found = collection.read(colours)
    colours[:] = 0
    assert (found.pixels == np.asarray(blot(1))).all()


def test_a_search_takes_one_of_them_or_a_list_of_many_kinds(collection, photo):
    content, image = photo.read_bytes(), blot(9)
    several = [photo, content, image, np.asarray(image), np.int64(1), 2, ps.read(photo)]
    assert collection.search(several) == collection.search([photo, photo, image, image, 1, 2, photo])
    assert collection.search([BytesIO(content), image]) == collection.search((photo, image))
    assert collection.search(image) == collection.search([np.asarray(image)]) == collection.search(deque([image]))
    assert collection.search(np.uint8(3)) == collection.search(3)
    assert collection.search(image, box=(0, 0, 32, 24)) == collection.search([image], box=[(0, 0, 32, 24)])
    assert collection.search(image, exclude=photo) == collection.search(image, exclude=[content])


PIXELS = np.asarray(blot(1))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (PIXELS / 255, "an array of float64 (48, 64, 3)"),
        (PIXELS.astype(np.uint16), "an array of uint16 (48, 64, 3)"),
        (PIXELS.astype(bool), "an array of bool (48, 64, 3)"),
        (PIXELS[..., :2], "an array of uint8 (48, 64, 2)"),
        (PIXELS[None], "an array of uint8 (1, 48, 64, 3)"),
        (PIXELS[0, 0], "an array of uint8 (3,)"),
        (PIXELS[:0], "an array of uint8 (0, 64, 3)"),
        (np.array([1, 2]), "an array of int64 (2,)"),
        (np.array(["a.png"]), "an array of <U5 (1,)"),
        ([PIXELS, None], "None"),
        ([[PIXELS]], "list"),
        ({}, "dict"),
        ({1}, "set"),
        (True, "bool"),
        ([1, False], "bool"),
        (np.True_, "bool"),
        (1.0, "float"),
        (np.float32(1), "float32"),
        (object(), "object"),
        (StringIO("text"), "a file that gives str"),
        (BytesIO(b""), "no bytes"),
        (b"", "no bytes"),
        (bytearray(), "no bytes"),
        ("", "an empty text"),
        (Image.new("RGB", (0, 5)), "an image of 0 x 5 pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_anything_else_is_one_error_that_says_what_is_taken(collection, query, found):
    for ask in (lambda: collection.search(query), lambda: collection.search(1, exclude=query)):
        with pytest.raises(ps.QueryError) as caught:
            ask()
        said = str(caught.value)
        assert said.startswith("a query is a file (its path, its bytes, or open in binary), an image of Pillow's, ")
        assert found in said.partition("; found ")[2].replace("bool_", "bool")
        assert "\n" not in said


def test_a_file_that_cannot_be_read_and_an_image_that_cannot_be_loaded_are_errors_of_one_line(collection, tmp_path):
    closed = BytesIO(b"")
    closed.close()
    with pytest.raises(ps.QueryError, match="cannot be read"):
        collection.search(closed)
    (tmp_path / "torn.png").write_bytes(as_bytes(blot(1))[:200])
    with Image.open(tmp_path / "torn.png") as torn, pytest.raises(ps.ImageError, match="cannot be decoded") as caught:
        collection.search(torn)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [0, -1, 99, 2**63, 10**30, -(10**30), np.uint64(2**64 - 1)])
def test_an_id_that_no_picture_has_is_an_error(collection, number):
    with pytest.raises(ps.QueryError, match="no picture with id"):
        collection.search(number)


@pytest.mark.parametrize("query", [[], (), None])
def test_nothing_to_search_for_is_an_error(collection, query):
    with pytest.raises(ps.QueryError, match="nothing to search for"):
        collection.search(query)


def test_a_file_whose_name_begins_with_a_tilde_is_a_file(collection, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blot(1).save(tmp_path / "~no such user.png")
    assert collection.read("~no such user.png").width == 64
    (tmp_path / "~no such folder").mkdir()
    blot(1).save(tmp_path / "~no such folder" / "a.png")
    assert collection.add("~no such folder").added == 1
