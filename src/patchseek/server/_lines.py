"""One answer in several lines, for who asks for it: first what is known at once, then progress, at last the answer.

A line is a JSON object (https://github.com/ndjson/ndjson-spec), one of
    {"answer": {...}, "is_final": false}    the answer so far: another one follows, maybe of other pictures
    {"progress": {"doing": "refining boxes", "done": 12, "total": 20}}
    {"answer": {...}, "is_final": true}    the last line
    {"problem": {"status": 422, "detail": "..."}}    the last line, in place of an answer
What goes wrong before the first line has its own status, as if it had been asked for in one piece.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from .._progress import OnProgress

KIND = "application/x-ndjson"
Page = dict[str, Any]
OnPage = Callable[[Page], None]
"""Is told of the answer so far."""
Work = Callable[[OnProgress, OnPage], Page]
"""Computes an answer in a thread."""


class Lines(StreamingResponse):
    """JSON Lines."""

    media_type = KIND


def wants_lines(request: Request) -> bool:
    """Whether the client asks for an answer in lines."""
    return KIND in request.headers.get("accept", "")


async def in_lines(
    run: Callable[[Callable[[], Page]], Awaitable[Page]],
    work: Work,
    problem_of: Callable[[Exception], Page],
    at_once: Callable[[], Awaitable[Page]] | None = None,
) -> Lines:
    """The answer that work computes, as it becomes known. Raises what it raises before anything is known.

    run: runs it in a thread, and stops it when it is cancelled itself. problem_of: {"status", "detail"} of what it
    raises later. at_once: what is known without work, where that has to wait; what it raises is left to work to say.
    """
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[Page | None]()

    def tell(line: Page | None) -> None:
        loop.call_soon_threadsafe(lines.put_nowait, line)

    def on_progress(done: int, total: int, doing: str) -> None:
        tell({"progress": {"doing": doing, "done": done, "total": total}})

    def on_page(page: Page) -> None:
        tell({"answer": page, "is_final": False})

    working = asyncio.ensure_future(run(lambda: work(on_progress, on_page)))
    working.add_done_callback(lambda _: lines.put_nowait(None))
    if at_once is not None:
        sooner = asyncio.ensure_future(at_once())
        sooner.add_done_callback(lambda ended: on_page(ended.result()) if _has_answer(ended) else None)
        working.add_done_callback(lambda _: sooner.cancel())
    try:
        while (first := await lines.get()) is not None and "progress" in first:
            pass
    except asyncio.CancelledError:
        working.cancel()
        raise
    if first is None:
        working.result()  # raises what it raised

    async def told() -> AsyncIterator[bytes]:
        line = first
        try:
            while line is not None:
                yield _line(line)
                line = await lines.get()
            yield _line(_last(working, problem_of))
        finally:
            working.cancel()

    return Lines(told(), headers={"cache-control": "no-store", "x-accel-buffering": "no"})


def _has_answer(ended: "asyncio.Future[Page]") -> bool:
    return not ended.cancelled() and ended.exception() is None


def _last(working: "asyncio.Future[Page]", problem_of: Callable[[Exception], Page]) -> Page:
    try:
        return {"answer": working.result(), "is_final": True}
    except Exception as error:  # the line says it: the status has been sent
        return {"problem": problem_of(error)}


def _line(line: Page) -> bytes:
    return json.dumps(line).encode() + b"\n"
