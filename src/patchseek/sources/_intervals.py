"""How often a film is looked at, see `_films.pick`, and which of the times that were said holds for it. Opens nothing.

What is said of a folder holds for all films below it; what is said of a folder or film inside holds there instead.
"""

from collections.abc import Mapping

from ..errors import PatchseekError

EVERY = 2.0
"""Seconds for which a shot of a film that goes on is not looked at again, where nothing was said."""
LEAST_EVERY, MOST_EVERY = 0.1, 3600.0
"""What can be said."""

Intervals = Mapping[str, float]
"""Seconds by what they were said of: "" for all, "sub/" for a folder, "sub/tape.mp4" for a film."""


def require_interval(every: float | None) -> None:
    """Raise PatchseekError for seconds in which films cannot be looked at; 0 and None say nothing."""
    if every and not LEAST_EVERY <= every <= MOST_EVERY:  # as of what is no number
        raise PatchseekError(
            f"every {every:g} s: films are looked at every {LEAST_EVERY:g} s to every {MOST_EVERY:g} s"
        )


def interval_of(said: Intervals, path: str) -> float:
    """The seconds that hold for a film; a path in the catalogue, without a time."""
    nearest = max((of for of in said if _is_of(of, path)), key=len, default=None)
    return EVERY if nearest is None else said[nearest]


def say_interval(said: Intervals, of: str, every: float) -> dict[str, float]:
    """The intervals, where one is said of a folder or film from now on, instead of all that was said of it or below.

    every: 0 says it no longer.
    """
    rest = {each: seconds for each, seconds in said.items() if not _is_of(of, each)}
    return rest | {of: every} if every else rest


def _is_of(of: str, path: str) -> bool:
    return not of or path == of or (of.endswith("/") and path.startswith(of))
