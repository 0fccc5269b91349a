"""Points that a worker has finished lie beside the features at the staging place, and are committed with them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from patchseek import Collection
from patchseek._progress import unheard
from patchseek.distributed import _work
from patchseek.distributed._driver import Driver
from patchseek.distributed._sources import open_sources
from patchseek.distributed._staging import Staging
from patchseek.points import POINT_BYTES, identify
from patchseek.store import Settings, Store, Writer

from .conftest import TinyEncoder
from .test_distributed import PYRAMID, local_vectors, vectors
from .test_distributed_sources import add_here, numbered
from .test_kept_points import DAMAGES

SETTINGS = replace(Settings(TinyEncoder().identity, PYRAMID), points=identify())


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", SETTINGS), TinyEncoder())


@pytest.fixture(params=["folder", pytest.param("url", marks=pytest.mark.extra("ray"))])
def place(request, collection, tmp_path):
    """Where finished shards lie."""
    return str(collection.path / "staging") if request.param == "folder" else f"file://{tmp_path}/shared"


def codes(number):
    """As many points as the number says, no two numbers alike."""
    return np.full((number, POINT_BYTES), number, np.uint8)


def points_of(number):
    """None for picture 2; no points, but looked at, for picture 0."""
    return None if number == 2 else codes(number)


def finish_one_shard(collection, folder, place):
    """A shard of four pictures that a worker finished, with points, and nobody committed; its record.

    The points are made up, so that a picture may have none, and another that nobody has looked at.
    """
    with Writer(collection.store) as writer:
        shards = Staging.open(place, SETTINGS)
        driver = Driver(writer, shards, open_sources(str(folder)), shard_images=4, retry=False, on_progress=unheard)
        driver.has_work()
        work = driver.next_work()
    done = _work.ShardWorker(TinyEncoder, replace(SETTINGS, points=None), shards, {}, 1)(work)
    with shards.fetched(done, collection.store.folder) as ((file, _),):
        features = np.load(file)
    points = [points_of(int(picture.path[:3])) for picture in done.pictures]
    return shards.write(done.key, done.root, done.pictures, features, (), (), points, POINT_BYTES)


def kept(collection):
    snapshot = collection.store.snapshot()
    names = [image.path for image in collection.store.images(snapshot.ids.tolist())]
    found = zip(names, snapshot.points(np.arange(len(names))), snapshot.looked_at().tolist(), strict=True)
    return {int(name[:3]): each.tolist() if known else None for name, each, known in found}


def test_they_are_committed_with_the_features(collection, make_folder, tmp_path, place):
    folder = numbered(make_folder, 4)
    finish_one_shard(collection, folder, place)
    assert add_here(collection, folder, staging=place).unchanged == 4, "nothing is encoded again"
    assert kept(collection) == {0: [], 1: codes(1).tolist(), 2: None, 3: codes(3).tolist()}
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")
    assert collection.store.problems() == []
    files = sorted(path.suffix for path in collection.store.folder.iterdir())
    assert files == [".npy", ".npy"], "copies of what lay at a URL are gone"
    where = tmp_path / "shared" if place.startswith("file:") else collection.path / "staging"
    assert not where.exists() or list(where.iterdir()) == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("of", ["features", "points"])
def test_a_shard_of_which_a_file_is_torn_is_encoded_again(collection, make_folder, tmp_path, damage, of):
    folder, place = numbered(make_folder, 4), collection.path / "staging"
    record = finish_one_shard(collection, folder, str(place))
    DAMAGES[damage](place / (record.file if of == "features" else record.points[0]))
    assert add_here(collection, folder).added == 4
    assert collection.store.problems() == []
    assert not place.exists()
    local = Collection.open(tmp_path / "local", encoder=TinyEncoder(), pyramid=PYRAMID, create=True)
    local.add(folder)
    assert kept(collection) == kept(local)
    assert all(kept(local).values()), "each picture has points"


def test_a_record_of_a_version_that_knew_no_points_is_still_committed(collection, make_folder):
    folder, place = numbered(make_folder, 4), collection.path / "staging"
    record = finish_one_shard(collection, folder, str(place))
    file = place / f"{record.key}.json"
    said = json.loads(file.read_text())
    (place / said.pop("points")[0]).unlink()
    file.write_text(json.dumps(said))
    assert add_here(collection, folder).unchanged == 4
    assert kept(collection) == dict.fromkeys(range(4))
