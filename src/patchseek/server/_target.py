"""The address of a server as people give it: scheme, host, path, and maybe its token. Asks nobody."""

import urllib.parse

from ..errors import PatchseekError


class ServerError(PatchseekError):
    """A server that cannot be reached, or refuses. status: of its answer, None where there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def address(url: str) -> urllib.parse.SplitResult:
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


def quoted(path: str) -> str:
    """A path as it is sent, without a slash at its end; letters of any kind may be given."""
    return urllib.parse.quote(path.rstrip("/"), safe="/%:@!$&'()*+,;=~")


def token_in(query: str) -> str | None:
    """The token of a printed address. A plus is a plus: no address of ours holds it for a space."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return next((urllib.parse.unquote(value) for name, _, value in pairs if name == "token"), None)


def checked(token: str | None) -> str | None:
    """The token without what a file or a shell left around it. Raises ServerError, which does not repeat it."""
    token = (token or "").strip()
    if not (token.isascii() and token.isprintable()):
        raise ServerError("the token holds letters that no server takes: it is plain ASCII in one line")
    return token or None
