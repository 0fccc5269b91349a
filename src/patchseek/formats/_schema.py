"""query.json and gallery.json: our own schema, and with some tolerance those of the original. Reads rows.

    query.json    [{"id", "image", "instance": "cup", "bbox": [x, y, w, h] or null}, ...]
    gallery.json  [{"id", "image", "instance": ["cup", "cup", "jug"], "bbox": [[x, y, w, h], ...]}, ...]

`instance` and `bbox` run side by side, one entry per visible copy; both are null in a distractor, and `bbox`, or an
entry of it, is null where the box is not known. A query's bbox may also be a list of boxes. A box is in pixels of the
upright picture; four numbers that are all at most 1 are shares of its width and height. Names are the same when their
letters are: blanks around them and how accents are composed do not count, capitals do. Optional: `ignore`, names for
whose queries the picture is neither right nor wrong; `meta`, facts about each copy (a list beside `instance`) or
about the picture (an object): numbers of gallery pictures serve break-downs, texts of queries group their objects.

What else is accepted, as the files of the original (1,232 and 4,885 rows) have keys that are not published:

- a list of rows; an object id -> row; an object with one list in it
- the picture under image, image_path, img, img_path, path, file, filename, file_name; the id under id, image_id,
  query_id, gallery_id, or missing (then it is the picture's name)
- the object under instance, instance_id, object, object_id, obj, obj_id, label, class, class_name, class_id, as a text
  or a whole number; without such a key, the folder `bold_bimp_000` of `bold_bimp_000/pos/P000_01.jpg`
- boxes, always x y w h, under bbox, box, bounding_box, bboxes, boxes; also {"x", "y", "w" or "width", "h" or "height"};
  a row with one object may have one bare box, or several, which are then all of that object
- pictures relative to the folder of the JSON, its `ilias_core`, its `images`, or the folder above it

Gallery rows of the same picture are merged (see `Dataset.merged`), unless rows_as_pictures.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ._annotations import Annotations, parse_four, shorten
from ._boxes import Box
from ._labelled import Label, Row, noted, object_name

IMAGE = ("image", "image_path", "img", "img_path", "path", "file", "filename", "file_name")
ID = ("id", "image_id", "query_id", "gallery_id")
INSTANCE = (
    *("instance", "instance_id", "object", "object_id", "obj", "obj_id"),
    *("label", "class", "class_name", "class_id"),
)
BOX = ("bbox", "box", "bounding_box", "bboxes", "boxes")
ILIAS_PATH = re.compile(r"(?:^|/)([^/]+)/(?:query|pos)/[^/]+$")


def read_rows(annotations: Annotations, path: Path) -> list[Row]:
    """The rows of one of the two files."""
    return [_row(row, where) for where, row in _entries(annotations.json(path), path)]


def read_schema(content: object, path: Path, problems: list[str]) -> Iterator[Row]:
    """The rows of such content as queries: a box asks without a name, too; of a row without both, the picture asks."""
    for where, entry in _entries(content, path):
        with noted(problems):
            row = _row(entry, where, needs_name=False)
            yield replace(row, labels=row.labels or (Label(""),))


def _entries(content: Any, path: Path) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict) and len(content) == 1 and isinstance(next(iter(content.values())), list):
        content = next(iter(content.values()))
    if isinstance(content, dict):
        content = [{"id": key, **row} if isinstance(row, dict) else row for key, row in content.items()]
    if not isinstance(content, list):
        raise DatasetError(f"{path}: it is neither a list of rows nor an object of rows")
    yield from ((f"{path}: row {number}", row) for number, row in enumerate(content, 1))


def _row(row: object, where: str, *, needs_name: bool = True) -> Row:
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: a row is an object, found {shorten(row)}")
    image = _first(row, IMAGE)
    if not isinstance(image, str) or not image:
        raise DatasetError(f"{where}: no picture; it is expected as text under {IMAGE[0]!r}, found {shorten(row)}")
    key = _first(row, ID)
    if key is not None and (isinstance(key, bool) or not isinstance(key, (str, int))):
        raise DatasetError(f"{where}: an id is a text or a number, found {shorten(key)}")
    key = image if key is None else str(key)
    where = f"{where} ({shorten(key)})"
    ignore = row.get("ignore") or []
    if not isinstance(ignore, list):
        raise DatasetError(f"{where}: ignore is a list of names, found {shorten(ignore)}")
    meta = row.get("meta")
    groups = {k: v for k, v in meta.items() if isinstance(v, str)} if isinstance(meta, dict) else {}
    labels = tuple(_labels(row, image, meta, where, needs_name))
    return Row(where, key, image, labels, tuple(_name(name, where) for name in ignore), groups)


def _first(row: Mapping[str, object], keys: tuple[str, ...]) -> Any:
    """The value of the first of the keys that is there and not null; else None."""
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _name(value: object, where: str) -> str:
    if isinstance(value, str) and (name := object_name(value)):
        return name
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DatasetError(f"{where}: an object's name is a text, found {shorten(value)}")


def _labels(row: Mapping[str, object], image: str, meta: object, where: str, needs_name: bool) -> list[Label]:
    """The labels of a row, whether it has one name or a list of them."""
    names, boxes = _first(row, INSTANCE), _boxes(_first(row, BOX), where)
    if names is None and not any(key in row for key in INSTANCE):
        folder = ILIAS_PATH.search(image.replace("\\", "/"))
        names = folder.group(1) if folder else None
    if names is None:
        if boxes and needs_name:
            raise DatasetError(f"{where}: it has a box but names no object")
        return [Label("", box) for box in boxes]
    if isinstance(names, list):
        boxes = boxes or [None] * len(names)
        if len(boxes) != len(names):
            raise DatasetError(f"{where}: {len(names)} objects need as many boxes, found {len(boxes)}")
    else:
        boxes = boxes or [None]
        names = [names] * len(boxes)
    facts = _facts(meta, len(names))
    return [Label(_name(n, where), box, f) for n, box, f in zip(names, boxes, facts, strict=True)]


def _facts(meta: object, n: int) -> list[dict[str, float]]:
    """The numbers among the facts of each of n copies; none where meta is anything unexpected."""
    entries = meta if isinstance(meta, list) and len(meta) == n else [meta] * n
    return [
        {k: float(v) for k, v in entry.items() if isinstance(v, (int, float)) and abs(v) < 1e15}
        if isinstance(entry, dict)
        else {}
        for entry in entries
    ]


def _boxes(value: object, where: str) -> list[Box | None]:
    """One box or a list of boxes, each maybe null, as a list."""
    if value is None or value == []:
        return []
    if not isinstance(value, list) or isinstance(value[0], (int, float)):
        value = [value]
    return [None if box is None else _box(box, where) for box in value]


def _box(value: object, where: str) -> Box:
    if isinstance(value, dict):
        value = [value.get("x"), value.get("y"), _first(value, ("w", "width")), _first(value, ("h", "height"))]
    if not isinstance(value, list):
        raise DatasetError(f"{where}: a box is a list of four numbers, found {shorten(value)}")
    return parse_four(value, where)
