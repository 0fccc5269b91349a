"""Reverse proxies in front of a server: one around an application, and one over HTTP for a browser."""

import http.client
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


def proxied(app, prefix, *, strips, host=None):
    """An application that answers below a prefix alone, and hands a request on with it or without it.

    host: what it says the server is called; as the browser says by default.
    """

    async def proxy(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        path = scope["path"]
        if path != prefix and not path.startswith(f"{prefix}/"):
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b"another application"})
            return
        headers = [(name, value) for name, value in scope["headers"] if host is None or name != b"host"]
        if host is not None:
            headers.append((b"host", host.encode()))
        inner = path.removeprefix(prefix) if strips else path
        await app({**scope, "path": inner, "raw_path": inner.encode(), "headers": headers}, receive, send)

    return proxy


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(prefix, own, port, *, strips):
    """A proxy over HTTP, on the port `own`, in front of a server on `port`; it answers below a prefix alone."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def forward(self):
            path = self.path
            if path != prefix and not path.startswith((f"{prefix}/", f"{prefix}?")):
                self.send_error(502, "another application")
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            upstream = http.client.HTTPConnection("127.0.0.1", port)
            try:
                place = (path.removeprefix(prefix) or "/") if strips else path
                upstream.request(self.command, place, body or None, headers | {"Host": self.headers["host"]})
                answer = upstream.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                while block := answer.read1(65536):
                    self.wfile.write(block)
                    self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                pass  # the browser has gone on
            finally:
                upstream.close()
                self.close_connection = True

        do_GET = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", own), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
