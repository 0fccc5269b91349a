"""Label Studio: tasks with predictions, boxes in percent. See https://labelstud.io/guide/predictions.

Its label config is thought to be <Image name="image"/> and <RectangleLabels name="label" toName="image">.
"""

import json
from typing import Any

from ._answer import Answer, Place, by_picture, link


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
