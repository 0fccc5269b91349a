"""When to try again what failed: after waits that grow. And what is wrong, said once."""

import math
from collections.abc import Callable

from ..errors import PatchseekError

FIRST = 5.0
"""Seconds till the first other try."""


class Patience:
    """One thing that may fail for a while."""

    def __init__(self, what: str, longest: float, tell: Callable[[str], None], now: Callable[[], float]) -> None:
        """what: for people, in the line that says that it works again. longest: seconds. tell: hears each trouble."""
        self._what, self._longest, self._tell, self._now = what, longest, tell, now
        self._wait, self._told = 0.0, ""
        self.due = -math.inf
        # when it may be tried again, by the clock `now`

    def failed(self, why: str) -> None:
        """It did not work; that is said where it was not the same the last time."""
        self._wait = min(max(FIRST, 2 * self._wait), self._longest)
        self.due = self._now() + self._wait
        if why != self._told:
            self._told = why
            self._tell(why)

    def worked(self) -> None:
        """It did work."""
        if self._told:
            self._tell(f"{self._what}: works again")
        self._wait, self._told, self.due = 0.0, "", -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it may be tried."""
        return self._now() >= self.due

    def attempt(self, act: Callable[[], None]) -> None:
        """Try it."""
        try:
            act()
        except (PatchseekError, OSError) as error:
            self.failed(str(error))
        else:
            self.worked()
