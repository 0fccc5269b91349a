"""Which files have stopped growing: size and dates the same in two looks that lie some time apart. Opens none."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ..store import FileState


class Settling:
    """An encode.IsReady that lets a file in once it has been the same for a while."""

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        """now: seconds, of a clock that nobody sets."""
        self._seconds, self._now = seconds, now
        self._seen: dict[Path, tuple[FileState, float, float]] = {}
        # what it was like, since when, and when somebody asked last

    def __call__(self, file: Path, state: FileState) -> bool:
        """Whether a file that is like this now was so a while ago."""
        now, seen = self._now(), self._seen.get(file)
        since = seen[1] if seen and seen[0] == state else now
        self._seen[file] = state, since, now
        return now - since >= self._seconds

    def note(self, files: Iterable[Path]) -> None:
        """Look at files that have just changed, so that their time begins now."""
        for file in files:
            try:
                self(file, FileState.of(file.stat()))
            except OSError:  # gone again
                self._seen.pop(file, None)

    def forget(self, before: float) -> None:
        """Forget files that nobody has asked for since a moment: they are known by now, or gone."""
        self._seen = {file: seen for file, seen in self._seen.items() if seen[2] >= before}
