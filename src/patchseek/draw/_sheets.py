"""Draw boxes on pictures and lay ranked results out on one sheet. Pixels in, pixels out; knows no stores or searches.

Every line has a dark outline, so that it shows on any background. The three colours stay apart for readers who see red
and green alike: RIGHT is the bluish green of Okabe and Ito's palette (2008), ANSWER a light amber, QUERY a blue.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from ..boxes import clip, to_pixels
from ..errors import BoxError, PatchseekError

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8, red green blue."""
Colour = tuple[int, int, int]
"""Red, green, blue in 0..255."""

RIGHT: Colour = (0, 158, 115)
"""For a box that is known to be right."""
ANSWER: Colour = (255, 176, 0)
"""For a box that the search found."""
QUERY: Colour = (59, 130, 246)
"""For a box that someone searched with."""

WHITE, MAT, INK, GREY = (255, 255, 255), (240, 241, 243), (17, 24, 39), (107, 114, 128)
QUERY_MAT = (232, 240, 254)
LONGEST_CAPTION = 300
# characters looked at; no caption as wide as a tile has more
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Tile:
    """One picture of a contact sheet and what is written under it."""

    pixels: Pixels
    # (h, w, 3) uint8; a thumbnail will do
    caption: str = ""
    # any text, a file name as a rule; shortened in the middle to fit
    boxes: ArrayLike = ()
    # (N, 4), x0 y0 x1 y1 in [0, 1]
    colours: Sequence[Colour] = ()
    # one for each box, or one for all; by default QUERY for a query and ANSWER for a result
    labels: Sequence[str] = ()
    # one for each box, or none
    score: float | None = None
    # larger is better; shown with three decimals
    thin: ArrayLike = ()
    # (M, 4), more boxes, such as true ones: thin, white and below the others


def draw_boxes(
    pixels: Pixels,
    boxes: ArrayLike,
    *,
    colours: Sequence[Colour] = (ANSWER,),
    labels: Sequence[str] = (),
    line: int | None = None,
) -> Pixels:
    """A copy of pixels (h, w, 3) uint8 with boxes (N, 4) x0 y0 x1 y1 in [0, 1] drawn on it, the first box on top.

    colours: one for each box, or one for all. labels: one for each box, or none; written above the box, or inside where
    there is no room above. line: width of the coloured line in pixels, by default 1/200 of the longer side, at least 2.
    It lies just inside the box, between dark lines half as wide. A box that laps over the picture is clipped to it.
    Raises BoxError for numbers that are not finite, PatchseekError for arguments that do not fit together.
    """
    picture = _picture(pixels)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise BoxError("boxes to draw must be finite numbers")
    if len(colours) not in (1, len(boxes)) or len(labels) not in (0, len(boxes)):
        raise PatchseekError(
            f"{len(boxes)} boxes take 1 or {len(boxes)} colours and 0 or {len(boxes)} labels, "
            f"found {len(colours)} and {len(labels)}"
        )
    line = max(2, round(max(picture.size) / 200)) if line is None else max(1, line)
    pen = ImageDraw.Draw(picture)
    for i in reversed(range(len(boxes))):
        colour = colours[i % len(colours)]
        x, y, w, h = to_pixels(clip(boxes[i])[0], *picture.size)
        dark = max(1, line // 2)
        _frame(pen, (x - dark, y - dark, w + 2 * dark, h + 2 * dark), INK, line + 2 * dark)
        _frame(pen, (x, y, w, h), colour, line)
        if labels:
            _draw_label(pen, picture, labels[i], (x, y), colour, line)
    return np.array(picture)


def contact_sheet(query: Tile | None, results: Iterable[Tile], *, columns: int = 5, tile: int = 240) -> Pixels:
    """One picture (H, W, 3) uint8 of the query, at the left on blue, and the results, best first, row by row.

    Every picture keeps its shape inside a field of tile x 3/4 tile pixels; beside several rows the query's is larger by
    3/4. Under a result stand its rank (1 is best), score and caption. The results are read one by one and only their
    thumbnails kept, so a generator needs memory for one large picture. Raises PatchseekError when there is nothing to
    show, and for columns below 1 or a tile below 80.
    """
    if columns < 1 or tile < 80:
        raise PatchseekError(
            f"a sheet takes columns of at least 1 and tiles of at least 80, found {columns} and {tile}"
        )
    field, text = (tile, tile * 3 // 4), max(10, round(tile / 17))
    cells = [_cell(result, field, text, f"{rank}") for rank, result in enumerate(results, 1)]
    if query is None and not cells:
        raise PatchseekError("a sheet needs a query or at least one result, found neither")
    gap, cell_w, cell_h = tile // 15, tile, field[1] + 4 * text
    rows, n = -(-len(cells) // columns), min(columns, len(cells))
    left, height = gap, rows * (cell_h + gap) + gap
    panel: Image.Image | None = None
    if query is not None:
        field = (field[0] * 7 // 4, field[1] * 7 // 4) if rows > 1 else field
        panel = _cell(query, field, text, "Query", query=True)
        left, height = panel.width + 4 * gap, max(height, panel.height + 2 * gap)
    sheet = Image.new("RGB", (left + n * (cell_w + gap), height), WHITE)
    if panel is not None:
        sheet.paste(QUERY_MAT, (0, 0, panel.width + 2 * gap, height))
        sheet.paste(panel, (gap, gap))
    for i, cell in enumerate(cells):
        sheet.paste(cell, (left + i % columns * (cell_w + gap), gap + i // columns * (cell_h + gap)))
    return np.array(sheet)


def save(pixels: Pixels, path: str | Path) -> None:
    """Write pixels (h, w, 3) uint8 as PNG or JPEG, as the suffix of the path says; PatchseekError where that fails."""
    path = Path(path)
    picture = _picture(pixels)
    if path.suffix.lower() not in SUFFIXES:
        raise PatchseekError(f"{path}: cannot write a picture as {path.suffix!r}; use one of {', '.join(SUFFIXES)}")
    try:
        picture.save(path, quality=92, subsampling=0)  # both for JPEG; PNG has no use for them
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PatchseekError(f"{path}: the picture could not be written: {reason}") from error


def _picture(pixels: Pixels) -> Image.Image:
    """Pixels (h, w, 3) uint8 as a picture of its own memory."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise PatchseekError(f"a picture is (h, w, 3) uint8, found {pixels.shape} {pixels.dtype}")
    return Image.fromarray(pixels.copy())


def _cell(tile: Tile, field: tuple[int, int], text: int, name: str, query: bool = False) -> Image.Image:
    """A tile's picture with its boxes in the middle of a field of width x height; under it name, score and caption.

    text: the height of the letters in pixels; both lines together take four times as much.
    """
    cell = Image.new("RGB", (field[0], field[1] + 4 * text), QUERY_MAT if query else WHITE)
    thumbnail = _picture(tile.pixels)
    scale = min(field[0] / thumbnail.width, field[1] / thumbnail.height)
    size = (max(1, round(thumbnail.width * scale)), max(1, round(thumbnail.height * scale)))
    thumbnail = thumbnail.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    colours = tile.colours or ((QUERY,) if query else (ANSWER,))
    line = max(2, round(text / 5))
    below = draw_boxes(np.array(thumbnail), tile.thin, colours=(WHITE,), line=max(1, line // 3))
    drawn = draw_boxes(below, tile.boxes, colours=colours, labels=tile.labels, line=line)
    cell.paste(WHITE if query else MAT, (0, 0, *field))
    cell.paste(Image.fromarray(drawn), ((field[0] - size[0]) // 2, (field[1] - size[1]) // 2))
    pen = ImageDraw.Draw(cell)
    pen.text((0, field[1] + text * 1.1), name, INK, _font(text + 2), anchor="lm")
    if tile.score is not None:
        pen.text((field[0], field[1] + text * 1.1), f"{tile.score:.3f}", INK, _font(text), anchor="rm")
    caption = shorten(tile.caption, field[0], _font(text))
    pen.text((0, field[1] + text * 2.6), caption, GREY, _font(text), anchor="lm")
    return cell


def _frame(pen: ImageDraw.ImageDraw, xywh: tuple[int, int, int, int], colour: Colour, line: int) -> None:
    """A line inside the edge of a box in pixels; it fills a box that is thinner than two lines."""
    x, y, w, h = xywh
    pen.rectangle((x, y, x + w - 1, y + h - 1), outline=colour, width=min(line, (min(w, h) + 1) // 2))


def _draw_label(
    pen: ImageDraw.ImageDraw, picture: Image.Image, label: str, corner: tuple[int, int], colour: Colour, line: int
) -> None:
    """A label on a ground of its colour, above the corner x y of a box, inside it where there is no room above."""
    font = _font(max(10, 4 * line))
    text = shorten(label, picture.width - 2 * line, font)
    w, h = round(font.getlength(text)) + 2 * line, round(font.size * 1.3)
    x, y = max(0, min(corner[0], picture.width - w)), corner[1] - h if corner[1] >= h else corner[1]
    pen.rectangle((x, y, x + w - 1, y + h - 1), fill=colour)
    pen.text((x + line, y + h / 2), text, INK, font, anchor="lm")


def shorten(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """The text, fit to be drawn in `width` pixels: its middle gives way to an ellipsis, control characters to '?'."""
    text = plain(text)
    if len(text) > LONGEST_CAPTION:
        text = text[: LONGEST_CAPTION // 2] + "\u2026" + text[-(LONGEST_CAPTION // 2) :]
    if font.getlength(text) <= width:
        return text
    fits, fails = 0, len(text)
    while fails - fits > 1:  # characters kept; an even share from either end
        n = (fits + fails) // 2
        short = text[: n - n // 2] + "\u2026" + text[len(text) - n // 2 :]
        fits, fails = (n, fails) if font.getlength(short) <= width else (fits, n)
    return text[: fits - fits // 2] + "\u2026" + text[len(text) - fits // 2 :]


def plain(text: str) -> str:
    """The text with '?' for every character that is not meant to be seen: controls, line breaks, lone surrogates."""
    return "".join("?" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c for c in text)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # every wheel of Pillow brings FreeType
    return font
