"""A part of a IIIF picture in more pixels than the whole was asked for in. Knows the Image API, and no collection.

A server's info.json says how large its picture is, and whether it cuts parts out: https://iiif.io/api/image/3.0/#5-image-information
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any
from urllib.parse import urlsplit

from .._addresses import masked
from .._within import within
from ..errors import ImageError
from ._iiif import service_of
from ._web import open_web

GRID = 32
"""Parts begin and end at such shares of a picture's sides: like boxes ask for the same, which is kept then."""
SECONDS = 10.0
"""For how long a search waits for an answer."""
PAUSE = 60.0
"""For how long a host that has failed to give one is not asked again."""


@dataclass(frozen=True)
class Part:
    """A part of a picture."""

    content: bytes
    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1]: what of the picture it shows


def fetch_part(url: str, box: Sequence[float], least: float, most: float, *, may_ask: bool) -> Part | None:
    """The part of a picture around a box (x0, y0, x1, y1) in shares, where the whole is asked for under a URL.

    least, most: widths of the whole in pixels. Of a picture that is not wider than `least` nothing is asked for; a part
    comes no larger than it is where the whole is `most` wide. None where there is nothing larger: no Image API, a
    server that cuts nothing out, refuses or does not answer soon, whose host is not asked again for a while then.
    """
    base = service_of(url)
    if base is None:
        return None
    try:
        found = _request(json.loads(_read(f"{base}/info.json", may_ask)), box, least, most)
        return Part(_read(f"{base}/{found[0]}", may_ask), found[1]) if found else None
    except (ImageError, ValueError, RecursionError):  # no JSON is a ValueError
        return None


def _request(
    said: Any, box: Sequence[float], least: float, most: float
) -> tuple[str, tuple[float, float, float, float]] | None:
    """What to ask for, and what that shows; None where there is nothing to ask for."""
    width, height = (_side(said, name) for name in ("width", "height"))
    if not width or not height or width <= least or not _cuts(said):
        return None
    x0, y0 = (floor(GRID * low) * size // GRID for low, size in zip(box[:2], (width, height), strict=True))
    x1, y1 = (-(-ceil(GRID * high) * size // GRID) for high, size in zip(box[2:], (width, height), strict=True))
    w = min(x1 - x0, round((x1 - x0) * most / width), _side(said, "maxWidth") or width)
    return f"{x0},{y0},{x1 - x0},{y1 - y0}/{w},/0/default.jpg", (x0 / width, y0 / height, x1 / width, y1 / height)


def _side(said: Any, name: str) -> int:
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, int) and 0 < value < 10_000_000 else 0


def _cuts(said: dict[str, Any]) -> bool:
    """Whether a server cuts parts out: from level 1 on, or as one of the things that it can beside its level."""
    offers = json.dumps([said.get("profile"), said.get("extraFeatures")])
    return "regionByPx" in offers or "level0" not in offers


_slow: dict[str, float] = {}
_lock = threading.Lock()


def _read(url: str, may_ask: bool) -> bytes:
    """What is under a URL. Raises ImageError, also where its host made somebody wait in vain lately."""
    host = urlsplit(url).netloc
    with _lock:
        may_ask = may_ask and time.monotonic() >= _slow.get(host, 0.0)
    try:
        return within(SECONDS, lambda: open_web().read(url, may_ask=may_ask))
    except (ImageError, TimeoutError) as error:
        if may_ask and (isinstance(error, TimeoutError) or error.passing):
            with _lock:
                _slow[host] = time.monotonic() + PAUSE
        raise ImageError(masked(url), "does not answer", passing=True) from error
