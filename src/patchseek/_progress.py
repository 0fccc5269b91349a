"""What long work tells of itself while it goes on. Prints nothing."""

from collections.abc import Callable

OnProgress = Callable[[int, int, str], None]
"""Called with (things done, things to do, what is being done), first as that begins, then after each thing.

Things to do are 0 where nobody knows how many they are, or where there is nothing to count.
"""


def unheard(_done: int, _total: int, _doing: str) -> None:
    """An OnProgress that nobody listens to."""
