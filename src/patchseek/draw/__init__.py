"""What a person looks at: boxes on pictures and contact sheets (here), figures (`plots`), a page of them (`pages`)."""

from ._sheets import (
    ANSWER,
    INK,
    MAT,
    QUERY,
    QUERY_MAT,
    RIGHT,
    SUFFIXES,
    WHITE,
    Colour,
    Pixels,
    Tile,
    contact_sheet,
    draw_boxes,
    plain,
    save,
    shorten,
)

__all__ = [
    "ANSWER",
    "INK",
    "MAT",
    "QUERY",
    "QUERY_MAT",
    "RIGHT",
    "SUFFIXES",
    "WHITE",
    "Colour",
    "Pixels",
    "Tile",
    "contact_sheet",
    "draw_boxes",
    "plain",
    "save",
    "shorten",
]
