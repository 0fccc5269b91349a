"""Run a program, and be asked by the kernel whenever it or a child of it reaches for an address or opens to write.

Seccomp asks (Linux 5.5 or later): for native code as well, it takes no rights, and what cannot be watched is an error.
This file is both sides: `watched` starts it as a program, which has the filter made, sends back what it is heard
through, and becomes the program meant.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, NamedTuple

ALLOW, ASK, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000  # SECCOMP_RET_*
RECEIVE, ANSWER, GO_ON = 0xC0502100, 0xC0182101, 1  # SECCOMP_IOCTL_NOTIF_*, SECCOMP_USER_NOTIF_FLAG_CONTINUE
LOAD, EQUAL, ANY_OF, END = 0x20, 0x15, 0x45, 0x06  # of the kernel's code for filters
HERE = -100  # AT_FDCWD
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NAME_SERVICES = {"/var/run/nscd/socket"}
"""Told that nobody is there, the C library asks the network itself, where it is seen."""


class Call(NamedTuple):
    """A call of the kernel that is asked about."""

    x86_64: int
    aarch64: int | None
    place: tuple[int | None, int | None]
    """Which arguments say where: a folder and a path in it, an address and its length, or a message that names both."""
    bits: tuple[int, int] | None = None
    """Only where one of these bits of that argument is set."""


FILES = {
    "open": Call(2, None, (None, 0), (1, WRITES)),
    "openat": Call(257, 56, (0, 1), (2, WRITES)),
    "creat": Call(85, None, (None, 0)),
    "mkdir": Call(83, None, (None, 0)),
    "mkdirat": Call(258, 34, (0, 1)),
    "rename": Call(82, None, (None, 1)),
    "renameat": Call(264, 38, (2, 3)),
    "renameat2": Call(316, 276, (2, 3)),
}
ADDRESSES = {
    "connect": Call(42, 203, (1, 2)),
    "sendto": Call(44, 206, (4, 5), (4, 0xFFFFFFFF)),
    "sendmsg": Call(46, 211, (1, None)),
    "sendmmsg": Call(307, 269, (1, None)),
}
MACHINES = {"x86_64": (317, 0xC000003E), "aarch64": (277, 0xC00000B7)}
"""The number of seccomp itself, and the kernel's name of the machine."""


@dataclass
class Watched:
    """What a program and all its children did."""

    code: int = 0
    said: str = ""
    reached: list[str] = field(default_factory=list)
    """Name servers, sockets of files, and addresses beyond this machine, which were not let through."""
    written: list[str] = field(default_factory=list)
    """Full paths of what was opened to write, made, or renamed to."""


def watched(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Watched:
    """Run a command in a folder until the last of its processes has ended; its output is kept in a file there."""
    found = Watched()
    here, there = socket.socketpair()
    with here, (folder / "output.txt").open("w+b") as output:
        with there:
            start, env = [sys.executable, __file__, str(there.fileno()), *command], dict(env)
            child = subprocess.Popen(
                start, env=env, cwd=folder, stdout=output, stderr=output, pass_fds=[there.fileno()]
            )
        _, listeners, _, _ = socket.recv_fds(here, 1, 1)
        for listener in listeners:
            try:
                listen(listener, child, found)
            finally:
                os.close(listener)  # whoever still asks goes on with an error
        found.code = child.wait()
        output.seek(0)
        found.said = output.read().decode(errors="replace")
    assert listeners, f"nothing can be watched here: {found.said}"
    return found


def listen(listener: int, child: subprocess.Popen[bytes], found: Watched) -> None:
    """Answer until no process is left that would ask."""
    names = {number: name for number, name, _ in calls()}
    for asked in questions(listener, lambda: child.poll() and False):  # one that nobody asks about has not ended
        with suppress(FileNotFoundError, ProcessLookupError):  # it was ended while it asked
            answer(listener, asked, note(asked.pid, names[asked.number], asked.arguments, found))


class Question(NamedTuple):
    """A call that a process waits to make."""

    about: int
    pid: int
    number: int
    arguments: list[int]


def questions(listener: int, has_ended: Callable[[], bool | None]) -> Iterator[Question]:
    """What the kernel asks, until no process is left that would, or has_ended, which is asked in between, says so."""
    ready = select.poll()
    ready.register(listener, select.POLLIN)
    while not (events := ready.poll(50)) or events[0][1] & select.POLLIN:
        if has_ended() and not events:
            return
        if events:
            asked = bytearray(80)  # struct seccomp_notif
            try:
                fcntl.ioctl(listener, RECEIVE, asked)
            except FileNotFoundError:  # it was ended while it asked
                continue
            about, pid, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", asked)
            yield Question(about, pid, number, arguments)


def answer(listener: int, asked: Question, refused: int = 0) -> None:
    """Let a call be made, or end it with the number of an error. Raises FileNotFoundError where the process is gone."""
    said = struct.pack("QqiI", asked.about, 0, -refused, 0 if refused else GO_ON)
    fcntl.ioctl(listener, ANSWER, bytearray(said))


def note(pid: int, name: str, arguments: Sequence[int], found: Watched) -> int:
    """Note what a process asks for. The number of the error that it is answered with, 0 for none."""
    first, second = (FILES | ADDRESSES)[name].place
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        if name in FILES:
            folder = HERE if first is None else ctypes.c_int32(arguments[first]).value
            base = Path(f"/proc/{pid}", "cwd" if folder == HERE else f"fd/{folder}").readlink()
            found.written.append(os.path.normpath(base / path_at(memory, arguments[second])))
            return 0
        if second is None:
            at, length = struct.unpack("QI", read(memory, arguments[first], 12))  # struct msghdr begins with both
        else:
            at, length = arguments[first], arguments[second]
        place, refused = address(read(memory, at, length)) if at else ("", 0)
    if place:
        found.reached.append(place)
    return refused


def read(memory: BinaryIO, at: int, length: int) -> bytes:
    """Some bytes of another process."""
    memory.seek(at)
    return memory.read(length)


def path_at(memory: BinaryIO, at: int) -> str:
    """A path in another process: up to its zero, by pages, since nothing may lie behind the last."""
    path = b""
    while b"\0" not in path:
        path += read(memory, at + len(path), 4096 - (at + len(path)) % 4096)
    return os.fsdecode(path.partition(b"\0")[0])


def address(raw: bytes) -> tuple[str, int]:
    """A struct sockaddr in words, "" for one of this machine, and the error that asking for it gets."""
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == socket.AF_UNIX:
        path = os.fsdecode(raw[2:].partition(b"\0")[0] or raw[2:])
        return ("", errno.ENOENT) if path in NAME_SERVICES else (f"socket {path}", 0)
    if family in (socket.AF_INET, socket.AF_INET6):
        ip = ip_address(raw[4:8] if family == socket.AF_INET else raw[8:24])
        ip, port = getattr(ip, "ipv4_mapped", None) or ip, int.from_bytes(raw[2:4])
        return ("", 0) if ip.is_loopback and port != 53 else (f"{ip} port {port}", errno.ENETUNREACH)
    return ("", 0) if family == socket.AF_NETLINK else (f"family {family}", 0)


def calls() -> list[tuple[int, str, tuple[int, int] | None]]:
    """This machine's numbers of the calls, their names, and the bits that are asked about."""
    machine = platform.machine()
    numbers = [(getattr(call, machine), name, call.bits) for name, call in (FILES | ADDRESSES).items()]
    return [each for each in numbers if each[0] is not None]


def program() -> bytes:
    """The filter, in the kernel's code: struct sock_filter are a code, two jumps and a number."""
    lines: list[tuple[int, int, int, int]] = []
    for number, _, bits in calls():
        if bits is None:
            lines += asking(number)
        else:
            lines += [(EQUAL, 0, 4, number), (LOAD, 0, 0, 16 + 8 * bits[0]), (ANY_OF, 0, 1, bits[1])]
            lines += [(END, 0, 0, ASK), (END, 0, 0, ALLOW)]
    return whole_of(lines)


def asking(number: int) -> list[tuple[int, int, int, int]]:
    """The lines by which the kernel asks about every call of a number."""
    return [(EQUAL, 0, 1, number), (END, 0, 0, ASK)]


def whole_of(lines: Sequence[tuple[int, int, int, int]]) -> bytes:
    """A filter of these lines, each of which sees the number of a call; what none of them answers is let through."""
    begin = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, MACHINES[platform.machine()][1]), (END, 0, 0, KILL), (LOAD, 0, 0, 0)]
    return b"".join(struct.pack("HBBI", *line) for line in [*begin, *lines, (END, 0, 0, ALLOW)])


def be_watched(line: socket.socket, lines: bytes) -> None:
    """Have a filter made for this process, and send its listener over the line."""
    libc, listeners = ctypes.CDLL(None, use_errno=True), SimpleQueue[int]()
    code = ctypes.create_string_buffer(lines, len(lines))
    whole = ctypes.create_string_buffer(struct.pack("HP", len(lines) // 8, ctypes.addressof(code)))
    sender = threading.Thread(target=lambda: socket.send_fds(line, [b"."], [listeners.get()]), daemon=True)
    sender.start()  # before there is a filter, so that it need not ask
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    number = libc.syscall(MACHINES[platform.machine()][0], 1, 8, whole)  # SET_MODE_FILTER, FILTER_FLAG_NEW_LISTENER
    if number < 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    listeners.put(number)
    sender.join()


def become(line: socket.socket, command: Sequence[str]) -> None:
    """Be watched, and become the command."""
    be_watched(line, program())
    os.execv(command[0], command)


if __name__ == "__main__":
    become(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
