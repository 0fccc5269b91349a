"""How another machine is asked: one address, led nowhere else, and this machine without a proxy between."""

import ipaddress
import urllib.request
from typing import Any


class _Staying(urllib.request.HTTPRedirectHandler):
    """Is led nowhere: what is sent is for the address that was named."""

    def redirect_request(self, *_: Any) -> None:
        """None, which makes an HTTPError of every redirection."""


def staying_opener(host: str) -> urllib.request.OpenerDirector:
    """What opens addresses of a host. A proxy of the environment is used, but not to reach this machine itself."""
    return urllib.request.build_opener(_Staying, *([urllib.request.ProxyHandler({})] if is_loopback(host) else []))


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
