"""IIIF: manifests and collections of them, of Presentation API 2 and 3, and what an Image API is asked for.

A picture's address is its canvas, with the canvas' size and what is fetched behind a #:

    https://museum/canvas/1#size=4000,3000&image=https://museum/iiif/1/full/!1024,1024/0/default.jpg

https://iiif.io/api/presentation/3.0/, https://iiif.io/api/image/3.0/
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._addresses import is_web, masked
from ..boxes import to_pixels
from ..errors import ImageError, PatchseekError

SIDE = 1024
"""Pixels that pictures are asked for, on the longer side."""
MOST_MANIFESTS = 10_000
"""Of a collection, with those of the collections in it."""
MOST_BYTES = 64 << 20
"""Of a manifest."""
NO_PICTURE = "canvases without a picture"
"""Beside the keys of encode.Scan.passed_over."""
_CANVAS = re.compile(r"(.+)#size=(\d{1,7}),(\d{1,7})&image=(https?://.+)", re.DOTALL)
_REQUEST = re.compile(r"(.+)/full/[^/]+/0/default\.jpg")


@dataclass(frozen=True)
class Canvas:
    """A canvas, and the picture that is painted on it."""

    id: str
    width: int
    height: int
    # in the canvas' own units, 0 where it has none
    image: str
    # the address that is asked for

    @property
    def path(self) -> str:
        """As a catalogue has it."""
        return f"{self.id}#size={self.width},{self.height}&image={self.image}"

    def place(self, box: Sequence[float]) -> str:
        """The canvas with the part of it that a box (x0, y0, x1, y1) in shares is: https://museum/canvas/1#xywh=..."""
        if not self.width or not self.height:
            return self.id
        return f"{self.id}#xywh={','.join(map(str, to_pixels(box, self.width, self.height)))}"

    def crop(self, box: Sequence[float]) -> str | None:
        """The address of that part of the picture as large as there is; None where no Image API serves it."""
        if not (base := service_of(self.image)):
            return None
        x0, y0, x1, y1 = (100 * share for share in box)
        part = ",".join(f"{value:.5g}" for value in (x0, y0, x1 - x0, y1 - y0))
        return f"{base}/pct:{part}/max/0/default.jpg"


def canvas_of(path: str) -> Canvas | None:
    """What a picture's path says; None where it is no canvas."""
    found = _CANVAS.fullmatch(path) if "#size=" in path else None
    return Canvas(found[1], int(found[2]), int(found[3]), found[4]) if found else None


def service_of(url: str) -> str | None:
    """The address of the Image API that a whole picture was asked of; None where it was none."""
    found = _REQUEST.fullmatch(url)
    return found[1] if found else None


@dataclass
class Manifests:
    """What a manifest, or a collection of them, names."""

    places: list[str]
    # paths of canvases, in their order
    passed_over: Counter[str]
    unreadable: dict[str, str]
    # manifests that could not be had, and why


def read_manifests(place: str, content: bytes) -> Manifests:
    """The pictures of a manifest with these bytes, or of all manifests of a collection, which are fetched.

    Raises PatchseekError where it is neither.
    """
    found = Manifests([], Counter(), {})
    waiting, seen = [place], {place}
    while waiting:
        url = waiting.pop()
        try:
            said = _parsed(url, content if url == place else _fetched(url))
        except (ImageError, PatchseekError) as error:
            if url == place:
                raise
            found.unreadable[url] = str(error).removeprefix(f"{masked(url)}: ")
            continue
        if _kind(said) == "Manifest":
            _add_canvases(said, found)
            continue
        members = [member for member in dict.fromkeys(_members(said)) if member not in seen]
        seen.update(members)
        if len(seen) > MOST_MANIFESTS:
            raise PatchseekError(f"{masked(place)}: more than {MOST_MANIFESTS} manifests")
        waiting += reversed(members)
    return found


def _fetched(url: str) -> bytes:
    from ._web import open_web

    return open_web().get(url)


def _parsed(place: str, content: bytes) -> Mapping[str, Any]:
    label = masked(place)
    if len(content) > MOST_BYTES:
        raise PatchseekError(f"{label}: more than {MOST_BYTES >> 20} MB is too large for a manifest")
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PatchseekError(f"{label}: is no list, and no IIIF manifest (not JSON)") from error
    if not isinstance(said, dict) or _kind(said) not in ("Manifest", "Collection"):
        raise PatchseekError(f"{label}: is neither a IIIF manifest nor a collection of manifests")
    return said


def _kind(said: Mapping[str, Any]) -> str:
    """What an object says that it is: Manifest of API 3, sc:Manifest of API 2."""
    return str(said.get("type") or said.get("@type") or "").rpartition(":")[2]


def _id(said: object) -> str:
    if isinstance(said, str):
        return said
    value = said.get("id") or said.get("@id") if isinstance(said, dict) else None
    return value if isinstance(value, str) else ""


def _each(said: object, *names: str) -> Iterator[Any]:
    """What stands in the lists of these names, of an object that may be of any kind."""
    for name in names:
        value = said.get(name) if isinstance(said, dict) else None
        yield from value if isinstance(value, list) else [] if value is None else [value]


def _members(said: Mapping[str, Any]) -> list[str]:
    """The manifests and collections that a collection names."""
    return [url for each in _each(said, "items", "manifests", "collections", "members") if is_web(url := _id(each))]


def _add_canvases(said: Mapping[str, Any], found: Manifests) -> None:
    canvases = [
        *_each(said, "items"),
        *(c for sequence in _each(said, "sequences") for c in _each(sequence, "canvases")),
    ]
    for canvas in canvases:
        image = next(filter(None, map(_image, _bodies(canvas))), None)
        if image is None or not _id(canvas):
            found.passed_over[NO_PICTURE] += 1
            continue
        width, height = _number(canvas, "width"), _number(canvas, "height")
        found.places.append(Canvas(_id(canvas), width, height, image).path)


def _bodies(canvas: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What is painted on a canvas; of several to choose from, the first."""
    painted = [body for page in _each(canvas, "items") for a in _each(page, "items") for body in _each(a, "body")]
    painted += [resource for annotation in _each(canvas, "images") for resource in _each(annotation, "resource")]
    for body in painted:
        chosen = body
        if isinstance(body, dict) and _kind(body) == "Choice":
            chosen = next(_each(body, "default", "items", "item"), body)
        if isinstance(chosen, dict):
            yield chosen


def _image(body: Mapping[str, Any]) -> str | None:
    """What to ask for to have a picture in about SIDE pixels; None for what is no picture."""
    for service in _each(body, "service"):
        if _is_image_service(service) and is_web(_id(service)):
            return _request(service, body) or _own(body)
    return _own(body)


def _own(body: Mapping[str, Any]) -> str | None:
    is_picture = _kind(body) in ("Image", "") or str(body.get("format", "")).startswith("image/")
    return _id(body) if is_picture and is_web(_id(body)) else None


def _is_image_service(service: object) -> bool:
    said = json.dumps(service) if isinstance(service, dict) else ""
    return "ImageService" in said or "iiif.io/api/image/" in said


def _request(service: Mapping[str, Any], body: Mapping[str, Any]) -> str | None:
    """The request to an Image API; None where it has fixed sizes that it does not tell."""
    base, said = _id(service).rstrip("/"), json.dumps([service.get("profile"), service.get("@context")])
    is_third = _kind(service) == "ImageService3" or "api/image/3" in said
    width, height = (_number(service, side) or _number(body, side) for side in ("width", "height"))
    if "level0" in said:
        sizes = [(_number(size, "width"), _number(size, "height")) for size in _each(service, "sizes")]
        fitting = sorted(size for size in sizes if all(size))
        if not fitting:
            return None
        w, h = next((size for size in fitting if max(size) >= SIDE), fitting[-1])
        size = f"{w},{h}" if is_third else f"{w},"
    elif width and height and max(width, height) <= SIDE:
        size = "max" if is_third else "full"
    else:
        size = f"!{SIDE},{SIDE}"
    return f"{base}/full/{size}/0/default.jpg"


def _number(said: object, name: str) -> int:
    value = said.get(name) if isinstance(said, dict) else None
    return int(value) if isinstance(value, int | float) and 0 < value < 10_000_000 else 0
