"""Why something cannot be had from a URL, in one clause: a status, or what the network said. Knows no store's library.

Those who raise wrap one error in another: fsspec says that a file is not found whatever a server answered. So the
causes are gone through, and what says most of it counts. No address is repeated: whoever asked has it.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

from .._addresses import is_web, masked

_URLS = re.compile(r"(?:,? ?url=)?['\"(<]*\b[a-z][\w+.-]*://[^\s'\">)]+['\")>]*", re.IGNORECASE)


def cause_of(error: BaseException, place: str = "") -> str:
    """The clause. place: what was asked for, since of a web server "not found" is its 404."""
    chain = list(_chain(error))
    for each in chain:
        text = _status(each) or _network(each)
        if text:
            return text
    last = next((each for each in chain if not isinstance(each, FileNotFoundError)), None)
    if last is None and is_web(place):
        return "HTTP 404 Not Found"
    last = last or error
    if isinstance(last, OSError) and (last.strerror or isinstance(last, FileNotFoundError)):
        return last.strerror or os.strerror(errno.ENOENT)
    text = " ".join(_URLS.sub("", masked(str(last))).split()).strip(" :,")
    return (text or type(last).__name__)[:200]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was made of."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        own = [getattr(each, name, None) for name in ("certificate_error", "os_error")]
        waiting += [*own, *each.args, each.__cause__, each.__context__]


def _status(error: BaseException) -> str | None:
    """What a web server answered, or that its answer could not be made out: for that, the library makes up a 400."""
    name = type(error).__name__
    if "Redirects" in name:
        return "redirected again and again"
    if "Redirect" in name:
        return "redirected to what is no web address"
    if "InvalidUrl" in name:
        return "no web address"
    if any(kind.__name__ == "HttpProcessingError" for each in _wrapped(error) for kind in type(each).__mro__):
        return "the answer breaks off, or is not HTTP as it should be"
    status = getattr(error, "status", None)
    if not isinstance(status, int) or not 200 < status < 1000:  # some servers have numbers of their own
        return None
    text = status_words(status)
    after = (getattr(error, "headers", None) or {}).get("Retry-After")
    return f"{text}, to be tried again after {_when(str(after))}" if after else text


def status_words(status: int) -> str:
    """A status as people know it: HTTP 404 Not Found."""
    words = next((known.phrase for known in HTTPStatus if known == status), "")
    return f"HTTP {status} {words}".strip()


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """An error and the one that it was made of."""
    yield error
    if error.__cause__ is not None:
        yield error.__cause__


def _when(after: str) -> str:
    """A Retry-After, which is a number of seconds or a date."""
    said = "".join(c for c in after if c.isprintable())[:40].strip()
    return f"{said} s" if said.isdecimal() else said


def _network(error: BaseException) -> str | None:
    """What went wrong on the way to a server."""
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None)
        return f"no secure connection: {said.replace('_', ' ').lower()}" if said else None
    if isinstance(error, socket.gaierror) or "DNS" in type(error).__name__:
        return "no such host is known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno).lower()
    return None
