"""Ask a patchseek server, with nothing but the standard library: `Client("http://127.0.0.1:8765").search("photo.jpg")`."""

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._files import open_regular
from .._home import expanded
from ..errors import ImageError, PatchseekError

_LINE = b"\r\n"
Option = str | int | Sequence[str]
"""A field of a search; several values are sent one after another."""


class ServerError(PatchseekError):
    """A server that cannot be reached, or refuses. status: of its answer, None where there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """A server at an address. Every call is one request; errors are ServerError with the server's own words."""

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ServerError(f"{url!r}: the address of a server begins with http:// or https://")
        self.url, _, query = url.partition("?")  # the whole address that the server printed may be given
        self.url, self.timeout = self.url.rstrip("/"), timeout
        self.token = token or next(iter(urllib.parse.parse_qs(query).get("token", ())), None)

    def search(
        self, query: str | Path | int | bytes, *, box: Sequence[float] | None = None, top: int = 10, **options: Option
    ) -> dict[str, Any]:
        """{"query", "collection", "results"} for a picture: a file, its bytes, or the number of one of the collection.

        box: x y w h in pixels of the upright picture, or shares. options: other fields of POST /api/search.
        """
        fields: list[tuple[str, str | Path | bytes]] = [("top", str(top))]
        for name, value in options.items():
            fields += [(name, str(each)) for each in ([value] if isinstance(value, str | int) else value)]
        if box is not None:
            fields.append(("box", ",".join(f"{number:.10g}" for number in box)))
        if isinstance(query, int):
            fields.append(("image_id", str(query)))
        else:
            fields.append(("image", query if isinstance(query, bytes) else expanded(query)))
        answer: dict[str, Any] = self._ask("/api/search", fields)
        return answer

    def collection(self) -> dict[str, Any]:
        """What the server's collection is and what it offers."""
        answer: dict[str, Any] = self._ask("/api/collection")
        return answer

    def _ask(self, path: str, fields: Sequence[tuple[str, str | Path | bytes]] = ()) -> Any:
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None
        if fields:
            boundary = secrets.token_hex(16)
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            body = b"".join(_part(boundary, name, value) for name, value in fields) + f"--{boundary}--\r\n".encode()
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ServerError(f"{self.url}: {_detail(error)}", error.code) from error
        except (OSError, ValueError) as error:
            raise ServerError(f"{self.url}: no answer ({getattr(error, 'reason', error)})") from error


def _part(boundary: str, name: str, value: str | Path | bytes) -> bytes:
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


def _detail(error: urllib.error.HTTPError) -> str:
    """The server's sentence; the status where it sent none."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"
