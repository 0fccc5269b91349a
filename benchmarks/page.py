"""The page in a real browser: how soon the first result is seen, and how long the whole answer takes.

    python benchmarks/page.py [--data FOLDER] [--pictures 1000] [--rounds 3]

A collection of so many pictures: those of both annotated sets, and copies cut by a twentieth till there are enough. The
queries are the first ten of the photographs, chosen in the browser one after the other; then a box is drawn on each.
"first seen": from the end of the upload to the moment the first result's picture is drawn; for a box, from letting go
of it. "all": to the settled answer. "search": Collection.search in the server's place, the same query, first every
other time, since pictures that were just opened are opened sooner. Both have answered once before, which opens what
they need. Times are medians, ratios medians of the pairs'. "redraws": six boxes drawn a third of a second apart, to the
settled answer of the last, beside one box alone. Needs `make bench` and a Chromium (PATCHSEEK_CHROMIUM, or one that is
installed). Writes results/CLASS/page.json.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from turns import machine, parse_with_data, write

from patchseek import Collection
from patchseek.images import EXTENSIONS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BOX = (0.25, 0.25, 0.5, 0.5)
"""Drawn on every query, in shares."""
CLOCK = """
const start = () => {
    const times = { }, done = new Promise((tell) => { times.tell = tell; });
    window.times = times;
    window.done = done;
};
const told = (times) => { if (times.first && times.settled) times.tell(times); };
start();
window.startClock = start;
const look = () => {
    const image = document.querySelector("#results .cell img"), mine = window.times;
    if (!mine.asked || !image || image === window.seen) return;
    window.seen = image;
    image.decode().then(
        () => requestAnimationFrame(() => { mine.first ??= performance.now(); told(mine); }),
        () => { if (!image.isConnected) look(); },  // another one stands there by now
    );
};
new MutationObserver(() => {
    const busy = document.getElementById("answers").getAttribute("aria-busy"), mine = window.times;
    if (busy === "true" && !mine.asked) {
        mine.asked = performance.now();
        window.seen = document.querySelector("#results .cell img");
    }
    look();
    if (busy === "false" && mine.asked) { mine.settled = performance.now(); told(mine); }
}).observe(document.getElementById("answers"), { subtree: true, childList: true, attributes: true });
"""
"""When a search begins (the upload has ended then), when its first picture is drawn, when its answer is settled.

The page tells that by itself: to be asked again and again would take time from what is measured.
"""


def gather(data: Path, home: Path, n: int) -> Path:
    """A folder of n pictures."""
    folder = home / "pictures"
    folder.mkdir()
    found = [p for name in ("dev-set", "composite-set") for p in sorted((data / name / "images").iterdir())]
    found = [path for path in found if path.suffix.lower() in EXTENSIONS]
    for i in range(n):
        path = found[i % len(found)]
        target = folder / f"{i:05}-{path.name}"
        if i < len(found):
            shutil.copy(path, target)
        else:
            with Image.open(path) as picture:
                w, h = picture.size
                picture.convert("RGB").crop((w // 20, h // 20, w, h)).save(target.with_suffix(".jpg"), quality=88)
    return folder


def times(page: Page) -> dict[str, float]:
    """Seconds from the moment a search begins, once its answer is settled; the next search is timed anew then."""
    at = page.evaluate("(() => window.done.then(({ asked, first, settled }) => ({ asked, first, settled })))()")
    page.evaluate("window.startClock()")
    return {"first": (at["first"] - at["asked"]) / 1000, "all": (at["settled"] - at["asked"]) / 1000}


def draw(page: Page, shrink: float = 0.0) -> None:
    """Draw BOX, a little smaller at will, with the mouse."""
    rect = page.locator("#stage .boxer").bounding_box()
    assert rect
    x, y, w, h = BOX
    corners = [(x + shrink, y + shrink), (x + w, y + h)]
    at = [(rect["x"] + px * rect["width"], rect["y"] + py * rect["height"]) for px, py in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move((at[0][0] + at[1][0]) / 2, (at[0][1] + at[1][1]) / 2)
    page.mouse.move(*at[1])
    page.mouse.up()


def settled(page: Page) -> float:
    """Seconds until the answer is settled."""
    began = time.perf_counter()
    times(page)
    return time.perf_counter() - began


def measure(page: Page, collection: Collection, queries: list[Path], rounds: int) -> dict[str, Any]:
    """Medians in seconds, and ratios."""
    seen: dict[str, list[float]] = {"first": [], "all": [], "first of a box": [], "all of a box": []}
    seen |= {"search": [], "search of a box": [], "one": [], "six": []}
    for ask in (partial(ask_page, page, queries[-1], seen), partial(ask_here, collection, queries[-1], seen)):
        ask()
    seen = {name: [] for name in seen}
    for _ in range(rounds):
        for i, query in enumerate(queries):
            asks = [partial(ask_page, page, query, seen), partial(ask_here, collection, query, seen)]
            for ask in asks if i % 2 else reversed(asks):  # whoever comes second finds the pictures in memory
                ask()
        draw(page)
        seen["one"].append(settled(page))
        for i in range(6):
            draw(page, 0.01 * (i + 1))
            page.wait_for_timeout(330)
        seen["six"].append(settled(page))
    median = {name: round(statistics.median(values), 3) for name, values in seen.items()}
    return {
        "seconds": median,
        "all, of search": times_of(seen["all"], seen["search"]),
        "all of a box, of search": times_of(seen["all of a box"], seen["search of a box"]),
        "after six redraws, of one": round(median["six"] / median["one"], 2),
    }


def times_of(values: list[float], others: list[float]) -> float:
    """How many times as long: the median of the pairs' ratios."""
    return round(statistics.median(a / b for a, b in zip(values, others, strict=True)), 2)


def ask_page(page: Page, query: Path, seen: dict[str, list[float]]) -> None:
    """Note how long the page takes for a query, and for a box of it."""
    if page.locator("#new").is_visible():
        page.locator("#new").click()
    page.evaluate("window.startClock()")
    page.set_input_files("#file", str(query))
    for name, value in times(page).items():
        seen[name].append(value)
    draw(page)
    for name, value in times(page).items():
        seen[f"{name} of a box"].append(value)


def ask_here(collection: Collection, query: Path, seen: dict[str, list[float]]) -> None:
    """Note how long `Collection.search` takes for the same."""
    for box, name in ((None, "search"), (BOX, "search of a box")):
        began = time.perf_counter()
        collection.search(query, box=box, top=24)
        seen[name].append(time.perf_counter() - began)


def main() -> None:
    """Measure, write, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parse_with_data(parser)
    program = os.environ.get("PATCHSEEK_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)))
    entries = json.loads((Path(asked.data) / "dev-set" / "query.json").read_text())[:10]
    queries = [Path(asked.data) / "dev-set" / entry["image"] for entry in entries]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        home = Path(name)
        collection = Collection.open(home / "c", create=True)
        collection.add(gather(Path(asked.data), home, asked.pictures))
        command = [sys.executable, "-m", "patchseek", "serve", str(home / "c"), "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.stdout.readline().strip())
        page.wait_for_selector("body[data-ready]")
        page.evaluate(f"(() => {{ {CLOCK} }})()")
        figures = measure(page, collection, queries, asked.rounds)
        browser.close()
        server.terminate()
        server.wait(20)
    write("page", {"machine": machine(), "pictures": asked.pictures, **figures})


if __name__ == "__main__":
    main()
