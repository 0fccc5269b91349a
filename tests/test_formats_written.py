"""Results written in every format, and read again by the ecosystem's own readers: a box comes back the same pixel."""

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as Tree

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from patchseek import formats
from patchseek.cli import _formats as options
from patchseek.formats import Answer
from patchseek.formats._xmp import beside
from patchseek.images import orientation_of_file, size_of
from patchseek.matches import COLUMNS
from patchseek.store import FileState, Image
from tests.conftest import blot

MAKER = {"encoder": "tiny", "weights": "ab" * 32, "version": "1.2.3"}
FOUND = {"a.jpg": (3, 5, 20, 11), "b ö.png": (0, 0, 64, 48), "sub/c.png": (61, 40, 3, 8)}
"""x y w h: in the midst, all of it, in the corner."""
BAG = ".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Bag/*"
MWG = "{http://www.metadataworkinggroup.com/schemas/regions/}"
AREA = "{http://ns.adobe.com/xmp/sType/Area#}"


def with_its_library(name: str) -> Any:
    """A format as a parameter of a test: only one of them needs an extra."""
    return pytest.param(name, marks=pytest.mark.extra("parquet")) if name == "parquet" else name


def stored_image(root: Path, number: int, name: str) -> Image:
    """A picture as a collection has it."""
    file = root / name
    status, (width, height) = file.stat(), size_of(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Image(number, name, root, width, height, sha256, FileState(status.st_size, status.st_mtime_ns))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for seed, name in enumerate(FOUND):
        (root / name).parent.mkdir(exist_ok=True)
        blot(seed).save(root / name)
    return root


@pytest.fixture(scope="module")
def answer(pictures):
    """Two queries' worth of what is found: cups in two pictures, a jug in the third, which also holds two cups."""
    images = {i: stored_image(pictures, i, name) for i, name in enumerate(FOUND, 1)}
    results = [
        {
            "rank": image.id,
            "image": image.path,
            "image_id": image.id,
            "score": 0.9 - image.id / 10,
            "confidence": None if image.id == 3 else 0.5,
            "box": list(FOUND[image.path]),
            "bbox_format": "xywh_px",
            "width": image.width,
            "height": image.height,
            "sha256": image.sha256,
            "label": "jug" if image.id == 3 else "cup",
        }
        for image in images.values()
    ]
    results[2]["boxes"] = [{"box": results[2]["box"], "score": 0.6}, {"box": [1, 2, 3, 4], "score": 0.5}]
    query = {"image": "q.png", "box": None, "bbox_format": "xywh_px", "width": 8, "height": 8}
    return Answer([query], {"path": "here", **MAKER}, results, images=images)


def boxes_of(answer):
    """Picture -> (x, y, w, h) of all its boxes, in order."""
    found = {}
    for place in formats.places(answer):
        found.setdefault(place.name, []).append(place.box)
    return found


def flat(answer):
    """The answer without its picture in a folder, as some readers look for none."""
    return replace(answer, results=answer.results[:2])


def test_the_command_line_knows_every_format():
    assert tuple(formats.FORMATS) == options.FORMATS


@pytest.mark.parametrize("name", [with_its_library(name) for name in formats.FORMATS])
def test_every_format_says_who_made_it(name, answer, tmp_path):
    content, suffix, media_type, problems = formats.as_bytes(name, answer)
    assert problems == [] and media_type
    assert (suffix == ".zip") == formats.FORMATS[name].is_folder
    if suffix == ".zip":
        formats.write(name, answer, tmp_path / "made")
        content = max((p for p in (tmp_path / "made").rglob("*") if p.is_file()), key=_rank).read_bytes()
        content = (
            b" ".join(PillowImage.open(io.BytesIO(content)).info[k].encode() for k in MAKER)
            if name == "crops"
            else content
        )
    if name == "parquet":
        from pyarrow import parquet

        content = repr(parquet.read_schema(io.BytesIO(content)).metadata).encode()
    for value in MAKER.values():
        assert value.encode() in content, value


def _rank(path):
    return (path.name == "data.yaml", path.name)


def test_json_and_csv_are_what_they_were_and_a_file_has_columns_more(answer, tmp_path):
    assert list(json.loads(formats.FORMATS["json"].text(answer))) == ["query", "collection", "results"]
    plain = replace(answer, results=[{k: v for k, v in r.items() if k != "sha256"} for r in answer.results])
    rows = list(csv.DictReader(io.StringIO(formats.csv_text(plain))))
    assert tuple(rows[0]) == COLUMNS
    assert [rows[0][k] for k in ("image", "x", "y", "w", "h", "width")] == ["a.jpg", "3", "5", "20", "11", "64"]
    formats.write("csv", answer, tmp_path / "found.csv")
    written = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text())))
    assert tuple(written[0])[len(COLUMNS) :] == ("sha256", *MAKER)
    assert written[0]["sha256"] == answer.images[1].sha256
    formats.write("jsonl", answer, tmp_path / "found.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [{k: line[k] for k in answer.results[0]} for line in lines[:2]] == list(answer.results[:2])


@pytest.mark.extra("dev")
def test_coco_is_read_by_pycocotools(answer, tmp_path, capsys):
    from pycocotools.coco import COCO

    formats.write("coco", answer, tmp_path / "coco.json")
    coco = COCO(str(tmp_path / "coco.json"))
    read = {
        image["file_name"]: [tuple(a["bbox"]) for a in coco.imgToAnns[image["id"]]]
        for image in coco.loadImgs(coco.imgs)
    }
    assert read == boxes_of(answer)
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["cup", "jug"]
    formats.write("coco-results", answer, tmp_path / "results.json")
    loaded = coco.loadRes(str(tmp_path / "results.json"))
    assert [a["score"] for a in loaded.dataset["annotations"]] == [0.8, 0.7, 0.6, 0.5]
    capsys.readouterr()


@pytest.fixture(scope="module")
def supervision():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supervision
    return supervision


@pytest.mark.extra("dev")
@pytest.mark.parametrize("name", ["coco", "yolo", "voc"])
def test_supervision_reads_the_same_pixels(name, answer, pictures, tmp_path, supervision):
    target = tmp_path / ("found.json" if name == "coco" else "found")
    formats.write(name, flat(answer), target)
    if name == "coco":
        data = supervision.DetectionDataset.from_coco(str(pictures), str(target))
    elif name == "yolo":
        data = supervision.DetectionDataset.from_yolo(str(pictures), str(target / "labels"), str(target / "data.yaml"))
    else:
        data = supervision.DetectionDataset.from_pascal_voc(str(pictures), str(target))
    assert data.classes == ["cup"]
    for path, _, detections in data:
        x, y, w, h = FOUND[Path(path).name]
        assert np.allclose(detections.xyxy, [[x, y, x + w, y + h]], atol=1e-4), path


def test_label_studio_has_percent_and_a_known_shape(answer):
    """Its guide: type, from_name, to_name, original size, and a value in percent of the upright picture."""
    tasks = json.loads(formats.FORMATS["label-studio"].text(replace(answer, base="/data/local-files/?d=")))
    assert tasks[1]["data"] == {"image": "/data/local-files/?d=b%20%C3%B6.png"}
    read = {}
    for task in tasks:
        (prediction,) = task["predictions"]
        assert set(prediction) == {"model_version", "score", "result"} and 0 <= prediction["score"] <= 1
        for region in prediction["result"]:
            assert (region["type"], region["from_name"], region["to_name"]) == ("rectanglelabels", "label", "image")
            value, sides = region["value"], (region["original_width"], region["original_height"])
            x, y, w, h = (value[k] for k in ("x", "y", "width", "height"))
            box = tuple(n * side / 100 for n, side in zip((x, y, w, h), sides * 2, strict=True))
            assert np.allclose(np.round(box), box, atol=1e-9) and value["rectanglelabels"] in (["cup"], ["jug"])
            read.setdefault(unquote(task["data"]["image"].partition("=")[2]), []).append(tuple(map(round, box)))
    assert read == boxes_of(answer)
    assert len({r["id"] for t in tasks for p in t["predictions"] for r in p["result"]}) == 4


def test_cvat_has_corners_and_web_annotations_fragments(answer):
    root = Tree.fromstring(formats.FORMATS["cvat"].text(answer).encode())
    read = {}
    for box in root.iter("box"):
        x0, y0, x1, y1 = (float(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr"))
        image = next(image for image in root.iter("image") if box in list(image))
        assert (image.get("width"), image.get("height")) == ("64", "48")
        read.setdefault(image.get("name"), []).append((x0, y0, x1 - x0, y1 - y0))
    assert read == boxes_of(answer)
    task = root.find("meta/task")  # without which some readers take nothing
    assert [label.text for label in task.findall("labels/label/name")] == ["cup", "jug"] and task.findtext(
        "size"
    ) == "3"
    page = json.loads(formats.FORMATS["annotations"].text(replace(answer, base="https://here/")))
    assert page["items"][1]["target"] == "https://here/b%20%C3%B6.png#xywh=0,0,64,48"
    assert page["items"][0]["body"][0] == {"type": "TextualBody", "purpose": "tagging", "value": "cup"}


def test_fiftyone_has_shares_and_classes_by_number(answer, tmp_path):
    """The layout that it documents: a picture's name without suffix, a label that is the number of its class."""
    formats.write("fiftyone", answer, tmp_path / "labels.json")
    content = json.loads((tmp_path / "labels.json").read_text())
    assert content["classes"] == ["cup", "jug"] and list(content["labels"]) == ["a", "b ö", "sub/c"]
    first = content["labels"]["sub/c"][0]
    assert first["label"] == 1 and np.allclose(first["bounding_box"], [61 / 64, 40 / 48, 3 / 64, 8 / 48])


def test_two_pictures_of_one_stem_are_said_where_a_format_has_no_names_for_both(answer, tmp_path):
    twins = [{**answer.results[0], "image": name, "image_id": i} for i, name in enumerate(("a.jpg", "a.png"), 1)]
    for name in ("yolo", "voc", "fiftyone"):
        target = tmp_path / (f"{name}.json" if name == "fiftyone" else name)
        (problem,) = formats.write(name, replace(answer, results=twins), target)
        assert problem.startswith("a.png: left out")


def test_crops_are_the_very_pixels_and_sort(answer, pictures, tmp_path):
    assert formats.write("crops", answer, tmp_path) == []
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["00001-a.png", "00002-b ö.png", "00003-2-c.png", "00003-c.png"]
    x, y, w, h = FOUND["a.jpg"]
    whole = np.asarray(PillowImage.open(pictures / "a.jpg").convert("RGB"))
    assert (np.asarray(PillowImage.open(tmp_path / names[0])) == whole[y : y + h, x : x + w]).all()


# ---- sidecars


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_lies_where_the_stored_pixels_are(orientation, tmp_path):
    """What the region holds of the file's own pixels is the box once these are turned as Pillow turns them."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[10:20, 40:60] = 255
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    PillowImage.fromarray(pixels).save(tmp_path / "p.png", exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(PillowImage.open(tmp_path / "p.png")))
    rows, columns = np.nonzero(shown[..., 0])
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    image = stored_image(tmp_path, 1, "p.png")
    found = {"rank": 1, "image": "p.png", "image_id": 1, "score": 1.0, "box": [int(v) for v in box]}
    found |= {"width": image.width, "height": image.height}
    assert orientation_of_file(image.file) == orientation
    before = image.file.read_bytes()
    assert formats.write("xmp", Answer([], MAKER, [found], images={1: image}), None) == []
    assert image.file.read_bytes() == before
    (area,) = Tree.parse(tmp_path / "p.png.xmp").iter(f"{MWG}Area")
    x, y, w, h = (float(area.get(AREA + key)) for key in "xywh")
    edges = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * [64, 48, 64, 48]
    assert np.allclose(edges, [40, 10, 60, 20], atol=1e-6)
    (applied,) = Tree.parse(tmp_path / "p.png.xmp").iter(f"{MWG}AppliedToDimensions")
    assert sorted(applied.attrib.values()) == ["48", "64", "pixel"]


DIGIKAM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""   xmp:Rating='5' note="a > b"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#">%s
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>   <!-- mine -->
<?xpacket end="w"?>"""
REGIONS = """
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="%d" stDim:h="48" stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>%s</rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>"""
FACE = """
      <rdf:li><rdf:Description mwg-rs:Name="Ann" mwg-rs:Type="Face">
        <mwg-rs:Area stArea:x="0.5" stArea:y="0.5" stArea:w="0.1" stArea:h="0.2" stArea:unit="normalized"/>
      </rdf:Description></rdf:li>
     """


@pytest.mark.parametrize(
    "inside",
    ["", REGIONS % (64, FACE), REGIONS % (64, ""), (REGIONS % (64, "")).replace("<rdf:Bag></rdf:Bag>", "<rdf:Bag/>")],
)
def test_a_sidecar_keeps_every_byte_that_was_there(inside, answer, tmp_path):
    one = replace(answer, results=answer.results[:1])
    sidecar = tmp_path / "a.jpg.xmp"
    old = DIGIKAM % inside
    sidecar.write_text(old)
    assert formats.write("xmp", one, tmp_path) == []
    new = sidecar.read_text()
    rest = iter(new)
    assert all(letter in rest for letter in old.replace("<rdf:Bag/>", "<rdf:Bag></rdf:Bag>"))  # a subsequence
    regions = Tree.fromstring(new.encode()).findall(BAG)
    assert len(regions) == (2 if "Ann" in inside else 1)
    assert regions[-1].find(f"{MWG}Name").text == "cup"
    assert formats.write("xmp", one, tmp_path) == []
    assert sidecar.read_text() == new  # the same again, not twice
    named = replace(one, results=[{**one.results[0], "label": 'x" & <y>'}])
    formats.write("xmp", named, tmp_path)
    names = [each.text for each in Tree.parse(sidecar).iter(f"{MWG}Name")]
    assert names == ["cup", 'x" & <y>']


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not XML", "not valid XML"),
        (b"<a/>", "no XMP"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a document type or entity"),
        ("<a/>".encode("utf-16"), "no UTF-8 text"),
        ((DIGIKAM % (REGIONS % (48, FACE))).encode(), "its regions are of 48 x 48 pixels"),
    ],
)
def test_a_sidecar_that_is_not_understood_stays_and_is_said(content, words, answer, tmp_path):
    (tmp_path / "a.jpg.xmp").write_bytes(content)
    (problem,) = formats.write("xmp", flat(answer), tmp_path)
    assert str(tmp_path / "a.jpg.xmp") in problem and words in problem
    assert (tmp_path / "a.jpg.xmp").read_bytes() == content
    assert (tmp_path / "b ö.png.xmp").is_file()  # the rest goes on


def test_pictures_that_changed_or_are_elsewhere_are_said(answer, pictures, tmp_path):
    (tmp_path / "a.jpg").write_bytes((pictures / "a.jpg").read_bytes() + b" ")
    moved = {1: replace(answer.images[1], root=tmp_path), 2: replace(answer.images[2], root=tmp_path)}
    for name in ("crops", "xmp"):
        problems = formats.write(name, replace(flat(answer), images=moved), tmp_path / name)
        assert len(problems) == 2 and "changed since it was indexed" in problems[0], problems


def test_a_short_sidecar_is_taken_where_it_can_be_of_no_other_file(tmp_path):
    picture = tmp_path / "a.jpg"
    picture.touch()
    assert beside(picture).name == "a.jpg.xmp"
    (tmp_path / "a.xmp").touch()
    assert beside(picture).name == "a.xmp"
    (tmp_path / "a.cr3").touch()
    assert beside(picture).name == "a.jpg.xmp"
