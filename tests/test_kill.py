"""`kill -9` at twenty random moments: what was committed is intact, and the next run goes on to the same result."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from patchseek import encode
from patchseek.encode import add_folder
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store

from .conftest import TinyEncoder

N_PICTURES = 60
N_KILLS = 20


class SlowEncoder(TinyEncoder):
    """Gives a killer time to aim."""

    def encode(self, patches):
        time.sleep(0.01)
        return super().encode(patches)


def add_slowly(folder: Path, collection: Path) -> None:
    """What the killed process runs: shards of four pictures, so that kills fall on every step of a commit."""
    encode._run.SHARD_IMAGES = 4
    encoder = SlowEncoder()
    if not Store.exists(collection):
        Store.create(collection, Settings(encoder.identity, Pyramid.up_to(1)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    add_folder(Store.open(collection), folder, encoder, n_workers=2)


def run_and_kill(folder: Path, collection: Path, seconds: float) -> bool:
    """Start the process and kill it this long after it began to work; whether it was still at work."""
    command = [sys.executable, "-m", "tests.test_kill", str(folder), str(collection)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def vectors(store: Store) -> dict[str, np.ndarray]:
    snapshot = store.snapshot()
    positions = np.flatnonzero(snapshot.live)
    names = [image.path for image in store.images(snapshot.ids[positions].tolist())]
    return dict(zip(names, snapshot.features(positions), strict=True))


def lowest_cosine(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    return min((float((unit(a[name]) * unit(b[name])).sum(axis=-1).min()) for name in a), default=1.0)


def test_killed_at_twenty_random_moments_nothing_committed_is_lost(make_folder, tmp_path):
    folder = make_folder(*(f"{i:03}.png" for i in range(N_PICTURES)))
    undisturbed = Store.create(tmp_path / "undisturbed", Settings(TinyEncoder().identity, Pyramid.up_to(1)))
    add_folder(undisturbed, folder, TinyEncoder())
    expected, collection, rng = vectors(undisturbed), tmp_path / "killed", random.Random(20)
    n_kills, n_committed = 0, 0
    while n_kills < N_KILLS:
        if run_and_kill(folder, collection, rng.uniform(0, 0.15)):
            n_kills += 1
        store = Store.open(collection)
        found = vectors(store)
        assert store.problems() == []
        assert len(found) >= n_committed, "a committed picture is gone"
        assert found.keys() <= expected.keys()
        assert lowest_cosine(found, expected) > 0.9999
        n_committed = len(found)
        if n_committed == N_PICTURES:
            shutil.rmtree(collection)
            n_committed = 0
    if not Store.exists(collection):
        Store.create(collection, undisturbed.settings)
    add_folder(Store.open(collection), folder, TinyEncoder())
    final = vectors(Store.open(collection))
    assert final.keys() == expected.keys()
    assert lowest_cosine(final, expected) > 0.9999


if __name__ == "__main__":
    add_slowly(Path(sys.argv[1]), Path(sys.argv[2]))
