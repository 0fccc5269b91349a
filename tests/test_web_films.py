"""A find in a film on the page: when it is shown, and the film opened there by the browser's own player."""

import subprocess
import sys

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from .browser import answered, settle, until
from .test_filmed import scene
from .test_films import film
from .test_web import SCREENS, chromium, open_page, run  # noqa: F401  fixtures

pytestmark = [pytest.mark.extra("web"), pytest.mark.extra("video")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A film of two shots of 40 seconds, in a collection; a picture of the second shot."""
    home = tmp_path_factory.mktemp("films")
    (home / "in").mkdir()
    large = {seed: np.asarray(Image.fromarray(scene(seed)).resize((320, 192), 0)) for seed in (1, 2)}
    pictures = [large[1], large[2], large[2]]
    film(home / "in" / "tape.webm", pictures, "libvpx", times=[0, 40_000, 80_000], g="1")
    Image.fromarray(large[2]).save(home / "query.png")
    run("index", home / "in", "-c", home / "collection", "--inside", "video")
    return home


@pytest.fixture(scope="module")
def address(home):
    """The address that `patchseek serve` prints."""
    command = [sys.executable, "-W", "error", "-m", "patchseek", "serve", str(home / "collection"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield server.stdout.readline().strip()
    server.terminate()
    assert "Traceback" not in server.communicate()[1]


def test_a_find_is_shown_with_its_time_and_the_film_opens_there(open_page, home):  # noqa: F811
    page = open_page()
    answered(page, lambda: page.set_input_files("#file", home / "query.png"))
    card = page.locator("#results .cell").first
    assert "at 0:40" in card.inner_text()
    card.locator(".tile").click()
    assert "at 0:40" in page.locator("#viewer-facts").inner_text()
    link = page.locator("#open-film")
    assert link.inner_text() == "Open the film at 0:40"
    settle(page)
    page.screenshot(path=SCREENS / "film.png")
    assert Axe().run(page).violations_count == 0
    with page.context.expect_page() as opened:
        link.click()
    player = opened.value
    assert player.url.endswith("/film#t=40")
    until(player, "document.querySelector('video')?.readyState > 0")
    assert player.evaluate("document.contentType") == "video/webm"
    assert player.evaluate("document.querySelector('video').duration") > 60
    until(player, "document.querySelector('video').currentTime >= 40")
    player.close()
