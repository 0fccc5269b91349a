"""Regions of XMP sidecars as queries. A region is of the picture as it is stored, see `_xmp`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as Tree

from ..errors import DatasetError, ImageError
from ..images import EXTENSIONS, orientation_of_file
from ._annotations import parse_four
from ._labelled import Label, Row, noted, object_name
from ._orientation import upright
from ._xml import Document, number_of
from ._xmp_merge import AREA, MWG, RDF


def read_xmp(document: Document, find: Callable[[Path, str], Path], problems: list[str]) -> Iterator[Row]:
    """The row of a sidecar, a label for each region that is a rectangle. find: a picture's path by sidecar and name."""
    name = picture_of(document.path)
    regions = [li for bag in document.root.iter(f"{MWG}RegionList") for li in bag.iter(f"{RDF}li")]
    if not regions:
        raise DatasetError(f"{document.path}: no regions in it")
    try:
        picture = find(document.path, name)
        orientation = orientation_of_file(picture)
    except ImageError as error:
        raise DatasetError(f"{document.path}: how its picture lies is not known: {error}") from error
    labels = []
    for i, region in enumerate(regions, 1):
        where = document.where(region)
        with noted(problems):
            if (unit := _value(region, f"{AREA}unit")) not in (None, "normalized"):
                raise DatasetError(f"{where}: regions are normalized, found {unit!r}")
            if _value(region, f"{AREA}w") is None:
                raise DatasetError(f"{where}: a region that is no rectangle")
            x, y, w, h = (number_of(_value(region, AREA + key), f"stArea:{key}", where) for key in "xywh")
            x0, y0, x1, y1 = upright((x - w / 2, y - h / 2, x + w / 2, y + h / 2), orientation)
            x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0)
            box = parse_four([x0, y0, x1 - x0, y1 - y0], where)
            labels.append(Label(object_name(_value(region, f"{MWG}Name") or ""), box, key=str(i)))
    yield Row(str(document.path), name, str(picture.absolute()), tuple(labels))


def picture_of(sidecar: Path) -> str:
    """The picture of a sidecar: of photo.jpg.xmp photo.jpg, of photo.xmp the picture of that stem beside it."""
    if Path(sidecar.stem).suffix.lower() in EXTENSIONS:
        return sidecar.stem
    beside = [path for path in sidecar.parent.iterdir() if path.stem == sidecar.stem]
    alike = sorted(path.name for path in beside if path.suffix.lower() in EXTENSIONS)
    if len(alike) != 1:
        found = ", ".join(alike) or "none"
        raise DatasetError(f"{sidecar}: it is of one picture of its name, found {found}")
    return alike[0]


def _value(region: Tree.Element, name: str) -> str | None:
    """A property, as an attribute or an element at any depth."""
    for element in region.iter():
        if name in element.attrib:
            return element.attrib[name]
        if element.tag == name:
            return (element.text or "").strip()
    return None
