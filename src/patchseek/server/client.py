"""Ask a patchseek server, with nothing but the standard library: `Client("http://127.0.0.1:8765").search("photo.jpg")`."""

import json
import logging
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._files import open_regular
from .._home import expanded
from .._progress import OnProgress
from ..errors import ImageError, PatchseekError
from ._settings import is_loopback

_log = logging.getLogger(__name__)

_LINE = b"\r\n"
LINES = "application/x-ndjson"
"""An answer that is told in lines, as it becomes known."""
OnAnswer = Callable[[dict[str, Any]], None]
Option = str | int | Sequence[str]
"""A field of a search; several values are sent one after another."""


class ServerError(PatchseekError):
    """A server that cannot be reached, or refuses. status: of its answer, None where there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class _Staying(urllib.request.HTTPRedirectHandler):
    """Is led nowhere: token and picture are for the server that was named."""

    def redirect_request(self, *_: Any) -> None:
        """None, which makes an HTTPError of every redirection."""


class Client:
    """A server at an address. Every call is one request, to that address and no other.

    Errors are ServerError with the server's own words. A proxy that the environment names (http_proxy, https_proxy) is
    used, but not to reach this machine itself.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        """url: may be the whole address that the server printed, with its token. token: goes before that one."""
        parts = _address(url)
        self.url, self.timeout = f"{parts.scheme}://{parts.netloc}{_quoted(parts.path)}", timeout
        self.token = _checked(token or _token_in(parts.query))
        is_near = is_loopback(parts.hostname or "")
        if self.token and parts.scheme == "http" and not is_near:
            _log.warning(
                "%s: the token travels unencrypted, and whoever is between can read it; use https://", self.url
            )
        self._opener = urllib.request.build_opener(_Staying, *([urllib.request.ProxyHandler({})] if is_near else []))

    def search(
        self,
        query: str | Path | int | bytes,
        *,
        box: Sequence[float] | None = None,
        top: int = 10,
        on_answer: OnAnswer | None = None,
        on_progress: OnProgress | None = None,
        **options: Option,
    ) -> dict[str, Any]:
        """{"query", "collection", "results"} for a picture: a file, its bytes, or the number of one of the collection.

        box: x y w h in pixels of the upright picture, or shares. options: other fields of POST /api/search.
        on_answer: told of the answer so far, before boxes are refined; the last one may name other pictures in another
        order. on_progress: told of what the server does: how many of how many (0: unknown) are done, and of what.
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
        if on_answer is None and on_progress is None:
            answer: dict[str, Any] = self._ask("/api/search", fields)
            return answer
        last: dict[str, Any] = self._ask(
            "/api/search", fields, kind=LINES, read=lambda lines: self._last(lines, on_answer, on_progress)
        )
        return last

    def _last(self, lines: Any, on_answer: OnAnswer | None, on_progress: OnProgress | None) -> dict[str, Any]:
        """The answer at the end of lines, others of which are told. A server of before has one line, the answer."""
        for line in map(json.loads, lines):
            if "problem" in line:
                raise ServerError(f"{self.url}: {line['problem']['detail']}", line["problem"]["status"])
            if "progress" in line and on_progress:
                on_progress(line["progress"]["done"], line["progress"]["total"], line["progress"]["doing"])
            elif line.get("is_final", "results" in line):
                answer: dict[str, Any] = line.get("answer", line)
                return answer
            elif "answer" in line and on_answer:
                on_answer(line["answer"])
        raise ValueError("the answer broke off")

    def collection(self) -> dict[str, Any]:
        """What the server's collection is and what it offers."""
        answer: dict[str, Any] = self._ask("/api/collection")
        return answer

    def judge(self, query_key: str, image_id: int, verdict: str | None, box: Sequence[float]) -> dict[str, Any]:
        """Say whether what was looked for is at a place of a picture: "yes", "no" or "unsure"; None takes it back.

        query_key: of a search's answer. box: x y w h in pixels of the upright picture. Returns what is kept now.
        """
        said = {"query_key": query_key, "image_id": image_id, "verdict": verdict, "box": list(box)}
        kept: dict[str, Any] = self._ask("/api/judgements", said=said)
        return kept

    def judgements(self, query_key: str, *, history: bool = False) -> list[dict[str, Any]]:
        """What stands of what was said of a query's finds; with the history all that was ever said."""
        asked = urllib.parse.urlencode({"query_key": query_key, "history": str(history).lower()})
        found: list[dict[str, Any]] = self._ask(f"/api/judgements?{asked}")["judgements"]
        return found

    def _ask(
        self,
        path: str,
        fields: Sequence[tuple[str, str | Path | bytes]] = (),
        kind: str = "application/json",
        read: Callable[[Any], Any] = json.load,
        said: dict[str, Any] | None = None,
    ) -> Any:
        """said: is sent as it is, to be kept."""
        headers = {"Accept": kind}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body, method = None, None
        if said is not None:
            headers["Content-Type"] = "application/json"
            body, method = json.dumps(said).encode(), "PUT"
        elif fields:
            boundary = secrets.token_hex(16)
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            body = b"".join(_part(boundary, name, value) for name, value in fields) + f"--{boundary}--\r\n".encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                return read(answer)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise ServerError(f"{self.url}: {_detail(error)}", error.code) from error
        except (OSError, ValueError) as error:
            raise ServerError(f"{self.url}: no answer ({getattr(error, 'reason', error)})") from error


def _address(url: str) -> urllib.parse.SplitResult:
    """The parts of a server's address. Raises ServerError, which repeats no token and no password."""
    shown = url.partition("#")[0].partition("?")[0]
    if not url.startswith(("http://", "https://")):
        raise ServerError(f"{shown.rpartition('@')[2]!r}: the address of a server begins with http:// or https://")
    try:
        parts = urllib.parse.urlsplit(url)
        is_fine = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_fine = urllib.parse.urlsplit(""), False
    if "@" in shown.split("/")[2]:
        raise ServerError("the address of a server takes no user and no password; its token stands behind ?token=")
    if not is_fine or not shown.isprintable() or " " in shown:
        raise ServerError(
            f"{shown!r}: the address of a server is http://HOST or https://HOST, with a port or a path or not"
        )
    return parts


def _quoted(path: str) -> str:
    """A path as it is sent, without a slash at its end; letters of any kind may be given."""
    return urllib.parse.quote(path.rstrip("/"), safe="/%:@!$&'()*+,;=~")


def _token_in(query: str) -> str | None:
    """The token of a printed address. A plus is a plus: no address of ours holds it for a space."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return next((urllib.parse.unquote(value) for name, _, value in pairs if name == "token"), None)


def _checked(token: str | None) -> str | None:
    """The token without what a file or a shell left around it. Raises ServerError, which does not repeat it."""
    token = (token or "").strip()
    if not (token.isascii() and token.isprintable()):
        raise ServerError("the token holds letters that no server takes: it is plain ASCII in one line")
    return token or None


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
    """The server's sentence; the status where it sent none; where it leads to, for a redirection."""
    place = error.headers.get("Location")
    if 300 <= error.code < 400 and place is not None:
        return f"leads on to {place[:300]!a} ({error.code}), where nothing was sent; name that address if it is meant"
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"
