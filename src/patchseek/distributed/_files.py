"""Files wherever they lie: paths of this machine, and URLs through fsspec, which only this file imports.

Whatever a store's own library raises comes out as PatchseekError, or as ImageError where it is one picture's fault.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import RawIOBase
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar, cast

from .._files import open_regular
from ..encode import MAX_FILE_BYTES, read_file
from ..errors import ImageError, MissingExtra, PatchseekError
from ..store import FileState

FETCH_SECONDS = 60.0
"""What one picture may take to come from a URL."""
_CHUNK = 1 << 20
T = TypeVar("T")


def is_url(place: str) -> bool:
    """Whether a place is a URL rather than a path."""
    return "://" in place


def open_file(place: str) -> RawIOBase:
    """A file for reading, unbuffered. Raises PatchseekError."""
    with _said(place):
        if not is_url(place):
            return open_regular(place, place).detach()
        system, path = _system(place)
        return cast(RawIOBase, system.open(path, "rb"))


def state_of(place: str) -> FileState:
    """Size and time of change; zeros for what the store does not say. Raises PatchseekError."""
    with _said(place):
        if not is_url(place):
            return FileState.of(Path(place).stat())
        system, path = _system(place)
        return _state(system.info(path))


def list_folder(url: str) -> dict[str, tuple[str, FileState]]:
    """Every file below a URL, by its path relative to that: its own URL and state. Raises PatchseekError."""
    with _said(url):
        system, path = _system(url)
        found = system.find(path, detail=True)
        prefix = f"{path.rstrip('/')}/"  # of names as the store gives them; a URL may name its protocol in several ways
        return {
            name.removeprefix(prefix): (system.unstrip_protocol(name), _state(found[name])) for name in sorted(found)
        }


def expand(pattern: str) -> list[str]:
    """The files that match a pattern with *, in sorted order. Raises PatchseekError."""
    with _said(pattern):
        if not is_url(pattern):
            path = Path(pattern)
            return sorted(str(found) for found in path.parent.glob(path.name))
        system, path_pattern = _system(pattern)
        return sorted(system.unstrip_protocol(name) for name in system.glob(path_pattern))


def fetch(place: str, name: str, start: int, size: int | None, state: FileState) -> bytes:
    """A whole file (size None) or a part of it, called `name` in errors.

    Raises ImageError for what cannot be had, is larger than a picture may be, or takes more than FETCH_SECONDS.
    """
    if size is None and not is_url(place):
        return read_file(Path(place), name, state.size)
    try:
        content = _within(FETCH_SECONDS, lambda: _read(place, start, size))
    except ImageError as error:
        raise ImageError(name, error.reason, error.passing) from error
    except TimeoutError as error:
        raise ImageError(name, f"takes more than {FETCH_SECONDS:g} s to read", passing=True) from error
    except Exception as error:  # each store has a library, and each library errors of its own
        raise ImageError(name, f"cannot be read ({_line(error)})", passing=True) from error
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(name, f"more than {MAX_FILE_BYTES >> 20} MB is too large for a picture")
    if size is not None and len(content) != size:
        raise ImageError(name, f"cannot be read ({size} bytes asked for, {len(content)} given)")
    return content


def read_url(url: str) -> bytes:
    """The content of a file of our own. Raises PatchseekError, FileNotFoundError."""
    with _said(url):
        system, path = _system(url)
        return bytes(system.cat_file(path))


def write_url(url: str, content: bytes) -> None:
    """Write a whole file. Raises PatchseekError."""
    with _said(url, "written"):
        system, path = _system(url)
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, content)


def remove_url(url: str) -> None:
    """Remove a file that may be there. Raises PatchseekError."""
    with _said(url, "removed"):
        system, path = _system(url)
        if system.exists(path):
            system.rm_file(path)


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises ImportError where its library is missing."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("fsspec", "ray") from error
    return fsspec.core.url_to_fs(url, use_listings_cache=False)  # type: ignore[no-any-return]


def _read(place: str, start: int, size: int | None) -> bytes:
    if not is_url(place):
        with open_regular(place, place) as file:
            file.seek(start)
            return file.read(-1 if size is None else size)
    system, path = _system(place)
    if size is not None:
        return bytes(system.cat_file(path, start=start, end=start + size))
    content = bytearray()
    with system.open(path, "rb") as file:
        while len(content) <= MAX_FILE_BYTES and (chunk := file.read(_CHUNK)):
            content += chunk
    return bytes(content)


def _within(seconds: float, function: Callable[[], T]) -> T:
    """The result of a function that may hang: it is then left behind. Raises TimeoutError."""
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


def _state(entry: dict[str, Any]) -> FileState:
    """Size and time of change from what a store says about a file; the stores call it by different names."""
    changed = next(
        (entry[k] for k in ("mtime", "LastModified", "last_modified", "updated", "created") if k in entry), 0
    )
    if isinstance(changed, str):
        try:
            changed = datetime.fromisoformat(changed)
        except ValueError:
            changed = 0
    seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0)
    return FileState(int(entry.get("size") or 0), int(seconds * 1e9))


@contextmanager
def _said(place: str, verb: str = "read") -> Iterator[None]:
    """Make our own error of whatever a store raises."""
    try:
        yield
    except PatchseekError:
        raise
    except Exception as error:
        raise PatchseekError(f"{place}: cannot be {verb} ({_line(error)})") from error


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
