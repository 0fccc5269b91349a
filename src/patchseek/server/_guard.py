"""Who may come in. An ASGI layer around everything: host, origin, token, size of the body, headers of the answer.

A page of another site can make a browser send requests here, and by DNS rebinding even read the answers; so the name
in the address bar (Host) must be ours, and whatever says where it comes from (Origin, Sec-Fetch-Site) must say: here.
"""

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._body import Body, TooLong
from ._settings import LOOPBACK_NAMES, ServerSettings

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_YEAR = 365 * 24 * 3600
_MOST_SESSIONS = 8
"""Of servers on one host that a browser calls by the same cookie."""
_SESSION = re.compile("[0-9a-f]{64}")


class Guard:
    """Lets through what the settings allow, and answers the rest itself."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.settings = app, settings
        self.public = urlsplit(settings.public_url) if settings.public_url else None
        self.cookie = f"patchseek-{settings.port}"  # cookies do not tell ports apart
        self.token = settings.token.encode() if settings.token else None
        # The cookie holds a hash, so that what a browser keeps is not the token itself.
        self.session = hashlib.sha256(b"patchseek session:" + self.token).hexdigest() if self.token else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no websockets here
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scope = self._without_prefix(scope)
        refusal = self._refuse(scope, headers) or self._go_into(scope) or self._ask_token(scope, headers)
        body = Body(receive, self.settings.max_upload_bytes, is_held_back="expect" in headers)
        protected = _protect(send, HEADERS, scope["path"])
        if refusal is None and body.is_too_long(headers.get("content-length", "")):
            refusal = _too_large(self.settings.max_upload_bytes)
        if refusal is not None:
            await body.drain()
            await refusal(scope, receive, protected)
            return
        has_begun = False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if body.is_over and not has_begun:
                return  # whatever the application makes of half a body, it is not what should be said
            if message.get("status", 200) >= 400:
                await body.drain()
            has_begun = True
            await protected(message)

        try:
            await self.app(scope, body.receive, answer)
        except TooLong:
            if has_begun:
                raise
        if body.is_over and not has_begun:
            await body.drain()
            await _too_large(self.settings.max_upload_bytes)(scope, receive, protected)

    def _without_prefix(self, scope: Scope) -> Scope:
        """The request as if a proxy had taken the public address's path off; "" as path where it lacks its slash."""
        prefix, path = self.settings.prefix, scope["path"]
        if not prefix or not (path == prefix or path.startswith(f"{prefix}/")):
            return scope
        path = path.removeprefix(prefix)
        return {**scope, "path": path, "raw_path": quote(path).encode()}

    def _go_into(self, scope: Scope) -> Response | None:
        """The way from the public address without a slash to the page, whose addresses are relative to it."""
        if scope["path"]:
            return None
        query = scope["query_string"].decode("latin-1")
        place = f"{quote(self.settings.prefix.rpartition('/')[2])}/" + (f"?{query}" if query else "")
        return Response(status_code=307, headers={"location": place})

    def _refuse(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """The answer to a request of another site; None for one of ours."""
        host = headers.get("host", "")
        is_check = not host and scope["path"] == "/healthz"  # of HTTP/1.0, which no browser speaks
        if not is_check and not self.allows_host(host):
            return _problem(421, f"this server does not answer to the name {host[:100]!r}; see --public-url")
        origin = headers.get("origin")
        if origin is not None and not self._allows_origin(origin, host, scope.get("scheme", "http")):
            return _problem(403, "requests from pages of other sites are refused")
        site = headers.get("sec-fetch-site", "none")
        visit = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET" and scope["path"] in ("", "/")
        if site not in ("same-origin", "none") and not visit:
            return _problem(403, "requests from pages of other sites are refused")
        return None

    def allows_host(self, host: str) -> bool:
        """Whether the Host header is a name of this server. DNS rebinding needs a name, so addresses are fine."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if self.public is not None and name == self.public.hostname:
            return True
        if self.settings.is_loopback:
            return name in LOOPBACK_NAMES or name == self.settings.host
        return name in LOOPBACK_NAMES or name in (self.settings.host, socket.gethostname().lower()) or _is_address(name)

    def _allows_origin(self, origin: str, host: str, scheme: str) -> bool:
        ours = [f"{scheme}://{host}", *([self.settings.public_url] if self.settings.public_url else [])]
        asked = _origin(origin)
        return asked is not None and asked in map(_origin, ours)

    def _ask_token(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """None for a request that shows the token, or needs none; the way in at the first visit; else 401."""
        if self.token is None:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token):
            return None
        sessions = _sessions(scope, self.cookie)
        if any(hmac.compare_digest(session.encode(), self.session.encode()) for session in sessions):
            return None
        if scope["path"] == "/" and scope["method"] == "GET":
            asked = _tokens(scope["query_string"].decode("latin-1"))
            if any(hmac.compare_digest(each.encode(), self.token) for each in asked):
                return self._welcome(sessions)
            return HTMLResponse(_door("That token is not the right one." if asked else ""), 401)
        return _problem(401, "this server needs a token", {"www-authenticate": "Bearer"})

    def _welcome(self, sessions: Iterable[str]) -> Response:
        """Set the cookie and go on. By a page of ours, since a redirect from a link elsewhere would leave it unsent.

        What the browser showed under its name stays in it: another server may listen on the same port, of a container
        or behind a proxy, and whoever signs in here is not signed out there.
        Without a path, a browser keeps a cookie for the folder that it sees in its address bar, and what is below.
        """
        answer = HTMLResponse(
            '<!doctype html><html lang="en"><title>patchseek</title><meta http-equiv="refresh" content="0;url=./">'
            '<p><a href="./">Go on</a></p></html>',
            headers={"cache-control": "no-store"},
        )
        secure = self.public is not None and self.public.scheme == "https"
        others = [each for each in dict.fromkeys(sessions) if _SESSION.fullmatch(each)][: _MOST_SESSIONS - 1]
        kept = ".".join([self.session, *others])
        answer.set_cookie(self.cookie, kept, _YEAR, path=None, httponly=True, samesite="strict", secure=secure)
        return answer


def _protect(send: Send, headers: dict[str, str], path: str) -> Send:
    """A send that adds the headers to every answer to a request of this path, and makes its redirections relative."""
    added = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            given: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
            told = [(name, _relative(value, path) if name == b"location" else value) for name, value in given]
            message = {**message, "headers": [*told, *added]}
        await send(message)

    return protected


def _relative(location: bytes, path: str) -> bytes:
    """A redirection from a path of ours to the same with a slash more or less, as seen from there.

    The framework writes whole addresses, of a scheme and path that it cannot know behind a proxy.
    """
    if b"://" not in location:
        return location
    query = location.partition(b"?")[1:]
    last = quote(path.rstrip("/").rpartition("/")[2]).encode()
    return (b"../" + last if path.endswith("/") else last + b"/") + b"".join(query)


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    """Scheme, host and port of an address; None for what is none."""
    try:
        parts = urlsplit(url.lower())
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def _sessions(scope: Scope, name: str) -> list[str]:
    """The sessions in all cookies of a name: a browser sends those of several paths together.

    Of every other cookie nothing is asked, neither a name nor an end to its quotes. A proxy may have split the header,
    or joined it with commas.
    """
    headers = [value.decode("latin-1") for key, value in scope["headers"] if key == b"cookie"]
    pairs = (pair.partition("=") for header in headers for pair in re.split("[;,]", header))
    return [each for key, _, value in pairs if key.strip() == name for each in value.strip(' \t"').split(".")]


def _tokens(query: str) -> list[str]:
    """What an address may mean by token: as a form sends it, and as somebody types it who does not encode a plus."""
    typed = query.partition("token=")[2]
    return [each.strip() for each in (*parse_qs(query).get("token", ()), unquote(typed), typed) if each.strip()]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)


def _too_large(limit: int) -> Response:
    # What is left of the body is not read, so the connection cannot be used again.
    return _problem(
        413, f"more than {limit / 2**20:.0f} MB were sent; the owner set this limit", {"connection": "close"}
    )


def _door(remark: str) -> str:
    """The page that asks for the token. `remark` is one of our own sentences."""
    return (
        '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>patchseek</title>'
        f"<h1>patchseek</h1><p>{remark} Open the whole address that the server printed at its start, or give its token:"
        '</p><form action="./" method="get">'
        '<label>Token <input name="token" type="password" autocomplete="off"></label>'
        " <button>Enter</button></form></html>"
    )
