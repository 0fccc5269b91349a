"""Drawing on the page in a real browser: zoom, handles, what changes nothing, what is taken back, and a finger."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from .browser import answered, draw_box, note_boxes, overlap, settle, until
from .conftest import TinyEncoder, blot
from .live import serving_tiles
from .test_web import SCREENS, chromium, open_page  # noqa: F401  fixtures

pytestmark = [pytest.mark.extra("web"), pytest.mark.long]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
SIZES = {"photo": (600, 400), "wide": (6000, 700), "large": (6000, 4000)}
SEEN = """(selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility())
    .map((one) => one.getBoundingClientRect()).map(({x, y, width, height}) => [x, y, width, height])"""

IN_VIEW = """(() => {
    const {top} = document.getElementById("answers").getBoundingClientRect();
    return top < 100 || (top < 0.6 * innerHeight && scrollY + innerHeight > document.body.scrollHeight - 2);
})()"""
# whether the results are: at the top of the window, or as far up as the page goes


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photographs to draw on, by their name in SIZES: coloured tiles."""
    folder = tmp_path_factory.mktemp("drawing")
    for seed, (name, size) in enumerate(SIZES.items()):
        blot(seed, 64, 48).resize(size, Image.Resampling.NEAREST).save(folder / f"{name}.jpg", quality=80)
    return {name: folder / f"{name}.jpg" for name in SIZES}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server over twelve small pictures, whose searches take no time to speak of."""
    with serving_tiles(tmp_path_factory.mktemp("tiles"), 12, TinyEncoder()) as address:
        yield address


@pytest.fixture
def drawn_on(open_page, photos):  # noqa: F811
    """drawn_on(name, **context) -> a page on which that photograph has been searched with, whole."""

    def open_with(name="photo", **context):
        page = open_page(**context)
        answered(page, lambda: page.set_input_files("#file", photos[name]))
        return page

    return open_with


def drag(page, *way):
    page.mouse.move(*way[0])
    page.mouse.down()
    for point in way[1:]:
        page.mouse.move(*point, steps=3)
    page.mouse.up()


def numbers(page):
    """The box in numbers, as the page shows it; None without one."""
    shown = page.evaluate("[...'xywh'].map((side) => document.getElementById(`box-${side}`).value)")
    return [int(side) for side in shown] if all(shown) else None


def middle(rect):
    return rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2


def rest(page):
    """Longer than the page waits before it searches with a box."""
    page.wait_for_timeout(350)


# ---- zoom


def test_wheel_buttons_and_keys_zoom_and_what_is_drawn_then_is_what_was_seen(drawn_on):
    page = drawn_on()
    stage = page.locator("#stage .boxer")
    whole = stage.bounding_box()
    corner = whole["x"] + 60, whole["y"] + 40
    page.mouse.move(*corner)
    page.mouse.wheel(0, -400)
    until(page, lambda: stage.bounding_box()["width"] > 2.5 * whole["width"])
    zoomed = stage.bounding_box()
    scale = zoomed["width"] / whole["width"]
    # the point under the pointer stays where it is
    assert (zoomed["x"], zoomed["y"]) == pytest.approx((corner[0] - 60 * scale, corner[1] - 40 * scale), abs=1.5)
    x, y, w, h = answered(page, lambda: drag(page, corner, (corner[0] + 50, corner[1] + 60)))["query"]["box"]
    pixel = 600 / zoomed["width"]
    expected = (60 * scale * pixel, 40 * scale * pixel, 50 * pixel, 60 * pixel)
    assert (x, y, w, h) == pytest.approx(expected, abs=2)
    before = stage.bounding_box()
    page.keyboard.down("Shift")
    drag(page, corner, (corner[0] + 30, corner[1] + 20))
    page.keyboard.up("Shift")
    after = stage.bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((30, 20), abs=1)
    assert numbers(page) == [x, y, w, h]  # moving the photo moved no box
    page.get_by_role("button", name="Show the whole photo").click()
    assert stage.bounding_box() == pytest.approx(whole, abs=0.5)
    page.get_by_role("button", name="Zoom into the photo").click()
    assert stage.bounding_box()["width"] == pytest.approx(1.6 * whole["width"], rel=0.01)
    stage.focus()
    page.keyboard.press("0")
    assert page.get_by_role("button", name="Zoom out of the photo").is_disabled()
    page.keyboard.press("+")
    assert stage.bounding_box()["width"] > 1.5 * whole["width"]


def test_a_wheel_that_cannot_zoom_out_scrolls_the_page(drawn_on):
    page = drawn_on(viewport={"width": 1440, "height": 400})
    page.mouse.move(*middle(page.locator("#stage .boxer").bounding_box()))
    page.mouse.wheel(0, 200)
    until(page, "scrollY > 0")


def test_lines_and_handles_stay_as_thin_and_large_when_zoomed(drawn_on):
    page = drawn_on()
    answered(page, lambda: draw_box(page, (200, 100, 200, 200)))
    size = page.locator("#stage .handle.nw").bounding_box()["width"]
    for _ in range(3):
        page.get_by_role("button", name="Zoom into the photo").click()
    assert page.locator("#stage .handle.nw").bounding_box()["width"] == pytest.approx(size, abs=0.5) == 28


def test_a_wide_picture_is_shown_large_and_drawn_on_there(drawn_on):
    page = drawn_on("wide")
    small = page.locator("#stage .boxer").bounding_box()["height"]
    page.get_by_role("button", name="Enlarge").click()
    stage = page.locator("#large .boxer")
    assert stage.bounding_box()["height"] > 3.5 * small
    answer = answered(page, lambda: draw_box(page, (1200, 100, 500, 400), "#large .boxer"))
    assert overlap(answer["query"]["box"], (1200, 100, 500, 400)) > 0.95
    page.mouse.move(*middle(stage.bounding_box()))
    page.mouse.wheel(0, -600)
    until(page, lambda: stage.bounding_box()["height"] > 4 * 3.5 * small)
    settle(page)
    page.screenshot(path=SCREENS / "large.png")
    assert not [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    page.keyboard.press("Escape")
    assert page.locator("#large").is_hidden()
    assert page.locator("#stage .boxer").bounding_box()["height"] == pytest.approx(small, abs=0.5)
    assert numbers(page) == answer["query"]["box"]
    assert page.evaluate("document.activeElement.classList.contains('enlarge')")


def test_another_photo_takes_the_place_of_the_one_shown_large(drawn_on, photos):
    page = drawn_on("wide")
    page.get_by_role("button", name="Enlarge").click()
    answered(page, lambda: page.set_input_files("#file", photos["photo"]))
    assert page.locator("#large").is_hidden()
    assert page.locator("#stage .boxer img").get_attribute("width") == "600"


# ---- handles, and what a drag means


def test_handles_stand_outside_a_small_box_and_can_be_taken(drawn_on):
    page = drawn_on("large")
    page.get_by_text("Box in numbers").click()
    for box in ((3000, 2000, 120, 217), (0, 0, 120, 217), (5880, 3783, 120, 217)):
        answered(page, lambda: draw_box(page, (1000, 1000, 3000, 2000)))
        for side, value in zip("whxy", (box[2], box[3], box[0], box[1]), strict=True):
            page.fill(f"#box-{side}", str(value))
        rest(page)
        assert numbers(page) == list(box)
        x, y, w, h = page.evaluate(SEEN, "#stage .boxer-box")[0]
        handles = page.evaluate(SEEN, "#stage .handle")
        assert len(handles) == 4  # those between would lie over each other
        for left, top, width, height in handles:
            assert left + width <= x + 1 or left >= x + w - 1 or top + height <= y + 1 or top >= y + h - 1
            at = [left + width / 2, top + height / 2]
            assert page.evaluate("(at) => document.elementFromPoint(...at).classList.contains('handle')", at)
    page.screenshot(path=SCREENS / "handles.png")
    nw = middle(page.locator("#stage .handle.nw").bounding_box())
    resized = answered(page, lambda: drag(page, nw, (nw[0] - 60, nw[1] - 60)))["query"]["box"]
    assert resized[2] > 800 and resized[3] > 800 and resized[0] + resized[2] == 6000


@pytest.mark.parametrize(("share", "draws"), [(0.97, True), (0.8, False)])
def test_dragging_inside_a_box_around_nearly_everything_draws_a_new_one(drawn_on, share, draws):
    page = drawn_on()
    margin = (1 - share) / 2
    around = (600 * margin, 400 * margin, 600 * share, 400 * share)
    first = answered(page, lambda: draw_box(page, around))["query"]["box"]
    second = answered(page, lambda: draw_box(page, (150, 120, 50, 60)))["query"]["box"]
    assert (overlap(second, (150, 120, 50, 60)) > 0.9) is draws
    assert (second[2:] == pytest.approx(first[2:], abs=1)) is not draws


def test_inside_a_box_that_covers_all_that_is_seen_a_drag_draws_too(drawn_on):
    page = drawn_on()
    answered(page, lambda: draw_box(page, (100, 70, 400, 260)))
    page.locator("#stage .boxer").focus()
    for _ in range(4):
        page.keyboard.press("+")
    x, y = middle(page.locator("#stage .easel-window").bounding_box())
    box = answered(page, lambda: drag(page, (x, y), (x + 60, y + 60)))["query"]["box"]
    assert box[2] < 30 and box[3] < 30


def test_a_drag_of_a_few_pixels_changes_nothing(drawn_on):
    page = drawn_on("large")
    searched = note_boxes(page)
    stage = page.locator("#stage .boxer").bounding_box()
    x, y = stage["x"] + 100, stage["y"] + 80
    drag(page, (x, y), (x + 3, y + 4))
    drag(page, (x, y), (x + 200, y + 3))  # nobody means a line
    assert page.locator("#stage .boxer-box").is_hidden()
    first = answered(page, lambda: drag(page, (x, y), (x + 120, y + 100)))["query"]["box"]
    se = middle(page.locator("#stage .handle.se").bounding_box())
    for start in ((x + 60, y + 50), (x - 50, y - 50), se):  # it would move it, draw another, resize it
        drag(page, start, (start[0] + 4, start[1] - 3))
    drag(page, (x - 60, y - 40), (x - 57, y + 150))
    rest(page)
    assert numbers(page) == first
    assert len(searched) == 1


# ---- taking back


def test_boxes_are_taken_back_and_made_again(drawn_on):
    page = drawn_on()
    undo = page.get_by_role("button", name="Take back")
    assert undo.is_disabled()
    first = answered(page, lambda: draw_box(page, (50, 50, 200, 150)))["query"]["box"]
    second = answered(page, lambda: draw_box(page, (350, 200, 200, 150)))["query"]["box"]
    assert answered(page, lambda: page.keyboard.press("Control+z"))["query"]["box"] == first
    assert answered(page, lambda: page.keyboard.press("Control+z"))["query"]["box"] is None
    assert undo.is_disabled()
    assert answered(page, lambda: page.keyboard.press("Control+Shift+Z"))["query"]["box"] == first
    assert answered(page, lambda: page.keyboard.press("Control+y"))["query"]["box"] == second
    assert answered(page, lambda: page.click("#whole"))["query"]["box"] is None
    assert (
        answered(page, lambda: page.keyboard.press("Control+z"))["query"]["box"] == second
    )  # the button has the focus
    third = answered(page, lambda: draw_box(page, (50, 50, 100, 100)))["query"]["box"]
    page.locator("#stage .boxer").focus()

    def walk():
        for _ in range(9):
            page.keyboard.press("ArrowRight")

    assert answered(page, walk)["query"]["box"][0] > third[0] + 40
    assert answered(page, lambda: undo.click())["query"]["box"] == third  # all steps as one
    page.get_by_text("Box in numbers").click()
    answered(page, lambda: page.fill("#box-w", "80"))
    typed = answered(page, lambda: page.locator("#stage .boxer").press("Control+z"))["query"]["box"]
    assert typed == third


# ---- a finger


def swipe(page, start, distance):
    """A finger that moves so far up, and what it set moving until that has come to rest."""
    touch(page, [(start[0], start[1] - step) for step in range(0, distance + 1, 10)])
    at = None
    while at != (at := page.evaluate("scrollY")):
        page.wait_for_timeout(200)


def touch(page, *ways):
    """Fingers, one a way; a way is the points that it goes through."""
    session = page.context.new_cdp_session(page)
    for i, points in enumerate(zip(*ways, strict=True)):
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": fingers})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_on_a_phone_a_swipe_scrolls_and_a_button_draws(drawn_on):
    page = drawn_on(**PHONE)
    searched = note_boxes(page)
    x, y = middle(page.locator("#stage .boxer").bounding_box())
    swipe(page, (x, y), 150)
    until(page, "scrollY > 100")
    assert page.locator("#stage .boxer-box").is_hidden()
    page.evaluate("scrollTo(0, 0)")
    draw = page.locator(".by-finger")
    assert draw.inner_text() == "Draw a box"
    draw.tap()
    assert draw.get_attribute("aria-pressed") == "true"
    settle(page)
    page.screenshot(path=SCREENS / "phone-draw.png")
    stage = page.locator("#stage .boxer").bounding_box()
    corner, end = (stage["x"] + 50, stage["y"] + 50), (stage["x"] + 150, stage["y"] + 160)
    answered(page, lambda: touch(page, [corner, (stage["x"] + 100, stage["y"] + 100), end]))
    until(page, IN_VIEW)
    until(page, lambda: len(searched) == 1)
    settle(page)
    assert page.evaluate("document.getElementById('answers-title').getBoundingClientRect().top") > 56  # below the bar
    page.evaluate("scrollTo(0, 0)")
    assert draw.get_attribute("aria-pressed") == "false" and draw.inner_text() == "Change the box"
    kept = numbers(page)
    swipe(page, (x, y), 150)  # also inside the box
    until(page, "scrollY > 100")
    rest(page)
    assert numbers(page) == kept and len(searched) == 1


def test_on_a_phone_handles_follow_a_finger_at_once(drawn_on):
    page = drawn_on(**PHONE)
    page.locator("#stage .boxer").focus()
    first = answered(page, lambda: page.keyboard.press("Enter"))["query"]["box"]
    page.evaluate("scrollTo(0, 0)")
    settle(page)
    x, y = middle(page.locator("#stage .handle.se").bounding_box())
    box = answered(page, lambda: touch(page, [(x, y), (x + 20, y + 20), (x + 40, y + 30)]))["query"]["box"]
    assert box[:2] == first[:2] and box[2] > first[2] + 50


def test_two_fingers_zoom_and_one_then_moves_the_photo(drawn_on):
    page = drawn_on(**PHONE)
    searched = note_boxes(page)
    stage = page.locator("#stage .boxer")
    whole = stage.bounding_box()
    x, y = middle(whole)
    steps = (20, 40, 60, 80)
    for _ in range(2):  # by a page that scrolls, and again while a finger draws
        touch(page, [(x - step, y) for step in steps], [(x + step, y) for step in steps])
        assert stage.bounding_box()["width"] == pytest.approx(4 * whole["width"], rel=0.02)
        page.get_by_role("button", name="Show the whole photo").tap()
        page.locator(".by-finger").tap()
    touch(page, [(x - step, y) for step in steps], [(x + step, y) for step in steps])
    before = stage.bounding_box()
    touch(page, [(x, y), (x - 20, y - 10), (x - 40, y - 20)])
    after = stage.bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((-40, -20), abs=1)
    assert page.evaluate("scrollY") == 0 and not searched and page.locator("#stage .boxer-box").is_hidden()


def test_results_that_nobody_sees_are_a_button_away(drawn_on):
    page = drawn_on(**PHONE | {"viewport": {"width": 390, "height": 560}})
    see = page.locator("#to-results")
    see.wait_for()
    assert page.evaluate("scrollY") == 0  # of a whole photo: a box may be drawn first
    page.screenshot(path=SCREENS / "phone-results.png")
    see.tap()
    until(page, IN_VIEW)
    until(page, lambda: see.is_hidden())
    assert page.evaluate("document.activeElement.id") == "answers-title"


def test_on_a_phone_a_finger_draws_in_the_large_view_at_once_and_results_come_after_it(drawn_on):
    page = drawn_on(**PHONE)
    page.get_by_role("button", name="Enlarge").tap()
    settle(page)
    page.screenshot(path=SCREENS / "phone-large.png")
    x, y = middle(page.locator("#large .boxer").bounding_box())
    answered(page, lambda: touch(page, [(x, y), (x + 40, y + 30), (x + 90, y + 70)]))
    assert page.evaluate("scrollY") == 0
    page.get_by_role("button", name="Done").tap()
    until(page, IN_VIEW)


def test_who_has_touched_the_page_since_they_asked_is_left_where_they_are(drawn_on):
    page = drawn_on(**PHONE)
    page.locator("#stage .boxer").focus()
    held = []
    page.route("**/api/search", lambda route: held.append(route))
    page.keyboard.press("Enter")
    until(page, lambda: held)
    page.locator(".by-finger").tap()
    answered(page, held[0].continue_)
    rest(page)
    assert page.evaluate("scrollY") == 0
