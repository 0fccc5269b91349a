"""What a client sends and hears as bytes: a field of a form, a refusal, the events of a job. Opens no connection."""

import json
import urllib.error
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._files import open_regular
from .._progress import OnProgress
from ..errors import ImageError
from ._target import ServerError

_LINE = b"\r\n"


def part(boundary: str, name: str, value: str | Path | bytes) -> bytes:
    """One field of a form (RFC 7578): a text, or the content of a file; of one without a name, which is called -."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if isinstance(value, str):
        return f"{head}\r\n\r\n{value}\r\n".encode()
    if isinstance(value, bytes):
        return f'{head}; filename="-"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode() + value + _LINE
    try:
        with open_regular(value, value) as file:
            content = file.read()
    except OSError as error:
        raise ServerError(f"{value}: cannot be read ({error.strerror})") from error
    except ImageError as error:
        raise ServerError(str(error)) from error
    shown = value.name.encode("utf-8", "replace").decode().replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'{head}; filename="{shown}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode() + content + _LINE


def detail(error: urllib.error.HTTPError) -> str:
    """The server's sentence; the status where it sent none; where it leads to, for a redirection."""
    place = error.headers.get("Location")
    if 300 <= error.code < 400 and place is not None:
        return f"leads on to {place[:300]!a} ({error.code}), where nothing was sent; name that address if it is meant"
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"


def retry_after(error: urllib.error.HTTPError) -> int:
    """Seconds until a busy server wants to be asked again, a minute at most; one where it does not say."""
    said = error.headers.get("Retry-After") or ""
    return min(60, int(said)) if said.isascii() and said.isdecimal() and len(said) < 9 else 1


def last_of(lines: Iterable[bytes], on_progress: OnProgress | None) -> dict[str, Any]:
    """The last state of a job, of its server-sent events; the others are told. Raises ValueError."""
    kind = ""
    for line in lines:
        field, _, value = line.decode().strip().partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            job: dict[str, Any] = json.loads(value)
            if kind == "end":
                return job
            if on_progress:
                on_progress(job["done"], job["total"], job["doing"])
    raise ValueError("the answer broke off")
