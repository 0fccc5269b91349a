"""Label Studio's own SDK judges the predictions that we write, as its import does, and makes regions that we read."""

import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue, TaskValue

from patchseek import formats
from patchseek.boxes import from_pixels, to_pixels
from patchseek.formats import read_annotated

from .test_formats_written import FOUND, answer, boxes_of, pictures  # noqa: F401

pytestmark = [pytest.mark.extra("label-studio"), pytest.mark.filterwarnings("ignore:The `dict` method")]  # of pydantic
PAGE = Path(__file__).parent.parent / "docs" / "workflows" / "pre-annotation.md"


@pytest.fixture(scope="module")
def interface():
    """The project that our page says to set up: a picture, and rectangles called cup or vase."""
    read = LabelInterface(re.search(r"<View>.*</View>", PAGE.read_text(), re.DOTALL)[0])
    read.validate()
    return read


@pytest.fixture
def found(answer):  # noqa: F811
    """What was found, by the names of that project."""
    return replace(answer, results=[{**r, "label": {"jug": "vase"}.get(r["label"], "cup")} for r in answer.results])


def tasks_of(found):
    return json.loads(formats.FORMATS["label-studio"].text(found))


def test_it_takes_every_task_and_prediction(interface, found):
    tasks = tasks_of(found)
    assert len(tasks) == len(FOUND)
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction, return_errors=True) == []
        assert TaskValue.model_validate(task).model_dump()["predictions"] == task["predictions"]


def test_the_numbers_that_it_reads_are_the_same_pixels(interface, found):
    control, read = interface.get_control("label"), {}
    for task in tasks_of(found):
        for prediction in task["predictions"]:
            for region in PredictionValue.model_validate(prediction).result:
                value, sides = control._value_class(**region["value"]), (64, 48)
                shares = (value.x, value.y, value.width, value.height)
                box = tuple(share / 100 * side for share, side in zip(shares, sides * 2, strict=True))
                assert box == pytest.approx([round(side) for side in box], abs=1e-9) and value.rotation == 0
                read.setdefault(unquote(task["data"]["image"]), []).append(tuple(map(round, box)))
    assert read == boxes_of(found)


def test_it_refuses_what_is_wrong(interface, found):
    """So that what it takes says something."""
    (prediction,) = tasks_of(found)[0]["predictions"]
    (region,) = prediction["result"]
    for wrong in (
        {"type": "rectangle"},
        {"from_name": "box"},
        {"value": region["value"] | {"x": 101}},
        {"value": region["value"] | {"rectanglelabels": ["jug"]}},
    ):
        assert not interface.validate_prediction({**prediction, "result": [region | wrong]})
    assert not interface.validate_prediction({**prediction, "score": 1.1})


def test_regions_that_it_makes_ask_with_the_same_pixels(interface, pictures, tmp_path):  # noqa: F811
    tasks = []
    for name, (x, y, w, h) in FOUND.items():
        percent = {"x": 100 * x / 64, "y": 100 * y / 48, "width": 100 * w / 64, "height": 100 * h / 48, "rotation": 0}
        region = interface.get_control("label").label(label="vase", **percent)
        predicted = PredictionValue(model_version="theirs", score=0.5, result=[region])
        tasks.append(TaskValue(data={"image": name}, predictions=[predicted]).model_dump())
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    read = read_annotated(tmp_path / "tasks.json", pictures)
    assert read.problems == []
    labels = {Path(row.image).relative_to(pictures).as_posix(): label for row in read.rows for label in row.labels}
    boxes = {name: to_pixels(from_pixels(label.box, 64, 48), 64, 48) for name, label in labels.items()}
    assert boxes == FOUND and {label.instance for label in labels.values()} == {"vase"}
