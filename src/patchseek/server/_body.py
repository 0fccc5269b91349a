"""The body of a request while it comes in: counted, and thrown away where nobody reads it. Knows no route."""

from starlette.types import Message, Receive


class TooLong(Exception):
    """More body than allowed."""


class Body:
    """Counts the body while it streams in. is_held_back: until somebody wants it (Expect: 100-continue)."""

    def __init__(self, receive: Receive, limit: int, *, is_held_back: bool) -> None:
        self._receive, self._limit, self._n_bytes = receive, limit, 0
        self.is_over = False
        self._is_more, self._is_held_back = True, is_held_back

    def is_too_long(self, declared: str) -> bool:
        """Whether the Content-Length alone is too much."""
        return declared.isdecimal() and int(declared[:20]) > self._limit

    async def receive(self) -> Message:
        """The next message. Raises TooLong."""
        self._is_held_back = False
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        self._is_more = bool(message.get("more_body", False))
        if self._n_bytes > self._limit:
            self.is_over = True
            raise TooLong
        return message

    async def drain(self) -> None:
        """Throw away what is still coming, up to the limit once more: who is cut off while sending hears no answer."""
        n_bytes = 0
        while self._is_more and not self._is_held_back and n_bytes < self._limit:
            message = await self._receive()
            n_bytes += len(message.get("body", b""))
            self._is_more = bool(message.get("more_body", False))
