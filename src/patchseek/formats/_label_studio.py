"""Label Studio: tasks with predictions, boxes in percent. See https://labelstud.io/guide/predictions.

Its label config is thought to be <Image name="image"/> and <RectangleLabels name="label" toName="image">.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..errors import DatasetError
from ._annotations import parse_four, shorten
from ._answer import Answer, Place, by_picture, link
from ._labelled import Label, Row, noted, object_name


def label_studio_text(answer: Answer) -> str:
    """A task a picture. Its "image" is the base and the name; a score is how sure the search is."""
    tasks = []
    for image_id, own in by_picture(answer).items():
        found = [_region(place) for place in own]
        prediction = {"model_version": answer.program, "score": max(place.sureness for place in own), "result": found}
        facts = {"image_id": image_id, **answer.maker}
        tasks.append({"data": {"image": link(answer, own[0].name)}, "meta": facts, "predictions": [prediction]})
    return json.dumps(tasks, indent=2) + "\n"


def _region(place: Place) -> dict[str, Any]:
    (x, y, w, h), (width, height) = place.box, place.size
    query = f"{place.query}-" if place.query is not None else ""
    return {
        "id": f"{query}{place.image_id}-{place.rank}-{place.copy}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": place.sureness,
        "value": {
            "x": 100 * x / width,
            "y": 100 * y / height,
            "width": 100 * w / width,
            "height": 100 * h / height,
            "rotation": 0,
            "rectanglelabels": [place.label],
        },
    }


def read_label_studio(tasks: list[Any], path: Path, problems: list[str]) -> Iterator[Row]:
    """A row for each task, a label for each rectangle: what people drew, or where nobody did, what was predicted."""
    for number, task in enumerate(tasks, 1):
        where = f"{path}: task {number}"
        with noted(problems):
            data = task.get("data") if isinstance(task, dict) else None
            image = _image(data) if isinstance(data, dict) else None
            if image is None:
                raise DatasetError(f"{where}: no picture in its data, found {shorten(data)}")
            drawn = [each for each in _dicts(task.get("annotations")) if not each.get("was_cancelled")]
            parts = drawn or _dicts(task.get("predictions"))
            regions = [each for part in parts for each in _dicts(part.get("result"))]
            labels = []
            for i, region in enumerate(regions, 1):
                with noted(problems):
                    label = _label(region, f"{where}, region {i}")
                    labels += [label] if label else []
            yield Row(where, image, image, tuple(labels))


def _dicts(entries: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them."""
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def _image(data: dict[str, Any]) -> str | None:
    """The picture of a task: under "image", or the first text; a path served by Label Studio as that path."""
    values = [data.get("image"), *data.values()]
    texts = [value for value in values if isinstance(value, str) and value]
    if not texts:
        return None
    parts = urlsplit(texts[0])
    if "local-files" in parts.path and (named := parse_qs(parts.query).get("d")):
        return named[0]
    return unquote(parts.path) if parts.scheme or parts.path.startswith("/data/") else texts[0]


def _label(region: Any, where: str) -> Label | None:
    """The label of a rectangle; None for what is none."""
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict) or not isinstance(names := value.get("rectanglelabels"), list) or not names:
        return None
    if value.get("rotation"):
        raise DatasetError(f"{where}: a turned box, and queries are upright ones")
    shares = [v / 100 if isinstance(v := value.get(key), int | float) else v for key in ("x", "y", "width", "height")]
    return Label(object_name(str(names[0])), parse_four(shares, where), key=str(region.get("id") or ""))
