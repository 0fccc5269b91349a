"""Finds posted to one address, signed as Standard Webhooks 1.0 has it (standardwebhooks.com). Keeps nothing.

webhook-id: what is posted has the same one however often it is tried
webhook-timestamp: seconds since 1970 of this try
webhook-signature: v1,BASE64 of HMAC-SHA-256 with the key over ID.TIMESTAMP.BODY
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from .. import __version__
from .._addresses import masked
from .._http import staying_opener
from ..errors import PatchseekError

TIMEOUT = 15.0
"""Seconds in which an address must begin to answer."""
LEAST_KEY = 16
"""Bytes of a key."""
_PREFIX = "whsec_"


class Address:
    """Where finds are posted. A proxy of the environment is used, but not to reach this machine itself."""

    def __init__(self, url: str, key: bytes | None, clock: Callable[[], float]) -> None:
        """clock: seconds since 1970. Raises PatchseekError for what is no http or https address."""
        self.url, self.shown, self._key, self._clock = url, masked(url), key, clock
        self._opener = staying_opener(_host(url))

    def post(self, name: str, body: bytes) -> None:
        """Hand over a JSON object under a name. Raises PatchseekError for every answer but 2xx."""
        stamp = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"patchseek/{__version__}",
            "webhook-id": name,
            "webhook-timestamp": str(stamp),
        }
        if self._key:
            headers["webhook-signature"] = signature(self._key, name, stamp, body)
        request = urllib.request.Request(self.url, body, headers, method="POST")
        try:
            self._opener.open(request, timeout=TIMEOUT).close()
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                led = " and leads elsewhere, where nothing was sent" if 300 <= error.code < 400 else ""
                raise PatchseekError(f"{self.shown}: refuses ({error.code} {error.reason}){led}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:  # also what answers, but not in HTTP
            raise PatchseekError(f"{self.shown}: no answer ({getattr(error, 'reason', error)})") from error


def signature(key: bytes, name: str, stamp: int, body: bytes) -> str:
    """The header by which a receiver knows who sent it, and that nobody changed it."""
    signed = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


def read_key(path: Path) -> bytes:
    """The key in a file: `whsec_` and BASE64 as Standard Webhooks has it, or else the bytes of its text.

    Raises PatchseekError, which does not repeat the key.
    """
    try:
        content = path.read_bytes().strip()
    except OSError as error:
        raise PatchseekError(f"{path}: the key cannot be read ({error.strerror})") from error
    if content.startswith(_PREFIX.encode()):
        try:
            content = base64.b64decode(content.removeprefix(_PREFIX.encode()), validate=True)
        except binascii.Error as error:
            raise PatchseekError(f"{path}: behind {_PREFIX} a key is written in BASE64") from error
    if len(content) < LEAST_KEY:
        raise PatchseekError(
            f"{path}: a key has {LEAST_KEY} bytes or more, found {len(content)}; make one with: openssl rand -hex 32"
        )
    return content


def _host(url: str) -> str:
    """The host of an address. Raises PatchseekError, which shows no password."""
    wrong = f"{masked(url)[:200]!a}: finds are posted to http://HOST/PATH or https://HOST/PATH"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise PatchseekError(wrong) from error
    if parts.scheme not in ("http", "https") or not host or not (url.isascii() and url.isprintable()) or " " in url:
        raise PatchseekError(wrong)
    if "@" in parts.netloc:
        raise PatchseekError("an address that finds are posted to takes no user and no password; sign with --key-file")
    return host
