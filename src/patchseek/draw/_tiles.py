"""A picture of a contact sheet, its boxes and what is written under it. Knows nothing of what stands beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from ..confidence import DOUBTFUL
from ._boxes import ANSWER, GREY, INK, MAT, QUERY, WHITE, Outline, draw_boxes, picture_of
from ._strokes import Colour, Pixels
from ._text import font_of, shorten

QUERY_MAT = (232, 240, 254)
_FAINT = 0.4
# of a box that is in doubt, beside the picture under it


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
    confidence: float | None = None
    # in [0, 1]; shown in place of the score, and boxes of which it is doubtful that they hold anything are faint
    thin: ArrayLike = ()
    # (M, 4), more boxes, such as true ones: thin, white and below the others
    outlines: Sequence[Outline | None] = ()
    # one for each box, or none; see draw_boxes

    @property
    def is_doubtful(self) -> bool:
        """Whether nobody is sure of its boxes."""
        return self.confidence is not None and self.confidence < DOUBTFUL


def letters(tile: int) -> int:
    """The height in pixels of the letters under tiles of so many pixels; name, score and caption take four of it."""
    return max(10, round(tile / 17))


def cell_of(tile: Tile, field: tuple[int, int], text: int, name: str, query: bool = False) -> Image.Image:
    """A tile's picture with its boxes in the middle of a field of width x height; under it name, score and caption."""
    cell = Image.new("RGB", (field[0], field[1] + 4 * text), QUERY_MAT if query else WHITE)
    cell.paste(WHITE if query else MAT, (0, 0, *field))
    place_picture(cell, tile, (0, 0, *field), text, query)
    write_under(cell, field[1], text, name, tile)
    return cell


def place_picture(
    cell: Image.Image, tile: Tile, field: tuple[int, int, int, int], text: int, query: bool = False
) -> tuple[int, int, int, int]:
    """Paste a tile's picture with its boxes into the middle of a field x y w h of a cell; returns where: x y w h."""
    x, y, w, h = field
    thumbnail = picture_of(tile.pixels)
    scale = min(w / thumbnail.width, h / thumbnail.height)
    size = (max(1, round(thumbnail.width * scale)), max(1, round(thumbnail.height * scale)))
    thumbnail = thumbnail.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    colours = tile.colours or ((QUERY,) if query else (ANSWER,))
    line = max(2, round(text / 5))
    below = draw_boxes(np.array(thumbnail), tile.thin, colours=(WHITE,), line=max(1, line // 3))
    drawn = draw_boxes(below, tile.boxes, colours=colours, labels=tile.labels, line=line, outlines=tile.outlines)
    if tile.is_doubtful:
        drawn = np.round(_FAINT * drawn + (1 - _FAINT) * below).astype(np.uint8)
    left, top = x + (w - size[0]) // 2, y + (h - size[1]) // 2
    cell.paste(Image.fromarray(drawn), (left, top))
    return left, top, *size


def write_under(cell: Image.Image, top: int, text: int, name: str, tile: Tile) -> None:
    """Write name, confidence or score, and caption below a row of pixels."""
    pen = ImageDraw.Draw(cell)
    pen.text((0, top + text * 1.1), name, INK, font_of(text + 2), anchor="lm")
    said = None if tile.score is None else f"{tile.score:.3f}"
    if tile.confidence is not None:
        said = f"{100 * tile.confidence:.0f} % sure"
    if said is not None:
        shade = GREY if tile.is_doubtful else INK
        pen.text((cell.width, top + text * 1.1), said, shade, font_of(text), anchor="rm")
    caption = shorten(tile.caption, cell.width, font_of(text))
    pen.text((0, top + text * 2.6), caption, GREY, font_of(text), anchor="lm")
