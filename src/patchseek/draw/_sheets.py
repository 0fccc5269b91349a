"""Lay ranked results out on one sheet, as pictures or as pairs. Pixels in, pixels out; knows no stores or searches."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import PatchseekError
from ._boxes import WHITE, picture_of
from ._pairs import Pair, pair_cell
from ._strokes import Pixels
from ._tiles import QUERY_MAT, Tile, cell_of, letters

SUFFIXES = (".png", ".jpg", ".jpeg")


def contact_sheet(query: Tile | None, results: Iterable[Tile], *, columns: int = 5, tile: int = 240) -> Pixels:
    """One picture (H, W, 3) uint8 of the query, at the left on blue, and the results, best first, row by row.

    Every picture keeps its shape inside a field of tile x 3/4 tile pixels; beside several rows the query's is larger by
    3/4. Under a result stand its rank (1 is best), score and caption. The results are read one by one and only their
    thumbnails kept, so a generator needs memory for one large picture. Raises PatchseekError when there is nothing to
    show, and for columns below 1 or a tile below 80.
    """
    _check(columns, tile)
    field, text = (tile, tile * 3 // 4), letters(tile)
    return _laid_out(
        query, [cell_of(result, field, text, f"{i}") for i, result in enumerate(results, 1)], columns, tile
    )


def pair_sheet(query: Tile | None, pairs: Iterable[Pair], *, columns: int = 2, tile: int = 240) -> Pixels:
    """The same, each result beside what was asked, with lines from point to point that say why it was found."""
    _check(columns, tile)
    return _laid_out(query, [pair_cell(pair, tile, f"{i}") for i, pair in enumerate(pairs, 1)], columns, tile)


def _check(columns: int, tile: int) -> None:
    if columns < 1 or tile < 80:
        raise PatchseekError(
            f"a sheet takes columns of at least 1 and tiles of at least 80, found {columns} and {tile}"
        )


def _laid_out(query: Tile | None, cells: Sequence[Image.Image], columns: int, tile: int) -> Pixels:
    """A sheet of a query and cells, all of one size, row by row."""
    if query is None and not cells:
        raise PatchseekError("a sheet needs a query or at least one result, found neither")
    gap, (cell_w, cell_h) = tile // 15, cells[0].size if cells else (0, 0)
    rows, n = -(-len(cells) // columns), min(columns, len(cells))
    left, height = gap, rows * (cell_h + gap) + gap
    panel: Image.Image | None = None
    if query is not None:
        larger = 7 if rows > 1 else 4  # quarters
        panel = cell_of(query, (tile * larger // 4, tile * 3 // 4 * larger // 4), letters(tile), "Query", query=True)
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
    picture = picture_of(pixels)
    if path.suffix.lower() not in SUFFIXES:
        raise PatchseekError(f"{path}: cannot write a picture as {path.suffix!r}; use one of {', '.join(SUFFIXES)}")
    try:
        picture.save(path, quality=92, subsampling=0)  # both for JPEG; PNG has no use for them
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PatchseekError(f"{path}: the picture could not be written: {reason}") from error
