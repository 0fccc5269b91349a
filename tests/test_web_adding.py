"""Adding pictures on the page in a real browser: dropping, bad files, progress, problems and where they are said."""

import base64
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from patchseek import Collection
from patchseek.server import ServerSettings, create_app
from patchseek.store import Writer

from .browser import answered, settle, until
from .conftest import TinyEncoder, blot
from .live import listening
from .test_web import SCREENS, chromium, open_page  # noqa: F401  fixtures

pytestmark = [pytest.mark.extra("web"), pytest.mark.long]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
LIMIT = 2 << 20
DROP = """([selector, files]) => {
    const data = new DataTransfer();
    for (const [name, bytes] of files)
        data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
    const details = {dataTransfer: data, bubbles: true, cancelable: true};
    for (const type of ["dragenter", "dragover", "drop"])
        document.querySelector(selector).dispatchEvent(new DragEvent(type, details));
}"""
WORDS = """(selector) => {
    globalThis.said = [];
    new MutationObserver(() => {
        for (const {textContent} of document.querySelectorAll(selector))
            if (!said.includes(textContent)) said.push(textContent);
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
# what is said in a place from now on


def serve(home, names=()):
    for seed, name in enumerate(names):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        blot(seed).save(home / name)
    collection = Collection.open(home / "collection", encoder=TinyEncoder(), points=False, create=True)
    if names:
        collection.add(home)
        with Writer(collection.store) as writer:
            writer.tag("red things", [1])
    return listening(create_app(collection, ServerSettings(max_upload_bytes=LIMIT)))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server over five small pictures in folders; it takes 2 MB."""
    names = ["a.png", "trips/1.png", "trips/2024/2.png", "trips/2024/3.png", "work/4.png"]
    with serve(tmp_path_factory.mktemp("adding"), names) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def new(tmp_path):
    """new(seed) -> the file of a picture that is in no collection yet."""

    def make(seed, folder=tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        blot(seed + 1000).save(folder / f"new-{seed}.png")
        return folder / f"new-{seed}.png"

    return make


def drop(page, selector, *files):
    page.evaluate(DROP, [selector, [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]])


def drop_paths(page, selector, *paths):
    """Drop files and folders as the system does, by their paths."""
    rect = page.locator(selector).bounding_box()
    session = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    at = {"x": rect["x"] + 40, "y": rect["y"] + 20}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": dragged})


def left_out(page):
    """What is listed as left out: {name: reason}."""
    page.wait_for_selector(".failed")
    entries = page.locator(".failed li")
    return {
        entries.nth(i).locator("strong").inner_text(): entries.nth(i).evaluate("(entry) => entry.lastChild.data.trim()")
        for i in range(entries.count())
    }


def collection_page(open_page, **context):  # noqa: F811
    page = open_page("#collection", **context)
    page.wait_for_selector("#pictures .cell")
    return page


def n_pictures(page):
    return int(re.match(r"[\d,]+", page.locator("#collection-words").inner_text())[0])


# ---- dropping


def test_what_is_dropped_on_the_collection_is_added_and_what_is_bad_is_listed(open_page, new, tmp_path):  # noqa: F811
    page = collection_page(open_page)
    n = n_pictures(page)
    (tmp_path / "letter.jpg").write_text("Dear reader")
    (tmp_path / "huge.png").write_bytes(b"x" * (3 << 20))
    drop(page, "#pictures", new(1), tmp_path / "letter.jpg", tmp_path / "huge.png", new(2))
    page.wait_for_selector('.job[data-state="done"]')
    until(page, lambda: page.locator(".failed").count() == 2)  # what was not sent, and what the server refused
    told = left_out(page)
    assert set(told) == {"letter.jpg", "huge.png"}
    assert told["letter.jpg"].startswith("not a picture")
    assert told["huge.png"] == "is 3 MB; this server takes up to 2 MB"
    until(page, lambda: n_pictures(page) == n + 2)
    assert page.locator("#collection").is_visible() and page.locator("#problem").is_hidden()
    settle(page)
    page.screenshot(path=SCREENS / "adding.png")
    assert not [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]


def test_elsewhere_a_dropped_picture_is_searched_with_and_not_added(open_page, new):  # noqa: F811
    page = open_page()
    added = []
    page.on("request", lambda request: added.append(request.url) if request.url.endswith("/api/images") else None)
    answered(page, lambda: drop(page, "#drop", new(3)))
    assert page.locator("#search").is_visible() and not added


def test_while_something_is_dragged_the_page_says_what_dropping_does(open_page):  # noqa: F811
    page = collection_page(open_page)
    hint = "getComputedStyle(document.querySelector('.drop-hint'), '::after').content"
    drag = """() => {
        const data = new DataTransfer();
        data.items.add(new File(["x"], "x.png"));
        document.body.dispatchEvent(new DragEvent("dragenter", {dataTransfer: data, bubbles: true}));
    }"""
    assert page.locator(".drop-hint").is_hidden()
    page.evaluate(drag)
    assert page.locator(".drop-hint").is_visible() and "add it to the collection" in page.evaluate(hint)
    page.evaluate("location.hash = '#search'")
    page.wait_for_selector("#search:not([hidden])")
    assert "search with it" in page.evaluate(hint)


def test_a_dropped_folder_is_gone_through_and_what_is_gone_is_told(open_page, new, tmp_path):  # noqa: F811
    page = collection_page(open_page)
    n = n_pictures(page)
    new(4, tmp_path / "holiday")
    new(5, tmp_path / "holiday" / "deep" / "er")
    for name in (".DS_Store", "notes.txt"):
        (tmp_path / "holiday" / name).write_text("nothing to see")
    (tmp_path / "holiday" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    drop_paths(page, "#pictures", tmp_path / "holiday", new(6))
    page.wait_for_selector('.job[data-state="done"]')
    until(page, lambda: n_pictures(page) == n + 3)
    until(page, lambda: page.locator(".failed").count() == 2)
    told = left_out(page)
    assert set(told) == {"torn.jpg", "2 other files"}
    assert told["2 other files"] == "in a folder: no pictures by their names"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_file_that_cannot_be_read_any_more_stops_none(open_page, new, is_known):  # noqa: F811
    page = collection_page(open_page)
    n = n_pictures(page)
    gone, good = new(7), new(20 + is_known)
    files = page.locator("#add-files")
    files.evaluate("""(input) => input.addEventListener("change", (event) => {
        if (!globalThis.isGone) event.stopImmediatePropagation();
    }, true)""")  # files are chosen, and only later read
    page.set_input_files("#add-files", [gone, good])
    if is_known:  # the browser has looked at it
        assert files.evaluate("(input) => input.files[0].size") == gone.stat().st_size
    gone.unlink()
    page.evaluate("globalThis.isGone = true")
    files.dispatch_event("change")
    page.wait_for_selector('.job[data-state="done"]')
    (told,) = left_out(page).items()
    assert told[0] == gone.name and "not there any more" in told[1]
    until(page, lambda: n_pictures(page) == n + 1)


def test_where_all_is_bad_each_is_listed_and_no_job_begins(open_page, tmp_path):  # noqa: F811
    page = collection_page(open_page)
    names = [f"{i}.jpg" for i in range(5)]
    for name in names:
        (tmp_path / name).write_text("no picture")
    page.set_input_files("#add-files", [tmp_path / name for name in names])
    assert set(left_out(page)) == set(names)
    page.get_by_role("button", name="Hide Sending 5 pictures").click()
    assert page.locator(".job").count() == 0
    page.set_input_files("#add-files", tmp_path / "0.jpg")
    assert list(left_out(page)) == ["0.jpg"]


# ---- on the way


def noise(path, side):
    """A picture that no compression makes small."""
    Image.effect_noise((side, side), 90).save(path)
    return path


def slow_line(page, bytes_a_second):
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
    session.send("Network.emulateNetworkConditions", line)


def percents(page):
    return [int(found[1]) for words in page.evaluate("said") if (found := re.search(r"(\d+) %", words))]


def test_sending_tells_how_much_is_sent_in_percent(open_page, tmp_path):  # noqa: F811
    page = collection_page(open_page)
    page.evaluate(WORDS, ".job .muted")
    slow_line(page, 600_000)
    page.set_input_files("#add-files", [noise(tmp_path / f"noise-{i}.png", 700) for i in range(2)])
    page.wait_for_selector('.job[data-state="done"]')
    told = percents(page)
    assert told == sorted(told) and len([share for share in told if 0 < share < 100]) >= 2
    page.evaluate("location.hash = '#search'")
    page.evaluate(WORDS, "#sending-words")
    answered(page, lambda: page.set_input_files("#file", noise(tmp_path / "query.png", 800)))
    assert len([share for share in percents(page) if 0 < share < 100]) >= 2
    assert page.locator("#sending").is_hidden()


def test_sending_can_be_stopped(open_page, tmp_path):  # noqa: F811
    page = collection_page(open_page)
    n = n_pictures(page)
    slow_line(page, 100_000)
    page.set_input_files("#add-files", noise(tmp_path / "slow.png", 1000))
    page.locator(".job").get_by_role("button", name="Cancel").click()
    page.wait_for_selector('.job[data-state="cancelled"]')
    assert "what was sent is added" in page.locator(".job .muted").inner_text()
    page.reload()
    page.wait_for_selector("#pictures .cell")
    assert n_pictures(page) == n


def test_what_a_lost_line_stopped_is_sent_again(open_page, new):  # noqa: F811
    page = collection_page(open_page)
    n = n_pictures(page)
    page.route("**/api/images", lambda route: route.abort())
    page.set_input_files("#add-files", new(9))
    page.wait_for_selector('.job[data-state="failed"]')
    assert page.locator(".job .muted").inner_text() == "The server does not answer. Is it still running?"
    page.unroute("**/api/images")
    page.get_by_role("button", name="Retry").click()
    page.wait_for_selector('.job[data-state="done"]')
    until(page, lambda: n_pictures(page) == n + 1)


# ---- problems


def test_a_problem_of_an_open_dialog_is_said_in_it_until_it_is_dismissed(open_page, new):  # noqa: F811
    page = open_page(color_scheme="dark")
    answered(page, lambda: page.set_input_files("#file", new(10)))
    page.locator("#results .tile").first.click()
    page.route(re.compile(r"/api/images/\d+$"), lambda route: route.abort())
    page.locator("#copy-path").click()
    said = page.locator("#viewer #problem")
    said.wait_for()
    assert "The server does not answer" in said.inner_text()
    box = said.bounding_box()
    inside = "([x, y]) => document.getElementById('problem').contains(document.elementFromPoint(x, y))"
    assert page.evaluate(inside, [box["x"] + 30, box["y"] + 20])  # nothing lies on top of it
    settle(page)
    assert not [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    page.screenshot(path=SCREENS / "problem.png")
    page.keyboard.press("Escape")
    page.locator("body > #problem").wait_for()  # the dialog took nothing with it
    answered(page, lambda: page.locator("#stage .boxer").press("Enter"))
    assert page.locator("#problem").is_visible()  # what works elsewhere does not undo it
    page.locator("#results .tile").first.click()
    said.wait_for()
    page.get_by_role("button", name="Dismiss").click()
    assert page.locator("#problem").is_hidden() and page.locator("#viewer").is_visible()


def test_what_failed_can_be_tried_again_where_that_may_help(open_page, new, tmp_path):  # noqa: F811
    page = open_page()
    (tmp_path / "letter.jpg").write_text("Dear reader")
    page.set_input_files("#file", tmp_path / "letter.jpg")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.get_by_role("button", name="Retry").count() == 0  # it would be no picture again
    page.get_by_role("button", name="Dismiss").click()
    page.route("**/api/search", lambda route: route.abort())
    page.set_input_files("#file", new(11))
    retry = page.get_by_role("button", name="Retry")
    retry.wait_for()
    page.unroute("**/api/search")
    answered(page, retry.click)
    assert page.locator("#problem").is_hidden()
    assert page.locator("#results .cell").count() > 0


def test_several_problems_stand_beside_each_other_and_the_same_one_once(open_page, tmp_path, new):  # noqa: F811
    page = open_page()
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_text("no picture")
    good = new(12)
    for _ in range(2):
        page.set_input_files("#file", [tmp_path / "one.jpg", good, tmp_path / "two.jpg"])
        answered(page, page.locator("#several-one").click)
        until(page, lambda: page.locator(".problem-row").count() == 2)
    assert page.locator(".problem-row").nth(0).inner_text().startswith("one.jpg: not a picture")
    page.get_by_role("button", name="Dismiss").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".problem-row").count() == 1


# ---- places, and the first use


def test_folders_and_tags_are_picked_from_lists_as_they_are_now(open_page, new):  # noqa: F811
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", new(13)))
    page.locator("#where summary").click()
    until(page, "document.querySelectorAll('#places option').length >= 3")
    listed = page.evaluate("(id) => [...document.getElementById(id).options].map((o) => o.value)", "places")
    assert {"trips", "trips/2024", "work"} <= set(listed)
    assert page.evaluate("(id) => [...document.getElementById(id).options].map((o) => o.value)", "tags") == [
        "red things"
    ]
    for field, listing in (("under", "places"), ("tag", "tags")):
        assert page.locator(f"#{field}").evaluate("(input) => input.list.id") == listing

    def pick():
        page.fill("#under", "trips/2024")
        page.locator("#tag").focus()

    assert {result["image"] for result in answered(page, pick)["results"]} == {"trips/2024/2.png", "trips/2024/3.png"}


@pytest.mark.parametrize("context", [{}, PHONE | {"color_scheme": "dark"}], ids=["desktop", "phone-dark"])
def test_an_empty_collection_is_one_large_place_to_drop_pictures(chromium, new, tmp_path, context):  # noqa: F811
    with serve(tmp_path / "empty") as port:
        page = chromium.new_context(**context).new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#start-empty:not([hidden])")
        assert "Drop pictures, or a whole folder, on the Collection page" in page.locator("#start").inner_text()
        settle(page)
        page.screenshot(path=SCREENS / f"empty-start-{len(context)}.png")
        page.locator("#start-empty a").click()
        page.wait_for_selector("#add-here:not([hidden])")
        area, window = page.locator("#add-here").bounding_box(), page.viewport_size
        assert area["width"] > 0.85 * window["width"] and area["height"] > 0.3 * window["height"]
        assert page.locator("#filter").is_hidden()
        settle(page)
        page.screenshot(path=SCREENS / f"empty-{len(context)}.png")
        assert not [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        with page.expect_file_chooser() as chooser:
            page.locator("#add-here-pictures").click()
        chooser.value.set_files(new(14))
        page.wait_for_selector('.job[data-state="done"]')
        until(page, "document.querySelectorAll('#pictures .cell').length === 1")
        assert page.locator("#add-here").is_hidden() and page.locator("#filter").is_visible()
        with page.expect_file_chooser() as chooser:
            page.locator("#add-folder").click()
        new(15, tmp_path / "holiday"), new(16, tmp_path / "holiday" / "deep")
        chooser.value.set_files(tmp_path / "holiday")
        until(page, "document.querySelectorAll('#pictures .cell').length === 3")
        page.context.close()
