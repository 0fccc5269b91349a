"""The page in a real browser, served by the real command, on a small collection whose boxes are known.

Screenshots go to build/screens.
"""

import base64
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from patchseek.datasets import open_dataset
from patchseek.server.client import Client, ServerError

from .browser import (
    answered,
    draw_box,
    drawn_boxes,
    find_chromium,
    note_boxes,
    open_context,
    overlap,
    settle,
    unfold,
    until,
    whole,
)
from .proxy import free_port, serving

pytestmark = pytest.mark.extra("web")

ROOT = Path(__file__).parent.parent
SCREENS = ROOT / "build" / "screens"
SHOWN = """[...document.images].every((image) => {
    const {top, height} = image.getBoundingClientRect();
    return !height || top > innerHeight || image.naturalWidth;
})"""
# whether all pictures that can be seen have arrived
TWO_CLICKS = """(button) => {
    const found = document.querySelector(button);
    found.click();
    const asked = found.textContent;
    found.click();
    return asked;
}"""
# what a button asks when it is clicked, before the answer is yes; in one go, since it does not ask for long
HOSTILE = "<img src=x onerror=alert(1)>.jpg"
CUP_BOX = (77, 18, 401, 371)
# the cup in its photograph, x y w h in pixels; from demo/make_pictures.py
PLACES = {
    "scene-01.jpg": (400, 300, 400, 300),
    "scene-04.jpg": (0, 200, 266, 200),
    "scene-07.jpg": (266, 200, 267, 200),
}
# the cell of the 2x2 and 3x3 grids of an 800 x 600 picture that the cup was pasted into


def load_demo():
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "demo" / "make_pictures.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_pictures"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Ten scenes, three of them with the cup at PLACES; its photograph; a folder that may be added; a collection.

    Made once in a process; each file of tests has a copy.
    """
    made, home = tmp_path_factory.getbasetemp() / "made-home", tmp_path_factory.mktemp("web") / "home"
    if not made.exists():
        make_home(made)
    shutil.copytree(made, home)
    with closing(sqlite3.connect(home / "collection" / "catalogue.sqlite")) as db, db:
        db.execute("UPDATE root SET path = ?", (str(home / "pictures"),))
    return home


def make_home(home):
    """The folder that `home` has a copy of."""
    demo = load_demo()
    home.mkdir()
    photos = demo.photographs()
    cuts = demo.cut_outs(photos)
    for folder in ("pictures", "allowed"):
        (home / folder).mkdir()
    truth = {}
    others = ("cat", "helmet", "motorcycle", "patch", "coin", "shuttle")
    for number in range(10):
        scene, _ = demo.make_scene((others[number % 6],), number + 200, photos, cuts)
        scene, name = scene.resize((800, 600)), f"scene-{number:02}.jpg"
        if name in PLACES:
            x, y, w, h = PLACES[name]
            cup = cuts["cup"].picture.copy()
            cup.thumbnail((w, h))
            truth[name] = (x + (w - cup.width) // 2, y + (h - cup.height) // 2, *cup.size)
            scene.paste(cup, truth[name][:2], cup)
        scene.save(home / "pictures" / name, quality=90)
    photos["coffee"].save(home / "cup.jpg", quality=92)
    for i in range(18):
        demo.make_scene((), i + 300, photos, cuts)[0].resize((400, 300)).save(home / "allowed" / f"more-{i}.jpg")
    (home / "allowed" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    (home / "truth.json").write_text(json.dumps(truth))
    run("index", home / "pictures", "-c", home / "collection")


def run(*arguments):
    environment = {**os.environ, "XDG_STATE_HOME": os.devnull}
    command = [sys.executable, "-W", "error", "-m", "patchseek", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def address(home):
    """The address that `patchseek serve` prints."""
    command = [sys.executable, "-W", "error", "-m", "patchseek", "serve", str(home / "collection"), "--port", "0"]
    command += ["--allow-dir", str(home / "allowed")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield server.stdout.readline().strip()
    server.terminate()
    errors = server.communicate()[1]
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="module", params=[True, False], ids=["strips", "leaves"])
def public(request, home):
    """The address of a server below a path, behind a proxy that takes the path off or leaves it; token included."""
    own, port = free_port(), free_port()
    command = [sys.executable, "-W", "error", "-m", "patchseek", "serve", str(home / "collection"), "--port", str(port)]
    command += ["--allow-dir", str(home / "allowed"), "--public-url", f"http://127.0.0.1:{own}/our/pictures"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with serving("/our/pictures", own, port, strips=request.param):
        yield server.stdout.readline().strip()
        server.terminate()
        errors = server.communicate()[1]
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="module")
def truth(home):
    return {name: tuple(box) for name, box in json.loads((home / "truth.json").read_text()).items()}


@pytest.fixture(scope="module")
def chromium():
    SCREENS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"], timeout=0)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address):
    """open_page(**context) -> the page, ready; every error in its console fails the test."""
    contexts, problems = [], []

    def open_one(path="", **settings):
        settings = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"} | settings
        context = open_context(chromium, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("requestfailed", lambda r: problems.append(r.url) if not r.url.startswith(address) else None)
        page.goto(address + path)
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not problems


def drop(page, path, name=None):
    """Drop a file on the page, as a hand would."""
    page.evaluate(
        """([bytes, name]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
            const details = {dataTransfer: data, bubbles: true, cancelable: true};
            for (const type of ["dragenter", "dragover", "drop"])
                document.querySelector("#drop").dispatchEvent(new DragEvent(type, details));
        }""",
        [base64.b64encode(path.read_bytes()).decode(), name or path.name],
    )


def assert_found(page, truth, least=0.4):
    """The three pictures with the cup come first, each with its box drawn over the cup."""
    drawn = drawn_boxes(page)
    assert {name for name, _ in drawn[:3]} == set(truth)
    for name, box in drawn[:3]:
        assert overlap(box, truth[name]) > least, (name, box, truth[name])


# ---- searching


def test_a_dropped_picture_and_a_drawn_box_show_where_the_object_is(open_page, home, truth):
    page = open_page()
    until(page, SHOWN)
    page.screenshot(path=SCREENS / "start.png")
    answered(page, lambda: drop(page, home / "cup.jpg"))
    answer = answered(page, lambda: draw_box(page, CUP_BOX))
    assert overlap(answer["query"]["box"], CUP_BOX) > 0.95
    assert_found(page, truth)
    for (name, box), result in zip(drawn_boxes(page), answer["results"], strict=True):
        assert name == result["image"]
        assert overlap(box, result["box"]) > 0.93  # what is on the screen is what was answered
    until(page, SHOWN)
    page.screenshot(path=SCREENS / "search.png")
    Image.open(SCREENS / "search.png").convert("RGB").save(SCREENS / "page.jpg", quality=85)  # docs/page.jpg
    moved = answered(page, lambda: draw_box(page, (300, 100, 120, 120), "#stage .boxer"))
    assert moved["query"]["box"] != answer["query"]["box"]  # a press inside the box moved it


def test_only_some_pictures_may_answer(open_page, home):
    page = open_page()
    every = answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))["results"]
    page.locator("#where summary").click()

    def say(**fields):
        for name, value in fields.items():
            page.fill(f"#{name}", value)
        page.locator("#where summary").focus()

    some = answered(page, lambda: say(under="scene-0[2-4].jpg"))["results"]
    assert {result["image"] for result in some} == {"scene-02.jpg", "scene-03.jpg", "scene-04.jpg"}
    page.screenshot(path=SCREENS / "where.png")
    assert answered(page, lambda: say(under="", until="2001-01-01"))["results"] == []
    assert page.locator("#answers-title").inner_text() == "Nothing found"
    assert len(answered(page, lambda: say(until=""))["results"]) == len(every)
    say(tag="unheard of")
    page.wait_for_selector("#problem:not([hidden])")
    assert "No picture has the tag" in page.locator("#problem").inner_text()


def test_the_box_is_resized_by_its_handles_and_typed_in_numbers(open_page, home):
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    answered(page, lambda: draw_box(page, (100, 100, 200, 200)))
    handle = page.locator(".handle.se").bounding_box()
    page.mouse.move(handle["x"] + 14, handle["y"] + 14)

    def pull():
        page.mouse.down()
        page.mouse.move(handle["x"] + 60, handle["y"] + 40, steps=3)
        page.mouse.up()

    x, y, w, h = answered(page, pull)["query"]["box"]
    assert abs(x - 100) < 4 and abs(y - 100) < 4
    assert w > 230 and h > 215
    page.get_by_text("Box in numbers").click()
    assert answered(page, lambda: page.fill("#box-x", "50"))["query"]["box"] == [50, y, w, h]
    assert answered(page, lambda: page.click("#whole"))["query"]["box"] is None


def test_everything_works_by_keyboard_alone(open_page, home, truth):
    page = open_page()
    page.set_input_files("#file", home / "cup.jpg")  # the system's own dialog is not the page's
    page.wait_for_selector("#results .cell")
    stage = page.locator("#stage .boxer")
    stage.focus()
    answered(page, lambda: page.keyboard.press("Enter"))  # the middle half

    def widen():
        for keys, times in (("ArrowLeft", 12), ("ArrowUp", 20), ("Shift+ArrowRight", 17), ("Shift+ArrowDown", 43)):
            for _ in range(times):
                page.keyboard.press(keys)

    searched = note_boxes(page)
    widen()
    spoken = re.search(r"box at (\d+), (\d+), (\d+) wide, (\d+) high", stage.get_attribute("aria-label"))
    box = [int(number) for number in spoken.groups()]
    assert overlap(box, CUP_BOX) > 0.85
    until(page, lambda: box in searched)
    until(page, "document.getElementById('answers').getAttribute('aria-busy') === 'false'")
    assert_found(page, truth)
    page.locator("#results .tile").first.focus()
    page.keyboard.press("Enter")
    first = page.locator("#viewer-name").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-name").inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert page.locator("#viewer-name").inner_text() == first
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    answered(page, lambda: stage.press("Delete"))
    assert page.locator(".boxer-box").is_hidden()


def test_a_phone_shows_it_all_and_a_finger_draws(open_page, home, truth):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    touch = page.context.new_cdp_session(page)
    page.locator(".by-finger").tap()
    settle(page)
    rect = page.locator("#stage .boxer").bounding_box()

    def at(px, py):
        return [{"x": rect["x"] + rect["width"] * px / 600, "y": rect["y"] + rect["height"] * py / 400}]

    def finger():
        x, y, w, h = CUP_BOX
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(x, y)})
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(x + w / 2, y + h / 2)})
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(x + w, y + h)})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    answer = answered(page, finger)
    assert overlap(answer["query"]["box"], CUP_BOX) > 0.9
    assert_found(page, truth)
    until(
        page, "document.getElementById('answers').getBoundingClientRect().top < 0.6 * innerHeight"
    )  # they come into view
    for place in ("#search", "#collection", "#judge"):
        page.evaluate("(hash) => { location.hash = hash }", place)
        page.wait_for_selector(f"{place}:not([hidden])")
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, place
        assert page.evaluate("scrollY") == 0, place
    page.evaluate("location.hash = '#search'")
    page.wait_for_selector("#search:not([hidden])")
    settle(page)
    page.screenshot(path=SCREENS / "phone.png")
    page.locator("#results .tile").first.tap()
    page.wait_for_selector("#viewer")
    settle(page)
    page.screenshot(path=SCREENS / "phone-view.png")


def test_a_picture_can_be_pasted_and_one_of_the_collection_chosen(open_page, home):
    page = open_page()
    content = list((home / "cup.jpg").read_bytes())

    def paste():
        page.evaluate(
            """(bytes) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], "pasted.jpg", {type: "image/jpeg"}));
                document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
            }""",
            content,
        )

    assert answered(page, paste)["query"]["width"] == 600
    page.goto(page.url.split("#")[0] + "#collection")
    answer = answered(page, lambda: page.locator("#pictures .tile").nth(1).click())
    assert answer["results"][0]["image"] == "scene-01.jpg"
    assert page.locator("#search").is_visible()


def test_the_full_view_zooms_pans_and_searches_a_region(open_page, home):
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    page.locator("#results .tile").first.click()
    sheet = page.locator(".viewer-sheet")
    before = sheet.bounding_box()
    page.locator("#zoom-in").click()
    after = sheet.bounding_box()
    assert after["width"] > 1.3 * before["width"]
    page.mouse.move(700, 500)
    page.mouse.down()
    page.mouse.move(760, 540, steps=3)
    page.mouse.up()
    panned = sheet.bounding_box()
    assert abs(panned["x"] - after["x"] - 60) < 2 and abs(panned["y"] - after["y"] - 40) < 2
    page.mouse.wheel(0, -300)
    assert sheet.bounding_box()["width"] > panned["width"]
    page.locator("#zoom-fit").click()
    page.screenshot(path=SCREENS / "view.png")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy-path").click()
    until(page, "document.getElementById('copy-path').textContent === 'Copied'")
    name = page.locator("#viewer-name").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == str(home / "pictures" / name)
    page.locator("#region").click()
    draw_box(page, (500, 50, 250, 200), "#viewer .boxer")
    answer = answered(page, lambda: page.locator("#region-go").click())
    assert overlap(answer["query"]["box"], (500, 50, 250, 200)) > 0.9 or answer["query"]["box"][2] > 0
    assert page.locator("#viewer").is_hidden()


# ---- below a path


def test_behind_a_proxy_with_a_path_all_of_the_page_works_and_asks_for_nothing_beside_it(chromium, public, home, truth):
    place = public.partition("?")[0]
    asked, problems = [], []
    context = open_context(chromium, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("response", lambda r: problems.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.goto(public)
    page.wait_for_selector("body[data-ready]")
    assert page.url == place
    until(page, SHOWN)
    answered(page, lambda: drop(page, home / "cup.jpg"))
    answered(page, lambda: draw_box(page, CUP_BOX))
    assert_found(page, truth)
    until(page, SHOWN)
    page.locator("#results .tile").first.click()
    until(page, "document.querySelector('.viewer-sheet img').naturalWidth > 0")
    page.locator("#viewer-close").click()
    until(page, "!location.search.includes('open')")
    page.evaluate("location.hash = '#collection'")
    with page.expect_response(lambda response: "/events" in response.url) as _:
        page.locator("#folders button").click()
    page.wait_for_selector('.job[data-state="done"], .job[data-state="failed"]')
    assert re.search("added|unchanged", page.locator(".job .muted").inner_text())
    page.reload()
    page.wait_for_selector("body[data-ready]")  # the cookie lets it in
    page.goto(f"{place}docs")
    page.wait_for_selector("#routes section")
    assert "/our/pictures/api/search" in page.locator("#routes").inner_text()
    page.locator("a.brand").click()
    page.wait_for_selector("body[data-ready]")
    assert page.url == place
    context.close()
    assert [url for url in asked if not url.startswith((place, "blob:", "data:"))] == []
    assert problems == []


# ---- hostile and large


def test_a_hostile_file_name_is_only_text(open_page, home):
    page = open_page()
    answered(page, lambda: drop(page, home / "cup.jpg", HOSTILE))
    assert HOSTILE in page.locator("#stage .boxer").get_attribute("aria-label")
    content = io.BytesIO()
    Image.effect_noise((200, 150), 90).convert("RGB").save(content, "JPEG")
    page.goto(page.url.split("#")[0] + "#collection")
    with page.expect_response(lambda response: "/events" in response.url) as _:
        page.set_input_files("#add-files", {"name": HOSTILE, "mimeType": "image/jpeg", "buffer": content.getvalue()})
    page.wait_for_selector('.job[data-state="done"]')
    assert HOSTILE in page.locator(".job strong").first.inner_text()
    page.locator("#pictures .name", has_text=HOSTILE[:-4]).wait_for()  # the list is there: the page loads one at a time
    page.fill("#filter-name", "onerror")
    until(page, "document.querySelectorAll('#pictures .cell').length === 1")
    assert page.locator("#pictures .name").inner_text().startswith(HOSTILE[:-4])
    answered(page, lambda: page.locator("#pictures .tile").click())
    assert page.locator("#results .name").first.inner_text().startswith(HOSTILE[:-4])
    assert page.locator('img[src="x"]').count() == 0
    with page.expect_event("requestfinished", lambda request: "/api/images?" in request.url):
        page.evaluate("location.hash = '#collection'")
    settle(page)
    assert page.evaluate(TWO_CLICKS, "#pictures .small-icon") == "Remove?"
    until(page, "document.querySelectorAll('#pictures .cell').length === 0")  # the filter still holds


def test_fifty_megabytes_are_searched_and_more_than_allowed_is_said_in_words(open_page, tmp_path):
    page = open_page()
    large = tmp_path / "large.bmp"
    Image.effect_noise((4250, 4000), 60).convert("RGB").save(large)
    assert large.stat().st_size > 50_000_000
    answer = answered(page, lambda: page.set_input_files("#file", large))
    assert (answer["query"]["width"], answer["query"]["height"]) == (4250, 4000)
    larger = tmp_path / "larger.bmp"
    with larger.open("wb") as file:
        file.truncate(70 << 20)
    page.set_input_files("#file", larger)
    page.wait_for_selector("#problem:not([hidden])")
    assert "larger.bmp is 70 MB; this server takes pictures up to 64 MB" in page.locator("#problem").inner_text()


def test_what_is_no_picture_is_said_in_words(open_page, tmp_path):
    page = open_page()
    (tmp_path / "letter.jpg").write_text("Dear reader")
    page.set_input_files("#file", tmp_path / "letter.jpg")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.locator("#problem").inner_text().startswith("letter.jpg: not a picture")


def test_two_tabs_at_once_each_get_their_own_answer(open_page, home):
    first, second = open_page(), open_page()
    first.set_input_files("#file", home / "cup.jpg")
    second.set_input_files("#file", home / "pictures" / "scene-02.jpg")
    for page in (first, second):
        page.wait_for_selector("#results .cell")
    answers = [answered(page, lambda page=page: draw_box(page, (20, 20, 300, 250))) for page in (first, second)]
    assert answers[0]["query"]["image"] == "cup.jpg"
    assert answers[1]["query"]["image"] == "scene-02.jpg"
    assert second.locator("#results .name").first.inner_text() == "scene-02.jpg"


# ---- saving, collection, judging


def test_results_are_exported_in_every_form(open_page, home):
    page = open_page()
    answer = answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    for i in (0, 2):
        page.locator("#results .pick input").nth(i).check(force=True)
    assert page.locator("#export summary").inner_text() == "Export 2"

    def save(form):
        page.locator("#export summary").click()
        with page.expect_download() as caught:
            page.locator(f'[data-form="{form}"]').click()
        return Path(caught.value.path()).read_bytes()

    chosen = [answer["results"][0], answer["results"][2]]
    for result in chosen:
        result.pop("partners", None)
    assert json.loads(save("json"))["results"] == chosen
    rows = save("csv").decode().splitlines()
    assert rows[0].startswith("rank,image,image_id,score,confidence,x,y,w,h,bbox_format,width,height,copy,verdict,")
    shown = [(int(row.split(",")[0]), row.split(",")[1], float(row.split(",")[4])) for row in rows[1:]]
    assert shown == [(result["rank"], result["image"], result["confidence"]) for result in chosen]
    detections = json.loads(save("coco-results"))
    assert [(d["image_id"], d["bbox"], d["score"]) for d in detections] == [
        (r["image_id"], r["box"], r["score"]) for r in chosen
    ]
    assert [image["file_name"] for image in json.loads(save("coco"))["images"]] == [r["image"] for r in chosen]
    assert save("yolo")[:2] == b"PK"
    assert Image.open(io.BytesIO(save("sheet"))).format == "PNG"


def test_an_allowed_folder_is_added_with_live_progress_and_its_failures_are_told(open_page):
    page = open_page("#collection")
    page.wait_for_selector("#folders button")
    page.evaluate(
        """() => {
            document.querySelector("#folders button").click();
            const timer = setInterval(() => {
                const cancel = document.querySelector(".job button");
                if (cancel) { cancel.click(); clearInterval(timer); }
            }, 2);
        }"""
    )
    page.wait_for_selector('.job[data-state="cancelled"], .job[data-state="done"]')
    page.locator("#folders button").click()
    page.wait_for_selector('.job[data-state="done"]')
    page.wait_for_selector("#failures:not([hidden])")
    until(page, "document.getElementById('collection-words').textContent.startsWith('28 pictures')")
    page.locator("#failures summary").click()
    assert "torn.jpg" in page.locator("#failures table").inner_text()
    page.screenshot(path=SCREENS / "collection.png")
    answered(page, lambda: page.locator("#pictures .tile").first.click())
    unfold(page)
    assert page.locator("#results .cell").count() == 24
    page.locator("#results .cell").last.scroll_into_view_if_needed()
    until(page, "document.querySelectorAll('#results .cell').length === 28")  # more come by themselves
    assert page.locator("#more").is_hidden()


def test_marked_results_give_precision_and_a_set_that_eval_reads(open_page, home, tmp_path, truth):
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    answer = answered(page, lambda: draw_box(page, CUP_BOX))
    page.locator("#judge-these").click()
    page.locator("#judged button").first.focus()
    for result in answer["results"][:5]:
        page.keyboard.press("y" if result["image"] in truth else "n")
    assert page.locator('.figure[data-k="5"] strong').inner_text() == "60 %"
    assert page.locator('.figure[data-k="10"] strong').inner_text() == "\N{EN DASH}"
    page.screenshot(path=SCREENS / "judge.png")
    with page.expect_download() as caught:
        page.locator("#save-set").click()
    zipfile.ZipFile(caught.value.path()).extractall(tmp_path / "set")
    data = open_dataset(str(tmp_path / "set"))
    positives = data.truth[data.queries[0].id].positives
    assert len(positives) == 3
    assert all(picture.image.is_file() for picture in data.gallery)


def test_options_appear_when_the_server_offers_them_and_travel_with_the_search(open_page, home):
    page = open_page()
    assert page.locator("#words").is_hidden(), "this encoder knows none"

    def offer(route):
        found = route.fetch().json()
        names = ("refine", "several", "text", "several_queries", "exclude", "distinct")
        found["features"] |= dict.fromkeys(names, True)
        route.fulfill(json=found)

    sent = []

    def answer(route):
        sent.append(route.request.post_data_buffer.decode("latin-1"))
        result = {"rank": 1, "image": "scene-01.jpg", "image_id": 2, "score": 0.4, "confidence": 0.2}
        result["refined"] = "refine" not in sent[-1]
        result |= {"box": [10, 10, 200, 200], "boxes": [{"box": [10, 10, 200, 200]}, {"box": [300, 300, 90, 90]}]}
        result |= {"bbox_format": "xywh_px", "width": 800, "height": 600}
        several = {"queries": [{}] * sent[-1].count('name="query_id"')}
        collection = {"images": 10, "doubtful_below": 0.3}
        route.fulfill(json={"query": {}, **several, "collection": collection, "results": [result]})

    page.route("**/api/collection", offer)
    page.route("**/api/search", answer)
    page.reload()
    page.wait_for_selector("#words:not([hidden])")
    page.set_input_files("#file", home / "cup.jpg")
    page.wait_for_selector("#results .mark.copy")
    assert page.locator("#verdict").inner_text().startswith("Probably not here")
    assert "20 % sure" in page.locator("#results .score").inner_text()
    page.fill("#text", "a red cup")
    page.locator("#option-several").check()
    page.locator("#option-refine").uncheck()
    with page.expect_file_chooser() as chooser:
        page.locator("#another").click()
    chooser.value.set_files(home / "pictures" / "scene-01.jpg")
    until(page, "document.querySelectorAll('.chip').length === 2")
    until(page, lambda: sent[-1].count('name="query_id"') == 2)
    until(page, "document.getElementById('answers').getAttribute('aria-busy') === 'false'")
    page.locator("#results .tile").first.click()
    page.locator("#exclude-this").click()
    page.wait_for_selector(".chip.not")
    until(page, lambda: 'name="exclude"' in sent[-1])
    assert 'name="several"\r\n\r\ntrue' in sent[-1]
    assert 'name="refine"\r\n\r\n0' in sent[-1]
    until(page, "document.getElementById('answers').getAttribute('aria-busy') === 'false'")
    assert page.locator("#verdict").is_hidden(), "of what was not refined, it is not said"
    assert 'name="text"\r\n\r\na red cup' in sent[-1]
    assert 'name="exclude"\r\n\r\n2' in sent[-1]
    assert sent[-1].count('name="query_id"') == 2
    page.screenshot(path=SCREENS / "options.png")


def test_the_first_use_of_an_empty_collection(chromium, home, tmp_path):
    command = [sys.executable, "-m", "patchseek", "serve", str(tmp_path / "new"), "--create", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        context = open_context(chromium)
        page = context.new_page()
        page.goto(server.stdout.readline().strip())
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("#start-empty:not([hidden])")
        assert "no pictures yet" in page.locator("#start-empty").inner_text()
        answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
        assert page.locator("#answers-title").inner_text() == "Nothing to search yet"
        page.locator('nav a[href="#collection"]').click()
        page.set_input_files("#add-files", sorted((home / "pictures").iterdir())[:3])
        page.wait_for_selector('.job[data-state="done"]')
        until(page, "document.querySelectorAll('#pictures .cell').length === 3")
        page.locator('nav a[href="#search"]').click()
        page.locator("#new").click()
        until(page, "document.querySelectorAll('#start-pictures .cell').length === 3")
        page.locator('nav a[href="#collection"]').click()
        answer = answered(page, lambda: page.locator("#pictures .tile").nth(2).click())
        assert answer["results"][0]["score"] > 0.99
        context.close()
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0
    finally:
        server.kill()
        server.communicate()


def test_a_folder_that_is_not_indexed_is_offered_and_indexed_with_a_click(chromium, home, tmp_path):
    folder = tmp_path / "Pictures"
    folder.mkdir()
    for file in sorted((home / "pictures").iterdir())[:4]:
        (folder / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-W", "error", "-m", "patchseek", "serve", str(folder), "--port", "0"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        context = open_context(chromium)
        page = context.new_page()
        page.goto(server.stdout.readline().strip())
        page.wait_for_selector("#offer .offer")
        assert page.locator("#offer strong").inner_text() == f"4 pictures in {folder} are not indexed"
        assert "about 1 MB" in page.locator("#offer").inner_text()
        page.screenshot(path=SCREENS / "offer.png")
        assert not (folder / ".patchseek").exists()
        page.locator("#offer button").click()
        page.wait_for_selector('#offer-jobs .job[data-state="done"]')
        until(page, "document.querySelectorAll('#start-pictures .cell').length === 4")
        assert page.locator("#offer .offer").count() == 0
        assert (folder / ".patchseek" / "catalogue.sqlite").exists()
        (folder / "new.jpg").write_bytes((home / "pictures" / "scene-09.jpg").read_bytes())
        page.reload()
        page.wait_for_selector("#offer .offer")
        assert page.locator("#offer button").inner_text() == "Index 1 new picture"
        context.close()
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0
        noted = tmp_path / "state" / "patchseek" / "last-collection"
        assert noted.read_text().strip() == str(folder / ".patchseek")
    finally:
        server.kill()
        errors = server.communicate()[1]
    assert "Traceback" not in errors, errors


# ---- colours, screen readers, tokens


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_problem(open_page, home, scheme):
    page = open_page(color_scheme=scheme)

    def check(where):
        settle(page)
        found = Axe().run(page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, (where, [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in serious])

    check("start")
    answered(page, lambda: page.set_input_files("#file", home / "cup.jpg"))
    answered(page, lambda: draw_box(page, CUP_BOX))
    check("search")
    page.screenshot(path=SCREENS / f"search-{scheme}.png")
    page.locator("#results .tile").first.click()
    check("view")
    page.keyboard.press("Escape")
    page.locator("#judge-these").click()
    check("judge")
    page.evaluate("location.hash = '#collection'")
    page.wait_for_selector("#pictures .cell")
    check("collection")
    page.goto(page.url.partition("?")[0] + "docs")
    page.wait_for_selector(".route")
    check("docs")


def test_the_colours_can_be_chosen_and_are_kept(open_page):
    page = open_page()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark != light


def test_with_a_token_the_printed_address_lets_the_browser_in_and_no_other_does(chromium, home, tmp_path):
    command = [sys.executable, "-m", "patchseek", "serve", str(home / "collection"), "--port", "0"]
    command += ["--token", "a-token-for-tests", "--max-upload", "1"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        assert address.endswith("/?token=a-token-for-tests")
        context = open_context(chromium)
        page = context.new_page()
        page.goto(address.partition("?")[0])
        assert "give its token" in page.inner_text("body")
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        assert "token" not in page.url
        until(page, "[...document.querySelectorAll('#start-pictures img')].some((i) => i.naturalWidth > 0)")
        assert page.evaluate("document.cookie") == ""
        environment = {**os.environ, "PATCHSEEK_TOKEN": "a-token-for-tests"}
        url = address.partition("?")[0]
        found = subprocess.run(
            [sys.executable, "-m", "patchseek", "search", str(home / "cup.jpg"), "--server", url, "--json"],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert json.loads(found.stdout)["results"][0]["rank"] == 1
        environment["PATCHSEEK_TOKEN"] = "not-the-token"
        refused = subprocess.run(
            [sys.executable, "-m", "patchseek", "search", str(home / "cup.jpg"), "--server", url],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert (refused.returncode, "needs a token" in refused.stderr) == (1, True)
        (tmp_path / "large.jpg").write_bytes(b"x" * 2_000_000)
        with pytest.raises(ServerError, match="more than 1 MB") as refusal:
            Client(url, "a-token-for-tests").search(tmp_path / "large.jpg")
        assert refusal.value.status == 413
        context.close()
    finally:
        server.terminate()
        server.communicate()


def test_a_picture_that_changed_is_shown_without_its_old_boxes(open_page, home):
    page = open_page()

    def answer(route):
        found = whole(route)
        found["results"][0]["changed"] = True
        route.fulfill(json=found)

    page.route("**/api/search", answer)
    page.set_input_files("#file", home / "cup.jpg")
    page.wait_for_selector("#results .mark")
    first = page.locator("#results .tile").nth(0)
    assert first.locator(".mark").count() == 0
    assert page.locator("#results .score").nth(0).inner_text() == "changed: index again"
    first.click()
    page.wait_for_selector(".viewer-sheet")
    assert "changed since it was indexed" in page.locator("#viewer-facts").inner_text()


def test_a_new_question_aborts_the_one_before_and_what_else_it_was_asking_for(open_page, home):
    page = open_page()
    aborted, held, asks = [], [], []
    page.on("requestfailed", lambda request: aborted.append((asks.index(request), request.failure)))

    def answer(route):
        asks.append(route.request)
        if len(asks) in (2, 3):
            held.append(route)  # never answered
            return
        found = whole(route)
        found["collection"]["images"] = 100
        found["results"] = [found["results"][0] | {"rank": rank} for rank in range(1, 25)]
        route.fulfill(json=found)

    page.route("**/api/search", answer)
    page.set_input_files("#file", home / "cup.jpg")
    until(page, lambda: page.locator("#results .cell").count() == 24)
    page.locator("#more").scroll_into_view_if_needed()
    until(page, lambda: len(held) == 1)  # more of the first answer
    draw_box(page, CUP_BOX)
    until(page, lambda: len(held) == 2)  # a box beside it
    until(page, lambda: aborted == [(1, "net::ERR_ABORTED")])
    page.locator("#whole").click()
    until(page, lambda: aborted == [(1, "net::ERR_ABORTED"), (2, "net::ERR_ABORTED")])
    until(page, "document.getElementById('answers').getAttribute('aria-busy') === 'false'")
    assert page.locator("#problem").is_hidden()
    assert page.locator("#results .cell").count() >= 24


def test_a_foreign_cookie_and_a_token_of_any_letters_let_the_browser_in_and_leave_it_there(chromium, home):
    command = [sys.executable, "-m", "patchseek", "serve", str(home / "collection"), "--port", "0"]
    server = subprocess.Popen([*command, "--token", "Zm9v+Ym/Fy&=#%20?"], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        context = open_context(chromium)
        for name, value in (("prefs", '{"theme":"dark"}'), ("é", "ü"), ("", "nameless")):
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            page.evaluate("([name, value]) => { document.cookie = name ? `${name}=${value}` : value; }", [name, value])
            page.reload()
            page.wait_for_selector("body[data-ready]")
            assert value in page.evaluate("document.cookie")
            page.close()
        context.close()
    finally:
        server.terminate()
        server.communicate()
