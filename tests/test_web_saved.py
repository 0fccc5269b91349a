"""Saved queries in a real browser: saved from a search, gone through by keys alone, news, addresses, a long wall."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from patchseek import Collection
from patchseek.judgements import Judgements
from patchseek.saved import Saved
from patchseek.server import ServerSettings, create_app

from .browser import draw_box, open_context, settle, until
from .conftest import TinyEncoder, blot
from .live import listening
from .test_web import SCREENS, chromium  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("web")

N_FINDS, N_QUERIES = 20, 3
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
PLAIN = {"refine": 0, "depth": 0, "turned": False}
NAMES = ("first", "second", "third")
HOSTILE = "<img src=x onerror=alert(1)> \"a\"/'b' ..%2F"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Forty small pictures."""
    home = tmp_path_factory.mktemp("saved") / "pictures"
    home.mkdir()
    for number in range(40):
        blot(number, 160 + 16 * (number % 5), 120).save(home / f"{number:02}.png")
    return home


@pytest.fixture
def saved(pictures, tmp_path):
    """Three saved queries, asked, of a collection of the pictures."""
    collection = Collection.open(tmp_path / "collection", encoder=TinyEncoder(), points=False, create=True)
    collection.add(pictures)
    saved = Saved(collection)
    for image_id, name in enumerate(NAMES, 1):
        saved.add(name, image_id, box=(20, 20, 60, 60))
    list(saved.run(top=N_FINDS, **PLAIN))
    return saved


@pytest.fixture
def open_page(chromium, saved):  # noqa: F811
    """open_page("#queries") -> the page; its scripts may not fail."""
    contexts, problems = [], []
    with listening(create_app(saved.collection, ServerSettings())) as port:

        def open_one(path="#queries", **settings):
            context = open_context(chromium, **{"viewport": {"width": 1440, "height": 900}} | settings)
            contexts.append(context)
            page = context.new_page()
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
            page.goto(f"http://127.0.0.1:{port}/{path}")
            page.wait_for_selector("body[data-ready]")
            if path.endswith("#queries"):
                page.wait_for_selector("#saved-queries li, #saved-one:not([hidden]), #saved-empty:not([hidden])")
            return page

        yield open_one
        for context in contexts:
            context.close()
    assert not problems


def kept(saved, name):
    """What the collection has of a query: verdicts by the id of the picture found."""
    judgements = Judgements(saved.collection)
    standing = judgements.standing(saved.get(name)[0].key)
    return {
        number: standing[content].verdict for content, (number, *_) in judgements.ids(list(standing.values())).items()
    }


def told(page, saved, name):
    """The finds of a query that nobody has judged, in the order of the server."""
    path = f"api/saved/{saved.get(name)[0].key}?which=unjudged"
    return page.evaluate("async (path) => (await (await fetch(path)).json()).finds", path)


def is_at(page, words):
    until(page, f"document.getElementById('viewer-facts').textContent.startsWith('{words} ')")


def too(page):
    """With what is doubtful."""
    page.locator("#doubtful-too").check()


# ---- by keys alone


def test_sets_are_gone_through_one_after_another_with_a_key_a_find_and_no_mouse(open_page, saved):
    page, pressed, come = open_page(), [], set()
    page.on("requestfinished", lambda request: come.add(request.url))
    page.evaluate("""() => addEventListener("pointerdown", () => { throw new Error("a mouse was needed"); }, true)""")
    finds = [(name, place, each) for name in NAMES for place, each in enumerate(told(page, saved, name), 1)]

    def press(key):
        pressed.append(key)
        page.keyboard.press(key)

    page.locator("#doubtful-too").focus()
    for key in ("Space", "Tab", "Tab", "Tab", "Enter"):  # with what is doubtful; past asking, to "Judge all"
        press(key)
    page.wait_for_selector("#viewer[open]")
    assert len(finds) == N_FINDS * N_QUERIES
    for done, (name, place, find) in enumerate(finds):
        is_at(page, f"{name} · {place} of {N_FINDS}")
        assert page.locator("#review-words").inner_text() == f"{done} of {len(finds)} judged"
        assert page.locator(".compare-words").first.inner_text() == f"Looked for: {name}"
        image = page.locator(".compare-pane img").nth(1)
        if done:
            assert image.get_attribute("src").endswith(f"/images/{find['image_id']}/picture")  # itself, and at once
            assert image.evaluate("(image) => image.complete && image.naturalWidth > 0")
        if done + 1 < len(finds):
            until(page, lambda at=done + 1: any(f"/{finds[at][2]['image_id']}/picture" in url for url in come))
            settle(page)
        press("ynu"[done % 3])
    until(page, f"document.getElementById('review-words').textContent.startsWith('All {len(finds)} judged')")
    assert len(pressed) == len(finds) + 5
    press("Escape")
    until(page, "document.getElementById('saved-words').textContent.endsWith('all judged')")
    for name in NAMES:
        until(page, lambda name=name: len(kept(saved, name)) == N_FINDS)
    assert page.locator("#judge-all").is_disabled()  # nothing is asked twice


@pytest.mark.long
def test_undo_goes_back_into_the_query_before(open_page, saved):
    page = open_page()
    too(page)
    page.locator("#judge-all").click()
    *_, last = told(page, saved, "first")
    for place in range(1, N_FINDS + 1):
        is_at(page, f"first · {place} of {N_FINDS}")
        page.keyboard.press("n")
    is_at(page, f"second · 1 of {N_FINDS}")
    page.keyboard.press("y")
    is_at(page, f"second · 2 of {N_FINDS}")
    page.keyboard.press("z")
    is_at(page, f"second · 1 of {N_FINDS}")
    page.keyboard.press("z")
    is_at(page, f"first · {N_FINDS} of {N_FINDS}")
    until(page, lambda: len(kept(saved, "first")) == N_FINDS - 1 and not kept(saved, "second"))
    assert last["image_id"] not in kept(saved, "first")
    page.keyboard.press("b")
    width = int(page.locator("#viewer .boxer img").get_attribute("width"))
    page.keyboard.press("Delete")
    draw_box(page, (width - 60, 60, 40, 30), "#viewer .boxer")
    page.keyboard.press("y")  # judges what is drawn, and goes on
    is_at(page, f"second · 1 of {N_FINDS}")
    until(page, lambda: kept(saved, "first").get(last["image_id"]) == "yes")
    said = Judgements(saved.collection).history(saved.get("first")[0].key)[-1]
    left, top, right, bottom = said.box
    drawn = (left * width, top * 120, (right - left) * width, (bottom - top) * 120)
    assert drawn == pytest.approx((width - 60, 60, 40, 30), abs=1.5)
    until(page, "location.search.includes('saved=second')")  # a moment after the key
    page.reload()
    is_at(page, f"second · 1 of {N_FINDS}")
    page.go_back()
    page.wait_for_selector("#viewer:not([open])", state="attached")
    assert page.locator("#saved-list").is_visible()


@pytest.mark.long
def test_pictures_that_look_the_same_are_judged_by_one_key(open_page, saved, pictures, tmp_path):
    near = tmp_path / "near"
    near.mkdir()
    for number in range(3):
        picture = Image.open(pictures / "00.png").convert("RGB")
        picture.putpixel((number, 0), (1, 2, 3))
        picture.save(near / f"near-{number}.png")
    saved.collection.add(near)
    saved.add("whole", 1)
    list(saved.run("whole", top=N_FINDS, **PLAIN))
    page = open_page()
    too(page)
    page.locator('[aria-label="Judge the finds of whole"]').click()
    is_at(page, f"whole · 1 of {N_FINDS}")
    page.keyboard.press("n")
    assert page.locator("#same-words").inner_text() == "3 more pictures look the same: No for all?"
    page.screenshot(path=SCREENS / "saved-same.png")
    page.keyboard.press("g")
    assert page.locator("#same").is_hidden()
    is_at(page, f"whole · 5 of {N_FINDS}")
    until(page, lambda: list(kept(saved, "whole").values()) == ["no"] * 4)
    assert page.locator("#review-words").inner_text() == f"4 of {N_FINDS} judged"
    page.keyboard.press("z")  # all of them at once
    is_at(page, f"whole · 2 of {N_FINDS}")
    until(page, lambda: len(kept(saved, "whole")) == 1)


# ---- saving, asking, news


def test_a_search_is_saved_under_its_name_asked_and_found_again(open_page, saved):
    page = open_page("?of=i.7&box=")
    page.wait_for_selector("#review-these:not([disabled])")
    page.locator("#save summary").click()
    until(page, "document.getElementById('save-name').value === '06'")  # its file's name
    page.keyboard.type(HOSTILE)
    page.screenshot(path=SCREENS / "saving.png")
    page.keyboard.press("Enter")
    page.wait_for_selector("#save-done:not([hidden])")
    assert HOSTILE in page.locator("#save-words").inner_text()
    page.locator("#save-open").click()
    until(page, lambda: page.locator("#saved-name").inner_text() == HOSTILE)
    page.wait_for_selector("#finds .cell")
    (query,) = saved.get(HOSTILE)
    assert saved.findings(query)[0].is_sure and query.views[0].file == "06.png"
    page.locator("#finds .tile").first.click()
    page.wait_for_selector("#viewer[open]")
    at = page.locator("#viewer-name").inner_text()
    page.reload()  # the same again
    page.wait_for_selector("#viewer[open]")
    assert page.locator("#viewer-name").inner_text() == at
    page.go_back()
    page.wait_for_selector("#viewer:not([open])", state="attached")
    until(page, lambda: page.locator("#saved-name").inner_text() == HOSTILE)
    page.locator("#all-saved").click()
    page.wait_for_selector("#saved-queries li")
    remove = page.get_by_role("button", name=f"Remove {HOSTILE}")
    remove.click()
    remove.click()
    until(page, lambda: HOSTILE not in [query.name for query in saved.all()])
    until(page, "document.querySelectorAll('#saved-queries li').length === 3")


def test_pictures_that_are_added_on_the_page_are_looked_at_and_what_is_found_is_said(
    open_page, saved, pictures, tmp_path
):
    saved.add("whole", 1)
    list(saved.run("whole"))  # as the page asks
    page = open_page("#collection")
    page.wait_for_selector("#pictures .cell")
    picture = Image.open(pictures / "00.png").convert("RGB")
    picture.putpixel((0, 0), (1, 2, 3))
    picture.save(tmp_path / "come.png")
    page.set_input_files("#add-files", tmp_path / "come.png")
    page.wait_for_selector("#news:not([hidden])")
    assert page.locator("#news-words").inner_text() == "1 new find for 1 saved query"
    page.screenshot(path=SCREENS / "saved-news.png")
    page.locator("#news-go").click()
    is_at(page, "whole · 1 of 1")
    assert "come" in page.locator("#viewer-name").inner_text()
    assert page.locator("#news").is_hidden()
    page.keyboard.press("y")
    until(page, lambda: "yes" in kept(saved, "whole").values())
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer:not([open])", state="attached")
    until(page, lambda: page.locator(".tag").count() == 0)  # the list is loaded anew


# ---- what is seen


@pytest.mark.long
@pytest.mark.parametrize("settings", [{}, {"color_scheme": "dark"}, PHONE], ids=["desktop", "dark", "phone"])
def test_it_fits_and_has_no_serious_accessibility_problem(open_page, settings, request):
    page = open_page(**settings)

    def check(where):
        settle(page)
        found = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        assert not found, (where, [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
        page.screenshot(path=SCREENS / f"saved-{where}-{request.node.callspec.id}.png")

    check("list")
    page.locator("#saved-queries .tile").first.click()
    page.locator("#finds .fold button").click()
    page.wait_for_selector("#finds .cell")
    check("finds")
    page.locator("#all-saved").click()
    page.wait_for_selector("#saved-queries li")
    too(page)
    page.locator("#judge-all").click()
    is_at(page, f"first · 1 of {N_FINDS}")
    check("walk")
    for button in ('#review [data-verdict="yes"]', "#take-back"):
        assert page.locator(button).bounding_box()["height"] >= 40, button
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer:not([open])", state="attached")
    page.goto(page.url.split("?")[0].split("#")[0] + "?of=i.9&box=20,20,60,60")
    page.wait_for_selector("#review-these:not([disabled])")
    page.locator("#save summary").click()
    until(page, "document.getElementById('save-name').value !== ''")
    check("form")


@pytest.mark.long
def test_a_thousand_finds_scroll_without_a_stutter(open_page, saved, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1000):
        blot(number + 100, 64, 48).save(many / f"{number:04}.png")
    saved.collection.add(many)
    list(saved.run("first", top=1000, **PLAIN))
    page = open_page()
    page.locator("#saved-queries .tile").first.click()
    page.locator("#finds .fold button").click()
    page.wait_for_selector("#finds .cell")
    page.evaluate("""() => {
        globalThis.longest = 0;
        let before = performance.now();
        const tick = (now) => { longest = Math.max(longest, now - before); before = now; requestAnimationFrame(tick); };
        requestAnimationFrame(tick);
    }""")
    while page.locator("#finds .cell").count() < 1000 or page.evaluate(
        "scrollY + innerHeight < document.body.scrollHeight - 2"
    ):
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(30)
    assert page.evaluate("longest") < 250  # milliseconds between two frames, on a machine with other work
