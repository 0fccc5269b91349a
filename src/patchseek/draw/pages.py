"""A page that shows the contact sheets of a benchmark, and tiles that show what was right. Writes HTML, no pictures."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike

from .._words import counted
from ..boxes import iou
from ..errors import PatchseekError
from ..metrics import SLACK
from ._boxes import ANSWER, RIGHT
from ._strokes import Pixels
from ._text import plain
from ._tiles import Tile

HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="script-src 'none'">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #111827; max-width: 1600px; margin: 2rem auto; padding: 0 1rem }}
section {{ margin: 2rem 0; border-top: 1px solid #d1d5db }}
h2 {{ font-size: 1.1rem; margin: 1rem 0 0; overflow-wrap: anywhere }}
p {{ margin: 0 0 .5rem; color: #4b5563 }}
img {{ max-width: 100%; height: auto }}
</style>
<h1>{title}</h1>
<p>{n}. A found box is green where it is right and amber where not; true boxes are thin and white.</p>
"""
SECTION = """<section>
<h2>{query}</h2>
<p>{figures}</p>
<a href="{link}"><img src="{link}" alt="Query and results of {query}" loading="lazy"></a>
</section>
"""


@dataclass(frozen=True)
class Entry:
    """One query of a page."""

    query: str
    # any text
    sheet: str | Path
    # the picture of its results: in the page's folder, absolute or relative to that folder
    average_precision: float | None = None
    # in [0, 1]; None where undefined
    loc_score: float | None = None


def write_page(folder: str | Path, title: str, entries: Iterable[Entry]) -> Path:
    """Write index.html, which shows the entries' sheets in the given order, into an existing folder; answer its path.

    The page has no script and only relative links, so that the folder can be moved and read without a network.
    Raises PatchseekError for a sheet outside the folder, and where the page cannot be written.
    """
    folder = Path(folder)
    sections = [_section(folder, entry) for entry in entries]
    page = HEAD.format(title=_text(title), n=counted(len(sections), "query", "queries")) + "".join(sections)
    path = folder / "index.html"
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PatchseekError(f"{path}: the page could not be written: {error.strerror or error}") from error
    return path


def judged_tile(
    pixels: Pixels,
    caption: str,
    box: ArrayLike | None,
    true_boxes: ArrayLike | None,
    score: float | None = None,
    *,
    threshold: float = 0.4,
) -> Tile:
    """A result with its predicted box, RIGHT where that is right and ANSWER where not, and its true boxes thin below.

    box (4,) or None; true_boxes (N, 4), None where the picture is no positive or its boxes are unknown; x0 y0 x1 y1 in
    [0, 1]. A box is right when its IoU with the nearest true box is at least the threshold, as in metrics.loc_score.
    """
    predicted = np.asarray([] if box is None else box, np.float64).reshape(-1, 4)
    true = np.asarray([] if true_boxes is None else true_boxes, np.float64).reshape(-1, 4)
    right = bool((iou(predicted, true) >= threshold - SLACK).any())
    return Tile(pixels, caption, predicted, (RIGHT if right else ANSWER,), score=score, thin=true)


def _section(folder: Path, entry: Entry) -> str:
    sheet = Path(os.path.relpath(folder / entry.sheet, folder))
    if sheet.is_absolute() or ".." in sheet.parts:
        raise PatchseekError(f"{entry.sheet}: a sheet must lie in the page's folder {folder}")
    figures = {"AP": entry.average_precision, "LocScore": entry.loc_score}
    shown = ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures.items() if value is not None)
    # quote leaves no colon, so that no name becomes a scheme
    link = quote(os.fsencode(sheet.as_posix()))
    return SECTION.format(query=_text(entry.query), figures=shown, link=escape(link))


def _text(text: str) -> str:
    """Any text, fit to stand in HTML, attributes included."""
    return escape(plain(text), quote=True)
