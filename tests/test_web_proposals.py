"""Proposed boxes on the page in a real browser: light outlines, one of which is taken with mouse, finger or key."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from .browser import answered, draw_box, overlap, settle, until
from .live import serving_tiles
from .test_proposals import BLUE, RED, Mosaic, laid
from .test_web import SCREENS, chromium, open_page  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("web")

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SEEN = "[...document.querySelectorAll('#stage .proposal')].filter((one) => one.checkVisibility()).length"
THINGS = (RED, (60, 80, 150, 150)), (BLUE, (360, 240, 150, 180))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A picture with two things in it."""
    path = tmp_path_factory.mktemp("proposals") / "photo.png"
    Image.fromarray(laid(*THINGS, size=(600, 480)).pixels).save(path)
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server over a few small pictures, whose encoder shows cells."""
    with serving_tiles(tmp_path_factory.mktemp("tiles"), 4, Mosaic()) as address:
        yield address


def dropped(page, photo):
    """The outlines on the picture, once it has been searched with whole, and the boxes that they are."""
    with page.expect_response("**/proposals") as told:
        answered(page, lambda: page.set_input_files("#file", photo))
    boxes = told.value.json()["boxes"]
    assert 1 < len(boxes) <= 3
    until(page, f"{SEEN} === {len(boxes)}")
    settle(page)
    assert page.locator("#proposed-help").is_visible()
    return page.locator("#stage .proposal"), boxes


@pytest.mark.parametrize("way", ["mouse", "finger", "key"])
def test_an_outline_is_taken_and_searched_with_and_all_of_them_go(open_page, photo, way):  # noqa: F811
    page = open_page(**(PHONE if way == "finger" else {}))
    outlines, boxes = dropped(page, photo)
    blue = THINGS[1][1]
    chosen = max(range(len(boxes)), key=lambda i: overlap(boxes[i], blue))
    assert overlap(boxes[chosen], blue) > 0.6
    assert not [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    page.screenshot(path=SCREENS / f"proposals-{way}.png")
    rect = outlines.nth(chosen).bounding_box()
    corner = rect["x"] + rect["width"] - 5, rect["y"] + 5  # in no smaller one

    def take():
        if way == "key":
            outlines.nth(chosen).focus()
            page.keyboard.press("Enter")
        else:
            (page.touchscreen.tap if way == "finger" else page.mouse.click)(*corner)

    assert answered(page, take)["query"]["box"] == boxes[chosen]
    assert page.evaluate(SEEN) == 0
    assert page.locator("#proposed-help").is_hidden()
    assert page.evaluate("document.activeElement.classList.contains('boxer')")
    page.keyboard.press("Control+z")
    until(page, f"{SEEN} === {len(boxes)}")


def test_a_box_drawn_across_outlines_is_drawn_and_they_go(open_page, photo):  # noqa: F811
    page = open_page()
    dropped(page, photo)
    drawn = (100, 100, 350, 250)
    answer = answered(page, lambda: draw_box(page, drawn))
    assert overlap(answer["query"]["box"], drawn) > 0.95
    assert page.evaluate(SEEN) == 0
