"""Encoding on a real Ray cluster of several nodes: the same features as one process gives, whoever dies on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchseek import Collection
from patchseek.distributed import add_source
from patchseek.distributed._driver import CRASHED
from patchseek.distributed._ray import Share, share
from patchseek.distributed._sources import open_sources
from patchseek.distributed._staging import Staging
from patchseek.distributed._work import Item, ShardWorker, Work
from patchseek.encode import ENCODING, add_folder
from patchseek.errors import EncoderError, PatchseekError
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store

from .conftest import LIMIT, TinyEncoder, blot, wait_for

pytestmark = pytest.mark.extra("ray")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
PYRAMID = Pyramid.up_to(1)
N_NODES = 3


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of one CPU each, as processes of this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False},
    )
    for _ in range(N_NODES - 1):
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20, wait=False)
    cluster.wait_for_nodes(LIMIT)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())


def vectors(store):
    """The features of every picture, by path, as bytes."""
    snapshot = store.snapshot()
    positions = np.flatnonzero(snapshot.live)
    images = store.images(snapshot.ids[positions].tolist())
    features = snapshot.features(positions).astype(np.float16)
    return {image.path: rows.tobytes() for image, rows in zip(images, features, strict=True)}


def local_vectors(folder, where):
    """What one process makes of a folder, by path."""
    store = Store.create(where, Settings(TinyEncoder().identity, PYRAMID))
    add_folder(store, folder, TinyEncoder())
    return vectors(store)


def numbered(make_folder, n, **options):
    return make_folder(*(f"{i:03}.png" for i in range(n)), **options)


def test_a_cluster_gives_bit_for_bit_what_one_process_gives(cluster, collection, make_folder, tmp_path):
    folder = numbered(make_folder, 50)
    (folder / "bad.png").write_bytes(b"bad")
    seen = []
    report = add_source(
        collection,
        folder,
        ray=cluster.address,
        open_encoder=TinyEncoder,
        shard_images=8,
        on_progress=lambda *told: seen.append(told),
    )
    assert (report.added, report.unchanged, [f.path for f in report.failed]) == (50, 0, ["bad.png"])
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")
    assert collection.store.problems() == []
    assert [doing for _, _, doing in seen[:2]] == ["looking for pictures", "starting the cluster"]
    assert (51, 51, ENCODING) in seen
    assert sorted(path.name for path in collection.path.iterdir()) == [
        ".gitignore",
        "catalogue.sqlite",
        "inventories",
        "lock",
        "shards",
    ]


def test_a_second_run_encodes_only_what_is_new_or_changed(cluster, collection, make_folder, tmp_path):
    folder = numbered(make_folder, 20)
    add = partial(add_source, collection, folder, ray=cluster.address, open_encoder=TinyEncoder, shard_images=6)
    (folder / "bad.png").write_bytes(b"bad")
    add()
    report = add(ray="nowhere:1")  # nothing to do: the cluster is not even asked
    assert (report.added, report.changed, report.unchanged, len(report.failed)) == (0, 0, 20, 1)
    blot(7).save(folder / "003.png")
    (folder / "new").mkdir()
    (folder / "004.png").rename(folder / "new" / "a.png")
    (folder / "new" / "b.png").write_bytes((folder / "new" / "a.png").read_bytes())
    (folder / "005.png").unlink()
    os.utime(folder / "006.png", ns=(1, 1))
    report = add()
    assert (report.added, report.changed, report.moved, report.removed) == (1, 1, 1, 1)
    assert report.unchanged == 17
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")
    assert collection.store.problems() == []


class SlowEncoder(TinyEncoder):
    """Takes its time, notes the process it works in, and dies of a picture that is all white."""

    def __init__(self, notes):
        super().__init__()
        (notes / str(os.getpid())).touch()

    def encode(self, patches):
        time.sleep(0.02)
        if (patches == 255).all(axis=(1, 2, 3)).any():
            os._exit(1)
        return super().encode(patches)


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def test_a_killed_worker_costs_only_time(cluster, collection, make_folder, notes, tmp_path):
    folder, killed = numbered(make_folder, 40), []

    def kill_one(done, *_):
        if done and not killed:
            killed.append(int(next(notes.iterdir()).name))
            os.kill(killed[0], signal.SIGKILL)

    slow = partial(SlowEncoder, notes)
    report = add_source(
        collection, folder, ray=cluster.address, open_encoder=slow, shard_images=4, on_progress=kill_one
    )
    assert killed and (report.added, report.failed) == (40, [])
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")


def test_a_lost_machine_costs_only_time(cluster, collection, make_folder, notes, tmp_path):
    folder, lost = numbered(make_folder, 40), []
    extra = cluster.add_node(num_cpus=1, object_store_memory=80 << 20, wait=False)
    cluster.wait_for_nodes(LIMIT)

    def lose_it(done, *_):
        if done and not lost:
            lost.append(extra)
            cluster.remove_node(extra)

    slow = partial(SlowEncoder, notes)
    report = add_source(collection, folder, ray=cluster.address, open_encoder=slow, shard_images=4, on_progress=lose_it)
    assert lost and (report.added, report.failed) == (40, [])
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")


def test_a_picture_that_kills_every_worker_is_found_and_listed(cluster, collection, make_folder, notes):
    folder = numbered(make_folder, 12)
    Image.new("RGB", (64, 48), "white").save(folder / "005.png")
    slow = partial(SlowEncoder, notes)
    report = add_source(collection, folder, ray=cluster.address, open_encoder=slow, shard_images=6)
    assert report.added == 11
    assert [(f.path, f.reason) for f in report.failed] == [("005.png", CRASHED)]
    assert len(collection) == 11
    again = add_source(collection, folder, ray="nowhere:1", open_encoder=slow)  # known to fail: not tried again
    assert (again.added, again.unchanged, len(again.failed)) == (0, 11, 1)


DRIVER = """
import signal
import sys
from functools import partial
from pathlib import Path
from patchseek import Collection
from patchseek.distributed import add_source
from tests.conftest import TinyEncoder
from tests.test_distributed import SlowEncoder

def wait_to_be_killed(done, *_):
    if done >= 16:
        print(done, flush=True)
        signal.pause()

collection, folder, notes, address = sys.argv[1:]
opener = partial(SlowEncoder, Path(notes))
options = {"ray": address, "open_encoder": opener, "shard_images": 4, "on_progress": wait_to_be_killed}
add_source(Collection.open(collection, encoder=TinyEncoder()), folder, **options)
"""


def test_a_driver_killed_in_mid_run_loses_no_more_than_what_was_in_flight(
    cluster, collection, make_folder, notes, tmp_path
):
    folder = numbered(make_folder, 60)
    command = [sys.executable, "-c", DRIVER, collection.path, folder, notes, cluster.address]
    words, root = [str(word) for word in command], Path(__file__).parents[1]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline() == "16\n"
        driver.kill()
    wait_for(lambda: not any(is_alive(int(note.name)) for note in notes.iterdir()))
    staging = collection.path / "staging"
    finished = [json.loads(path.read_text()) for path in staging.glob("*.json")] if staging.exists() else []
    committed = {path for _, _, path in collection.store.paths()}
    kept = committed | {picture["path"] for record in finished for picture in record["pictures"]}
    report = add_source(collection, folder, ray=cluster.address, open_encoder=TinyEncoder, shard_images=4)
    assert 16 <= len(kept) < 60
    assert report.added == 60 - len(kept)
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")
    assert collection.store.problems() == []
    assert not staging.exists()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_finished_shard_that_was_never_committed_is_not_encoded_again(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 5)
    staging = Staging.open(str(collection.path.resolve() / "staging"), collection.store.settings)
    worker = ShardWorker(TinyEncoder, collection.store.settings, staging, {}, 1)
    source = next(open_sources(str(folder)))
    worker(Work(source.root, tuple(Item(entry, None) for entry in source.entries)))
    report = add_source(collection, folder, ray="nowhere:1")  # no cluster is asked for
    assert (report.added, report.unchanged) == (0, 5)
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")


@pytest.mark.parametrize("kind", ["tar", "two tars", "csv", "parquet", "url", "staging at a url"])
def test_every_kind_of_source_gives_the_same_features(cluster, collection, make_folder, tmp_path, kind):
    folder = numbered(make_folder, 9)
    source, options = make_source(folder, tmp_path, kind)
    add = partial(add_source, collection, source, open_encoder=TinyEncoder, shard_images=4, **options)
    report = add(ray=cluster.address)
    assert (report.added, report.failed) == (9, [])
    assert sorted(vectors(collection.store).values()) == sorted(local_vectors(folder, tmp_path / "local").values())
    again = add(ray="nowhere:1")
    assert (again.added, again.changed, again.unchanged) == (0, 0, 9)


def make_source(folder, tmp_path, kind):
    """The nine pictures of folder in another shape, and options that go with it."""
    names = sorted(path.name for path in folder.iterdir())
    if "tar" in kind and "staging" not in kind:
        for number, part in enumerate([names[:5], names[5:]] if "two" in kind else [names]):
            with tarfile.open(tmp_path / f"x-{number}.tar", "w") as tar:
                for name in part:
                    tar.add(folder / name, name)
        return str(tmp_path / ("x-{0..1}.tar" if "two" in kind else "x-0.tar")), {}
    if kind == "csv":
        (tmp_path / "list.csv").write_text("path,note\n" + "".join(f"pictures/{name},x\n" for name in names))
        return str(tmp_path / "list.csv"), {}
    if kind == "parquet":
        import pyarrow.parquet

        table = pyarrow.table({"url": [f"file://{folder / name}" for name in names]})
        pyarrow.parquet.write_table(table, tmp_path / "list.parquet")
        return str(tmp_path / "list.parquet"), {}
    if kind == "url":
        return f"file://{folder}", {}
    return str(folder), {"staging": f"file://{tmp_path / 'elsewhere'}"}


def test_bad_sources_and_clusters_are_one_line_and_lose_nothing(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 1)
    (tmp_path / "empty.csv").write_text("path\n")
    (tmp_path / "odd.csv").write_text("name\na.png\n")
    for source, ray, words in (
        (folder, "nowhere", "expected local, auto or HOST:PORT"),
        (folder, "127.0.0.1:1", "no cluster answers there"),
        (tmp_path / "none", "local", "not a folder"),
        (tmp_path / "x-{0..3}.tar", "local", "x-0.tar"),
        (tmp_path / "empty.csv", "local", "names no pictures"),
        (tmp_path / "odd.csv", "local", "column"),
        ("nosuch://bucket", "local", "nosuch"),
    ):
        with pytest.raises(PatchseekError, match=re.escape(words)) as caught:
            add_source(collection, source, ray=ray)
        assert "\n" not in str(caught.value)
    assert len(collection) == 0


def test_shares_use_every_core_and_refuse_what_is_not_there():
    assert share([(1, 0), (1, 0)], None, want_gpu=False) == Share(2, 1, 0)
    assert share([(16, 0), (8, 0)], None, want_gpu=True) == Share(3, 8, 0)
    assert share([(16, 4), (8, 0)], None, want_gpu=True) == Share(4, 4, 1)
    assert share([(16, 4)], 2, want_gpu=False) == Share(2, 8, 0)
    with pytest.raises(PatchseekError, match="5 workers asked for, but the cluster has 4 GPUs"):
        share([(16, 4)], 5, want_gpu=True)


def test_another_encoder_on_a_worker_is_refused(cluster, collection, make_folder):
    folder = numbered(make_folder, 3)
    with pytest.raises(EncoderError, match="install the same patchseek and weights everywhere"):
        add_source(collection, folder, ray=cluster.address, open_encoder=partial(TinyEncoder, "other"))
    assert len(collection) == 0


def test_the_command_line_starts_a_cluster_of_its_own_that_reports_to_nobody(make_folder, tmp_path):
    folder = numbered(make_folder, 3)
    code = (
        "import os, sys\nsys.argv[0] = 'patchseek'\nfrom patchseek.cli import main\n"
        "try:\n    main()\nfinally:\n    print(os.environ['RAY_USAGE_STATS_ENABLED'])\n"
    )
    command = [sys.executable, "-c", code, "index", str(folder), "--ray", "local", "--workers", "1"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment |= {"XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 added" in done.stderr
    assert done.stdout == "0\n"
