"""Annotated boxes of every format that is read: what we write comes back; what is wrong is a line with its place."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from patchseek import formats
from patchseek.boxes import from_pixels, to_pixels
from patchseek.datasets import open_dataset
from patchseek.errors import DatasetError
from patchseek.formats import read_annotated

from .test_formats_written import DIGIKAM, FACE, FOUND, REGIONS, answer, boxes_of, pictures  # noqa: F401


def read_boxes(annotated):
    """Picture's name -> its boxes in whole pixels, of pictures of 64 x 48."""
    return {
        row.image.rpartition("/")[2]: [to_pixels(from_pixels(label.box, 64, 48), 64, 48) for label in row.labels]
        for row in annotated.rows
    }


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "label-studio", "cvat", "annotations", "xmp", "csv"])
def test_what_is_written_is_read_again_to_the_pixel(name, answer, pictures, tmp_path):  # noqa: F811
    suffixes = formats.FORMATS[name].suffixes
    target = tmp_path / ("found" + (suffixes[0] if suffixes else ""))
    formats.write(name, answer, target)
    read = read_annotated(target, pictures)
    assert read.problems == []
    expected = {key.rpartition("/")[2]: boxes for key, boxes in boxes_of(answer).items()}
    if name == "csv":
        expected = {key: boxes[:1] for key, boxes in expected.items()}
    found = {}
    for row in read.rows:  # web annotations have a row a box
        for key, boxes in read_boxes(replace(read, rows=[row])).items():
            found.setdefault(key, []).extend(boxes)
    assert found == expected
    labels = {label.instance for row in read.rows for label in row.labels}
    assert labels == ({""} if name == "csv" else {"cup", "jug"})


JUDGED = {0: ("no", [9, 9, 5, 5]), 1: ("yes", [8, 6, 30, 20]), 2: ("yes", [2, 3, 50, 40])}
"""What somebody has said of the three results."""


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "label-studio", "cvat", "annotations", "xmp", "csv"])
def test_where_somebody_has_said_yes_the_box_is_the_corrected_one(name, answer, pictures, tmp_path):  # noqa: F811
    said = [{**r, "verdict": JUDGED[i][0], "judged_box": JUDGED[i][1]} for i, r in enumerate(answer.results)]
    suffixes = formats.FORMATS[name].suffixes
    target = tmp_path / ("found" + (suffixes[0] if suffixes else ""))
    formats.write(name, replace(answer, results=said), target)
    found = {}
    for row in read_annotated(target, pictures).rows:
        for label in row.labels:
            box = to_pixels(from_pixels(label.box, 64, 48), 64, 48)
            found.setdefault(row.image.rpartition("/")[2], []).append(box)
    assert found == {"a.jpg": [FOUND["a.jpg"]], "b ö.png": [(8, 6, 30, 20)], "c.png": [(2, 3, 50, 40)]}


def test_a_yes_without_a_correction_keeps_outline_and_copies(answer):  # noqa: F811
    first = {**answer.results[2], "outline": [[0, 0], [1, 0], [1, 1], [0, 1]], "verdict": "yes"}
    assert formats.as_judged({**first, "judged_box": first["box"]}) == {**first, "judged_box": first["box"]}
    assert formats.as_judged(first) == first
    corrected = formats.as_judged({**first, "judged_box": [1, 2, 3, 4]})
    assert corrected["box"] == [1, 2, 3, 4] and not {"outline", "boxes"} & set(corrected)


def test_a_folder_of_pictures_asks_with_each(pictures):  # noqa: F811
    read = read_annotated(pictures)
    assert [row.id for row in read.rows] == sorted(FOUND) and all(row.labels[0].box is None for row in read.rows)


def test_our_schema_asks_with_box_or_picture(pictures, tmp_path):  # noqa: F811
    rows = [{"id": "q", "image": "a.jpg", "instance": "cup", "bbox": [3, 5, 20, 11]}, {"image": "a.jpg"}]
    (tmp_path / "query.json").write_text(json.dumps(rows))
    read = read_annotated(tmp_path, pictures)
    assert [(row.id, label.instance, label.box) for row in read.rows for label in row.labels] == [
        ("q", "cup", (3, 5, 20, 11)),
        ("a.jpg", "", None),
    ]


def test_what_a_search_has_written_as_json_asks_again(answer, pictures, tmp_path):  # noqa: F811
    """One search's and that of many, whose results have labels of their own; a box needs no name to ask."""
    plain = [{key: value for key, value in result.items() if key != "label"} for result in answer.results]
    expected = {key.rpartition("/")[2]: boxes for key, boxes in boxes_of(answer).items()}
    for results, is_many, names in ((plain, False, {""}), (answer.results, True, {"cup", "jug"})):
        formats.write("json", replace(answer, results=results, is_many=is_many), tmp_path / "found.json")
        read = read_annotated(tmp_path / "found.json", pictures)
        assert (read.problems, read_boxes(read)) == ([], expected)
        assert {label.instance for row in read.rows for label in row.labels} == names
        assert [row.id for row in read.rows] == list(FOUND)
    corrected = [{**plain[0], "verdict": "yes", "judged_box": [8, 6, 30, 20]}, 3, {"image": "a.jpg", "box": "x"}]
    formats.write("json", replace(answer, results=corrected), tmp_path / "found.json")
    read = read_annotated(tmp_path / "found.json", pictures)
    assert read_boxes(read) == {"a.jpg": [(8, 6, 30, 20)]}
    assert len(read.problems) == 2 and all(
        line.startswith(f"{tmp_path / 'found.json'}: row ") for line in read.problems
    )


def test_other_tools_ways_are_understood(pictures, tmp_path):  # noqa: F811
    shutil.copytree(pictures, tmp_path / "images")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.25 0.25 0.9\n")
    for names in ("names: [x, 'cup']", "names:\n- x\n- cup\n", 'names:\n  0: x\n  1: "cup"\n'):
        (tmp_path / "data.yaml").write_text(f"nc: 2\n{names}\n")
        (row,) = read_annotated(tmp_path).rows
        assert (row.labels[0].instance, row.labels[0].box) == ("cup", (0.375, 0.375, 0.25, 0.25))
    page = {
        "type": "Annotation",
        "body": {"value": "cup"},
        "target": {
            "source": {"id": "file:///elsewhere/b%20%C3%B6.png", "type": "Image"},
            "selector": {"type": "FragmentSelector", "value": "xywh=percent:25,50,25,25"},
        },
    }
    (tmp_path / "w3c.json").write_text(json.dumps(page))
    (row,) = read_annotated(tmp_path / "w3c.json").rows
    assert (row.labels[0].instance, row.labels[0].box) == ("cup", (0.25, 0.5, 0.25, 0.25))
    (tmp_path / "images" / "a.xmp").write_text(DIGIKAM % (REGIONS % (64, FACE)))
    (row,) = read_annotated(tmp_path / "images" / "a.xmp").rows
    assert row.labels[0].instance == "Ann" and np.allclose(row.labels[0].box, [0.45, 0.4, 0.1, 0.2])


COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}, {"id": 3}],
    "categories": [{"id": 1, "name": "cup"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 5, 20, 11]},
        {"id": 2, "image_id": 1, "category_id": 9, "bbox": [3, 5, 20, 11]},
        {"id": 3, "image_id": 8, "category_id": 1, "bbox": [3, 5, 20, 11]},
        {"id": 4, "image_id": 1, "category_id": 1, "bbox": [3, 5, 0, 11]},
        {"id": 5, "image_id": 1, "category_id": 1, "bbox": "none"},
        {"id": 6, "image_id": 2, "category_id": 1, "bbox": [3, 5, 20, 11]},
        7,
    ],
}


def test_what_is_wrong_is_a_line_with_file_and_place_and_the_rest_goes_on(pictures, tmp_path):  # noqa: F811
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    read = read_annotated(tmp_path / "coco.json", pictures)
    assert read_boxes(read) == {"a.jpg": [(3, 5, 20, 11)]}
    said = [problem.removeprefix(f"{tmp_path / 'coco.json'}: ") for problem in read.problems]
    starts = (
        "annotation 2: there is no category 9",
        "annotation 3: there is no image 8",
        "annotation 4: box 3 5 0 11 holds no pixel",
        "annotation 5: a box is a list of four numbers",
        "annotation 7: a text or number is expected under 'image_id'",
        "image 3: a text or number is expected under 'file_name'",
        "image 2: there is no picture 'gone.jpg'",
    )
    assert [line.startswith(start) for line, start in zip(said, starts, strict=True)] == [True] * 7
    assert all("\n" not in line for line in said)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", "3", "neither a list of rows"),
        ("a.json", "[]", "no box and no picture"),
        ("a.xml", "<a/>", "neither VOC nor CVAT"),
        ("a.xml", "<!DOCTYPE a><annotation/>", "line 1: a document type"),
        ("a.xml", "<annotation/>", "no filename"),
        ("a.xml", '<?xml version="1.0" encoding="utb-8"?><annotation/>', "unknown encoding: utb-8"),
        ("a.xml", '<?xml version="1.0" encoding="big5"?><annotation/>', "not valid XML"),
        ("a.xml", '<?xml version="1.0" encoding="hex"?><annotation/>', "not valid XML"),
        ("a.xml", "<a>" * 300 + "</a>" * 300, "deep"),
        ("a.csv", "x,y\n1,2\n", "no column image"),
        ("a.xmp", DIGIKAM % "", "of one picture of its name"),
        ("a.zip", "", "no format that is read here"),
        ("a.json", '{"classes": ["x"], "labels": {"a": []}}', "FiftyOne's own format.*have it write COCO"),
        ("a.json", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]', "bare detections of COCO"),
    ],
)
def test_a_file_that_is_none_of_them_is_an_error(name, content, words, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=words):
        read_annotated(tmp_path / name)


WRONG = {
    "voc.xml": "<annotation><filename>a.jpg</filename>\n<object><name>x</name></object>\n"
    "<object><bndbox><xmin>a</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>",
    "cvat.xml": '<annotations>\n<image/>\n<image name="a.jpg"><box xtl="1" ytl="1" xbr="9" ybr="9" rotation="3"/>'
    '<box xtl="1" ytl="1" xbr="1" ybr="9"/></image></annotations>',
    "ls.json": json.dumps(
        [
            {"data": {}},
            {
                "data": {"image": "a.jpg"},
                "predictions": [{"result": [{"value": {"rectanglelabels": ["x"], "x": "y"}}]}],
            },
            {"data": {"image": "a.jpg"}, "annotations": 3},
            4,
        ]
    ),
    "w3c.json": json.dumps(
        [
            {"type": "Annotation"},
            {"type": "Annotation", "target": "a.jpg#xywh=1,2,x,4"},
            {"type": "Annotation", "target": {"source": "a.jpg", "selector": {"type": "SvgSelector"}}},
            5,
        ]
    ),
    "own.csv": "image,x,y,w,h\na.jpg,1,2,3\na.jpg,1,2,3,z\n,1,2,3,4\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_entries_of_every_format_are_lines(name, pictures, tmp_path):  # noqa: F811
    (tmp_path / name).write_text(WRONG[name])
    read = read_annotated(tmp_path / name, pictures)
    assert not any(row.labels for row in read.rows)
    assert len(read.problems) >= 2 and all(line.startswith(f"{tmp_path / name}: ") for line in read.problems)


# ---- a benchmark


def coco_set(folder, **more):
    """Two objects in three pictures, each with its id; a third in one."""
    boxes = [("a.jpg", 1), ("b ö.png", 1), ("b ö.png", 2), ("sub/c.png", 2), ("sub/c.png", 3)]
    names = list(FOUND)
    content = {
        "images": [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": i, "image_id": names.index(name), "category_id": 1, "bbox": [2 * i, 5, 20, 11]}
            | ({"attributes": {"instance_id": instance}} if i % 2 else {"instance_id": instance})
            | more.get(f"_{i}", {})
            for i, (name, instance) in enumerate(boxes)
        ],
    }
    (folder / "set.json").write_text(json.dumps(content))
    return folder / "set.json"


def test_coco_with_the_objects_ids_is_a_benchmark(pictures, tmp_path):  # noqa: F811
    shutil.copytree(pictures, tmp_path / "images")
    data = open_dataset(coco_set(tmp_path))
    assert [query.id for query in data.queries] == ["a.jpg#0", "b ö.png#1", "b ö.png#2", "sub/c.png#3"]
    assert data.positives("a.jpg#0") == {"b ö.png": [(2.0, 5.0, 20.0, 11.0)]}
    assert data.ignored("a.jpg#0") == {"a.jpg"} and len(data.gallery) == 3
    data = open_dataset(coco_set(tmp_path, _3={"query": True}))
    assert [query.id for query in data.queries] == ["sub/c.png#3"]


def test_coco_without_the_objects_ids_is_none(pictures, tmp_path):  # noqa: F811
    shutil.copytree(pictures, tmp_path / "images")
    one = {**COCO, "images": COCO["images"][:1]}
    (tmp_path / "coco.json").write_text(json.dumps({**one, "annotations": COCO["annotations"][:1]}))
    with pytest.raises(DatasetError, match="no box names an object"):
        open_dataset(tmp_path / "coco.json")
    with pytest.raises(DatasetError, match="annotation 2: there is no category 9"):
        (tmp_path / "coco.json").write_text(json.dumps(one))
        open_dataset(tmp_path / "coco.json")
