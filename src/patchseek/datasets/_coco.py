"""COCO with the very objects of its boxes (`formats.read_coco`: instance_id, object_id or track_id) as a benchmark.

Every picture is of the gallery. A query is a box that says "query": true; where none does, each box of an object that
two pictures or more show, which then is to be found in the others: a query's own picture is ignored.
"""

from functools import cache
from pathlib import Path

from ..errors import DatasetError
from ..formats import Annotations, Row, read_coco, shorten
from ._assemble import locate
from ._dataset import Dataset
from ._fitted import fitted
from ._rows import Reading, from_rows, merge


def read_coco_set(path: Path, *, allow_missing: bool = False) -> Dataset:
    """The benchmark of a COCO file. The first entry that is wrong is an error."""
    annotations = Annotations(path.parent)
    content = annotations.json(path)
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: COCO is an object, found {shorten(content)}")
    problems: list[str] = []
    rows = list(read_coco(content, path, problems, instances=True))
    if problems:
        raise DatasetError(problems[0])
    queries = _queries(rows)
    if not queries:
        raise DatasetError(f"{path}: no box names an object (instance_id) that another picture shows, too")
    find = cache(lambda name: locate(name, (path.parent, path.parent / "images", path.parent.parent / "images")))
    reading = Reading(path.stem, path, annotations.data_hash, allow_missing=allow_missing)
    asked, gallery = fitted(queries, rows, find, reading)
    merged, _ = merge(gallery)
    return from_rows(asked, merged, find, reading)


def _queries(rows: list[Row]) -> list[Row]:
    """A row for each box that asks."""
    pictures: dict[str, set[str]] = {}
    for row in rows:
        for label in row.labels:
            pictures.setdefault(label.instance, set()).add(row.image)
    is_said = any(label.facts.get("query") for row in rows for label in row.labels)
    return [
        Row(row.where, f"{row.id}#{label.key}", row.image, (label,))
        for row in rows
        for label in row.labels
        if (label.facts.get("query") if is_said else len(pictures[label.instance]) > 1)
    ]
