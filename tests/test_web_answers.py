"""The page while an answer comes, and after: settled once, held for a pointer; folds, limits, addresses, a list.

Where it matters when a line of an answer comes, the test itself tells the lines.
"""

import csv
import io
import re
from pathlib import Path

import pytest

from .browser import answered, draw_box, until
from .test_web import CUP_BOX, SCREENS, address, chromium, drop, home, open_page  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("web")

TOLD = """
const real = window.fetch;
window.fetch = (url, options) => {
    if (!String(url).endsWith("api/search") || !window.tells) return real(url, options);
    const stream = new ReadableStream({ start: (lines) => {
        window.tell = (line) => lines.enqueue(new TextEncoder().encode(JSON.stringify(line) + "\\n"));
        window.end = () => lines.close();
        options.signal.addEventListener("abort", () => lines.error(new DOMException("", "AbortError")));
    } });
    const headers = { "content-type": "application/x-ndjson" };
    return Promise.resolve(new Response(stream, { headers }));
};
"""
"""Searches of the page are answered by window.tell(line) and window.end() once window.tells is true."""
BUSY = "document.getElementById('answers').getAttribute('aria-busy') === 'true'"
IDLE = "document.getElementById('answers').getAttribute('aria-busy') === 'false'"


def answer_of(*finds, refined=True):
    """An answer with (image_id, confidence) of pictures of the collection."""
    results = [
        {"rank": rank, "image": f"trips/scene-{number:02}.jpg", "image_id": number, "score": 0.5, "refined": refined}
        | {"confidence": sure, "box": [10, 10, 200, 200], "bbox_format": "xywh_px", "width": 800, "height": 600}
        for rank, (number, sure) in enumerate(finds, 1)
    ]
    query = {"image": "cup.jpg", "box": None, "width": 600, "height": 400}
    return {"query": query, "collection": {"images": 10, "doubtful_below": 0.8}, "results": results}


@pytest.fixture
def told(open_page, home):  # noqa: F811
    """A page that searches for the cup and hears what the test tells: (page, tell)."""
    page = open_page()
    page.evaluate(TOLD)
    page.evaluate("window.tells = true")
    page.set_input_files("#file", home / "cup.jpg")
    until(page, "Boolean(window.tell)")

    def tell(line, ends=False):
        page.evaluate(f"line => {{ window.tell(line); {'window.end();' if ends else ''} }}", line)

    return page, tell


def first(*finds):
    return {"answer": answer_of(*finds, refined=False), "is_final": False}


def final(*finds):
    return {"answer": answer_of(*finds), "is_final": True}


def order(page):
    return page.evaluate("[...document.querySelectorAll('#results .cell')].map((cell) => Number(cell.dataset.imageId))")


def test_an_answer_is_shown_at_once_and_settled_once(told):
    page, tell = told
    tell(first((1, 0.9), (2, 0.9), (3, 0.9)))
    until(page, lambda: order(page) == [1, 2, 3])
    assert page.evaluate(BUSY)
    assert page.locator("#status").inner_text() == "3 results, refining"
    tell({"progress": {"doing": "refining boxes", "done": 2, "total": 3}})
    until(page, "document.getElementById('progress').textContent.includes('refining boxes: 2 of 3')")
    tell(final((3, 0.99), (1, 0.95), (2, 0.9)), ends=True)
    until(page, IDLE)
    assert order(page) == [3, 1, 2]
    assert page.locator("#progress").inner_text() == ""
    assert page.locator("#status").inner_text().startswith("3 results. Best: trips/scene-03.jpg")


def test_cards_do_not_move_beneath_a_pointer_nor_behind_an_open_find(told):
    page, tell = told
    tell(first((1, 0.9), (2, 0.9), (3, 0.9)))
    until(page, lambda: order(page) == [1, 2, 3])
    box = page.locator("#results .tile").nth(1).bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    tell(final((3, 0.99), (1, 0.95), (2, 0.9)), ends=True)
    until(page, "document.getElementById('progress').textContent.includes('settled')")
    assert order(page) == [1, 2, 3]
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#viewer[open]")
    page.mouse.move(5, 5)
    assert order(page) == [1, 2, 3]
    page.keyboard.press("Escape")
    until(page, lambda: order(page) == [3, 1, 2])


def test_until_an_answer_is_settled_only_what_is_on_the_screen_is_loaded(told):
    page, tell = told
    page.set_viewport_size({"width": 1000, "height": 600})
    tell(first(*((i, 0.9) for i in range(1, 10))))
    until(page, lambda: order(page) == list(range(1, 10)))
    images = "[...document.querySelectorAll('#results .cell img')]"
    seen = "image.getBoundingClientRect().top <= innerHeight"
    n_seen = page.evaluate(f"{images}.filter((image) => {seen}).length")
    assert 0 < n_seen < 9
    until(page, f"{images}.every((image) => image.complete && Boolean(image.naturalWidth) === ({seen}))")
    page.mouse.move(500, 5)
    page.mouse.wheel(0, 5000)
    until(page, f"{images}.at(-1).naturalWidth")
    tell(final(*((i, 0.9) for i in range(1, 10))), ends=True)
    until(page, IDLE)
    assert page.evaluate(f"{images}.every((image) => image.src)")


def test_an_answer_that_breaks_off_leaves_nothing_of_the_one_before(told):
    page, tell = told
    tell(final((1, 0.9)), ends=True)
    until(page, lambda: order(page) == [1])
    page.evaluate("window.tell = null")
    draw_box(page, CUP_BOX)
    until(page, "Boolean(window.tell)")
    tell({"problem": {"status": 503, "detail": "the disk is gone"}}, ends=True)
    page.wait_for_selector("#problem:not([hidden])")
    assert "The disk is gone" in page.locator("#problem").inner_text()
    assert order(page) == []
    assert page.locator("#answers-title").inner_text() == "Nothing found"


def test_what_is_doubtful_is_folded(told):
    page, tell = told
    tell(final((1, 0.99), (2, 0.9), (3, 0.5), (4, 0.1)), ends=True)
    until(page, IDLE)
    assert order(page) == [1, 2]
    assert page.locator(".fold").inner_text().split("\n")[0] == "Doubtful from here"
    assert page.locator("#verdict").is_hidden()
    page.locator(".fold button").click()
    assert order(page) == [1, 2, 3, 4]
    page.screenshot(path=SCREENS / "folded.png")
    assert page.locator(".fold button").get_attribute("aria-expanded") == "true"
    page.locator(".fold button").click()
    assert order(page) == [1, 2]


def test_where_nothing_is_sure_the_nearest_are_shown(told):
    page, tell = told
    tell(final(*((i, 0.5 - i / 100) for i in range(1, 11))), ends=True)
    until(page, IDLE)
    assert page.locator("#verdict").inner_text().startswith("Probably not here")
    assert order(page) == list(range(1, 9))


def test_results_are_selected_in_ranges_and_stay_selected(told):
    page, tell = told
    finds = [(i, 0.99 - i / 1000) for i in range(1, 7)]
    tell(final(*finds), ends=True)
    until(page, IDLE)
    boxes = page.locator("#results .pick input")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    assert page.locator("#selected").inner_text() == "4 selected"
    assert [box.is_checked() for box in boxes.all()] == [False, True, True, True, True, False]
    page.evaluate("window.tell = null")
    draw_box(page, CUP_BOX)
    until(page, "Boolean(window.tell)")
    tell(final((5, 0.99), (9, 0.98), (2, 0.97)), ends=True)
    until(page, lambda: order(page) == [5, 9, 2])
    assert [box.is_checked() for box in boxes.all()] == [True, False, True]
    page.locator("#answers-title").focus()
    page.keyboard.press("Control+a")
    assert page.locator("#selected").inner_text() == "3 selected"
    page.locator("#export summary").click()
    page.keyboard.press("Escape")
    assert not page.locator("#export").evaluate("(menu) => menu.open")
    page.locator("#export summary").click()
    page.mouse.click(5, 400)
    assert not page.locator("#export").evaluate("(menu) => menu.open")


def test_what_is_refused_goes_at_once(told):
    page, tell = told
    tell(final((1, 0.99), (2, 0.98), (3, 0.97)), ends=True)
    until(page, IDLE)
    page.evaluate("window.tell = null")
    page.locator("#results .tile").nth(1).click()
    page.locator("#exclude-this").click()
    assert order(page) == [1, 3]
    until(page, "Boolean(window.tell)")
    assert "not=2" in page.url


def test_rows_have_a_box_each_with_query_verdict_and_limits(open_page, home):  # noqa: F811
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    answer = answered(page, lambda: draw_box(page, CUP_BOX))
    page.locator("#results .pick input").first.click()
    page.locator("#export summary").click()
    with page.expect_download() as caught:
        page.locator('[data-form="csv"]').click()
    assert caught.value.suggested_filename == "cup-csv.csv"
    (row,) = csv.DictReader(io.StringIO(Path(caught.value.path()).read_text()))
    best = answer["results"][0]
    assert (row["image"], row["copy"], row["query_image"]) == (best["image"], "1", "cup.jpg")
    assert row["query_box"] == " ".join(map(str, answer["query"]["box"]))
    assert row["encoder"] == "embedded"
    assert re.fullmatch("[0-9a-f]{64}", row["weights"])


def test_the_address_gives_the_same_again_and_back_goes_back(open_page, home):  # noqa: F811
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    whole_picture = page.url
    answer = answered(page, lambda: draw_box(page, CUP_BOX))
    boxed = page.url
    found = order(page)
    page.locator("#results .tile").first.click()
    assert f"open={found[0]}" in page.url
    page.go_back()
    until(page, "!document.getElementById('viewer').open")
    assert page.url == boxed
    answered(page, lambda: page.reload() or page.wait_for_selector("body[data-ready]"))
    assert order(page) == found
    again = page.evaluate("import('./web/state.js').then(({state}) => state.answer)")
    assert again["query"]["box"] == answer["query"]["box"]
    answered(page, page.go_back)
    assert page.url == whole_picture
    assert page.locator(".boxer-box").is_hidden()
    page.go_back()
    until(page, "document.getElementById('answers').hidden")
    assert page.locator("#drop").is_visible()


def test_limits_are_chips_and_one_that_matches_nothing_clears_what_was_there(open_page, home):  # noqa: F811
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    page.locator("#where summary").click()
    page.fill("#under", "nowhere")
    page.locator("#under").blur()
    page.wait_for_selector("#problem:not([hidden])")
    assert order(page) == []
    assert "under=nowhere" in page.url
    chip = page.locator(".limit")
    assert chip.inner_text().split("\n")[0].startswith("in nowhere")
    answered(page, lambda: chip.locator("button").click())
    assert order(page)
    assert page.locator("#under").input_value() == ""


def test_several_files_are_one_object_or_a_list_of_separate_ones(open_page, home):  # noqa: F811
    page = open_page()
    files = [home / "cup.jpg", home / "pictures" / "scene-02.jpg"]
    page.set_input_files("#file", files)
    assert page.locator("#several-words").inner_text() == "2 files: one object, or separate ones?"
    answered(page, lambda: page.locator("#several-separate").click())
    until(page, lambda: page.locator("#queue-words").inner_text() == "2 objects")
    entries = page.locator("#queue-list button")
    assert [text.split("\n")[0] for text in entries.all_inner_texts()] == ["cup.jpg", "scene-02.jpg"]
    assert re.search("sure|probably not here", entries.nth(1).inner_text())
    answer = answered(page, lambda: entries.nth(1).click())
    assert answer["query"]["image"] == "scene-02.jpg"
    assert answer["results"][0]["image"] == "scene-02.jpg"
    assert page.locator("#results .badge").first.inner_text() == "searched with"
    page.screenshot(path=SCREENS / "queue.png")
    page.set_input_files("#file", files)
    page.locator("#several-one").click()
    until(page, "document.querySelectorAll('.chip').length === 2")
    assert page.locator("#queue").is_hidden()


def test_an_address_that_is_dropped_says_why_it_is_not_taken(open_page):  # noqa: F811
    page = open_page()
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text/uri-list", "https://example.org/cup.jpg");
            const details = {dataTransfer: data, bubbles: true, cancelable: true};
            document.querySelector("#drop").dispatchEvent(new DragEvent("drop", details));
        }"""
    )
    assert "fetches nothing from elsewhere" in page.locator("#problem").inner_text()


def test_the_narrowest_screen_needs_no_scrolling_to_the_side(open_page, home):  # noqa: F811
    page = open_page(viewport={"width": 320, "height": 640})
    for hash_ in ("", "#collection", "#judge"):
        page.evaluate("(hash) => { location.hash = hash; }", hash_)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.evaluate("location.hash = '#search'")
    answered(page, lambda: drop(page, home / "cup.jpg", "a-rather-long-name-of-a-photograph-of-a-cup-0001.jpg"))
    assert page.evaluate("document.documentElement.scrollWidth") == 320
