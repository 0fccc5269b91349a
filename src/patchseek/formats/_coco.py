"""COCO: a table of pictures, one of categories, and a detection for each box. See https://cocodataset.org/#format-data.

{"info": {...}, "images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
 "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd": 0, "score"}]}
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ._annotations import EmptyBox, parse_four, shorten
from ._answer import Answer, Place, by_picture, labels, places
from ._labelled import Label, Row, noted, object_name

INSTANCE = ("instance_id", "object_id", "track_id")
"""Where an annotation, or its "attributes", says which very object it shows."""


def coco_text(answer: Answer) -> str:
    """All of it. An outline is a polygon; the pictures' ids are those of the collection."""
    number = {label: i for i, label in enumerate(labels(answer), 1)}
    hashes = {result["image_id"]: result["sha256"] for result in answer.results if "sha256" in result}
    images = []
    for image_id, own in by_picture(answer).items():
        width, height = own[0].size
        image: dict[str, Any] = {"id": image_id, "file_name": own[0].name, "width": width, "height": height}
        images.append(image | ({"sha256": hashes[image_id]} if image_id in hashes else {}))
    whole = {
        "info": {"description": answer.program, **answer.maker},
        "images": images,
        "categories": [{"id": i, "name": label, "supercategory": ""} for label, i in number.items()],
        "annotations": [_detection(i, place, number[place.label]) for i, place in enumerate(places(answer), 1)],
    }
    return json.dumps(whole, indent=2) + "\n"


def _detection(number: int, place: Place, category: int) -> dict[str, Any]:
    x, y, w, h = place.box
    detection: dict[str, Any] = {
        "id": number,
        "image_id": place.image_id,
        "category_id": category,
        "bbox": [x, y, w, h],
        "area": w * h,
        "iscrowd": 0,
        "score": place.score,
        "confidence": place.confidence,
        "rank": place.rank,
    }
    if place.query is not None:
        detection["query"] = place.query
    if place.verdict is not None:
        detection["verdict"] = place.verdict
    if place.outline:
        detection["segmentation"] = [[number for corner in place.outline for number in corner]]
    return detection


def results_text(answer: Answer) -> str:
    """Detections alone, https://cocodataset.org/#format-results, with what its readers skip: file, size and outline."""
    number = {label: i for i, label in enumerate(labels(answer), 1)}
    detections = []
    for place in places(answer):
        width, height = place.size
        detection = {"image_id": place.image_id, "category_id": number[place.label], "bbox": list(place.box)}
        if place.outline:
            detection["segmentation"] = [[number for corner in place.outline for number in corner]]
        rest = {"score": place.score, "file_name": place.name, "bbox_format": "xywh_px"}
        detections.append({**detection, **rest, "width": width, "height": height, **answer.maker})
    return json.dumps(detections, indent=2) + "\n"


def read_coco(content: Mapping[str, Any], path: Path, problems: list[str], *, instances: bool = False) -> Iterator[Row]:
    """A row for each picture, a label for each box: its category, or (instances) the very object that it shows.

    Boxes without an object are then no labels. A query's `ignore` and `groups` are empty; `facts` has 1 under "query"
    for an annotation that says so.
    """
    names: dict[Any, str] = {}
    for i, entry in enumerate(_list(content, "categories", path), 1):
        with noted(problems):
            key = _value(entry, "id", f"{path}: category {i}")
            names[key] = object_name(str(_value(entry, "name", f"{path}: category {i}")))
    found: dict[Any, list[Label]] = {}
    images = _list(content, "images", path)
    for i, entry in enumerate(images, 1):
        with noted(problems):
            found[_value(entry, "id", f"{path}: image {i}")] = []
    for i, entry in enumerate(_list(content, "annotations", path), 1):
        where = f"{path}: annotation {i}"
        with noted(problems):
            image, category = _value(entry, "image_id", where), _value(entry, "category_id", where)
            if image not in found:
                raise DatasetError(f"{where}: there is no image {shorten(image)}")
            if category not in names:
                raise DatasetError(f"{where}: there is no category {shorten(category)}")
            shown = _instance(entry) if instances else names[category]
            box = parse_four(_numbers(entry.get("bbox"), where), where)
            if shown is not None:
                facts = {"query": 1.0} if _facts(entry).get("query") is True else {}
                found[image].append(Label(shown, _pixels(box, where), facts, str(entry.get("id", i))))
    for i, entry in enumerate(images, 1):
        with noted(problems):
            where = f"{path}: image {i}"
            key, name = _value(entry, "id", where), _value(entry, "file_name", where)
            yield Row(where, str(name), str(name), tuple(found[key]))


def _pixels(box: tuple[float, float, float, float], where: str) -> tuple[float, float, float, float]:
    """Boxes of COCO are pixels, however small."""
    if max(box) <= 1:
        raise EmptyBox(f"{where}: box {' '.join(f'{v:g}' for v in box)} holds no pixel; boxes of COCO are in pixels")
    return box


def _instance(entry: Mapping[str, Any]) -> str | None:
    facts = _facts(entry)
    return next((object_name(str(facts[key])) for key in INSTANCE if facts.get(key) is not None), None)


def _facts(entry: Mapping[str, Any]) -> dict[str, Any]:
    attributes = entry.get("attributes")
    return {**(attributes if isinstance(attributes, dict) else {}), **entry}


def _numbers(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise DatasetError(f"{where}: a box is a list of four numbers, found {shorten(value)}")
    return value


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    entries = content.get(key)
    if not isinstance(entries, list):
        raise DatasetError(f"{path}: COCO has a list under {key!r}, found {shorten(entries)}")
    return entries


def _value(entry: object, key: str, where: str) -> str | int:
    """A text or number of an entry. Raises DatasetError."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DatasetError(f"{where}: a text or number is expected under {key!r}, found {shorten(value)}")
    return value
