"""Query and matches on one picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..draw import Tile, contact_sheet, save
from ..draw.thumbnails import thumbnail
from ..images import Picture
from ..search import Match

_SHOWN = 100  # results on one sheet


def draw_matches(query: Picture, box: Sequence[float] | None, matches: Sequence[Match], path: Path) -> None:
    """Write a contact sheet of query (box x0 y0 x1 y1 in [0, 1] or None) and the first 100 matches to path."""
    boxes = np.empty((0, 4)) if box is None else np.array([box], np.float64)
    save(contact_sheet(Tile(query.pixels, boxes=boxes), _tiles(matches[:_SHOWN])), path)


def _tiles(matches: Sequence[Match]) -> Iterator[Tile]:
    for match in matches:
        boxes = np.array([found.box for found in match.boxes] or [match.box])
        label = match.image.path
        if match.changed:  # what is there now is not what the box was found in
            boxes, label = np.empty((0, 4)), f"changed: {label}"
        yield Tile(thumbnail(match.image), label, boxes, score=match.score)
