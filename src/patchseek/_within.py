"""A time limit for what cannot be interrupted."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar, cast

T = TypeVar("T")


def within(seconds: float, function: Callable[[], T]) -> T:
    """The result of a function that may hang: it is then left behind, in a thread. Raises TimeoutError."""
    answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((True, function()))
        except BaseException as error:
            answers.put((False, error))

    Thread(target=run, daemon=True).start()
    try:
        done, answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if not done:
        raise answer
    return cast(T, answer)
