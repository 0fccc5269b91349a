"""Runs what a page of the documentation tells its readers to type, in a home of its own, and says where it fails."""

import importlib
import json
import logging
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from patchseek import watch
from patchseek.cli._mcp import main as mcp_main
from patchseek.watch import Address, Watcher

from .commands import run, run_as
from .conftest import wait_for
from .documented import Block, Command
from .documented_shell import Simple, simple_commands
from .live import form

ADDRESS = "http://127.0.0.1:8765"
"""Where the pages say that the server is."""


class Failed(AssertionError):
    """What a page says to type does not work; begins with its file and line."""


class NotDone(Exception):
    """A program that nothing here runs, or a request that the server refuses."""


class World:
    """A home, the variables that were exported in it, the names that its blocks of Python left, and a server."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.moves = dict[str, str]()
        # addresses that the page names, and what stands for them here
        self.exported: dict[str, str] = {}
        self.names: dict[str, Any] = {}
        self.query_key: str | None = None
        # what an answer of the server was known by, where the page writes 5f0c...

    def moved(self, word: str) -> str:
        """What a word means here: paths lie in this home, addresses lead to this server."""
        word = self._led(word)
        if word == "~" or word.startswith("~/"):
            return f"{self.home}{word[1:]}"
        is_path = word.startswith("/") and "?" not in word
        return f"{self.home}{word.removeprefix('/home/me')}" if is_path else word

    def _led(self, text: str) -> str:
        for address, here in self.moves.items():
            text = text.replace(address, here)
        return text

    def run(self, command: Command, code: int = 0) -> None:
        """Run a line. Raises Failed unless its programs all end with this code."""
        try:
            self._run_line(command.text, code)
        except Exception as error:
            raise Failed(f"{command.where}: {command.text}\n    {type(error).__name__}: {error}") from error

    def execute(self, block: Block) -> None:
        """Run a block of Python with the names that those before it left. Raises Failed for whatever it raises."""
        text = self._led(block.text.replace("/home/me", str(self.home)))
        try:
            with chdir(self.home):
                exec(compile("\n" * (block.line - 1) + text, block.file, "exec"), self.names)
        except Exception as raised:
            error: BaseException = raised
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            lines = [
                frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == block.file
            ]
            line = lines[-1] if lines else getattr(error, "lineno", block.line)
            raise Failed(f"{block.file}:{line}: {type(error).__name__}: {error}") from error

    def _run_line(self, text: str, code: int = 0) -> str:
        said, then = "", ""
        for simple in simple_commands(text, self._run_line):
            if simple.then == "&" or (then == "|" and simple.words[0] != "source"):
                raise NotDone("nothing here runs in the background, or hands on what another printed")
            said, then = self._run_one(simple, code, said), simple.then
            if simple.into:
                (self.home / simple.into).write_text(said)
        return said.strip()

    def _run_one(self, simple: Simple, code: int, before: str) -> str:
        """What it prints. before: what the one in front of it has printed."""
        sets = {name: self.moved(value) for name, value in simple.sets.items()}
        if not simple.words or simple.words[0] == "export":
            self.exported |= sets
            return ""
        program, *words = [self.moved(word) for word in simple.words]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (self.exported | sets).items():
                patch.setenv(name, value)
            if program == "patchseek":
                return self._patchseek(words, code)
            if program == "patchseek-mcp":
                importlib.import_module("mcp")  # it keeps the streams that are there when it is imported
                return run_as(program, mcp_main, self.home, *words, code=code).stdout
        if program == "curl":
            return self._curl(words)
        if program == "openssl" and words[:2] in (["rand", "-hex"],):
            return os.urandom(int(words[2])).hex()
        if program in ("eval", "source"):
            assert "".join(words) or before, f"nothing to {program}"
            return ""
        raise NotDone(f"nothing here runs {program}")

    def _patchseek(self, words: list[str], code: int) -> str:
        handler = signal.getsignal(signal.SIGTERM)
        try:
            own = ["--port", "0"] if "serve" in words else []  # others may use the usual one
            return run(self.home, *words, *own, code=code).stdout
        finally:
            signal.signal(signal.SIGTERM, handler)

    def _curl(self, words: list[str]) -> str:
        """Send what curl would. Raises NotDone for an option that is not known here, and for an error."""
        method, headers, body, fields, url = "", dict[str, str](), None, dict[str, Any](), ""
        left = list(words)
        while left:
            match left.pop(0):
                case "-X":
                    method = left.pop(0)
                case "-H":
                    name, _, value = left.pop(0).partition(":")
                    headers[name.strip()] = value.strip()
                case "-d" | "--data-binary":
                    body = self._body(left.pop(0))
                case "-F":
                    name, _, value = left.pop(0).partition("=")
                    path = self.home / value[1:]
                    fields[name] = (path.name, path.read_bytes()) if value.startswith("@") else value
                case option if option.startswith("-"):
                    raise NotDone(f"curl {option} is not known here")
                case url:
                    pass
        if fields:
            body, headers["content-type"] = form(**fields)
        return self._sent(method or ("GET" if body is None else "POST"), url, body, headers)

    def _body(self, said: str) -> bytes:
        if said.startswith("@"):
            return (self.home / said[1:]).read_bytes()
        return said.replace("5f0c...", self.query_key or "5f0c...").encode()

    def _sent(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> str:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.netloc)
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        if answer.status >= 400:
            raise NotDone(f"{method} {url}: {answer.status}: {said}")
        if said.startswith("{"):
            self.query_key = json.loads(said).get("query_key", self.query_key)
        return said


@contextmanager
def as_documented(home: Path) -> Iterator[None]:
    """What runs until somebody ends it is ended as soon as it has done something; nothing is sent; no screen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.Server, "run", _visited)
        patch.setattr(watch, "SETTLED", 0)
        patch.setattr(Watcher, "run", lambda self, _, hear, progress: self.once(hear, progress))
        patch.setattr(Address, "post", lambda *_: None)
        for name in ("pymilvus", "milvus_lite", "grpc"):  # silent where patchseek is the first that imports them
            patch.setattr(logging.getLogger(name), "level", logging.CRITICAL)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "PATCHSEEK_COLLECTION", "PATCHSEEK_TOKEN"):
            patch.delenv(name, raising=False)
        yield


def _visited(server: uvicorn.Server, sockets: list[Any]) -> None:
    """Serve until one visitor has been answered."""
    thread = threading.Thread(target=_serve, args=[server], kwargs={"sockets": sockets})
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        host, port = sockets[0].getsockname()[:2]
        connection = HTTPConnection(host, port)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status < 500, "a server that does not answer"
        connection.close()
    finally:
        server.should_exit = True
        thread.join()


_serve = uvicorn.Server.run
