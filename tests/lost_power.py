"""Cut the power at each call of the kernel by which a program changes files, and look at what the disk may hold then.

    python -m tests.lost_power add 1        every call of one operation; prints how many disks were looked at

A file's bytes are on the disk once fsync has been called for it, a name once it has been for its folder: all else may
be there or not. Three disks stand for what may be (the model is that of "All file systems are not created equal",
Pillai et al., OSDI 2014): one that has only what was asked for; one that has every name, and of the bytes what was
asked for, so that a file may be empty; one that has all bytes, under the names that were asked for. Of each it must
hold what holds after a kill (killed_calls.py), and once the operation has ended, each is whole.
"""

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from patchseek.store import catalogue_problem

from .killed_calls import IN, OPERATIONS, followed, lay_out, look, state

SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}
"""fsync, fdatasync."""
Node = int
"""The number of a file or folder, which no other has: it is held open."""
Names = dict[str, Node]


class Disk:
    """A folder, and what of it has reached the disk."""

    def __init__(self, home: Path) -> None:
        self.home, self._held = home, dict[Node, int]()
        self.names, self.contents = self.now()

    def now(self) -> tuple[dict[Node, Names], dict[Node, bytes]]:
        """What a program sees: the names in each folder, the bytes of each file, those included that have no name."""
        names: dict[Node, Names] = {}
        for folder, folders, files in os.walk(self.home):
            names[self._node(Path(folder))] = {name: self._node(Path(folder, name)) for name in folders + files}
        contents = {node: content for node in self._held if (content := self._content(node)) is not None}
        return names, contents

    def _node(self, path: Path) -> Node:
        node = path.stat().st_ino
        if node not in self._held:
            self._held[node] = os.open(path, os.O_RDONLY)
        return node

    def _content(self, node: Node) -> bytes | None:
        try:
            return os.pread(self._held[node], os.fstat(self._held[node]).st_size, 0)
        except IsADirectoryError:
            return None

    def sync(self, path: Path) -> None:
        """What fsync of a file or folder does."""
        names, contents = self.now()
        node = self._node(path)
        if node in names:
            self.names[node] = names[node]
        else:
            self.contents[node] = contents[node]

    def copy(self, target: Path, *, all_names: bool, all_bytes: bool) -> str:
        """Lay out what may be there without power; what tells it from another."""
        names, contents = self.now()
        there, digest = names if all_names else self.names, hashlib.sha256()

        def lay(node: Node, at: Path) -> None:
            at.mkdir()
            for name, each in sorted(there.get(node, {}).items()):
                digest.update(f"{at / name}\n".removeprefix(str(target)).encode())
                if each in names or each in self.names:
                    lay(each, at / name)
                else:
                    content = (contents if all_bytes else self.contents).get(each, b"")
                    (at / name).write_bytes(content)
                    digest.update(content)

        lay(self._node(self.home), target)
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of all files."""
        for handle in self._held.values():
            os.close(handle)


def campaign(name: str, step: int) -> int:
    """Cut the power before every so many-th call of an operation, and after its end; how many disks were looked at."""
    with tempfile.TemporaryDirectory() as temporary:
        whole, home, left = (Path(temporary, each) for each in ("whole", "home", "left"))
        lay_out(home, name)
        shutil.copytree(home, whole)
        OPERATIONS[name](whole)
        wanted, disk = state(whole), Disk(home)
        seen, n_calls, syncing = set[str](), 0, list[Path]()

        def try_all(is_done: bool) -> None:
            for all_names, all_bytes in product((False, True), repeat=2):
                digest = disk.copy(left, all_names=all_names, all_bytes=all_bytes)
                if digest not in seen or is_done:
                    seen.add(digest)
                    try_one(left, name, wanted, is_done)
                shutil.rmtree(left)

        def before(pid: int, number: int, arguments: Sequence[int]) -> bool:
            nonlocal n_calls
            while syncing:  # the call before this one has been made
                disk.sync(syncing.pop())
            if n_calls % step == 0:
                try_all(is_done=False)
            if number in SYNCS[platform.machine()]:
                syncing.append(Path(f"/proc/{pid}/fd/{arguments[0]}").readlink())
            n_calls += 1
            return True

        assert followed(lambda: OPERATIONS[name](home), before)
        while syncing:
            disk.sync(syncing.pop())
        try_all(is_done=True)
        disk.close()
    return len(seen)


def try_one(home: Path, name: str, wanted: dict[str, object], is_done: bool) -> None:
    """Assert that a disk is sound, and whole once the operation has ended or is done again."""
    if name != "rebuild" or not catalogue_problem(home / IN):
        look(home, name)
    if not is_done:
        OPERATIONS[name](home)
        look(home, "")
    assert state(home) == wanted


if __name__ == "__main__":
    sys.stdout.write(f"{campaign(sys.argv[1], int(sys.argv[2]))} disks\n")
