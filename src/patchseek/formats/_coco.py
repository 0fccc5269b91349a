"""COCO: a table of pictures, one of categories, and a detection for each box. See https://cocodataset.org/#format-data.

{"info": {...}, "images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
 "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd": 0, "score"}]}
"""

import json
from typing import Any

from ._answer import Answer, Place, by_picture, labels, places


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
