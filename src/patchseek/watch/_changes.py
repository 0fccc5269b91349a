"""The one file that imports watchfiles: what changes below a folder, as the system tells it."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import MissingExtra
from ..sources import is_archive, may_be_added, suffix_of

_STEP = 250
# milliseconds between two looks at what the system has told
_QUIET = 500
# milliseconds after which it is clear that the system would tell


class Changes:
    """Pictures and folders that come, change and go below a folder. Of what is told of others, and in `but`, nothing.

    Where the system tells nothing (a network drive, too many folders), nothing is heard, and why is said once.
    """

    def __init__(self, folder: Path, but: Path, tell: Callable[[str], None]) -> None:
        """folder: resolved. but: a folder whose files are none of ours. tell: hears why nothing can be heard."""
        self._folder, self._but, self._tell = folder, but, tell
        self._heard: queue.SimpleQueue[set[Path] | str] = queue.SimpleQueue()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._heard_of: tuple[int, int] | None = None
        # device and inode of the folder that is listened to
        self._told = ""

    def __enter__(self) -> "Changes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def listen(self) -> None:
        """From now on, changes are heard. Begins anew where another folder has come to this place."""
        there = self._identity()
        if there is None or (there == self._heard_of and self._thread and self._thread.is_alive()):
            return
        self._end()
        try:
            watch = _library()
        except MissingExtra as error:
            self._say(str(error))
            return
        self._heard_of, stop, begun = there, threading.Event(), threading.Event()

        def hear() -> None:
            try:
                for changes in watch(
                    self._folder,
                    watch_filter=None,
                    step=_STEP,
                    rust_timeout=_QUIET,
                    yield_on_timeout=True,
                    stop_event=stop,
                    raise_interrupt=False,
                    ignore_permission_denied=True,
                ):
                    begun.set()
                    if found := {Path(path) for _, path in changes if self._is_ours(path)}:
                        self._heard.put(found)
            except Exception as error:  # whatever it is that the system refuses: there are other ways to look
                self._heard.put(f"{self._folder}: the system does not tell what changes ({error})")
            finally:
                begun.set()

        self._stop, self._thread = stop, threading.Thread(target=hear, daemon=True, name="changes")
        self._thread.start()
        begun.wait()

    def wait(self, seconds: float) -> set[Path]:
        """What has changed, as soon as something has, or nothing after so many seconds."""
        try:
            found = self._heard.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return set()
        if isinstance(found, str):
            self._say(found)
            return set()
        return found

    def _say(self, why: str) -> None:
        if why != self._told:
            self._told = why
            self._tell(why)

    def _is_ours(self, path: str) -> bool:
        """Whether a change may be of a picture, or of a folder of pictures."""
        if Path(path).is_relative_to(self._but):
            return False
        inside = Path(path).relative_to(self._folder).parts
        if any(part.startswith(".") for part in inside):
            return False
        return may_be_added(path) or is_archive(path) or not suffix_of(path) or Path(path).is_dir()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._folder.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _end(self) -> None:
        if self._stop and self._thread:
            self._stop.set()
            self._thread.join()
            self._stop = self._thread = None


def _library() -> Any:
    """Raises MissingExtra."""
    try:
        from watchfiles import watch
    except ImportError as error:
        raise MissingExtra("watchfiles", "watch") from error
    return watch
