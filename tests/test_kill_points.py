"""`kill -9` before every single step on the way to the disk: a change of points is there as a whole, or not at all."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from patchseek.store import Store, Writer
from patchseek.store._catalogue import Catalogue

from .test_kept_points import POINTS, SETTINGS, codes, commit, found

NEWER = replace(SETTINGS, points=replace(POINTS, weights="33" * 32))


def change(path):
    """Every kind of change that points go through; yields after each."""
    store = Store.open(path)
    commit(store, 5, 0)
    yield
    with Writer(store) as writer:
        writer.add_points({2: codes(2)})  # picture 2 was never looked at
        yield
        writer.add_points({1: codes(9), 4: codes(0)})
        yield
        writer.remove([3])
        yield
        writer.compact()
        yield
        writer.renew(NEWER)
        yield
        writer.add_points({1: codes(1), 4: codes(5)})
        yield


def die_before(step):
    """From now on this process dies before so many steps more."""
    left = [step]

    def counted(real):
        def call(*arguments, **options):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*arguments, **options)

        return call

    os.fsync, Path.replace, Path.unlink = counted(os.fsync), counted(Path.replace), counted(Path.unlink)
    patiently = Catalogue._patiently
    commit = counted(patiently)
    Catalogue._patiently = lambda *a: (commit if a[2] == "COMMIT" else patiently)(*a)


def die_at_every_step(home):
    """What runs in a process of its own: a copy of the collection for each step, changed by a child that dies there."""
    step = 0
    while True:
        shutil.copytree(home / "collection", home / f"{step}" / "collection")
        child = os.fork()
        if not child:
            die_before(step)
            for done, _ in enumerate(change(home / f"{step}" / "collection"), start=1):
                (home / f"{step}" / "done").write_text(f"{done}")
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            return
        step += 1


def state(path):
    store = Store.open(path)
    return store.settings, found(store)


def test_killed_before_every_step_points_are_as_before_a_change_or_after_it(tmp_path):
    store = Store.create(tmp_path / "collection", SETTINGS)
    commit(store, 1, 2, points=lambda i: codes(i) if i == 1 else None)
    commit(store, 3)
    shutil.copytree(store.path, tmp_path / "undisturbed")
    undisturbed = tmp_path / "undisturbed"
    states = [state(undisturbed), *(state(undisturbed) for _ in change(undisturbed))]
    code = "import sys, pathlib; from tests.test_kill_points import *; die_at_every_step(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parent.parent, check=True)
    steps = sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal())
    assert len(steps) > 40
    for step in steps:
        home = tmp_path / f"{step}"
        n_done = int((home / "done").read_text()) if (home / "done").exists() else 0
        killed = Store.open(home / "collection")
        assert killed.problems() == []
        assert state(killed.path) in states[n_done : n_done + 2], f"killed before step {step}"
        Writer(killed).close()
        parts = {part.file for shard in killed.list_shards() for part in shard.parts.values()}
        assert {path.name for path in killed.folder.iterdir()} == parts, "what was not committed is gone"
    assert n_done == len(states) - 1
