"""The web: pictures by their addresses, asked for politely, within bounds, and kept. No other file imports urllib3.

A host is asked for two pictures at a time and left alone when it says so. What was fetched is in the cache folder; an
address is asked again after a day, and then whether anything changed (ETag, Last-Modified).
"""

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urljoin

from .._addresses import is_web, masked, without_fragment
from .._within import within
from ..errors import ImageError, MissingExtra
from ._causes import cause_of, status_words
from ._web_cache import Answer, Cache, open_cache
from ._web_hosts import AT_ONCE, Hosts, seconds_of
from ._web_reach import reach

MOST_BYTES = 128 << 20
"""Larger answers are no pictures."""
SECONDS = 60.0
"""What one answer may take to come, waiting for one's turn apart."""
DAY = 86_400.0
MOST_REDIRECTS = 5
TRIES = 3
"""How often a server is asked that fails, or asks for patience."""
_SILENT = 20.0  # seconds without a byte
_MOVED = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)  # and all from 500 on


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    content: bytes


class Web:
    """Addresses in, bytes out. Used by several threads."""

    def __init__(self, cache: Cache) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise MissingExtra("urllib3", "urls") from error
        self._cache, self._hosts, self._library = cache, Hosts(), urllib3
        self._pools = urllib3.PoolManager(num_pools=32, maxsize=AT_ONCE, block=False)

    def look(self, url: str, *, max_age: float = DAY) -> tuple[Answer, bytes | None]:
        """What a server has, as it was at most max_age seconds ago; with its bytes where they had to come.

        Raises ImageError.
        """
        known = self._cache.find(url)
        if known is not None and time.time() - known.fetched < max_age:
            return known, None
        return self._ask(url, known)

    def get(self, url: str, *, max_age: float = DAY) -> bytes:
        """The bytes that it has, asked for as look does. Raises ImageError."""
        _, content = self.look(url, max_age=max_age)
        return self.read(url) if content is None else content

    def fresh(self, urls: Iterable[str], max_age: float = DAY) -> frozenset[str]:
        """Those of some addresses whose answers are not older."""
        return self._cache.since(time.time() - max_age) & frozenset(urls)

    def read(self, url: str, *, may_ask: bool = True) -> bytes:
        """The bytes that an address had when it was last looked at, as far as they are kept, else that it has now.

        may_ask: whether a server may be asked. Raises ImageError.
        """
        known = self._cache.find(url)
        content = None if known is None else self._cache.read(url, known)
        if content is None:
            if not may_ask:
                raise ImageError(masked(url), "is on the web, from which nothing is fetched here", passing=True)
            content = self._ask(url, None)[1]
        assert content is not None, "an answer to what was asked without a condition"
        return content

    def _ask(self, url: str, known: Answer | None) -> tuple[Answer, bytes | None]:
        """Ask a server: for all of it, or where something is known, for what is other than that."""
        asked = {"If-None-Match": known and known.etag, "If-Modified-Since": known and known.modified}
        reply = self._patiently(url, {name: value for name, value in asked.items() if value})
        if reply.status == 304 and known is not None:
            answer, content = replace(known, fetched=time.time()), None
        elif reply.status == 200:
            content, said = reply.content, reply.headers
            sha256 = hashlib.sha256(content).hexdigest()
            answer = Answer(sha256, len(content), said.get("ETag"), said.get("Last-Modified"), time.time())
        else:
            raise _refused(url, reply.status)
        self._cache.keep(url, answer, content)
        return answer, content

    def _patiently(self, url: str, headers: Mapping[str, str]) -> _Reply:
        """An answer, asked for again where a server fails or asks for patience."""
        for pause in [2.0**n for n in range(TRIES - 1)]:
            try:
                reply = self._follow(url, headers)
            except ImageError as error:
                if not error.passing or not isinstance(error.__cause__, self._library.exceptions.HTTPError):
                    raise
                time.sleep(pause)
                continue
            if reply.status != 429 and reply.status < 500:
                return reply
            if reply.status not in (429, 503):
                time.sleep(pause)
        return self._follow(url, headers)

    def _follow(self, url: str, headers: Mapping[str, str]) -> _Reply:
        """An answer, from where a server leads. Each step is looked at like the first."""
        at = without_fragment(url)
        for _ in range(MOST_REDIRECTS + 1):
            reply = self._one(at, headers, label=masked(url))
            target = reply.headers.get("Location")
            if reply.status not in _MOVED or not target:
                return reply
            to = without_fragment(urljoin(at, target))
            if not is_web(to) or (at[:6].lower() == "https:" and to[:6].lower() != "https:"):
                raise ImageError(masked(url), f"is redirected to what is not asked: {masked(to)[:120]}")
            at = to
        raise ImageError(masked(url), "is redirected again and again")

    def _one(self, url: str, headers: Mapping[str, str], label: str) -> _Reply:
        """One answer from one server, whatever it is."""
        from .. import __version__  # which is there once all parts are

        try:
            parts = self._library.util.parse_url(url)
            scheme, host = parts.scheme, (parts.host or "").strip("[]")
            if scheme not in ("http", "https") or not host:
                raise ValueError(url)
        except ValueError as error:  # urllib3's own LocationParseError is one
            raise ImageError(label, "no web address") from error
        port = parts.port or {"http": 80, "https": 443}[scheme]
        said = {"User-Agent": f"patchseek/{__version__}", "Accept": "image/*, */*;q=0.5", **headers}
        said |= {"Accept-Encoding": "identity", "Host": parts.netloc or host}
        if parts.auth:
            said |= self._library.util.make_headers(basic_auth=unquote(parts.auth))
        try:
            with self._hosts.turn(host):
                addresses = reach(host, port)
                reply = within(SECONDS, lambda: self._from(scheme, host, port, addresses, parts.request_uri, said))
        except ImageError as error:
            raise ImageError(label, error.reason, error.passing) from error
        except TimeoutError as error:
            raise ImageError(label, f"takes more than {SECONDS:g} s to come", passing=True) from error
        except (self._library.exceptions.HTTPError, OSError) as error:
            raise ImageError(label, f"cannot be fetched ({cause_of(error)})", passing=True) from error
        if reply.status in (429, 503):
            seconds = seconds_of(reply.headers.get("Retry-After"))
            self._hosts.leave_alone(host, 2.0 if seconds is None else seconds)
        return reply

    def _from(self, scheme: str, host: str, port: int, addresses: list[str], path: str, said: dict[str, str]) -> _Reply:
        """An answer from the first of these addresses that there is a connection to."""
        errors = self._library.exceptions
        secure = {"server_hostname": host, "assert_hostname": host} if scheme == "https" else {}
        timeout = self._library.Timeout(connect=10.0, read=_SILENT)
        for n_left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            pool = self._pools.connection_from_host(address, port, scheme, pool_kwargs=secure)
            how: dict[str, Any] = {"redirect": False, "retries": False, "preload_content": False, "timeout": timeout}
            try:
                response = pool.urlopen("GET", path, headers=said, **how)
            except (errors.NewConnectionError, errors.ConnectTimeoutError):
                if not n_left:
                    raise
                continue
            return self._read(response)
        raise AssertionError("a host without an address")

    def _read(self, response: Any) -> _Reply:
        """The body, of what is to be used, as far as it is not too large."""
        reply = _Reply(response.status, response.headers, b"")
        if response.status != 200:
            response.close()
            return reply
        content = bytearray()
        try:
            said = response.headers.get("Content-Length", "")
            if said.isdecimal() and int(said[:20]) > MOST_BYTES:
                raise _too_large()
            for chunk in response.stream(1 << 16, decode_content=True):
                content += chunk
                if len(content) > MOST_BYTES:
                    raise _too_large()
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return replace(reply, content=bytes(content))


def _too_large() -> ImageError:
    return ImageError("", f"more than {MOST_BYTES >> 20} MB is too large for a picture")


def _refused(url: str, status: int) -> ImageError:
    passing = status in _PASSING or status >= 500
    return ImageError(masked(url), f"cannot be fetched ({status_words(status)})", passing)


def modified_ns(answer: Answer) -> int:
    """When an answer was changed, as its server says, in nanoseconds since 1970; 0 where it does not."""
    try:
        return int(parsedate_to_datetime(answer.modified or "").timestamp() * 1e9)
    except (ValueError, TypeError, OverflowError):
        return 0


@lru_cache(maxsize=4)
def _web_of(cache: Cache) -> Web:
    return Web(cache)


def open_web() -> Web:
    """The one of this process. Raises MissingExtra."""
    return _web_of(open_cache())
