"""A home as the documentation speaks of it: a few small pictures, some of which show what is searched for."""

import json
import shutil
import sys
from pathlib import Path

from PIL import Image

from .conftest import blot

METER, PHOTO = (120, 60, 200, 180), (420, 310, 160, 200)
"""The boxes (x, y, w, h) that the pages name, in meter.jpg and example.jpg, and in photo.jpg."""
SIGHT = [(30 * i, 20 * i) for i in range(4)]
"""Where the first four pictures show the meter and, by turns, another thing."""


def things() -> list[Image.Image]:
    """The meter, what is sold beside it, and what photo.jpg shows."""
    return [blot(7, 200, 180), blot(8, 200, 180), blot(9, 160, 200)]


def scenes() -> list[Image.Image]:
    """Seven pictures, too few for confidence, which would take its time; 4 and 5 show what photo.jpg does."""
    meter, other, cup = things()
    shown = [meter, other, meter, other]
    found = []
    for i in range(7):
        scene = blot(1000 + i).resize((400, 300))
        if i < 4:
            scene.paste(shown[i].resize((100, 90)), SIGHT[i])
        elif i < 6:
            scene.paste(cup, (40 * i, 60))
        found.append(scene)
    return found


def make_home(home: Path) -> None:
    """Fill an empty folder with all that the pages name."""
    meter, other, cup = things()
    for folder in ("Pictures", "marks", "annotations", "FOLDER", "incoming", "Downloads", "data"):
        (home / folder).mkdir(parents=True)
    for i, scene in enumerate(scenes()):
        scene.save(home / "Pictures" / f"{i}.png")
    for folder in ("pictures", "crawl", "mnt/pictures", "media/photos"):
        shutil.copytree(home / "Pictures", home / folder)
    for i in (0, 1):  # where annotations look for their pictures
        for folder in (home, home / "annotations", home / "incoming"):
            shutil.copy(home / "Pictures" / f"{i}.png", folder)
    for name in ("meter.jpg", "example.jpg", "photo.jpg", "cup.jpg", "a.jpg", "b.jpg"):
        shown = Image.new("RGB", (640, 560), "white")
        for thing, at in ((meter, METER), (cup, PHOTO)):
            shown.paste(thing, at[:2])
        shown.save(home / name, quality=95)
    meter.save(home / "marks" / "anchor.png")
    other.save(home / "marks" / "star.png")
    _annotate(home)
    _commands(home)


def _annotate(home: Path) -> None:
    """Boxes around what the first four pictures show: as COCO, where tools put it, and as a set of `eval`."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 400, "height": 300} for i in (0, 1)]
    boxes = [{"id": i, "image_id": i, "category_id": i + 1, "bbox": [*SIGHT[i], 100, 90]} for i in (0, 1)]
    kinds = [{"id": 1, "name": "cup"}, {"id": 2, "name": "vase"}]
    coco = json.dumps({"images": images, "annotations": boxes, "categories": kinds})
    for name in ("examples.json", "corrected.json", "annotations.json", "annotations/boxes.json"):
        (home / name).write_text(coco)
    for i in range(4):
        shutil.copy(home / "Pictures" / f"{i}.png", home / "FOLDER")
    shutil.copy(home / "meter.jpg", home / "FOLDER")
    query = [{"id": 0, "image": "meter.jpg", "instance": "meter", "bbox": list(METER)}]
    gallery = [
        {"id": i, "image": f"{i}.png", "instance": [("meter", "other")[i % 2]], "bbox": [[*SIGHT[i], 100, 90]]}
        for i in range(4)
    ]
    (home / "FOLDER" / "query.json").write_text(json.dumps(query))
    (home / "FOLDER" / "gallery.json").write_text(json.dumps(gallery))
    images = [{"id": i, "file_name": f"FOLDER/{i}.png", "width": 400, "height": 300} for i in range(4)]
    boxes = [
        {"id": i, "image_id": i, "category_id": 1, "instance_id": i % 2, "bbox": [*SIGHT[i], 100, 90]} for i in range(4)
    ]
    (home / "set.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": kinds}))


def _commands(home: Path) -> None:
    """The command that programs start by its name, where the package is not installed, too."""
    (home / "bin").mkdir()
    path = home / "bin" / "patchseek-mcp"
    paths = [entry for entry in sys.path if entry]
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {paths!r}\nfrom patchseek.cli._mcp import main\nmain()\n"
    )
    path.chmod(0o755)
