"""CVAT for images 1.1: one XML file, a box in corners of pixels, the score as an attribute."""

from xml.etree import ElementTree as Tree

from ._answer import Answer, by_picture
from ._files import plain_text
from ._xml import as_text


def cvat_text(answer: Answer) -> str:
    """All of it; pictures are numbered from 0."""
    root = Tree.Element("annotations")
    Tree.SubElement(root, "version").text = "1.1"
    meta = Tree.SubElement(root, "meta")
    Tree.SubElement(meta, "source").text = answer.program
    for key, value in answer.maker.items():
        Tree.SubElement(meta, key).text = value
    for number, own in enumerate(by_picture(answer).values()):
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
