"""Films for the player of a browser: the file as it lies on the disk, or the one part of it that is asked for.

What a film is called says what it is sent as, whatever is in it: a kind of video, and nothing that a browser would run.
"""

import os
import re
from stat import S_ISREG

from fastapi import HTTPException
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from ..sources import suffix_of
from ..store import Image
from ._methods import ASKED_AS
from ._responses import told

TYPES = {
    **dict.fromkeys((".mp4", ".m4v", ".f4v"), "video/mp4"),
    **dict.fromkeys((".mov", ".qt"), "video/quicktime"),
    **dict.fromkeys((".mpg", ".mpeg", ".m2v", ".vob"), "video/mpeg"),
    **dict.fromkeys((".mts", ".m2ts"), "video/mp2t"),
    **dict.fromkeys((".avi", ".divx"), "video/x-msvideo"),
    **dict.fromkeys((".ogv", ".ogm"), "video/ogg"),
    ".3gp": "video/3gpp",
    ".3g2": "video/3gpp2",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
    ".asf": "video/x-ms-asf",
    ".flv": "video/x-flv",
    ".mxf": "application/mxf",
}
"""By suffix, for all of sources.FILMS. Of what they do not know, browsers save the file."""

_PART = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


class Film(FileResponse):
    """A film, or a part of it."""

    def __init__(self, image: Image, status: os.stat_result, *, is_part: bool) -> None:
        """image: any frame of it. is_part: whether the request's Range counts, see `asked_part`."""
        file, self._is_part = image.stored.file, is_part
        super().__init__(
            file,
            headers={"cache-control": "private, no-cache"},
            media_type=TYPES[suffix_of(file.name)],
            filename=told(file.name),
            stat_result=status,
            content_disposition_type="inline",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; of one that was asked for by HEAD nothing is read."""
        headers = [(name, value) for name, value in scope["headers"] if self._is_part or name != b"range"]
        method = scope.get(ASKED_AS, scope["method"])
        await super().__call__({**scope, "method": method, "headers": headers}, receive, send)


def open_film(image: Image, part: str | None) -> Film:
    """The film that a picture is a frame of. part: the header Range of a request.

    Raises HTTPException 404 for any other picture and where the film is gone, 416 for a part beyond its end.
    """
    place = image.stored
    if not place.is_frame:
        raise HTTPException(404, f"{told(image.path)} is no frame of a film")
    try:
        status = place.file.stat()
    except OSError as error:
        raise HTTPException(404, f"{told(image.path)}: the film is not there any more") from error
    if not S_ISREG(status.st_mode):
        raise HTTPException(404, f"{told(image.path)}: the film is not there any more")
    return Film(image, status, is_part=asked_part(part, status.st_size))


def asked_part(part: str | None, size: int) -> bool:
    """Whether a header Range names one part of a file of so many bytes. Others count as none (RFC 9110, 14.2).

    So do several parts at once, which no player asks for. Raises HTTPException 416 for one beyond the end.
    """
    found = _PART.fullmatch(part or "")
    if not found:
        return False
    first, last, n_last = found.groups()
    if last and int(last) < int(first):
        return False
    if (int(first) if first else size - int(n_last)) >= size:
        raise HTTPException(416, f"the film has {size} bytes", {"content-range": f"bytes */{size}"})
    return True
