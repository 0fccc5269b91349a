"""A web server on a port of this machine that answers as it is told, and notes what it was asked."""

import threading
from collections import Counter
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """Paths and what is answered for them: (status, headers, body), or a function of the handler."""

    def __init__(self):
        self.answers, self.asked, self.headers = {}, [], []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.missing = 404, {}, b"no"  # the answer for every other path

    def put(self, path, body, etag=None):
        """Serve these bytes, with an ETag and a date, and say "not modified" to whoever has them."""
        tag = f'"{etag or hash(body)}"'
        changed = formatdate(1_700_000_000, usegmt=True)

        def answer(handler):
            if handler.headers.get("If-None-Match") == tag:
                return 304, {"ETag": tag}, b""
            return 200, {"ETag": tag, "Last-Modified": changed, "Content-Type": "image/png"}, body

        self.answers[path] = answer

    def times(self):
        """How often each path was asked for."""
        return Counter(self.asked)


@contextmanager
def serving(host="127.0.0.1"):
    """A site and the beginning of its addresses, "http://127.0.0.1:8000/"."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with site.lock:
                site.asked.append(self.path)
                site.headers.append({name.lower(): value for name, value in self.headers.items()})
                site.at_once += 1
                site.most_at_once = max(site.most_at_once, site.at_once)
            try:
                told = site.answers.get(self.path, site.missing)
                told = told(self) if callable(told) else told
                if told is None:  # it has answered by itself
                    return
                status, headers, body = told
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            finally:
                with site.lock:
                    site.at_once -= 1

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site, f"http://{host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
