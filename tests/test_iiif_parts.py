"""Parts of IIIF pictures, fetched larger than the whole was indexed, so that boxes are refined where there is more to
see. The Image API is a server of the test's own, which cuts and shrinks with Pillow."""

import io
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import urllib3
from PIL import Image

from patchseek import Collection
from patchseek.originals import find_closely, find_original
from patchseek.rank import _refinement
from patchseek.sources import _iiif_parts

from .conftest import TinyEncoder
from .test_iiif import Museum, asked
from .web_server import serving

pytestmark = [pytest.mark.extra("urls"), pytest.mark.usefixtures("own_web")]
assert urllib3  # what the extra brings

SIZE = 4000, 3000
REGION = re.compile(r"/iiif/0/(\d+),(\d+),(\d+),(\d+)/(\d+),/0/default\.jpg")
BOX = 0.5, 0.5, 0.6, 0.6
INFO = {"width": 4000, "height": 3000, "profile": "level2", "type": "ImageService3"}


def painting():
    """Smooth colours, with fine stripes in the middle that 1,024 pixels cannot hold."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    pixels = np.stack([x * 255 // SIZE[0], y * 255 // SIZE[1], np.full(x.shape, 90)], -1).astype(np.uint8)
    pixels[1500:1800, 2000:2400, 2] = np.where(np.arange(2000, 2400) // 2 % 2, 255, 0)
    return Image.fromarray(pixels)


class Cutter(Museum):
    """A museum with one picture, cut and shrunk as it is asked to."""

    def __init__(self, site, base, picture):
        self.site, self.base, self.picture = site, base, picture
        self.put_bytes("/iiif/0/full/!1024,1024/0/default.jpg", picture.resize((1024, 768), Image.Resampling.BOX))
        self.tell(INFO)
        site.missing = self.cut

    def put_bytes(self, path, picture):
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        self.site.put(path, stream.getvalue())

    def tell(self, said):
        self.site.put("/iiif/0/info.json", json.dumps(said).encode())

    def cut(self, handler):
        if not (found := REGION.fullmatch(handler.path)):
            return 404, {}, b"no"
        x, y, w, h, width = map(int, found.groups())
        assert 0 < w <= SIZE[0] - x and 0 < h <= SIZE[1] - y and 0 < width <= w
        part = self.picture.resize((width, round(h * width / w)), Image.Resampling.BOX, (x, y, x + w, y + h))
        stream = io.BytesIO()
        part.save(stream, "PNG")
        return 200, {"ETag": '"1"'}, stream.getvalue()

    @property
    def parts(self):
        return [path for path in asked(self) if "/full/" not in path]


@pytest.fixture(autouse=True)
def forgiving():
    _iiif_parts._slow.clear()


@pytest.fixture(scope="module")
def picture():
    return painting()


@pytest.fixture
def museum(picture):
    with serving() as (site, base):
        yield Cutter(site, base, picture)


@pytest.fixture
def collection(museum, tmp_path):
    collection = Collection.open(tmp_path / "collection", encoder=TinyEncoder(), points=False, create=True)
    assert collection.add(museum.manifest3("manifest", museum.canvas3(0))).added == 1
    return collection


@pytest.fixture
def image(collection):
    (image,) = collection.store.images([1])
    return image


def middle(picture):
    """What lies in the middle of BOX, of a picture's pixels."""
    height, width = picture.pixels.shape[:2]
    return picture.pixels[int(0.53 * height) : int(0.57 * height), int(0.52 * width) : int(0.58 * width), 2]


def test_where_the_box_lies_there_is_more_to_see(image):
    before, finer = find_original(image), find_closely(image, BOX, need=896)
    assert before.pixels.shape == (768, 1024, 3)
    assert (finer.width, finer.height) == (1024, 768), "as the catalogue has it"
    height, width = finer.pixels.shape[:2]
    assert 2.5 < width / 1024 < 4
    assert width * height < 8.1e6
    assert middle(before).std() < 20
    assert middle(finer).std() > 90, "stripes"
    small = np.asarray(finer.image.resize((1024, 768), Image.Resampling.BOX), np.float32)
    assert abs(small - before.pixels).mean() < 1, "the same picture everywhere"


def test_what_is_asked_for_is_the_box_with_its_surroundings_and_no_more(image, museum):
    find_closely(image, BOX, need=896)
    info, part = sorted(museum.parts, reverse=True)
    assert info == "/iiif/0/info.json"
    x, y, w, h, width = map(int, REGION.fullmatch(part).groups())
    # half a side around: 0.45 to 0.65, in thirty-seconds 14 to 21
    assert (x, y, x + w, y + h) == (1750, 1312, 2625, 1969)
    # 672 pixels for the shorter side of 657 of 3000 ask for more than 8 million, which are 3266 x 2449
    assert width == round(875 * 3266 / 4000) == 714


def test_like_boxes_ask_once_and_another_day_nobody_is_asked(image, museum):
    find_closely(image, BOX, need=896)
    n_asked = len(museum.parts)
    find_closely(image, (0.505, 0.5, 0.6, 0.595), need=896)
    find_closely(replace(image, may_fetch=False), BOX, need=896)
    assert len(museum.parts) == n_asked
    finer = find_closely(replace(image, may_fetch=False), BOX, need=896)
    assert middle(finer).std() > 90
    assert find_closely(replace(image, may_fetch=False), (0.1, 0.1, 0.2, 0.2), need=896).pixels.shape[1] == 1024
    assert len(museum.parts) == n_asked, "and nothing is fetched where nothing may be"


def test_a_box_that_is_large_enough_asks_nothing(image, museum):
    assert find_closely(image, (0, 0, 1, 1), need=896).pixels.shape[1] == 1024
    assert not museum.parts


@pytest.mark.parametrize(
    "said",
    [
        INFO | {"profile": "level0"},
        INFO | {"profile": ["http://iiif.io/api/image/2/level0.json", {"formats": ["jpg"]}]},
        INFO | {"width": 1200, "height": 900},
        {"width": 4000},
        INFO | {"width": "4000", "height": -1},
        INFO | {"width": True},
        [],
        None,
    ],
)
def test_who_has_no_larger_parts_is_asked_for_none(image, museum, said):
    museum.tell(said)
    assert find_closely(image, BOX, need=896).pixels.shape[1] == 1024
    assert museum.parts == ["/iiif/0/info.json"]


@pytest.mark.parametrize(
    "said",
    [
        INFO | {"profile": "level0", "extraFeatures": ["regionByPx", "sizeByW"]},
        INFO | {"profile": ["http://iiif.io/api/image/2/level1.json", {"supports": ["cors"]}]},
        INFO | {"maxWidth": 700},
    ],
)
def test_who_has_them_in_another_way_is_asked(image, museum, said):
    museum.tell(said)
    finer = find_closely(image, BOX, need=896)
    assert finer.pixels.shape[1] > 2 * 1024
    assert max(int(REGION.fullmatch(path)[5]) for path in museum.parts[:1]) <= said.get("maxWidth", 4000)


@pytest.mark.parametrize("body", [b"no picture", b"", b"{}"])
def test_what_is_no_part_changes_nothing(image, museum, body):
    museum.site.missing = lambda _: (200, {}, body)
    assert (find_closely(image, BOX, need=896).pixels == find_original(image).pixels).all()


def test_a_part_with_more_pixels_than_were_asked_for_is_not_looked_at(image, museum):
    stream = io.BytesIO()
    Image.new("RGB", (6000, 4500)).save(stream, "PNG")
    museum.site.missing = lambda _: (200, {}, stream.getvalue())
    assert find_closely(image, BOX, need=896).pixels.shape[1] == 1024


def test_a_part_of_another_picture_is_not_looked_at(image, museum):
    museum.picture = museum.picture.transpose(Image.Transpose.ROTATE_180)
    assert find_closely(image, BOX, need=896).pixels.shape[1] == 1024
    assert len(museum.parts) == 2


def test_a_host_that_hangs_holds_a_search_up_once(image, museum, monkeypatch):
    monkeypatch.setattr(_iiif_parts, "SECONDS", 0.3)
    museum.site.missing = lambda _: time.sleep(1.0)
    began = time.monotonic()
    for low in (0.1, 0.3, 0.5, 0.7):
        assert find_closely(image, (low, low, low + 0.1, low + 0.1), need=896).pixels.shape[1] == 1024
    assert time.monotonic() - began < 0.9
    assert len([path for path in museum.parts if REGION.fullmatch(path)]) == 1
    monkeypatch.setattr(_iiif_parts, "PAUSE", 0.0)
    _iiif_parts._slow.clear()
    museum.site.missing = museum.cut
    assert find_closely(image, (0.7, 0.7, 0.8, 0.8), need=896).pixels.shape[1] > 1024, "and is asked again later"


def test_a_host_that_says_not_found_is_asked_for_the_next(image, museum):
    museum.site.missing = lambda _: (404, {}, b"")
    for low in (0.1, 0.5):
        find_closely(image, (low, low, low + 0.1, low + 0.1), need=896)
    assert len([path for path in museum.parts if REGION.fullmatch(path)]) == 2


def test_a_refined_search_looks_at_parts_and_one_without_does_not(collection, museum, picture, tmp_path, monkeypatch):
    monkeypatch.setattr(_refinement, "need", lambda _: 896)
    picture.crop((3000, 2250, 4000, 3000)).save(tmp_path / "query.png")
    collection.search(tmp_path / "query.png", refine=0)
    assert not museum.parts
    (best,) = collection.search(tmp_path / "query.png")
    assert any(REGION.fullmatch(path) for path in museum.parts)
    assert (best.image.width, best.image.height) == (1024, 768)
    assert len(museum.parts) == 2
