"""Who waits for an answer, and whether still. Work that nobody waits for is dropped where it waits or stops."""

from starlette.requests import Request


class Gone(Exception):
    """Whoever asked has gone: there is nobody to answer."""


class Asker:
    """The other end of a request's connection."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self.has_gone = False

    def require(self) -> None:
        """Raise Gone where nobody waits any more. For work in any thread, between one picture and the next."""
        if self.has_gone:
            raise Gone

    async def leaves(self) -> None:
        """Return when the connection is closed. What still comes of a body is thrown away: its route has read it."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
