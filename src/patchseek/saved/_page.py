"""The HTML of a report: pieces of a page that needs nothing else, has no script, and can be printed. Knows no query."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from .._html import jpeg, text
from ..draw import Colour, draw_boxes

Pixels = NDArray[np.uint8]
Row = tuple[str, str | Sequence[str]]
"""What is said of something: a word for it, and a line or several."""

_STYLE = """
@page { size: A4; margin: 14mm 12mm }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, "Liberation Sans", sans-serif; color: #111827; max-width: 1000px; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 0 1rem }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 2px solid #111827;
  overflow-wrap: anywhere }
h3 { font-size: 1rem; margin: 0 0 .5rem; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem .9rem; margin: 0 }
dt { color: #4b5563 }
dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1.5rem 0 0; width: 100% }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #d1d5db; overflow-wrap: anywhere }
th + th, td + td { text-align: right; white-space: nowrap }
a { color: inherit }
figure { margin: 0 0 .5rem }
figcaption { font-size: .8rem; color: #4b5563; overflow-wrap: anywhere }
img { display: block; border: 1px solid #d1d5db; max-width: 100%; max-height: 95mm; width: auto; height: auto }
.card { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 0 1.25rem; margin: 1rem 0 0;
  padding: 1rem 0 .5rem; border-top: 1px solid #d1d5db; break-inside: avoid }
.card.query { border-top: 0; padding-top: 0 }
.card h3 { grid-column: 1 / -1 }
.crop img { max-height: 45mm }
.none { color: #4b5563; border: 1px dashed #9ca3af; padding: 1rem; margin: 0 0 .5rem }
@media (max-width: 640px) { .card { grid-template-columns: minmax(0, 1fr) } }
@media print {
  body { font-size: 9.5pt; max-width: none; margin: 0; padding: 0 }
  img { max-height: 72mm }
  .crop img { max-height: 27mm }
  .card { padding-top: .6rem; margin-top: .6rem }
  h2 { break-after: avoid; border-top: 0; margin-top: 0 }
  section { break-before: page }
  section.short { break-before: auto; break-inside: avoid; margin-top: 2rem }
  .card.query { break-inside: auto }
  figure { break-inside: avoid }
  tr { break-inside: avoid }
  a { text-decoration: none }
}
"""
_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
"""
END = "</html>\n"
END_SECTION = "</section>\n"


def head(title: str) -> str:
    """How a page begins."""
    return _HEAD.format(title=text(title), style=_STYLE)


def begin_section(anchor: str, title: str, *, is_short: bool) -> str:
    """How a part begins, up to END_SECTION; printed, it begins a page, unless it is short and is not cut."""
    kind = ' class="short"' if is_short else ""
    return f'<section id="{text(anchor)}"{kind}>\n<h2>{text(title)}</h2>\n'


def paragraph(said: str) -> str:
    """A line of text."""
    return f"<p>{text(said)}</p>\n"


def facts(rows: Iterable[Row]) -> str:
    """A list of what is said; what is empty is left out."""
    pairs = [(word, [said] if isinstance(said, str) else said) for word, said in rows if said]
    return "<dl>" + "".join(f"<dt>{text(word)}</dt><dd>{_lines(said)}</dd>\n" for word, said in pairs) + "</dl>\n"


def _lines(said: Sequence[str]) -> str:
    return "<br>".join(map(text, said))


def table(names: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table; a row is the anchor that its first cell leads to, and its cells."""
    lines = ["<tr>" + "".join(f"<th>{text(name)}</th>" for name in names) + "</tr>\n"]
    for anchor, (first, *others) in rows:
        cells = "".join(f"<td>{text(cell)}</td>" for cell in others)
        lines.append(f'<tr><td><a href="#{text(anchor)}">{text(first)}</a></td>{cells}</tr>\n')
    return "<table>\n" + "".join(lines) + "</table>\n"


def picture(pixels: Pixels, name: str, side: int, box: Sequence[float] | None, colour: Colour) -> str:
    """A picture, its longer side at most so many pixels, with a box x0 y0 x1 y1 in [0, 1] drawn on it."""
    small = _small(pixels, side)
    drawn = small if box is None else draw_boxes(small, [box], colours=(colour,))
    return _image(drawn, name, side)


def crop(pixels: Pixels, name: str, side: int, box: tuple[int, int, int, int]) -> str:
    """What is in a box x y w h in pixels."""
    x, y, w, h = box
    return f'<div class="crop">{_image(pixels[y : y + h, x : x + w], name, side)}</div>'


def no_picture(why: str) -> str:
    """In the place of one that cannot be shown."""
    return f'<p class="none">{text(why)}</p>\n'


def card(title: str, pictures: str, said: str, kind: str = "") -> str:
    """Pictures beside what is said of them: both HTML. It is not cut where a page ends."""
    heading = f"<h3>{text(title)}</h3>\n" if title else ""
    return f'<div class="card {kind}">\n{heading}<div>{pictures}</div>\n<div>{said}</div>\n</div>\n'


def _image(pixels: Pixels, name: str, side: int) -> str:
    data = jpeg(np.ascontiguousarray(pixels), side)
    caption = f"<figcaption>{text(name)}</figcaption>"
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{text(name)}">{caption}</figure>\n'


def _small(pixels: Pixels, side: int) -> Pixels:
    image = PillowImage.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side, side), PillowImage.Resampling.LANCZOS, reducing_gap=2.0)
    return np.array(image)
