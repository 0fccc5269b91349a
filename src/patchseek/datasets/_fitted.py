"""Rows whose boxes are held against their pictures at reading, before anything is encoded.

Of pictures only the header is read, and only of those that have boxes.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ..errors import BoxError, DatasetError, ImageError
from ..formats import Label, Row, clip, fit
from ..images import size_of
from ._assemble import find_missing, is_file
from ._rows import Reading

_THREADS = 8  # they wait for a disk or a network, or for a HEIC to be decoded, which takes memory


def fitted(
    queries: Sequence[Row], gallery: Sequence[Row], find: Callable[[str], Path], reading: Reading
) -> tuple[list[Row], list[Row]]:
    """The rows of people's own files, their boxes in pixels and inside; see `_boxes.fit`. find: see `from_rows`.

    Raises DatasetError, naming the row, for a box that reaches outside and for one whose picture cannot be read. Absent
    pictures go before: they are an error, or where the reading allows them, their boxes stay as they are.
    """
    images = [find(row.image) for row in (*queries, *gallery)]
    find_missing(reading.root, images, allow_missing=reading.allow_missing)
    sizes = _sizes([*queries, *gallery], find)

    def fit_all(rows: Sequence[Row]) -> list[Row]:
        return [_fit_row(row, sizes.get(find(row.image))) for row in rows]

    return fit_all(queries), fit_all(gallery)


def _fit_row(row: Row, size: tuple[int, int] | ImageError | None) -> Row:
    return replace(row, labels=tuple(_fit(label, row, size) for label in row.labels))


def _fit(label: Label, row: Row, size: tuple[int, int] | ImageError | None) -> Label:
    if label.box is None or size is None:
        return label
    if isinstance(size, ImageError):
        raise DatasetError(f"{row.where}: it has a box, but its picture no size: {size}") from size
    try:
        return replace(label, box=fit(label.box, *size))
    except BoxError as error:
        x, y, w, h = label.box
        could_be = w > x and h > y and (x > 0 or y > 0)
        hint = ": were these corners?" if could_be else ", of the upright picture, in pixels, or shares of 1"
        raise DatasetError(f"{row.where}: {error}; boxes are x y w h of {row.image}{hint}") from error


def clipped(rows: Sequence[Row], find: Callable[[str], Path], notes: list[str]) -> list[Row]:
    """Rows of official files, with what is inside of their boxes; see `_boxes.clip`."""
    sizes = _sizes(rows, find)
    found: list[Row] = []
    for row in rows:
        size = sizes.get(find(row.image))
        if isinstance(size, tuple) and row.labels:
            boxes = clip([label.box for label in row.labels if label.box], size, row.where, notes)
            row = replace(row, labels=tuple(replace(row.labels[0], box=box) for box in boxes or (None,)))
        found.append(row)
    return found


def upright_size(path: Path) -> tuple[int, int] | None:
    """The size of a picture of an official data set, None where it is absent or cannot be read: others say so."""
    size = _size(path)
    return size if isinstance(size, tuple) else None


def _sizes(rows: Sequence[Row], find: Callable[[str], Path]) -> dict[Path, tuple[int, int] | ImageError | None]:
    """Picture -> width and height, or why it has none, for the pictures with boxes; None for absent ones."""
    paths = list(dict.fromkeys(find(row.image) for row in rows if any(label.box for label in row.labels)))
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(paths, pool.map(_size, paths), strict=True))


def _size(path: Path) -> tuple[int, int] | ImageError | None:
    try:
        return size_of(path) if is_file(path) else None
    except ImageError as error:
        return error
