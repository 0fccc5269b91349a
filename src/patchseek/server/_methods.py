"""Methods, wherever a path is answered: HEAD is GET without its body, and a refusal names what is allowed."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASKED_AS = "patchseek.asked_as"
"""In the scope of a request: its method, where that is not the one that it is answered by."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class HeadAsGet:
    """An ASGI layer that answers HEAD as GET is answered, with the same status and headers (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":  # and at once its end: a stream may go on for hours
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app({**scope, "method": "GET", ASKED_AS: "HEAD"}, receive, head)


def allowed(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """The methods of a path, of whichever route each is, for the header Allow; "" where none is found."""
    tried = ({**scope, "method": method} for method in _METHODS)
    found = [each["method"] for each in tried if any(route.matches(each)[0] is Match.FULL for route in routes)]
    return ", ".join([*found, *(["HEAD"] if "GET" in found else [])])
