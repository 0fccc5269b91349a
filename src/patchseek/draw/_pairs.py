"""Why a picture was found: what was asked beside it, and lines from points of one to the same points of the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from ..errors import BoxError
from ._boxes import ANSWER, GREY, INK, MAT, QUERY, WHITE
from ._strokes import Pixels, stroke
from ._text import font_of
from ._tiles import QUERY_MAT, Tile, letters, place_picture, write_under

MOST_LINES = 40
"""Lines of a pair: more cannot be told apart."""


@dataclass(frozen=True)
class Pair:
    """A result and what it was found by."""

    asked: Pixels
    # (h, w, 3) uint8, the query's box alone
    found: Tile
    partners: ArrayLike = ()
    # (m, 4) x, y in shares of `asked` and u, v in shares of the result; the first MOST_LINES are drawn


def pair_cell(pair: Pair, tile: int, name: str) -> Image.Image:
    """What was asked on blue, 5/8 as wide as the result at its right, and the lines between them.

    Without partners it says so in the place of what was asked.
    """
    partners = np.asarray(pair.partners, np.float64).reshape(-1, 4)[:MOST_LINES]
    if not np.isfinite(partners).all():
        raise BoxError("points to draw lines between must be finite numbers")
    high, wide, text = tile * 3 // 4, tile * 5 // 8, letters(tile)
    left = wide + tile // 4
    cell = Image.new("RGB", (left + tile, high + 4 * text), WHITE)
    cell.paste(MAT, (0, 0, cell.width, high))
    cell.paste(QUERY_MAT, (0, 0, wide, high))
    found = place_picture(cell, pair.found, (left, 0, tile, high), text)
    if len(partners):
        asked = place_picture(cell, Tile(pair.asked), (0, 0, wide, high), text)
        cell = _joined(cell, partners[:, :2] * asked[2:] + asked[:2], partners[:, 2:] * found[2:] + found[:2])
    else:
        ImageDraw.Draw(cell).text((wide / 2, high / 2), "no points agree", GREY, font_of(text), anchor="mm")
    write_under(cell, high, text, name, pair.found)
    return cell


def _joined(cell: Image.Image, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> Image.Image:
    """The cell with lines from starts (m, 2) to ends (m, 2), x y in pixels, the first on top."""
    pixels = np.array(cell)
    for line in np.stack([starts, ends], axis=1)[::-1]:
        stroke(pixels, line, INK, 2.4, 0.3)
        stroke(pixels, line, ANSWER, 1.0, 0.9)
    for places, colour in ((starts, QUERY), (ends, ANSWER)):
        for place in places[::-1]:
            stroke(pixels, place, WHITE, 5.4)
            stroke(pixels, place, colour, 3.6)
    return Image.fromarray(pixels)
