"""What a person looks at: boxes on pictures and contact sheets (here), figures (`plots`), a page of them (`pages`).

_boxes -> _strokes, _text: boxes and outlines on a picture
_sheets -> _tiles, _pairs: pictures laid out, or pairs of them that say why
"""

from ._boxes import ANSWER, INK, MAT, QUERY, RIGHT, WHITE, Outline, draw_boxes
from ._pairs import MOST_LINES, Pair
from ._sheets import SUFFIXES, contact_sheet, pair_sheet, save
from ._strokes import Colour, Pixels
from ._text import plain, shorten
from ._tiles import QUERY_MAT, Tile

__all__ = [
    "ANSWER",
    "INK",
    "MAT",
    "MOST_LINES",
    "QUERY",
    "QUERY_MAT",
    "RIGHT",
    "SUFFIXES",
    "WHITE",
    "Colour",
    "Outline",
    "Pair",
    "Pixels",
    "Tile",
    "contact_sheet",
    "draw_boxes",
    "pair_sheet",
    "plain",
    "save",
    "shorten",
]
