"""Why a picture was found, on the page in a real browser: outlines, and the same points joined by lines."""

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from .browser import answered, draw_box, settle, until, whole
from .test_web import CUP_BOX, SCREENS, SHOWN, address, chromium, home, open_page  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("web")

TURNED = [[200, 100], [500, 200], [400, 500], [100, 400]]
"""A square on its corner, in a picture of 800 x 600."""


def ready(page):
    until(page, "[...document.querySelectorAll('.viewer-sheet img')].every((image) => image.naturalWidth > 0)")
    settle(page)


def search_cup(page, home):  # noqa: F811
    """The answer for the cup's box, and a page that shows it."""
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    answer = answered(page, lambda: draw_box(page, CUP_BOX))
    until(page, SHOWN)
    return answer


def on_screen(page, selector):
    """Where the points are that a drawing names, in pixels of the screen."""
    return page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)].map((shape) => {
            const text = shape.getAttribute("points") ?? shape.getAttribute("d");
            const numbers = text.match(/[-.\\de]+/g).map(Number), matrix = shape.getScreenCTM(), points = [];
            for (let i = 0; i < numbers.length; i += 2) {
                const {x, y} = new DOMPoint(numbers[i], numbers[i + 1]).matrixTransform(matrix);
                points.push([x, y]);
            }
            return points;
        })""",
        selector,
    )


def altered(page, change):
    """From now on, answers of searches are what `change` makes of them."""

    def answer(route):
        found = whole(route)
        change(found)
        route.fulfill(json=found)

    page.route("**/api/search", answer)


def assert_near(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert abs(a[0] - b[0]) < 1.5 and abs(a[1] - b[1]) < 1.5, (a, b)


def test_the_full_view_joins_the_same_points_of_query_and_result(open_page, home):  # noqa: F811
    page = open_page()
    result = search_cup(page, home)["results"][0]
    points = result["partners"]["points"]
    assert len(points) >= 10
    page.locator("#results .tile").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#why").get_attribute("aria-pressed") == "false"
    assert page.locator(".why-lines").count() == 0
    page.keyboard.press("w")
    ready(page)
    assert page.locator("#why").get_attribute("aria-pressed") == "true"
    assert page.locator(".why-words").inner_text() == f"{len(points)} points agree"
    crop, picture = (page.locator(".why-part").nth(i).bounding_box() for i in (0, 1))
    x, y, w, h = page.evaluate("[...'xywh'].map((side) => document.getElementById(`box-${side}`).valueAsNumber)")
    expected = []
    for px, py, u, v in points[:40]:
        expected.append((crop["x"] + crop["width"] * (px - x) / w, crop["y"] + crop["height"] * (py - y) / h))
        expected.append((picture["x"] + picture["width"] * u / 800, picture["y"] + picture["height"] * v / 600))
    assert_near(on_screen(page, ".why-lines .line")[0], expected)
    page.screenshot(path=SCREENS / "why.png")
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    settle(page)
    crop_now = page.locator(".why-part").first.bounding_box()
    assert crop_now["width"] > 1.5 * crop["width"]
    first = on_screen(page, ".why-lines .line")[0][0]
    px, py = points[0][:2]
    there = (crop_now["x"] + crop_now["width"] * (px - x) / w, crop_now["y"] + crop_now["height"] * (py - y) / h)
    assert_near([first], [there])  # lines stay on their points


def test_the_crop_is_what_was_asked_and_keeps_its_shape(open_page, home):  # noqa: F811
    page = open_page()
    search_cup(page, home)
    page.locator("#results .tile").first.click()
    page.locator("#why").click()
    ready(page)
    part, image = page.locator(".why-part").first, page.locator(".why-part img").first
    crop, whole = part.bounding_box(), image.bounding_box()
    scale = whole["width"] / 600
    assert whole["height"] / 400 == pytest.approx(scale, rel=0.01)  # the photograph has 600 x 400 pixels
    x, y, w, h = page.evaluate("[...'xywh'].map((side) => document.getElementById(`box-${side}`).valueAsNumber)")
    assert (crop["width"], crop["height"]) == pytest.approx((w * scale, h * scale), abs=1.5)
    assert (crop["x"] - whole["x"], crop["y"] - whole["y"]) == pytest.approx((x * scale, y * scale), abs=1.5)
    assert image.get_attribute("alt") == "What was searched with: cup.jpg"


def test_why_stays_on_while_going_on_and_is_off_at_the_next_opening(open_page, home):  # noqa: F811
    page = open_page()
    results = search_cup(page, home)["results"]
    without = next(i for i, result in enumerate(results) if "partners" not in result)
    page.locator("#results .tile").first.click()
    page.locator("#why").click()
    for _ in range(without):
        page.keyboard.press("ArrowRight")
    ready(page)
    assert page.locator(".why-words").inner_text() == "no points agree"
    assert "no points agree" in page.locator("#viewer-status").inner_text()
    assert page.locator(".why-part").count() == 2 and page.locator(".why-lines").count() == 0
    page.screenshot(path=SCREENS / "why-not.png")
    page.locator("#region").click()  # a box is drawn on the picture alone
    assert page.locator("#why").get_attribute("aria-pressed") == "false"
    assert page.locator("#viewer .boxer").count() == 1 and page.locator(".why-words").count() == 0
    page.locator("#why").click()
    assert page.locator(".why-part").count() == 2 and page.locator("#region").is_visible()
    page.keyboard.press("w")
    assert page.locator(".why-part").count() == 0 and page.locator(".viewer-sheet img").count() == 1
    page.keyboard.press("w")
    page.keyboard.press("Escape")
    page.locator("#results .tile").first.click()
    assert page.locator(".why-part").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_why_has_no_serious_accessibility_problem_and_says_what_it_shows(open_page, home, scheme):  # noqa: F811
    page = open_page(color_scheme=scheme)
    points = search_cup(page, home)["results"][0]["partners"]["points"]
    page.locator("#results .tile").first.click()
    assert page.get_by_role("button", name="Why?").is_visible()
    page.keyboard.press("w")
    ready(page)
    said = f"40 of {len(points)} points that agree" if len(points) > 40 else f"{len(points)} points agree"
    assert page.locator(".why-lines").get_attribute("aria-label") == f"{said}, joined by lines"
    assert f"{len(points)} points agree" in page.locator("#viewer-status").inner_text()
    found = Axe().run(page).response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_on_a_phone_both_stand_one_above_the_other(open_page, home):  # noqa: F811
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    page.locator("#results .tile").first.tap()
    page.locator("#why").tap()
    ready(page)
    crop, picture = (page.locator(".why-part").nth(i).bounding_box() for i in (0, 1))
    assert crop["y"] + crop["height"] < picture["y"] and picture["x"] + picture["width"] <= 390
    page.screenshot(path=SCREENS / "phone-why.png")


def test_a_turned_outline_is_drawn_in_place_of_the_box_and_a_level_one_is_not(open_page, home):  # noqa: F811
    page = open_page()

    def turn(found):
        first, second, third = found["results"][:3]
        first["outline"], first["boxes"] = (
            TURNED,
            [{"box": first["box"]}, {"box": [500, 300, 200, 200], "outline": TURNED}],
        )
        x, y, w, h = second["box"]
        second["outline"] = [[x + w, y], [x + w, y + h], [x, y + h], [x, y]]
        third.pop("outline", None)

    altered(page, turn)
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    until(page, SHOWN)
    picture = page.locator("#results .cell").first.locator("img").bounding_box()
    scale = picture["width"] / 800
    expected = [(picture["x"] + x * scale, picture["y"] + y * scale) for x, y in TURNED]
    cell = "#results .cell:first-child .mark"
    assert_near(on_screen(page, f"{cell}:not(.copy) .line")[0], expected)
    assert_near(on_screen(page, f"{cell}.copy .line")[0], expected)
    assert page.locator("#results .mark.turned").count() == 2
    width = "(mark) => parseFloat(getComputedStyle(mark).borderTopWidth)"
    marks = page.locator("#results .mark:not(.copy)")
    assert [marks.nth(i).evaluate(width) > 0 for i in range(3)] == [False, True, True]
    page.locator("#results .tile").first.click()
    ready(page)
    picture = page.locator(".viewer-sheet img").bounding_box()
    scale = picture["width"] / 800
    expected = [(picture["x"] + x * scale, picture["y"] + y * scale) for x, y in TURNED]
    assert_near(on_screen(page, ".viewer-sheet .mark:not(.copy) .line")[0], expected)
    page.screenshot(path=SCREENS / "outline.png")


def test_of_a_changed_picture_neither_box_nor_points_are_shown(open_page, home):  # noqa: F811
    page = open_page()
    altered(page, lambda found: found["results"][0].update(changed=True))
    search_cup(page, home)
    page.locator("#results .tile").first.click()
    page.keyboard.press("w")
    ready(page)
    assert page.locator(".viewer-sheet .mark").count() == 0 and page.locator(".why-lines").count() == 0


def test_of_several_pictures_the_one_that_agrees_stands_beside_the_result(open_page, home):  # noqa: F811
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "pictures" / "scene-02.jpg"))
    with page.expect_file_chooser() as chooser:
        page.locator("#another").click()
    answer = answered(page, lambda: chooser.value.set_files(home / "cup.jpg"))
    at = next(i for i, result in enumerate(answer["results"]) if result.get("partners", {}).get("query") == 1)
    page.locator("#results .tile").nth(at).click()
    page.keyboard.press("w")
    ready(page)
    assert page.locator(".why-part img").first.get_attribute("alt") == "What was searched with: cup.jpg"


def test_without_kept_points_nobody_is_asked_why(open_page, home):  # noqa: F811
    page = open_page()
    sent = []

    def offer(route):
        found = whole(route)
        assert found["features"].pop("why")
        route.fulfill(json=found)

    page.route("**/api/collection", offer)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.on("request", lambda request: sent.append(request.post_data_buffer) if "/api/search" in request.url else None)
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    assert sent and not any(b'name="why"' in body for body in sent)
    page.locator("#results .tile").first.click()
    assert page.locator("#why").is_hidden()
    page.keyboard.press("w")
    assert page.locator(".why-part").count() == 0


def test_exports_have_the_outline_and_leave_the_points_out(open_page, home):  # noqa: F811
    page = open_page()
    results = search_cup(page, home)["results"]
    saved = {}
    for form in ("json", "coco-results"):
        page.locator("#export summary").click()
        with page.expect_download() as caught:
            page.locator(f'[data-form="{form}"]').click()
        saved[form] = json.loads(Path(caught.value.path()).read_text())
    assert "partners" in results[0] and not re.search("partners", json.dumps(saved))
    assert saved["json"]["results"][0]["outline"] == results[0]["outline"]
    known = [result for result in results if "outline" in result]
    polygons = [each["segmentation"] for each in saved["coco-results"] if "segmentation" in each]
    assert polygons == [[[number for corner in result["outline"] for number in corner]] for result in known]
