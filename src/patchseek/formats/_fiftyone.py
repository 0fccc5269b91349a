"""FiftyOne's own detection format (FiftyOneImageDetectionDataset): one JSON file beside the pictures, boxes as shares.

    fo.Dataset.from_dir(dataset_type=fo.types.FiftyOneImageDetectionDataset, data_path=PICTURES, labels_path=FILE)

It names a picture by its path below PICTURES without the suffix.
"""

import json
from pathlib import Path

from ._answer import Answer, Place, by_picture, labels
from ._files import Taken, stem, write_text


def write_fiftyone(answer: Answer, path: Path) -> list[str]:
    """Write it; a label is the number of its class. Returns a line for each picture that is left out."""
    names, taken, problems = labels(answer), Taken(), []
    number = {label: i for i, label in enumerate(names)}
    listed: dict[str, list[object]] = {}
    for own in by_picture(answer).values():
        key = stem(own[0].name)
        if problem := taken.problem(Path(key), own[0].name):
            problems.append(problem)
            continue
        listed[key] = [_detection(place, number[place.label]) for place in own]
    write_text(path, json.dumps({"classes": names, "labels": listed, "info": answer.maker}, indent=2) + "\n")
    return problems


def _detection(place: Place, label: int) -> dict[str, object]:
    (x, y, w, h), (width, height) = place.box, place.size
    return {
        "label": label,
        "bounding_box": [x / width, y / height, w / width, h / height],
        "confidence": place.sureness,
        "attributes": {"rank": place.rank, "score": place.score},
    }
