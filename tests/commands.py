"""Commands as a shell runs them: in a process of their own, or in that of the tests, where networks are opened once.

What a command says, writes and exits with is the same; a process of its own costs two seconds more.
"""

import io
import logging
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import BinaryIO

from patchseek.cli import main


def run_apart(home: Path, *arguments: str, code: int = 0) -> CompletedProcess[str]:
    """`patchseek ...` in home, in a process of its own: its exit code is checked, and that no error is a traceback."""
    command = [sys.executable, "-W", "error", "-m", "patchseek", *arguments]
    done = subprocess.run(command, cwd=home, env={**os.environ, **_own(home)}, capture_output=True, text=True)
    return _checked(done, code)


def run(home: Path, *arguments: str, code: int = 0, stdin: bytes = b"") -> CompletedProcess[str]:
    """The same in this process."""
    return run_as("patchseek", main, home, *arguments, code=code, stdin=stdin)


def run_as(
    program: str, begin: Callable[[], object], home: Path, *arguments: str, code: int = 0, stdin: bytes = b""
) -> CompletedProcess[str]:
    """The same for another program, by the function that it begins with."""
    return _checked(_run(begin, [program, *arguments], home, _own(home), stdin), code)


def run_script(script: Path, home: Path, *arguments: str, code: int = 0, **environment: str) -> CompletedProcess[str]:
    """`python SCRIPT ...` in home, checked alike."""
    begin = lambda: runpy.run_path(str(script), run_name="__main__")  # noqa: E731
    return _checked(_run(begin, [str(script), *arguments], home, environment), code)


def _own(home: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(home / "state"), "COLUMNS": "100"}


def _checked(done: CompletedProcess[str], code: int) -> CompletedProcess[str]:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _run(
    begin: Callable[[], object], arguments: list[str], home: Path, environment: dict[str, str], stdin: bytes = b""
) -> CompletedProcess[str]:
    """What begin, called with these sys.argv, writes to both streams, and its exit code. Warnings are errors."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, _as_process(home, arguments, environment):
        with _streams(out, err, stdin), _logging(), warnings.catch_warnings():
            warnings.simplefilter("error")
            code = _exit_code(begin)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return CompletedProcess(arguments, code, *texts)


def _exit_code(begin: Callable[[], object]) -> int:
    try:
        begin()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _as_process(home: Path, arguments: list[str], environment: dict[str, str]) -> Iterator[None]:
    """The working directory, arguments and environment of a process, and what it was before."""
    before, argv, folder = dict(os.environ), sys.argv, Path.cwd()
    own = sys.modules["__main__"]
    package = getattr(own, "__package__", None)
    os.environ.update(environment)
    os.chdir(home)
    sys.argv = arguments
    own.__package__ = None  # that of `python -m pytest` would be part of the program's name
    try:
        yield
    finally:
        own.__package__ = package
        sys.argv = argv
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _streams(out: BinaryIO, err: BinaryIO, stdin: bytes) -> Iterator[None]:
    """What Python writes to both streams goes into these files; not what native threads of other tests have to say."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8")
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", line_buffering=True)
    own = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for stream in own:
            stream.flush()
            stream.detach()


@contextmanager
def _logging() -> Iterator[None]:
    """As in a process in which nothing has been logged."""
    root, own = logging.root, logging.getLogger("patchseek")
    handlers, levels, raises = root.handlers[:], (root.level, own.level), logging.raiseExceptions
    root.handlers.clear()
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        own.setLevel(levels[1])
        logging.raiseExceptions = raises
