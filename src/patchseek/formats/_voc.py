"""Pascal VOC: an XML file for each picture. Pixels count from 1 and both corners are inside, as in its devkit."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Tree

from ..errors import DatasetError
from ._annotations import parse_four
from ._answer import Answer, Place, by_picture
from ._files import Taken, below, plain_text, write_text
from ._labelled import Label, Row, noted, object_name
from ._xml import Document, as_text, number_of


def write_voc(answer: Answer, folder: Path) -> list[str]:
    """Write the folder; returns a line for each picture that is left out. Raises PatchseekError."""
    taken, problems = Taken(), []
    for own in by_picture(answer).values():
        path = below(folder, own[0].name, ".xml")
        if problem := taken.problem(path, own[0].name):
            problems.append(problem)
        else:
            write_text(path, as_text(_annotation(own, answer)))
    return problems


def _annotation(own: list[Place], answer: Answer) -> Tree.Element:
    root = Tree.Element("annotation")
    name = plain_text(own[0].name)
    _add(root, "folder", name.rpartition("/")[0])
    _add(root, "filename", name.rpartition("/")[2])
    source = Tree.SubElement(root, "source")
    _add(source, "database", answer.program)
    for key, value in answer.maker.items():
        _add(source, key, value)
    size = Tree.SubElement(root, "size")
    for key, number in zip(("width", "height", "depth"), (*own[0].size, 3), strict=True):
        _add(size, key, number)
    _add(root, "segmented", 0)
    for place in own:
        found = Tree.SubElement(root, "object")
        _add(found, "name", plain_text(place.label))
        for key, value in {"pose": "Unspecified", "truncated": "0", "difficult": "0"}.items():
            _add(found, key, value)
        x, y, w, h = place.box
        corners = Tree.SubElement(found, "bndbox")
        for key, number in zip(("xmin", "ymin", "xmax", "ymax"), (x + 1, y + 1, x + w, y + h), strict=True):
            _add(corners, key, number)
        _add(found, "score", place.score)
    return root


def _add(element: Tree.Element, tag: str, value: object) -> None:
    Tree.SubElement(element, tag).text = str(value)


def read_voc(document: Document, problems: list[str]) -> Iterator[Row]:
    """The row of a file, a label for each object; parts of objects are passed over."""
    root = document.root
    name = (root.findtext("filename") or "").strip()
    if not name:
        raise DatasetError(f"{document.path}: no filename")
    folder = (root.findtext("folder") or "").strip()
    labels = []
    for i, found in enumerate(root.findall("object"), 1):
        where = document.where(found)
        with noted(problems):
            corners = found.find("bndbox")
            if corners is None:
                raise DatasetError(f"{where}: an object without bndbox")
            x0, y0, x1, y1 = (number_of(corners.findtext(key), key, where) for key in ("xmin", "ymin", "xmax", "ymax"))
            left, top = max(x0 - 1, 0), max(y0 - 1, 0)  # some count from 0
            box = parse_four([left, top, x1 - left, y1 - top], where)
            labels.append(Label(object_name(found.findtext("name") or ""), box, key=str(i)))
    image = f"{folder}/{name}" if folder else name
    yield Row(str(document.path), name, image, tuple(labels))
