"""Benchmarks of a folder with query.json and gallery.json, whose rows `formats` reads, and describes."""

from functools import cache
from pathlib import Path

from ..formats import Annotations, read_rows
from ._assemble import locate
from ._dataset import Dataset
from ._fitted import fitted
from ._rows import Reading, from_rows


def read_schema(folder: Path, *, rows_as_pictures: bool = False, allow_missing: bool = False) -> Dataset:
    """The benchmark of a folder with query.json and gallery.json."""
    annotations = Annotations(folder)
    bases = (folder, folder / "ilias_core", folder / "images", folder.parent)
    find = cache(lambda name: locate(name, bases))
    queries = read_rows(annotations, folder / "query.json")
    gallery = read_rows(annotations, folder / "gallery.json")
    reading = Reading(
        folder.resolve().name,
        folder,
        annotations.data_hash,
        allow_missing=allow_missing,
        rows_as_pictures=rows_as_pictures,
    )
    return from_rows(*fitted(queries, gallery, find, reading), find, reading)
