"""W3C Web Annotations, as IIIF viewers read them: a page of them, each on a picture and a box of its pixels."""

import json
from typing import Any

from ._answer import Answer, Place, link, places


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
