"""Which addresses of the network may be asked: what is public, and hosts of one's own that somebody named.

A list or a redirection may name what only this machine can reach: a router, a cloud's metadata, a database. So a name
is looked up here, all that it stands for must be public, and the connection is made to what was looked at, not to what
the name may stand for a moment later.
"""

import ipaddress
import os
import socket

from ..errors import ImageError

PRIVATE_HOSTS = "PATCHSEEK_PRIVATE_HOSTS"
"""The environment's variable with hosts, with commas between, that may be asked although they are not public."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def reach(host: str, port: int) -> list[str]:
    """The IP addresses of a host, in the order to be tried. Raises ImageError for one that may not be asked."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ImageError(host, "no such host is known", passing=True) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if host.lower() not in named_hosts() and not all(map(is_public, addresses)):
        why = f"{host} is an address of a private network; to allow it, name it in {PRIVATE_HOSTS}"
        raise ImageError(host, why, passing=True)  # that is what somebody may do before the next run
    return addresses


def named_hosts() -> set[str]:
    """Those of PRIVATE_HOSTS, in small letters."""
    return {name.strip().lower() for name in os.environ.get(PRIVATE_HOSTS, "").split(",")}


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public network, also where it stands for one of the older kind in it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast
