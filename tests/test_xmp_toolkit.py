"""Sidecars and Exiv2, which is what digiKam and darktable read and write them with: each reads what the other wrote."""

from pathlib import Path

import numpy as np
import pyexiv2
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from patchseek import formats
from patchseek.boxes import from_pixels, to_pixels
from patchseek.formats import Answer, read_annotated

from .test_formats_written import MAKER, stored_image

pytestmark = pytest.mark.extra("dev")

SIZE = (64, 48)
STORED = (40, 10, 60, 20)
"""Corners x0 y0 x1 y1 of the object, in pixels as they lie in the file."""
REGIONS = "Xmp.mwg-rs.Regions"
FACTS = {"Xmp.xmp.Rating": "4", "Xmp.dc.subject": ["a", "b"], "Xmp.digiKam.TagsList": ["things/cup"]}
NONE_YET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
)


@pytest.fixture(params=range(1, 9))
def turned(request, tmp_path):
    """A picture of each orientation that EXIF knows, with a white rectangle; its file, and the upright box of that."""
    return picture(tmp_path, request.param)


@pytest.fixture
def upright(tmp_path):
    return picture(tmp_path, 1)


def picture(folder, orientation):
    pixels = np.zeros((*SIZE[::-1], 3), np.uint8)
    pixels[STORED[1] : STORED[3], STORED[0] : STORED[2]] = 255
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    PillowImage.fromarray(pixels).save(folder / "p.png", exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(PillowImage.open(folder / "p.png")))
    rows, columns = np.nonzero(shown[..., 0])
    return folder / "p.png", [int(v) for v in (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)]


def write(file, *boxes, label="cup"):
    """Have patchseek write a sidecar beside a picture; its path."""
    image = stored_image(file.parent, 1, file.name)
    first = {"rank": 1, "image": file.name, "image_id": 1, "score": 0.8, "confidence": 0.9, "label": label}
    first |= {"width": image.width, "height": image.height}
    answer = Answer([], MAKER, [{**first, "box": list(box)} for box in boxes], images={1: image})
    assert formats.write("xmp", answer, None) == []
    return file.with_name(f"{file.name}.xmp")


def read(sidecar):
    """All that Exiv2 reads in it."""
    with pyexiv2.Image(str(sidecar)) as opened:
        return opened.read_xmp()


def change(sidecar, facts):
    """Have Exiv2 change it, and so write all of it anew."""
    if not sidecar.exists():
        sidecar.write_text(NONE_YET)
    with pyexiv2.Image(str(sidecar)) as opened:
        opened.modify_xmp(facts)


def region(number, name, corners):
    """A region as digiKam has it, corners in pixels of the stored picture."""
    x0, y0, x1, y1 = np.array(corners) / (*SIZE, *SIZE)
    at = f"{REGIONS}/mwg-rs:RegionList[{number}]"
    area = {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "w": x1 - x0, "h": y1 - y0, "unit": "normalized"}
    applied = {"w": SIZE[0], "h": SIZE[1], "unit": "pixel"}
    return {
        REGIONS: 'type="Struct"',
        f"{REGIONS}/mwg-rs:AppliedToDimensions": 'type="Struct"',
        **{f"{REGIONS}/mwg-rs:AppliedToDimensions/stDim:{key}": str(value) for key, value in applied.items()},
        f"{REGIONS}/mwg-rs:RegionList": 'type="Bag"',
        at: 'type="Struct"',
        f"{at}/mwg-rs:Name": name,
        f"{at}/mwg-rs:Type": "Face",
        f"{at}/mwg-rs:Area": 'type="Struct"',
        **{f"{at}/mwg-rs:Area/stArea:{key}": str(value) for key, value in area.items()},
    }


def regions(sidecar):
    """(name, corners in pixels of the stored picture) of each region that Exiv2 reads."""
    facts, found = read(sidecar), []
    while (at := f"{REGIONS}/mwg-rs:RegionList[{len(found) + 1}]") in facts:
        assert facts[f"{at}/mwg-rs:Area/stArea:unit"] == "normalized"
        x, y, w, h = (float(facts[f"{at}/mwg-rs:Area/stArea:{key}"]) for key in "xywh")
        corners = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * (*SIZE, *SIZE)
        assert np.allclose(corners, np.round(corners), atol=1e-6)
        found.append((facts[f"{at}/mwg-rs:Name"], tuple(int(v) for v in np.round(corners))))
    return found


def test_exiv2_reads_the_same_pixels_of_the_stored_picture(turned):
    file, box = turned
    sidecar = write(file, box, label="cüp <& co>")
    assert regions(sidecar) == [("cüp <& co>", STORED)]
    with pyexiv2.Image(str(file)) as opened:
        stored = opened.get_pixel_width(), opened.get_pixel_height()
    applied = {key: read(sidecar)[f"{REGIONS}/mwg-rs:AppliedToDimensions/stDim:{key}"] for key in ("w", "h", "unit")}
    assert applied == {"w": str(stored[0]), "h": str(stored[1]), "unit": "pixel"}


def test_what_exiv2_wrote_asks_with_the_same_pixels(turned):
    file, box = turned
    sidecar = file.with_name("p.png.xmp")
    change(sidecar, region(1, "cup", STORED) | region(2, "jug", (0, 0, *SIZE)))
    read_back = read_annotated(sidecar)
    assert read_back.problems == []
    (row,) = read_back.rows
    width, height = ImageOps.exif_transpose(PillowImage.open(file)).size
    found = {label.instance: to_pixels(from_pixels(label.box, width, height), width, height) for label in row.labels}
    assert found == {"cup": tuple(box), "jug": (0, 0, width, height)}
    assert Path(row.image) == file


def test_what_exiv2_wrote_is_there_after_regions_were_added(upright):
    file, box = upright
    sidecar = file.with_name("p.png.xmp")
    change(sidecar, FACTS | region(1, "Ann", (1, 2, 9, 12)))
    before = read(sidecar)
    write(file, box)
    after = read(sidecar)
    assert {key: after[key] for key in before} == before
    assert regions(sidecar) == [("Ann", (1, 2, 9, 12)), ("cup", STORED)]


def test_regions_are_known_again_when_exiv2_has_written_them_anew(upright):
    """It makes attributes of what were elements."""
    file, box = upright
    sidecar = write(file, box, (0, 0, 8, 8))
    change(sidecar, FACTS)
    assert "<patchseek:" not in sidecar.read_text() and "patchseek:area=" in sidecar.read_text()
    write(file, box)
    assert regions(sidecar) == [("cup", STORED)]
    assert {key: read(sidecar)[key] for key in FACTS} == FACTS


def test_a_region_that_somebody_has_moved_stays_and_none_is_put_beside_it(upright):
    file, box = upright
    sidecar = write(file, box, (0, 0, 8, 8))
    moved = {key: value for key, value in region(1, "cup", (38, 8, 60, 20)).items() if "stArea" in key}
    change(sidecar, moved)
    write(file, box, (0, 0, 8, 8))
    assert regions(sidecar) == [("cup", (38, 8, 60, 20)), ("cup", (0, 0, 8, 8))]
    write(file, box)
    assert regions(sidecar) == [("cup", (38, 8, 60, 20))], "what patchseek wrote and does not find any more goes"


def test_what_somebody_else_has_marked_by_the_same_name_is_not_marked_twice(upright):
    file, box = upright
    sidecar = file.with_name("p.png.xmp")
    change(sidecar, region(1, "cup", STORED))
    before = sidecar.read_bytes()
    write(file, box)
    assert sidecar.read_bytes() == before
    write(file, (0, 0, 8, 8))
    write(file, box, label="jug")
    assert regions(sidecar) == [("cup", STORED), ("cup", (0, 0, 8, 8)), ("jug", STORED)]


def test_a_region_whose_own_words_are_damaged_is_left_to_whoever_did_that(upright):
    file, box = upright
    sidecar = write(file, box)
    sidecar.write_text(sidecar.read_text().replace("<patchseek:area>", "<patchseek:area>about "))
    write(file, box)
    assert regions(sidecar) == [("cup", STORED)]
    assert "about" in sidecar.read_text()
