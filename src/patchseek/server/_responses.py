"""Kinds of answers that are not JSON, and the problems every route may answer with. For the OpenAPI document."""

from typing import Any

from starlette.responses import Response, StreamingResponse

from ._shapes import Problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 421, 422, 429)
}


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
