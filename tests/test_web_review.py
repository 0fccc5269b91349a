"""Judging finds in a real browser: a key a find, marks that stay, the box corrected, fingers, screen readers."""

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from patchseek import Collection
from patchseek.judgements import Judgements
from patchseek.server import ServerSettings, create_app

from .browser import draw_box, open_context, settle, until
from .conftest import TinyEncoder, blot
from .live import listening
from .test_web import SCREENS, chromium  # noqa: F401  fixtures

pytestmark = [pytest.mark.extra("web"), pytest.mark.long]

N_FINDS, N_QUERIES = 50, 3
KEYS_A_QUERY = 8
BOX = "20,20,60,60"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Sixty small pictures."""
    home = tmp_path_factory.mktemp("review")
    (home / "pictures").mkdir()
    for number in range(60):
        blot(number, 160 + 16 * (number % 5), 120).save(home / "pictures" / f"{number:02}.png")
    collection = Collection.open(home / "collection", encoder=TinyEncoder(), points=False, create=True)
    collection.add(home / "pictures")
    return collection


@pytest.fixture(scope="module")
def address(collection):
    with listening(create_app(collection, ServerSettings())) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def open_query(chromium, address):  # noqa: F811
    """open_query(7) -> a page that has searched with a picture of the collection; its scripts may not fail."""
    contexts, problems = [], []

    def open_one(image_id, box=BOX, page=None, **settings):
        if page is None:
            context = open_context(chromium, **{"viewport": {"width": 1440, "height": 900}} | settings)
            contexts.append(context)
            page = context.new_page()
            page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}?of=i.{image_id}&box={box}")
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("#review-these:not([disabled])")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not problems


def kept(collection, image_id, box=BOX):
    """What the collection has of a query: verdict and box x y w h in pixels, by the id of the picture found."""
    judgements = Judgements(collection)
    standing = judgements.standing(judgements.key(image_id, box=[int(side) for side in box.split(",")]))
    ids = judgements.ids(list(standing.values()))
    return {number: standing[content].verdict for content, (number,) in ids.items()}


def results(page):
    """The ids of the results that the page has, in order."""
    ids = "[...document.querySelectorAll('#results .cell')].map((cell) => Number(cell.dataset.imageId))"
    return page.evaluate(ids)


def shown(page):
    return page.locator("#viewer-name").inner_text(), page.locator("#viewer-facts").inner_text().split(" ")[0]


def review(page, keys=""):
    page.locator("#review-these").click()
    for key in keys:
        page.keyboard.press(key)


def is_kept(page, collection, image_id, n, box=BOX):
    until(page, lambda: len(kept(collection, image_id, box)) == n)


# ---- by keys alone


def test_queries_of_fifty_finds_take_a_key_a_find_and_few_a_query(open_query, collection):
    page, pressed = open_query(1), []
    page.evaluate("""() => addEventListener("pointerdown", () => { throw new Error("a mouse was needed"); }, true)""")

    def press(key):
        pressed.append(key)
        page.keyboard.press(key)

    for query in range(1, N_QUERIES + 1):
        if query > 1:
            page.evaluate(
                "(to) => { history.pushState({}, '', to); dispatchEvent(new PopStateEvent('popstate')); }",
                f"?of=i.{query}&box={BOX}",
            )
            page.wait_for_selector("#answers:not([data-asking]) #review-these:not([disabled])")
            until(page, f"document.querySelector('#stage img').src.includes('/{query}/')")
            until(page, "document.getElementById('answers').getAttribute('aria-busy') === 'false'")
        before = len(pressed)
        page.locator("#stage .boxer").focus()  # where drawing the box has left it
        while not page.evaluate("document.activeElement.classList.contains('skip')"):
            press("Tab")
        for key in ("Enter", "Tab", "Enter"):  # past the query, to the first button of its results
            press(key)
        page.wait_for_selector("#viewer[open]")
        for find in range(N_FINDS):
            until(page, f"document.getElementById('viewer-facts').textContent.startsWith('{find + 1} of ')")
            press("ynu"[(find + query) % 3])
        press("Escape")
        page.wait_for_selector("#viewer:not([open])", state="attached")
        until(page, "!location.search.includes('open=')")
        assert len(pressed) - before <= N_FINDS + KEYS_A_QUERY
    for query in range(1, N_QUERIES + 1):
        is_kept(page, collection, query, N_FINDS)
    assert len(pressed) <= N_QUERIES * (N_FINDS + KEYS_A_QUERY)


def test_marks_are_there_after_a_reload_and_on_another_day(open_query, collection):
    page = open_query(31)
    ids = results(page)
    review(page, "yynu")
    page.keyboard.press("Escape")
    stamps = page.locator("#results .stamp:not([hidden])")
    assert [stamps.nth(i).get_attribute("data-verdict") for i in range(4)] == ["yes", "yes", "no", "unsure"]
    is_kept(page, collection, 31, 4)
    assert kept(collection, 31) == dict(zip(ids, ("yes", "yes", "no", "unsure"), strict=False))
    page.reload()
    page.wait_for_selector("#review-these:not([disabled])")
    assert stamps.count() == 4
    page.screenshot(path=SCREENS / "reviewed.png")
    other = open_query(31)  # another browser
    assert other.get_by_role("img", name="Judged unsure").count() == 1
    review(other)  # begins where nothing was said yet
    assert shown(other)[1] == "5" and other.locator("#review-words").inner_text() == "4 judged"
    other.keyboard.press("ArrowLeft")
    assert other.locator('#review [data-verdict="unsure"]').get_attribute("aria-pressed") == "true"
    assert open_query(31, box="20,20,60,50").locator("#results .stamp:not([hidden])").count() == 0


def test_the_last_one_is_taken_back_and_returned_to(open_query, collection):
    page = open_query(32)
    first, second, third = results(page)[:3]
    review(page, "yn")
    at_third = shown(page)
    page.keyboard.press("z")
    assert shown(page)[1] == "2" and page.locator('#review [aria-pressed="true"]').count() == 0
    page.keyboard.press("y")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("n")  # another word on the same one
    page.keyboard.press("z")
    assert page.locator('#review [data-verdict="yes"]').get_attribute("aria-pressed") == "true"
    until(page, lambda: kept(collection, 32) == {first: "yes", second: "yes"})
    page.keyboard.press("z")
    page.keyboard.press("z")
    assert shown(page)[1] == "1" and page.locator("#take-back").is_disabled()
    page.keyboard.press("z")  # nothing more to take back
    until(page, lambda: kept(collection, 32) == {})
    assert at_third[1] == "3" and third not in kept(collection, 32)
    judgements = Judgements(collection)
    said = judgements.history(judgements.key(32, box=(20, 20, 60, 60)))
    assert [each.verdict for each in said] == ["yes", "no", None, "yes", "no", "yes", None, None]


def test_a_box_is_corrected_kept_and_left(open_query, collection):
    page = open_query(33)
    first = results(page)[0]
    review(page, "b")
    assert page.locator("#viewer .boxer").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_visible() and page.locator("#viewer .boxer").count() == 0
    assert page.locator(".compare-pane").count() == 2
    page.keyboard.press("b")
    width = int(page.locator("#viewer .boxer img").get_attribute("width"))
    draw_box(page, (2, 2, 10, 10), "#viewer .boxer")  # away from the box that is there
    draw_box(page, (width - 60, 60, 40, 30), "#viewer .boxer")
    page.screenshot(path=SCREENS / "review-box.png")
    page.keyboard.press("Enter")
    assert shown(page)[1] == "1" and page.locator("#viewer .boxer").count() == 0
    until(page, lambda: kept(collection, 33) == {first: "yes"})  # who says where says that it is there
    judgements = Judgements(collection)
    (said,) = judgements.standing(judgements.key(33, box=(20, 20, 60, 60))).values()
    x, y, right, bottom = said.box
    found = (x * width, y * 120, (right - x) * width, (bottom - y) * 120)
    assert found == pytest.approx((width - 60, 60, 40, 30), abs=1.5)
    page.keyboard.press("c")
    drawn = [float(side) for side in page.locator(".viewer-sheet .mark").get_attribute("data-box").split(",")]
    assert drawn == pytest.approx(found, abs=0.6)
    page.keyboard.press("b")
    page.locator("#viewer .boxer").press("ArrowUp")
    page.keyboard.press("n")  # judges what is drawn, and goes on
    assert shown(page)[1] == "2"
    until(page, lambda: kept(collection, 33) == {first: "no"})
    (moved,) = judgements.standing(said.query).values()
    assert moved.box[1] < y and moved.box[3] - moved.box[1] == pytest.approx(bottom - y)


def test_a_corrected_box_is_what_leaves_the_page(open_query):
    page = open_query(36)
    first = results(page)[0]
    review(page, "b")
    draw_box(page, (2, 2, 10, 10), "#viewer .boxer")  # away from the box that is there
    draw_box(page, (90, 60, 40, 30), "#viewer .boxer")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer .boxer", state="detached")
    page.keyboard.press("Escape")
    page.locator("#export summary").click()
    with page.expect_download() as caught:
        page.locator('[data-form="coco"]').click()
    best = json.loads(Path(caught.value.path()).read_text())["annotations"][0]
    assert (best["image_id"], best["verdict"]) == (first, "yes")
    assert best["bbox"] == pytest.approx((90, 60, 40, 30), abs=1.5)


def test_keys_do_nothing_where_somebody_types_or_holds_ctrl(open_query, collection):
    page = open_query(34)
    page.locator("#judge-these").click()
    name = page.locator(".object input")
    until(page, "Boolean(document.activeElement.closest('#judged'))")  # the keys work at once
    page.keyboard.press("y")
    page.keyboard.press("n")
    assert name.input_value() == "33"
    until(page, lambda: sorted(kept(collection, 34).values()) == ["no", "yes"])
    name.focus()
    page.keyboard.press("End")
    page.keyboard.type("yn")
    assert name.input_value() == "33yn" and len(kept(collection, 34)) == 2
    page.locator("#judged .tile").nth(2).click()
    page.keyboard.press("Control+y")
    assert shown(page)[1] == "3"
    page.keyboard.press("u")
    page.keyboard.press("Escape")
    assert page.locator('#judged [data-verdict="unsure"][aria-pressed="true"]').count() == 1
    until(page, lambda: sorted(kept(collection, 34).values()) == ["no", "unsure", "yes"])
    assert page.locator('.figure[data-k="1"] strong').inner_text() == "100 %"


# ---- what is seen


def test_what_was_asked_stands_beside_what_was_found_both_zoomed(open_query):
    page = open_query(35)
    review(page)
    settle(page)
    asked, found = (page.locator(".compare-pane").nth(i).bounding_box() for i in (0, 1))
    assert asked["x"] + asked["width"] < found["x"] and asked["width"] == pytest.approx(found["width"], abs=1)
    for at, pane in enumerate((asked, found)):
        mark = page.locator(".compare-pane .mark").nth(at).bounding_box()
        assert max(mark["width"] / pane["width"], mark["height"] / pane["height"]) > 0.5
        assert pane["x"] - 2 <= mark["x"] and mark["x"] + mark["width"] <= pane["x"] + pane["width"] + 2
        assert pane["y"] - 2 <= mark["y"] and mark["y"] + mark["height"] <= pane["y"] + pane["height"] + 2
    x, y, w, h = (int(side) for side in BOX.split(","))
    whole = page.locator(".compare-picture").first.bounding_box()
    scale = whole["height"] / 120
    mark = page.locator(".mark.asked").bounding_box()
    expected = (whole["x"] + x * scale, whole["y"] + y * scale, w * scale, h * scale)
    assert (mark["x"], mark["y"], mark["width"], mark["height"]) == pytest.approx(expected, abs=2)
    page.screenshot(path=SCREENS / "review.png")
    page.keyboard.press("c")
    assert page.locator(".compare-pane").count() == 0 and page.locator(".viewer-sheet > img").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.locator(".compare-pane").count() == 0  # it stays as it was chosen


def test_the_thumbnail_is_shown_at_once_and_the_next_pictures_are_there_before_the_key(open_query):
    page, held, asked, come = open_query(36), [], [], []
    page.on("requestfinished", lambda request: come.append(1) if request.url.endswith("/picture") else None)

    def hold(route):
        asked.append(int(route.request.url.split("/")[-2]))
        held.append(route)

    page.route("**/api/images/*/picture", hold)
    ids = results(page)
    page.locator("#results .tile").first.click()
    image = page.locator(".viewer-sheet img")
    until(page, "document.querySelector('.viewer-sheet img').naturalWidth > 0")
    assert image.get_attribute("src").endswith("thumbnail?large=true")
    until(page, lambda: asked == ids[:3])
    for route in held:
        route.continue_()
    until(page, "document.querySelector('.viewer-sheet img').src.endsWith('/picture')")
    until(page, "document.querySelector('.viewer-sheet img').complete")
    until(page, lambda: len(come) == 3)
    page.unroute("**/api/images/*/picture")
    settle(page)
    page.keyboard.press("ArrowRight")
    assert image.get_attribute("src").endswith(f"/{ids[1]}/picture")  # at once
    assert image.evaluate("(image) => image.naturalWidth") > 0


def test_pages_come_by_themselves_and_the_end_is_said(open_query):
    page = open_query(37)
    assert len(results(page)) < 60
    review(page)
    page.keyboard.press("c")
    while not page.locator("#viewer-facts").inner_text().startswith("60 of 60"):
        page.keyboard.press("ArrowRight")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/search") else None)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")
    assert "That was the last one" in page.locator("#viewer-status").inner_text()
    assert page.locator("#viewer-next").is_disabled() and asked == []
    last = page.locator("#viewer-name").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer:not([open])", state="attached")
    focused = page.evaluate("document.activeElement.closest('.cell')?.querySelector('.name').textContent")
    assert focused == last  # though it was folded away
    until(page, "!location.search.includes('open=')")  # the browser goes back a moment later
    assert "open=" not in page.url


def test_what_cannot_be_kept_waits_and_is_sent_at_the_next_try(open_query, collection):
    page = open_query(38)
    page.route("**/api/judgements", lambda route: route.abort())
    review(page, "yn")
    page.wait_for_selector("#unsent:not([hidden])")
    assert "2 not kept yet. The server does not answer" in page.locator("#unsent-words").inner_text()
    assert page.locator("#review-words").inner_text() == "2 judged"
    page.unroute("**/api/judgements")
    page.locator("#unsent-again").click()
    page.wait_for_selector("#unsent", state="hidden")
    is_kept(page, collection, 38, 2)
    page.route("**/api/judgements", lambda route: route.fulfill(status=404, json={"detail": "no such picture"}))
    page.keyboard.press("y")
    until(
        page, "document.getElementById('review-words').textContent === '2 judged'"
    )  # what is refused is not shown as kept


def test_a_verdict_given_before_the_answer_settles_is_not_lost(open_query, collection):
    page = open_query(39)

    def late(route):  # the answer of before anything was said
        found = json.loads(route.fetch().text().splitlines()[-1])["answer"]
        for result in found["results"]:
            result.pop("verdict", None)
        line = json.dumps({"answer": found, "is_final": True})
        route.fulfill(body=line + "\n", content_type="application/x-ndjson")

    review(page, "y")
    page.keyboard.press("Escape")
    is_kept(page, collection, 39, 1)
    page.route("**/api/search", late)
    page.locator("#option-distinct").check()
    until(page, "document.getElementById('answers').getAttribute('aria-busy') === 'false'")
    assert page.locator('#results .stamp[data-verdict="yes"]').count() == 1


# ---- fingers, screen readers, colours


def test_fingers_judge_and_swipe_on_a_phone(open_query, collection):
    page = open_query(40, **PHONE)
    page.locator("#review-these").tap()
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    asked, found = (page.locator(".compare-pane").nth(i).bounding_box() for i in (0, 1))
    assert asked["y"] + asked["height"] < found["y"]
    assert found["x"] >= 0 and found["x"] + found["width"] <= 390
    page.locator('#review [data-verdict="no"]').tap()
    until(page, lambda: shown(page)[1] == "2")
    page.screenshot(path=SCREENS / "phone-review.png")
    page.locator("#take-back").tap()
    until(page, lambda: shown(page)[1] == "1")
    until(page, lambda: kept(collection, 40) == {})
    touch = page.context.new_cdp_session(page)

    def swipe(by):
        for kind, x in (("touchStart", 195), ("touchMove", 195 + by / 2), ("touchMove", 195 + by), ("touchEnd", None)):
            points = [] if x is None else [{"x": x, "y": 500}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    swipe(-120)
    until(page, lambda: shown(page)[1] == "2")
    swipe(-120)
    until(page, lambda: shown(page)[1] == "3")
    swipe(120)
    until(page, lambda: shown(page)[1] == "2")
    swipe(30)
    settle(page)
    assert shown(page)[1] == "2"
    for button in ('#review [data-verdict="yes"]', "#take-back", "#correct-box", "#viewer-next"):
        assert page.locator(button).bounding_box()["height"] >= 40, button


@pytest.mark.parametrize(("query", "settings"), [(41, {}), (42, {"color_scheme": "dark"}), (43, PHONE)])
def test_reviewing_has_no_serious_accessibility_problem_and_is_spoken(open_query, query, settings):
    page = open_query(query, **settings)

    def check(where):
        settle(page)
        found = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        assert not found, (where, [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found])

    review(page)
    check("compare")
    name = page.locator("#viewer-name").inner_text()
    page.keyboard.press("y")
    said = page.locator("#viewer-status").inner_text()
    assert said.startswith(f"Yes: {name}. ") and ", 2 of " in said
    page.keyboard.press("ArrowLeft")
    assert page.locator("#viewer-status").inner_text().endswith("judged yes")
    check("judged")
    page.keyboard.press("b")
    check("box")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    check("wall")
    page.locator("#judge-these").click()
    page.wait_for_selector("#judged .cell")
    check("judge")
    keys = {"Yes": "y", "No": "n", "Unsure": "u", "Take back": "z", "Correct box": "b", "Compare": "c"}
    shortcuts = page.evaluate(
        """(names) => names.map((name) => [...document.querySelectorAll("#viewer [aria-keyshortcuts]")]
            .find((button) => button.textContent.trim().startsWith(name)).getAttribute("aria-keyshortcuts"))""",
        list(keys),
    )
    assert dict(zip(keys, shortcuts, strict=True)) == keys
