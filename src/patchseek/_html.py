"""Pictures with outlines on them as HTML that stands alone: JPEG within the page, SVG over it. Knows no matches.

What an untrusted notebook strips is the SVG; the picture below it stays.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ._addresses import masked

MOST_FIGURES = 24
"""Figures of one gallery; of more, the number is said."""
MOST_BYTES = 1_500_000
"""Of one gallery: a notebook keeps what it has shown."""
SIDE = 320
"""Longest side in pixels of a picture in a gallery; one that stands alone has twice as many."""

_SHOWN = 240  # pixels of the screen of the longest side; half as many again of the JPEG, for screens that have them
_GALLERY = '<div style="display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start">{}</div>'
_FIGURE = """<figure style="margin:0;width:{wide}px">
<div style="position:relative;line-height:0;width:{width}px;max-width:100%">{picture}{overlay}</div>
<figcaption style="font:13px/1.4 system-ui,sans-serif;overflow-wrap:anywhere">{lines}</figcaption>
</figure>"""
_PICTURE = '<img src="data:image/jpeg;base64,{data}" alt="{name}" style="width:100%;height:auto">'
_NONE = '<div style="background:#c8c8c8;width:100%;aspect-ratio:{width}/{height}"></div>'
_OVERLAY = """<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" \
style="position:absolute;left:0;top:0;width:100%;height:100%">{shapes}</svg>"""
_LINE = '<polygon points="{points}" fill="none" stroke="{colour}" stroke-width="{line}" \
vector-effect="non-scaling-stroke"/>'
_STROKES = (("#111827", 5), ("#ffb000", 2.5))  # a dark line under a light one, as on drawn sheets


@dataclass(frozen=True)
class Figure:
    """A picture and what is said of it."""

    name: str
    lines: Sequence[str]
    # under the name, any text
    width: int
    height: int
    # pixels of the whole picture
    pixels: NDArray[np.uint8] | None = None
    # (h, w, 3), maybe fewer; None where there is nothing to show
    shapes: Sequence[Sequence[tuple[float, float]]] = ()
    # outlines, each of corners x y in pixels of the whole picture


def gallery(figures: Iterable[Figure], n: int) -> str:
    """The first of n figures, beside each other, and how many are left out; at most MOST_BYTES and MOST_FIGURES.

    They are asked for one by one, and no more of them than are shown.
    """
    side = SIDE if n > 1 else 2 * SIDE
    shown, n_bytes = [], 0
    for figure in islice(figures, MOST_FIGURES):
        html = _html(figure, side)
        n_bytes += len(html)
        if n_bytes > MOST_BYTES:
            break
        shown.append(html)
    more = n - len(shown)
    return _GALLERY.format("".join(shown)) + (f"<p>and {more:,} more</p>" if more else "")


def _html(figure: Figure, side: int) -> str:
    scale = _SHOWN * side / SIDE / max(figure.width, figure.height)
    width = max(1, round(figure.width * scale))
    size = {"width": figure.width, "height": figure.height}
    if figure.pixels is None:
        picture = _NONE.format(**size)
    else:
        picture = _PICTURE.format(data=jpeg(figure.pixels, side), name=text(figure.name))
    shapes = "".join(_shape(corners) for corners in figure.shapes)
    lines = f"<b>{text(figure.name)}</b>" + "".join(f"<br>{text(line)}" for line in figure.lines)
    overlay = _OVERLAY.format(shapes=shapes, **size) if shapes else ""
    return _FIGURE.format(wide=max(width, _SHOWN // 2), width=width, picture=picture, overlay=overlay, lines=lines)


def _shape(corners: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return "".join(_LINE.format(points=points, colour=colour, line=line) for colour, line in _STROKES)


def jpeg(pixels: NDArray[np.uint8], side: int) -> str:
    """A small JPEG in base64, made anew from pixels: without metadata."""
    picture, stream = Image.fromarray(pixels), BytesIO()
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture.save(stream, "JPEG", quality=80, optimize=True)
    return b64encode(stream.getvalue()).decode()


def text(given: str) -> str:
    """Any text, fit to stand in HTML, attributes included: what is not meant to be seen is an escape."""
    return escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in masked(given)), quote=True)
