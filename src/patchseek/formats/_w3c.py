"""W3C Web Annotations, as IIIF viewers read them: a page of them, each on a picture and a box of its pixels."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import DatasetError
from ._annotations import parse_four, shorten
from ._answer import Answer, Place, link, places
from ._labelled import Label, Row, noted, object_name

_FRAGMENT = re.compile(r"xywh=(pixel:|percent:|pct:)?([^&]*)")


def annotations_text(answer: Answer) -> str:
    """An AnnotationPage; a target is ADDRESS#xywh=x,y,w,h (Media Fragments 1.0)."""
    generator: dict[str, Any] = {"type": "Software", "name": answer.program, **answer.maker}
    items = [_annotation(place, answer) for place in places(answer)]
    page = {"@context": "http://www.w3.org/ns/anno.jsonld", "type": "AnnotationPage", "generator": generator}
    return json.dumps({**page, "items": items}, indent=2) + "\n"


def _annotation(place: Place, answer: Answer) -> dict[str, Any]:
    key = "-".join(str(part) for part in (place.query, place.image_id, place.rank, place.copy) if part is not None)
    bodies = [
        {"type": "TextualBody", "purpose": "tagging", "value": place.label},
        {"type": "TextualBody", "purpose": "assessing", "value": f"{place.sureness:.4f}"},
    ]
    target = f"{link(answer, place.name)}#xywh={','.join(map(str, place.box))}"
    return {
        "id": f"urn:patchseek:{key}",
        "type": "Annotation",
        "motivation": "tagging",
        "body": bodies,
        "target": target,
    }


def read_w3c(content: Any, path: Path, problems: list[str]) -> Iterator[Row]:
    """A row for each annotation of a list, a page, or one alone, that has a target with a box, or a whole picture."""
    items = content if isinstance(content, list) else content.get("items")
    entries = items if isinstance(items, list) else [content]
    for number, entry in enumerate(entries, 1):
        where = f"{path}: annotation {number}"
        with noted(problems):
            targets = entry.get("target") if isinstance(entry, dict) else None
            for target in targets if isinstance(targets, list) else [targets]:
                image, box = _target(target, where)
                key = str(entry.get("id") or "")
                yield Row(where, image, image, (Label(object_name(_tag(entry)), box, key=key),))


def _target(target: Any, where: str) -> tuple[str, tuple[float, float, float, float] | None]:
    """The picture and the box that a target names."""
    selectors: Any = []
    if isinstance(target, dict):
        selectors, target = target.get("selector") or [], target.get("source") or target.get("id")
        target = target.get("id") if isinstance(target, dict) else target
    if not isinstance(target, str):
        raise DatasetError(f"{where}: a target is an address, found {shorten(target)}")
    address, _, fragment = target.partition("#")
    for selector in selectors if isinstance(selectors, list) else [selectors]:
        if isinstance(selector, dict) and selector.get("type") == "FragmentSelector":
            fragment = str(selector.get("value"))
        elif isinstance(selector, dict):
            raise DatasetError(f"{where}: a {shorten(selector.get('type'))}, where boxes are read from xywh= alone")
    parts = urlsplit(address)
    image = unquote(parts.path if parts.scheme == "file" else address)
    found = _FRAGMENT.search(fragment)
    if not found:
        return image, None
    try:
        numbers = [float(number) for number in found[2].split(",")]
    except ValueError as error:
        raise DatasetError(f"{where}: xywh= is four numbers, found {shorten(found[2])}") from error
    return image, parse_four([n / 100 for n in numbers] if found[1] in ("percent:", "pct:") else numbers, where)


def _tag(entry: dict[str, Any]) -> str:
    """What an annotation says: the body that tags, else the first of text."""
    bodies = entry.get("body") or []
    bodies = [body for body in (bodies if isinstance(bodies, list) else [bodies]) if isinstance(body, dict)]
    bodies.sort(key=lambda body: body.get("purpose") != "tagging")
    return next((str(body["value"]) for body in bodies if isinstance(body.get("value"), str)), "")
