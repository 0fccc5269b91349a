"""Chromium for the browser tests, and what several of them do with a page."""

import os
import re
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str:
    """The browser's program. Fails, with what to do, where there is none: these tests are never skipped."""
    named = os.environ.get("PATCHSEEK_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, "no Chromium found: run tools/get_chromium.sh, or name one in PATCHSEEK_CHROMIUM"
    return found


def open_context(chromium, **settings):
    """A browser's window in which nothing is too slow: pytest ends what never ends."""
    context = chromium.new_context(**settings)
    context.set_default_timeout(0)
    return context


def draw_box(page, box, selector="#stage .boxer"):
    """Draw a box x y w h, in pixels of the picture, with the mouse."""
    stage = page.locator(selector)
    rect, image = stage.bounding_box(), stage.locator("img")
    width, height = int(image.get_attribute("width")), int(image.get_attribute("height"))
    x, y, w, h = box
    at = [
        (rect["x"] + rect["width"] * px / width, rect["y"] + rect["height"] * py / height)
        for px, py in ((x, y), (x + w / 2, y + h / 2), (x + w, y + h))
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1])
    page.mouse.move(*at[2])
    page.mouse.up()


def until(page, condition):
    """Wait for an expression of the page, or a function, to be true.

    Playwright's own way evaluates text in the page, which its CSP forbids.
    """
    while not (condition() if callable(condition) else page.evaluate(condition)):
        page.wait_for_timeout(30)


def settle(page):
    """Wait until nothing moves any more: what was asked for is drawn, and every transition has come to its end."""
    page.evaluate(
        """async () => {
            for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
            await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
        }"""
    )


def note_boxes(page):
    """The boxes x y w h of the searches that the page has been answered, a list that grows."""
    boxes = []

    def note(response):
        request = response.request
        found = re.search(rb'name="box"\r\n\r\n([\d.,]+)', request.post_data_buffer or b"")
        if request.url.endswith("/api/search") and found:
            boxes.append([float(number) for number in found[1].split(b",")])

    page.on("response", note)
    return boxes


def answered(page, action):
    """The final answer to the next search that the action causes."""
    of_state = "import(new URL('web/state.js', document.baseURI)).then(({state}) => %s)"
    page.evaluate(of_state % "{ window.before = state.answer; }")
    action()
    is_new = "state.answer && state.isSettled && state.answer !== window.before"
    until(page, of_state % f"{is_new} && document.getElementById('answers').ariaBusy === 'false'")
    return page.evaluate(of_state % "state.answer")


def whole(route):
    """The answer to a search of the page, in one piece."""
    return route.fetch(headers={**route.request.headers, "accept": "application/json"}).json()


def unfold(page):
    """Show the doubtful results as well, if there are any that are not shown."""
    if page.locator(".fold [aria-expanded=false]").count():
        page.locator(".fold button").click()


def drawn_boxes(page):
    """(file name, box x y w h in pixels) of every result, read from where the boxes are on the screen."""
    unfold(page)
    return page.evaluate(
        """() => [...document.querySelectorAll('#results .cell')].map((cell) => {
            const image = cell.querySelector('img').getBoundingClientRect();
            const box = cell.querySelector('.mark:not(.copy)').getBoundingClientRect();
            const scale = cell.querySelector('img').getAttribute('width') / image.width;
            return [cell.querySelector('.name').textContent,
                    [box.x - image.x, box.y - image.y, box.width, box.height].map((v) => v * scale)];
        })"""
    )


def overlap(a, b):
    """Intersection over union of two boxes x y w h."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
