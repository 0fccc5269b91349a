"""Stores of files by URL, such as s3://, through fsspec, which only this file imports; and paths beside them.

Whatever a store's own library raises comes out as PatchseekError, or as ImageError where it is one picture's fault.
What was read to be indexed is kept in the cache folder, as what came from the web.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import SEEK_SET, RawIOBase
from pathlib import Path
from typing import Any, TypeVar

from .._addresses import is_chain, is_url, is_web, masked, without_fragment
from .._files import MAX_FILE_BYTES, open_regular
from .._within import within
from ..errors import ImageError, MissingExtra, PatchseekError
from ._causes import cause_of
from ._store_answers import require_content
from ._web_cache import Answer, open_cache
from ._web_reach import PRIVATE_HOSTS, named_hosts

FETCH_SECONDS = 60.0
"""What one picture may take to come from a URL."""
ACCOUNTS = frozenset({"abfs", "abfss", "az", "file", "gcs", "gs", "hf", "memory", "oss", "s3", "s3a"})
"""Protocols in whose URLs no host stands."""
_CHUNK = 1 << 20
T = TypeVar("T")
Dated = tuple[int, int]
"""Size in bytes, and time of change in nanoseconds since 1970; zeros for what a store does not say."""


def open_file(place: str) -> RawIOBase:
    """A file for reading, unbuffered; what goes wrong as it is read is an OSError. Raises PatchseekError."""
    with _said(place):
        if not is_url(place):
            return open_regular(place, place).detach()
        system, path = _system(place)
        return _Remote(system.open(path, "rb"), place)


class _Remote(RawIOBase):
    """A file of a store, whose library has errors of its own."""

    def __init__(self, file: Any, place: str) -> None:
        self._file, self._place = file, place

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The next byte to be read."""
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """As any file. Raises OSError."""
        return self._tried(lambda: int(self._file.seek(offset, whence)))

    def readinto(self, buffer: Any, /) -> int:
        """As any file. Raises OSError."""
        content = self._tried(lambda: self._file.read(len(buffer)))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Close the store's file too."""
        if not self.closed:
            self._file.close()
        super().close()

    def _tried(self, function: Callable[[], T]) -> T:
        try:
            return function()
        except Exception as error:
            raise OSError(cause_of(error, self._place)) from error


def state_of(place: str) -> Dated:
    """Size and time of change. Raises PatchseekError."""
    with _said(place):
        if not is_url(place):
            status = Path(place).stat()
            return status.st_size, status.st_mtime_ns
        system, path = _system(place)
        return _dated(system.info(path))


def list_folder(url: str) -> dict[str, tuple[str, Dated]]:
    """Every file below a URL, by its path relative to that: its own URL and state. Raises PatchseekError."""
    with _said(url):
        system, path = _system(url)
        # a folder that fails would else be an empty one; other stores' `find` may know no such option
        found = system.find(path, detail=True, **({"on_error": "raise"} if is_web(url) else {}))
        prefix = f"{path.rstrip('/')}/"  # of names as the store gives them; a URL may name its protocol in several ways
        return {
            name.removeprefix(prefix): (system.unstrip_protocol(name), _dated(found[name])) for name in sorted(found)
        }


def expand(pattern: str) -> list[str]:
    """The files that match a pattern with *, in sorted order. Raises PatchseekError."""
    with _said(pattern):
        if not is_url(pattern):
            whole = Path(pattern)
            folder = next(parent for parent in whole.parents if "*" not in str(parent))
            return sorted(str(found) for found in folder.glob(str(whole.relative_to(folder))))
        system, path_pattern = _system(pattern)
        return sorted(system.unstrip_protocol(name) for name in system.glob(path_pattern))


def fetch(url: str, name: str, start: int = 0, size: int | None = None) -> bytes:
    """A whole file of a store (size None) or a part of it, called `name` in errors.

    Raises ImageError for what cannot be had, is larger than a picture may be, or takes more than FETCH_SECONDS.
    """
    try:
        content = within(FETCH_SECONDS, lambda: _read(url, start, size))
    except ImageError as error:
        raise ImageError(name, error.reason, error.passing) from error
    except TimeoutError as error:
        raise ImageError(name, f"takes more than {FETCH_SECONDS:g} s to read", passing=True) from error
    except Exception as error:  # each store has a library, and each library errors of its own
        raise ImageError(name, f"cannot be read ({cause_of(error, url)})", passing=True) from error
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(name, f"more than {MAX_FILE_BYTES >> 20} MB is too large for a picture")
    if size is not None and len(content) != size:
        raise ImageError(name, f"cannot be read ({size} bytes asked for, {len(content)} given)")
    return content


def require_open(url: str) -> None:
    """Raise ImageError for a URL that may lead into a private network: what lists name is not trusted.

    Stores that are found by a name in an account lead to none; a host may, unless it was named, and a store in another.
    """
    protocol, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2].partition(":")[0]
    if is_chain(url) or (protocol.lower() not in ACCOUNTS and host.lower() not in named_hosts()):
        why = f"a store of this kind may be in a private network; to allow it, name its host in {PRIVATE_HOSTS}"
        raise ImageError(masked(url), why, passing=True)  # that is what somebody may do before the next run


def read_kept(url: str, *, anew: bool = False, may_ask: bool = True) -> bytes:
    """A picture of a store, as it was when it was last read, as far as that is kept, else as it is now.

    anew: as it is now. may_ask: whether the store may be asked. Raises ImageError.
    """
    cache = open_cache()
    known = None if anew else cache.find(url)
    content = None if known is None else cache.read(url, known)
    if content is None:
        if not may_ask:
            raise ImageError(masked(url), "is in a store, from which nothing is read here", passing=True)
        require_open(url)
        content = fetch(url, masked(url))
        cache.keep(url, Answer(hashlib.sha256(content).hexdigest(), len(content), None, None, time.time()), content)
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
        raise MissingExtra("fsspec", "stores") from error
    if is_chain(url):
        return fsspec.core.url_to_fs(url, use_listings_cache=False)  # type: ignore[no-any-return]
    protocol = url.partition("://")[0].lower()
    kind = fsspec.get_filesystem_class(protocol)
    options = kind._get_kwargs_from_urls(url)  # url_to_fs would take :: in a name for a chain
    if is_web(url):
        chosen = fsspec.config.conf.get(protocol, {}).get("client_kwargs", {})
        options["client_kwargs"] = {**chosen, "raise_for_status": require_content}
    system = fsspec.filesystem(protocol, use_listings_cache=False, **options)
    return system, kind._strip_protocol(without_fragment(url) if is_web(url) else url)


def _read(url: str, start: int, size: int | None) -> bytes:
    system, path = _system(url)
    if size is not None:
        return bytes(system.cat_file(path, start=start, end=start + size))
    content = bytearray()
    at_once = {"block_size": 0} if is_web(url) else {}  # not in parts, which some web servers do not give
    with system.open(path, "rb", **at_once) as file:
        while len(content) <= MAX_FILE_BYTES and (chunk := file.read(_CHUNK)):
            content += chunk
    return bytes(content)


def _dated(entry: dict[str, Any]) -> Dated:
    """What a store says about a file; the stores call it by different names."""
    names = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created")
    name = next((name for name in names if name in entry), "")
    changed = entry.get(name, 0)
    if isinstance(changed, str):
        try:
            changed = parsedate_to_datetime(changed) if name == "Last-Modified" else datetime.fromisoformat(changed)
        except ValueError:
            changed = 0
    seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0)
    return int(entry.get("size") or 0), int(seconds * 1e9)


@contextmanager
def _said(place: str, verb: str = "read") -> Iterator[None]:
    """Make our own error of whatever a store raises."""
    try:
        yield
    except PatchseekError:
        raise
    except Exception as error:
        raise PatchseekError(f"{masked(place)}: cannot be {verb} ({cause_of(error, place)})") from error
