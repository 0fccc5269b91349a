"""Query and matches on one picture."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..boxes import WHOLE, to_pixels
from ..draw import MOST_LINES, Pair, Pixels, Tile, contact_sheet, pair_sheet, save
from ..draw.thumbnails import thumbnail
from ..images import Picture
from ..search import Match

_SHOWN = 100  # results on one sheet


Box = Sequence[float]
"""x0 y0 x1 y1 in [0, 1]."""


def draw_matches(
    queries: Sequence[Picture], boxes: Sequence[Box | None], matches: Sequence[Match], path: Path, *, why: bool = False
) -> None:
    """Write a contact sheet of the first query picture and the first 100 matches to path.

    boxes: one a query picture, None for all of it. why: beside each match what it was found by, with lines from points
    of the one to the same points of the other, where that is known.
    """
    own = np.empty((0, 4)) if boxes[0] is None else np.array([boxes[0]], np.float64)
    query, shown = Tile(queries[0].pixels, boxes=own), matches[:_SHOWN]
    if not why:
        save(contact_sheet(query, map(_tile, shown)), path)
        return
    asked = [_cut_out(picture, box or WHOLE) for picture, box in zip(queries, boxes, strict=True)]
    save(pair_sheet(query, (_pair(asked, match) for match in shown)), path)


def _tile(match: Match) -> Tile:
    picture = Tile(thumbnail(match.image), match.image.path, score=match.score, confidence=match.confidence)
    if match.changed:  # what is there now is not what the box was found in
        return replace(picture, caption=f"changed: {match.image.path}")
    boxes = np.array([found.box for found in match.boxes] or [match.box])
    return replace(picture, boxes=boxes, outlines=[found.outline for found in match.boxes] or [match.outline])


def _pair(asked: Sequence[Pixels], match: Match) -> Pair:
    if match.partners is None or match.changed:
        return Pair(asked[0], _tile(match))
    return Pair(asked[match.partners.asked], _tile(match), match.partners.spread(MOST_LINES))


def _cut_out(picture: Picture, box: Box) -> Pixels:
    """The pixels of a box of a picture."""
    pixels = picture.pixels
    x, y, w, h = to_pixels(box, pixels.shape[1], pixels.shape[0])
    return pixels[y : y + h, x : x + w]
