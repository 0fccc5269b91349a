"""Pascal VOC: an XML file for each picture. Pixels count from 1 and both corners are inside, as in its devkit."""

from pathlib import Path
from xml.etree import ElementTree as Tree

from ._answer import Answer, Place, by_picture
from ._files import Taken, below, plain_text, write_text
from ._xml import as_text


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
