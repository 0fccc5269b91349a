"""What commands and servers need of the system: letters, keys that stop them, a port of their own."""

import signal
from typing import TYPE_CHECKING

from ._system import is_windows

if TYPE_CHECKING:
    from socket import socket


def output_encoding() -> str | None:
    """The encoding in which to write to the standard streams, where that is not to be the system's own.

    Windows has a page of 256 letters for what is written to a file or another program: names would be lost in it.
    """
    return "utf-8" if is_windows() else None


def heed_break() -> None:
    """Have Ctrl-Break, which Windows alone has, stop this process as Ctrl-C does: by KeyboardInterrupt."""
    number = getattr(signal, "SIGBREAK", None)
    if number is not None:
        signal.signal(number, signal.default_int_handler)


def require_own_port(listener: "socket") -> None:
    """Have a socket listen on a port that nobody listens on, also where somebody did so a moment ago."""
    import socket

    own = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # on Windows, the other option would let two share a port
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if own is None else own, 1)
