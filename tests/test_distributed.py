"""Encoding on a real Ray cluster of several nodes: the same features as one process gives, whoever dies on the way."""

import os

import numpy as np
import pytest

from patchseek import Collection
from patchseek.distributed import add_source
from patchseek.encode import add_folder
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store

from .conftest import TinyEncoder

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
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
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
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert (report.added, report.unchanged, [f.path for f in report.failed]) == (50, 0, ["bad.png"])
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")
    assert collection.store.problems() == []
    assert seen[-1] == (51, 51)
    assert sorted(path.name for path in collection.path.iterdir()) == [
        ".gitignore",
        "catalogue.sqlite",
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
