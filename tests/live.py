"""A server on a port of this machine, and clients that are nothing but sockets: what no HTTP library would send."""

import socket
import threading
from contextlib import contextmanager

import uvicorn

from patchseek import Collection
from patchseek.server import ServerSettings, create_app

from .conftest import blot, wait_for


@contextmanager
def listening(app):
    """The port of a server of the application, as `patchseek serve` starts one."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        config = uvicorn.Config(app, log_config=None, log_level="critical", access_log=False, proxy_headers=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_for(lambda: server.started)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving_tiles(home, n, encoder):
    """The address of a server over n small pictures, whose searches take no time to speak of."""
    for seed in range(n):
        blot(seed).save(home / f"{seed}.png")
    collection = Collection.open(home / "collection", encoder=encoder, points=False, create=True)
    collection.add(home)
    with listening(create_app(collection, ServerSettings())) as port:
        yield f"http://127.0.0.1:{port}/"


def connect(port, sent):
    """A connection over which these bytes went."""
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(sent)
    return line


def exchange(port, sent):
    """All that comes back for these bytes until the server closes: (status, headers, body)."""
    with connect(port, sent) as line:
        answer = b""
        while block := line.recv(65536):
            answer += block
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (each.partition(": ") for each in lines)
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body


def get(path, *headers, method="GET"):
    """A request without a body, after which the server closes."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def post(path, body, kind, *headers):
    """A request with a body of some kind, after which the server closes."""
    return get(path, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, method="POST") + body


def form(**fields):
    """The body of a form, and its kind. A field is a text, or (name, content) of a file."""
    parts = []
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            file, content = each if isinstance(each, tuple) else (None, str(each).encode())
            said = f'name="{name}"' + (f'; filename="{file}"' if file is not None else "")
            parts.append(part(said.encode(), content))
    return b"".join([*parts, b"--b--\r\n"]), "multipart/form-data; boundary=b"


def part(said, content):
    """One part of a form with the boundary b, its Content-Disposition word for word."""
    return b"--b\r\nContent-Disposition: form-data; " + said + b"\r\n\r\n" + content + b"\r\n"
