"""The web page and the HTTP API. This file starts a server; each part behind it has its own file.

    _guard -> _app -> _routes_* -> _queue -> _decode, _batching, _answers, _thumbnails, _films, _jobs

Whoever may come in is decided once, in `_guard`, for every route; pictures are named by number, never by path.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from .._http import is_loopback as is_loopback
from .._platform import require_own_port
from ..collection import Collection
from ..errors import PatchseekError
from ._settings import ServerSettings, check_folders

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["ServerSettings", "check_folders", "create_app", "is_loopback", "new_token", "serve"]


def new_token() -> str:
    """A token that nobody guesses: 192 random bits."""
    return secrets.token_urlsafe(24)


def create_app(collection: Collection, settings: ServerSettings | None = None) -> "FastAPI":
    """The ASGI application for a collection."""
    from ._app import build

    return build(collection, settings or ServerSettings())


def serve(collection: Collection, settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve a collection until interrupted; on_ready is told the address to open, token included.

    Raises PatchseekError when the address cannot be listened on.
    """
    import socket

    import uvicorn

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    require_own_port(listener)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise PatchseekError(
            f"cannot listen on {settings.host}:{settings.port} ({reason}); try another --port"
        ) from error
    port = listener.getsockname()[1]
    settings = replace(settings, port=port)
    app = create_app(collection, settings)
    # No access log: it would hold the token of the first visit. No proxy headers: nothing here depends on them.
    config = uvicorn.Config(
        app,
        log_config=None,  # as the whole process logs
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
    )
    listener.listen(512)
    on_ready(_address(settings))
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a server ends; by now everything is closed
    finally:
        listener.close()


def _address(settings: ServerSettings) -> str:
    """What to open in a browser: on this machine, unless there is a public address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    own = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    place = f"{(settings.public_url or own).rstrip('/')}/"
    return f"{place}?token={quote(settings.token, safe='')}" if settings.token else place
