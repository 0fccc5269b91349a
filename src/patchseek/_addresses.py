"""What an address says: whether it is a URL, which parts it has, what in it is secret. Opens nothing."""

import re
from pathlib import PurePosixPath

_URL = re.compile(r"(?:[A-Za-z][\w+.-]*::)*[A-Za-z][\w+.-]*://")
_SECRETS = r"[\w.-]*(?:token|secret|sig|signature|passw(?:or)?d|passphrase|pwd|jwt|credential|auth|key|session(?:id)?)"
_PASSWORD = re.compile(r"(:/{1,2}[^/\s:@?#]*:)[^/\s?#]*(?=@)")
_PARAMETER = re.compile(rf"([?&;#](?:{_SECRETS}|pass)=)[^&#;\s'\"]+", re.IGNORECASE)
_USER = re.compile(r"(\bhttps?:/{1,2})[^/\s:@?#]+(?=@)", re.IGNORECASE)
# who asks a web server under one name, without a password, gives a token there
_INNER = {
    *("zip", "tar", "libarchive", "reference", "dir"),
    *("cached", "blockcache", "filecache", "simplecache", "asynccached"),
}
# fsspec's stores that lie in another, or keep a copy of it


def is_url(place: str) -> bool:
    """Whether a place is a URL rather than a path."""
    return _URL.match(place) is not None


def is_web(place: str) -> bool:
    """Whether a place is the address of a web server."""
    return place[:8].lower().startswith(("http://", "https://"))


def is_chain(url: str) -> bool:
    """Whether a URL means one store inside another, as fsspec chains them: zip://a.jpg::https://host/b.zip.

    It does where it begins with one of the stores that are made for that; in any other name, :: are two letters.
    """
    return "::" in url and re.split("::|://", url, maxsplit=1)[0].lower() in _INNER


def without_fragment(url: str) -> str:
    """A web address as it is asked for. What is behind a # is for a reader's eye and sent to nobody.

    Only where the name would lose its suffix with it (photo#1.jpg), the # was meant as a part of that, and is sent.
    """
    asked, mark, fragment = url.partition("#")
    if mark and "?" not in asked and PurePosixPath(fragment).suffix and not PurePosixPath(asked).suffix:
        return url.replace("#", "%23")
    return asked


def name_part(place: str) -> str:
    """A place without what a web address has behind its name: ?signature=a/b, #top. Elsewhere these are letters."""
    outer, inner = place.rpartition("::")[::2] if is_chain(place) else ("", place)
    if not is_web(inner):
        return place
    name = without_fragment(inner).partition("?")[0]
    return f"{outer}::{name}" if outer else name


def masked(text: str) -> str:
    """A text to be shown: what the URLs in it hold of passwords, and of tokens by name, becomes ***.

    A URL that went through a path has one slash.
    """
    if ":/" not in text:
        return text
    for secret in (_PASSWORD, _USER, _PARAMETER):
        text = secret.sub(r"\1***", text)
    return text
