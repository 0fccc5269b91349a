"""Kill a program at each call of the kernel by which it changes files, one after another, and look at what is left.

    python -m tests.killed_calls add 1        every call of one operation; prints how many there are

Seccomp asks this process before such a call is made (see watched.py); it answers, or ends the one that asks. Each time
a fresh copy of a collection is worked on by a fork. Whatever the moment: the collection opens, verify finds nothing,
every picture has its own features, and the same operation then ends as if it had not been begun before.
"""

import itertools
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from patchseek import Collection
from patchseek.encode import add_folder
from patchseek.store import Store, Writer, catalogue_problem, rebuild

from .conftest import TinyEncoder, blot
from .damage import count_right
from .watched import answer, asking, be_watched, questions, whole_of

NUMBERS = {
    "x86_64": (1, 18, 20, 74, 75, 76, 77, 82, 83, 84, 86, 87, 258, 263, 264, 265, 285, 316),
    "aarch64": (64, 68, 66, 82, 83, 45, 46, 38, 34, 35, 37, 47, 276),
}
"""write, pwrite64, writev, fsync, fdatasync, truncate, ftruncate, rename, mkdir, rmdir, link, unlink, mkdirat,
unlinkat, renameat, linkat, fallocate, renameat2: as far as a machine has them."""

ENCODER = TinyEncoder()
IN = "pictures/.patchseek"
# where the collection is: it knows its pictures by the way to them, and a copy knows its own
Operation = Callable[[Path], object]
Before = Callable[[int, int, Sequence[int]], bool]
"""Called before each call with the process, the call's number and its arguments: whether it may be made; else the
process is ended."""


def change(home: Path) -> object:
    """Pictures come, go, move and change, all in one run."""
    return add_folder(Store.open(home / IN), home / "pictures", ENCODER, n_workers=1)


def remove(home: Path) -> object:
    """Take a picture out."""
    return _open(home).remove("1.png") if "1.png" in _paths(home) else None


def tag(home: Path) -> object:
    """Put a tag on two pictures."""
    with Writer(Store.open(home / IN)) as writer:
        return writer.tag("rare", [image.id for image in writer.store.sample(2)])


def compact(home: Path) -> object:
    """Write what is left into new shards."""
    return _open(home).compact()


def repair(home: Path) -> object:
    """Drop what is damaged."""
    return _open(home).repair()


def make_anew(home: Path) -> object:
    """Make the catalogue anew, where it has to be."""
    return rebuild(home / IN) if catalogue_problem(home / IN) else None


def _open(home: Path) -> Collection:
    return Collection.open(home / IN, encoder=ENCODER)


def _paths(home: Path) -> list[str]:
    return [path for _, _, path in Store.open(home / IN).paths()]


def lay_out(home: Path, name: str) -> None:
    """A collection of two shards, in which one picture was removed, and what the operation is to find."""
    folder = home / "pictures"
    folder.mkdir(parents=True)
    for i in range(4):
        blot(i).save(folder / f"{i}.png")
    opened = Collection.open(home / IN, encoder=ENCODER, points=False, create=True)
    opened.add(folder)
    for i in range(4, 7):
        blot(i).save(folder / f"{i}.png")
    opened.add(folder)
    opened.remove("5.png")
    if name == "add":
        (folder / "0.png").rename(folder / "moved.png")
        (folder / "2.png").unlink()
        blot(20).save(folder / "3.png")
        blot(21).save(folder / "new.png")
    elif name == "repair":
        part = opened.store.list_shards()[1].regions
        (opened.store.folder / part.file).write_bytes(b"nothing")
    elif name == "rebuild":
        opened.store.catalogue.path.unlink()


OPERATIONS: dict[str, Operation] = {
    "add": change,
    "remove": remove,
    "tag": tag,
    "compact": compact,
    "repair": repair,
    "rebuild": make_anew,
}


def killed_at(n: int, work: Callable[[], object]) -> bool:
    """Have a fork do some work, and end it before its n-th call (from 0); False where it made fewer and ended well."""
    left = itertools.count(n, -1)
    return not followed(work, lambda *_: next(left) > 0)


def followed(work: Callable[[], object], before: Before) -> bool:
    """Have a fork do some work; whether it was let to end, which it did well."""
    here, there = socket.socketpair()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            here.close()
            be_watched(there, whole_of([line for number in NUMBERS[platform.machine()] for line in asking(number)]))
            work()
            code = 0
        finally:
            os._exit(code)
    there.close()
    with here:
        _, (listener,), _, _ = socket.recv_fds(here, 1, 1)
    try:
        was_killed = _listen(listener, pid, before)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(listener)
    _, status = os.waitpid(pid, 0)
    assert was_killed or status == 0, "it fails by itself"
    return not was_killed


def _listen(listener: int, pid: int, before: Before) -> bool:
    """Answer until the fork has ended; whether it was killed."""
    for asked in questions(listener, lambda: bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))):
        if not before(asked.pid, asked.number, asked.arguments):
            os.kill(pid, signal.SIGKILL)
            return True
        with suppress(FileNotFoundError):  # it was ended while it asked
            answer(listener, asked)
    return False


def state(home: Path) -> dict[str, object]:
    """What can be found, by path."""
    store = Store.open(home / IN)
    images = store.images([number for number, _, _ in store.paths()])
    return {image.path: image.sha256 for image in images if image} | {"tags": store.tags()}


def look(home: Path, name: str) -> None:
    """Assert that nothing is wrong, but for what was from the beginning."""
    opened = _open(home)
    problems = opened.verify()
    assert name == "repair" or problems == [], problems
    if not problems:
        assert count_right(opened, ENCODER) > 0


def campaign(name: str, step: int) -> int:
    """Kill an operation at every so many-th call; how many there are."""
    work, n = OPERATIONS[name], 0
    with tempfile.TemporaryDirectory() as temporary:
        whole, begun = Path(temporary, "whole"), Path(temporary, "begun")
        lay_out(whole, name)
        shutil.copytree(whole, begun)
        work(whole)
        wanted = state(whole)
        while True:
            home = Path(temporary, "tried")
            shutil.copytree(begun, home)
            was_killed = killed_at(n, lambda home=home: work(home))
            if name != "rebuild" or not catalogue_problem(home / IN):
                look(home, name)
            work(home)
            look(home, "")
            assert state(home) == wanted, (n, state(home), wanted)
            shutil.rmtree(home)
            if not was_killed:
                return n
            n += step


if __name__ == "__main__":
    sys.stdout.write(f"{campaign(sys.argv[1], int(sys.argv[2]))} calls\n")
