"""A benchmark of your own pictures in one CSV file.

    image,instance,x,y,w,h,role
    photos/cup-1.jpg,red cup,120,40,300,310,query
    photos/table.jpg,red cup,512,300,80,84,gallery
    photos/table.jpg,blue jug,700,280,90,160,gallery
    photos/shelf.jpg,red cup,,,,,ignore
    photos/beach.jpg,,,,,,gallery

The header names the columns, in any order; further columns are passed over. A line is one copy of one object in one
picture: a picture with two cups has two lines. image: relative to the CSV's folder, or absolute. instance: the object;
empty in the gallery for a picture of none of them. x, y, w, h: the box in pixels of the upright picture, from the top
left corner, or, where all four are at most 1, in shares of its width and height; all four empty where the box is not
known, and for a query that is its whole picture. role: query, gallery, or ignore (the object is in this gallery picture
but should count as neither right nor wrong).
"""

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

from ..errors import DatasetError
from ..formats import CSV_COLUMNS, Annotations, Label, Row, csv_box, csv_lines, object_name, shorten
from ._assemble import locate
from ._dataset import Dataset
from ._fitted import fitted
from ._rows import Reading, from_rows, merge

ROLES = ("query", "gallery", "ignore")


def read_csv(path: Path, *, allow_missing: bool = False) -> Dataset:
    """The benchmark of a CSV file. A picture's name is its id; a query's, too, unless it asks for several objects."""
    annotations = Annotations(path.parent)
    rows: dict[str, list[Row]] = {role: [] for role in ROLES}
    for where, line in csv_lines(annotations, path, CSV_COLUMNS):
        role, row = _row(line, where)
        rows[role].append(row)
    reading = Reading(path.stem, path, annotations.data_hash, allow_missing=allow_missing)
    find = cache(lambda name: locate(name, (path.parent,)))
    queries, copies = fitted(rows["query"], [*rows["gallery"], *rows["ignore"]], find, reading)
    gallery, _ = merge(copies)  # a line is a copy, not a picture
    return from_rows(_queries(queries), gallery, find, reading)


def _row(cell: dict[str, str], where: str) -> tuple[str, Row]:
    """The role and the row of a line."""
    image, instance, role = cell["image"].replace("\\", "/"), object_name(cell["instance"]), cell["role"].lower()
    if role not in ROLES:
        raise DatasetError(f"{where}: the role is one of {', '.join(ROLES)}, found {shorten(cell['role'])}")
    if not image:
        raise DatasetError(f"{where}: no image")
    if not instance and (role != "gallery" or any(cell[k] for k in "xywh")):
        raise DatasetError(f"{where}: no instance; only a gallery picture without a box may name no object")
    box = csv_box(cell, where)
    where = f"{where} ({shorten(image)})"
    if role == "ignore":
        return role, Row(where, image, image, ignore=(instance,))
    return role, Row(where, image, image, (Label(instance, box),) if instance else ())


def _queries(rows: list[Row]) -> list[Row]:
    """One query for each picture and object, with all its boxes."""
    copies: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        copies.setdefault((row.image, row.labels[0].instance), []).append(row)
    n_objects = Counter(image for image, _ in copies)
    return [
        replace(
            own[0],
            id=image if n_objects[image] == 1 else f"{image} ({instance})",
            labels=tuple(label for row in own for label in row.labels),
        )
        for (image, instance), own in copies.items()
    ]
