"""Pieces of photographs, as cut and changed: is the photograph found, and the place? Beside SIFT; for points.py."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from points_asked import Way
from points_pictures import BANDS, CHANGES, Picture, Piece, choose_photographs, cut_pieces, upright
from points_rows import answered
from sift import Sift

from patchseek import Collection

HEADLINE = ("4 to 9 %", "9 to 16 %", "16 to 25 %")
"""The bands that are counted together; smaller pieces stand apart."""
GROUNDED = ("turned by 45", "oblique")
"""The changes that show ground around the piece: the box around all of the query is another than the piece's."""
Answer = tuple[str, Sequence[float]]
"""The first answer's file name, and x y w h there in pixels."""


def gather(paths: Sequence[Path], n: int, n_pieces: int, temporary: Path) -> tuple[Collection, list[Piece]]:
    """n photographs in a collection, and n_pieces of each band cut from them."""
    folder = temporary / "photographs"
    folder.mkdir()
    chosen = [Path(shutil.copy(path, folder)) for path in choose_photographs(paths, n)]
    collection = Collection.open(temporary / "pieces", create=True)
    collection.add(folder)
    return collection, cut_pieces(chosen, n_pieces)


def rows(ask: Callable[[Picture], Answer], pieces: Sequence[Piece]) -> dict[str, Any]:
    """Change -> figures, of the bands of HEADLINE together and of each band; and the seconds of a query."""
    table: dict[str, Any] = {}
    began = time.perf_counter()
    for name, change in CHANGES.items():
        answers = [(*ask(change(piece.picture)), piece.photograph.name, piece.box) for piece in pieces]
        own = answered([a for a, piece in zip(answers, pieces, strict=True) if piece.band in HEADLINE])
        table[name] = {figure: value for figure, value in own.items() if "IoU" not in figure or name not in GROUNDED}
        for band in BANDS:
            own = answered([a for a, piece in zip(answers, pieces, strict=True) if piece.band == band])
            table[name][f"right, {band}"] = own["first answer right"]
    return table | {"s a query": round((time.perf_counter() - began) / len(pieces) / len(CHANGES), 3)}


def by_search(collection: Collection, way: Way) -> Callable[[Picture], Answer]:
    """The first answer of a search."""

    def ask(picture: Picture) -> Answer:
        first = collection.search(picture, top=1, **way)[0]
        return Path(first.image.path).name, first.pixels

    return ask


def by_sift(collection: Collection) -> Callable[[Picture], Answer]:
    """The rival's answer."""
    images = collection.store.images(collection.store.snapshot().ids.tolist())
    files = [Path(image.file) for image in images if image]
    rival, sizes = Sift(files), {file: upright(file).size for file in files}

    def ask(picture: Picture) -> Answer:
        file, (x, y, w, h) = rival.ask(picture)
        width, height = sizes[file]
        return file.name, (x * width, y * height, w * width, h * height)

    return ask
