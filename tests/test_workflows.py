"""The pages of docs/workflows, as far as they are patchseek's: each line runs, and leaves what it says."""

import csv
import json
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek.cli import cli

from .conftest import blot

PAGES = Path(__file__).parent.parent / "docs" / "workflows"
BOX = (120, 60, 200, 180)


def lines(page):
    """Its shell lines."""
    text = (PAGES / page).read_text()
    return [line.strip() for line in text.splitlines() if line.startswith("    patchseek ")]


def scene(number, thing, at):
    """A picture of 400 x 300 that shows a thing."""
    picture = blot(1000 + number, 400, 300)
    picture.paste(thing.resize((100, 90)), at)
    return picture


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the pages speak of: a picture of a thing at BOX, a folder of scenes, some of which show it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "pictures").mkdir()
    things = [blot(7, 200, 180), blot(8, 200, 180)]
    for i in range(6):  # too few for confidence, which would take its time
        shown = things[i % 2] if i < 4 else blot(50 + i, 200, 180)
        scene(i, shown, (30 * i, 20 * i)).save(tmp_path / "pictures" / f"{i}.png")
    shown = Image.new("RGB", (500, 400), "white")
    shown.paste(things[0], BOX[:2])
    for name in ("meter.jpg", "example.jpg"):
        shown.save(tmp_path / name, quality=95)
    (tmp_path / "marks").mkdir()
    for name, thing in zip(("anchor.png", "star.png"), things, strict=True):
        thing.save(tmp_path / "marks" / name)
    images = [{"id": i, "file_name": f"{i}.png", "width": 400, "height": 300} for i in (0, 1)]
    boxes = [{"id": i, "image_id": i, "category_id": i + 1, "bbox": [30 * i, 20 * i, 100, 90]} for i in (0, 1)]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "vase"}]}
    for name in ("examples.json", "corrected.json"):
        (tmp_path / name).write_text(json.dumps(coco))
    for name in ("Pictures", "crawl"):
        shutil.copytree(tmp_path / "pictures", tmp_path / name)
    for i in (0, 1):  # where the annotations look for their pictures
        shutil.copy(tmp_path / "pictures" / f"{i}.png", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(page):
    """Run all lines; no one fails, though something may not be found (4) or be left out (3)."""
    for line in lines(page):
        done = CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)
        assert done.exit_code in (0, 3, 4), (line, done.output)
        assert done.exit_code == 0 or "search" in line, (line, done.output)


def rows(file):
    return list(csv.DictReader(Path(file).read_text().splitlines()))


def size(file):
    with Image.open(file) as picture:
        return picture.size


def test_a_photo_archive(place):
    run("photo-archive.md")
    assert size("found.png")[0] > 400
    sidecar = place / "Pictures" / "0.png.xmp"
    assert sidecar.read_text().count("gas meter") == 1, "written twice, there once"
    assert {row["label"] for row in rows("again.csv")} == {"gas meter"}


def test_brand_search(place):
    run("brand-search.md")
    found = rows("found.csv")
    for mark, images in (("anchor.png", {"0.png", "2.png"}), ("star.png", {"1.png", "3.png"})):
        assert next(row["image"] for row in found if row["query"] == mark and row["rank"] == "1") in images
    crops = sorted((place / "crops").rglob("*.png"))
    assert len(crops) >= 6
    assert len(size(crops[0])) == 2
    assert size("anchor-found.png")[0] > 400


def test_pre_annotation(place):
    run("pre-annotation.md")
    tasks = json.loads(Path("tasks.json").read_text())
    assert {task["data"]["image"] for task in tasks} >= {f"/data/local-files/?d=pictures/{i}.png" for i in range(4)}
    labels = {r["value"]["rectanglelabels"][0] for t in tasks for p in t["predictions"] for r in p["result"]}
    assert labels == {"cup", "vase"}
    boxes = ET.parse("annotations.xml").findall(".//box")
    assert {box.get("label") for box in boxes} == {"cup", "vase"}
    assert (place / "yolo" / "data.yaml").exists()


@pytest.mark.usefixtures("place")
def test_fiftyone():
    run("fiftyone.md")
    found = json.loads(Path("found.json").read_text())
    assert found["classes"] == ["cup"]
    assert set(found["labels"]) >= {"0", "2"}
    assert set(json.loads(Path("all.json").read_text())["classes"]) == {"cup", "vase"}
    assert Path("again.csv").read_text().count("\n") > 2


def test_saved_queries(place):
    run("../saved.md")
    accepted = rows("accepted.csv")
    assert {(row["query"], row["image"], row["judged_by"]) for row in accepted} >= {("gas meter", "2.png", "Ann Lee")}
    (corrected,) = (row for row in accepted if row["image"] == "2.png")
    assert [int(corrected[key]) for key in "xywh"] == [58, 38, 104, 94]
    assert {row["image"] for row in accepted} == {"0.png", "2.png"}
    assert {size(file) for file in (place / "crops").iterdir()} >= {(104, 94)}
    assert {each["name"] for each in json.loads(Path("finds.json").read_text())["categories"]} >= {
        "anchor.png",
        "star.png",
    }
    for report, name in (
        ("report.html", "gas meter"),
        ("meter.html", "gas meter"),
        ("case-118.html", "case 118, vase"),
    ):
        assert f"<h2>{name}</h2>" in Path(report).read_text()
    assert json.loads(Path("plate-7.json").read_text())
    listed = CliRunner().invoke(cli, ["query", "list", "-c", "crawl"]).stdout
    assert {"gas meter", "cup", "vase", "star.png"} <= {line[:30].strip() for line in listed.splitlines()}
