"""Kinds of answers that are not JSON, and the problems every route may answer with. For the OpenAPI document."""

from typing import Any

from starlette.responses import Response, StreamingResponse

from .._addresses import masked
from ..errors import BoxError, EngineError, ImageError, QueryError, StoreError, StoreLocked

_SENTENCE = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
_WORDS = {
    400: "The request cannot be read",
    401: "The token is missing or wrong",
    403: "Not from there, or not here",
    404: "There is no such thing",
    409: "Another process is changing the collection",
    413: "More than this server takes",
    421: "Not a name of this server",
    422: "What was asked cannot be answered",
    429: "Too many at once; Retry-After says when to come back",
    503: "The collection or its search engine cannot be used now",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {"application/json": {"schema": _SENTENCE}}}
    for status, words in _WORDS.items()
}
"""Every problem is one sentence. Written out: a model would be documented as a JPEG by a route that answers one."""

_STATUS = (
    ((ImageError, BoxError, QueryError), 422),
    (StoreLocked, 409),
    ((StoreError, EngineError), 503),  # what may be well again without this server
)


def status_of(error: Exception) -> int:
    """The HTTP status of one of our errors; 500 of any other."""
    return next((status for kinds, status in _STATUS if isinstance(error, kinds)), 500)


def told(name: object) -> str:
    """A name, path or URL as text that JSON over HTTP can hold: bytes that are no UTF-8 become escapes.

    What is secret in a URL is not told: whoever may see a picture may not yet open the store it came from.
    """
    return masked(str(name)).encode("utf-8", "backslashreplace").decode()


_FILM = {"video/*": {"schema": {"type": "string", "format": "binary"}}}
FILM: dict[int | str, dict[str, Any]] = {
    200: {"description": "The film", "content": _FILM},
    206: {"description": "The part of it that the header Range names", "content": _FILM},
    416: {"description": "It ends before that part", "content": {"application/json": {"schema": _SENTENCE}}},
}
"""What a film is answered with."""


class Jpeg(Response):
    """A picture."""

    media_type = "image/jpeg"


class Png(Response):
    """A drawing."""

    media_type = "image/png"


class Zip(Response):
    """Several files."""

    media_type = "application/zip"


class Events(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


class Prometheus(Response):
    """Figures."""

    media_type = "text/plain; version=0.0.4"
