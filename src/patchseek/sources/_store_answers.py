"""What a web server's answer must be for fsspec to read it as a file."""

from typing import Any

_CONTENT = (200, 203, 206)


class NoContent(Exception):
    """A web server neither failed nor gave a file: a redirection to nowhere, a choice, "not modified"."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class NoParts(Exception):
    """A web server that gives the whole of a file where a part was asked for."""

    def __init__(self) -> None:
        super().__init__("the server gives no part of a file, only all of it; fetch it to this machine first")


async def require_content(response: Any) -> None:
    """Look at an answer before it is read; failures are the library's to raise.

    Raises NoContent for one that would else pass for an empty file, NoParts for one that would be a tar a picture.
    """
    if response.status < 400 and response.status not in _CONTENT:
        raise NoContent(response.status)
    asked = response.request_info.headers.get("Range", "bytes=0-")
    if response.status == 200 and not asked.startswith("bytes=0-"):
        raise NoParts
