"""CVAT for images 1.1: one XML file, a box in corners of pixels, the score as an attribute."""

from collections.abc import Iterator
from xml.etree import ElementTree as Tree

from ..errors import DatasetError
from ._annotations import parse_four
from ._answer import Answer, by_picture, labels
from ._files import plain_text
from ._labelled import Label, Row, noted, object_name
from ._xml import Document, as_text, number_of


def cvat_text(answer: Answer) -> str:
    """All of it; pictures are numbered from 0."""
    root = Tree.Element("annotations")
    Tree.SubElement(root, "version").text = "1.1"
    meta = Tree.SubElement(root, "meta")
    Tree.SubElement(meta, "source").text = answer.program
    for key, value in answer.maker.items():
        Tree.SubElement(meta, key).text = value
    pictures = by_picture(answer)
    meta.append(_task(answer, len(pictures)))
    for number, own in enumerate(pictures.values()):
        width, height = own[0].size
        told = {"id": str(number), "name": plain_text(own[0].name), "width": str(width), "height": str(height)}
        image = Tree.SubElement(root, "image", told)
        for place in own:
            x, y, w, h = place.box
            corners = {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h}
            box = Tree.SubElement(
                image,
                "box",
                {"label": plain_text(place.label), "source": "auto", "occluded": "0"}
                | {key: f"{edge:.2f}" for key, edge in corners.items()}
                | {"z_order": "0"},
            )
            Tree.SubElement(box, "attribute", {"name": "score"}).text = str(place.score)
    return as_text(root)


def _task(answer: Answer, n_pictures: int) -> Tree.Element:
    """The labels, and that a box may have a score."""
    task = Tree.Element("task")
    for key, value in {"name": answer.program, "size": str(n_pictures), "mode": "annotation"}.items():
        Tree.SubElement(task, key).text = value
    listed = Tree.SubElement(task, "labels")
    for name in labels(answer):
        label = Tree.SubElement(listed, "label")
        Tree.SubElement(label, "name").text = plain_text(name)
        score = Tree.SubElement(Tree.SubElement(label, "attributes"), "attribute")
        for key, value in {"name": "score", "mutable": "False", "input_type": "text"}.items():
            Tree.SubElement(score, key).text = value
    return task


def read_cvat(document: Document, problems: list[str]) -> Iterator[Row]:
    """A row for each image, a label for each box; other shapes are passed over, turned boxes are said to be."""
    for image in document.root.findall("image"):
        with noted(problems):
            name = image.get("name")
            if not name:
                raise DatasetError(f"{document.where(image)}: an image without name")
            found = []
            for i, box in enumerate(image.findall("box"), 1):
                with noted(problems):
                    found.append(_label(box, document.where(box), i))
            yield Row(document.where(image), name, name, tuple(found))


def _label(box: Tree.Element, where: str, number: int) -> Label:
    if number_of(box.get("rotation", "0"), "rotation", where):
        raise DatasetError(f"{where}: a turned box, and queries are upright ones")
    x0, y0, x1, y1 = (number_of(box.get(key), key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
    return Label(object_name(box.get("label") or ""), parse_four([x0, y0, x1 - x0, y1 - y0], where), key=str(number))
