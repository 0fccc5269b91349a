"""Points are kept beside the features: as many as a picture has, committed, mended, compacted and lost with it."""

import shutil
import sqlite3
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from patchseek import Collection
from patchseek.encoders import EncoderIdentity
from patchseek.errors import DiskFull, StoreDamaged, StoreMismatch
from patchseek.points import PointsIdentity
from patchseek.regions import Pyramid
from patchseek.store import FileState, NewEntry, Settings, Store, Writer, back_up, hash_file, restore

from .conftest import TinyEncoder

POINTS = PointsIdentity("made up", "11" * 32, "22" * 32, 100, 1024, n_bytes=3)
PLAIN = Settings(EncoderIdentity("tiny", 8, 4, "00", "squash"), Pyramid.up_to(1))
SETTINGS = replace(PLAIN, points=POINTS)
ROOT = Path("/pictures")


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "collection", SETTINGS)


def codes(number):
    """As many points as the number says, of three bytes each, no two numbers alike."""
    return np.full((number, 3), number, np.uint8) + np.arange(3, dtype=np.uint8)


def commit(store, *numbers, points=codes):
    """A shard of pictures 3.jpg, 0.jpg, ... whose features are their number and one; points: of a number, or None."""
    features = np.repeat(np.array(numbers, np.float16) + 1, 20).reshape(-1, 5, 4)
    pictures = [NewEntry(f"{i}.jpg", FileState(10, 20), "aa", 64, 48) for i in numbers]
    with Writer(store) as writer:
        writer.commit(ROOT, pictures, features, points=points and [points(i) for i in numbers])


def found(store, snapshot=None):
    """By number, the points of every picture that can be found; None where nobody has looked for any."""
    snapshot = snapshot or store.snapshot()
    positions = np.flatnonzero(snapshot.live)
    names = [image.path for image in store.images(snapshot.ids[positions].tolist())]
    numbers = [int(name.partition(".")[0]) for name in names]
    assert [n + 1 for n in numbers] == snapshot.features(positions)[:, 0, 0].tolist(), (
        "features and points are of the same picture"
    )
    kept = snapshot.points(positions)
    looked = snapshot.looked_at()[positions]
    assert all(len(each) == 0 for each, is_known in zip(kept, looked, strict=True) if not is_known)
    return {n: each.tolist() if known else None for n, each, known in zip(numbers, kept, looked, strict=True)}


def expected(*numbers):
    return {number: codes(number).tolist() for number in numbers}


def points_files(store):
    return [store.folder / shard.points.file for shard in store.list_shards() if shard.points]


# ---- what is committed comes back


@pytest.mark.parametrize("numbers", [[3], [0], [0, 0], [0, 2, 0, 0, 5, 1, 0], [4, 0, 9]])
def test_each_picture_has_its_own_number_of_points_even_none(store, numbers):
    numbers = [n + 10 * i if n else 0 for i, n in enumerate(numbers)]
    features = np.ones((len(numbers), 5, 4), np.float16)
    pictures = [NewEntry(f"{i}.jpg", FileState(1, 2), "aa", 64, 48) for i in range(len(numbers))]
    with Writer(store) as writer:
        writer.commit(ROOT, pictures, features, points=[codes(n) for n in numbers])
    snapshot = Store.open(store.path).snapshot()
    kept = snapshot.points(np.arange(len(numbers)))
    assert [each.tolist() for each in kept] == [codes(n).tolist() for n in numbers]
    assert [each.shape for each in kept] == [(n, 3) for n in numbers]
    assert all(each.dtype == np.uint8 for each in kept)
    assert snapshot.has_points and snapshot.looked_at().all()
    assert snapshot.points(np.array([], int)) == []
    assert store.problems() == []


def test_the_file_is_two_arrays_that_numpy_reads(store):
    commit(store, 2, 0, 1)
    with Writer(store) as writer:
        nothing = np.zeros((1, 5, 4), np.float16)
        new = NewEntry("x.jpg", FileState(1, 2), "aa", 64, 48)
        writer.commit(ROOT, [new, replace(new, path="7.jpg")], np.concatenate([nothing] * 2), points=[None, codes(1)])
    blocks = []
    for path in points_files(store):
        with path.open("rb") as file:
            blocks.append((np.load(file).tolist(), np.load(file).tolist()))
            assert file.read() == b""
    assert blocks == [
        ([2, 0, 1], [[2, 3, 4], [2, 3, 4], [1, 2, 3]]),
        ([-1, 1], [[1, 2, 3]]),
    ]


def test_a_picture_that_was_looked_at_and_has_none_is_told_from_one_that_nobody_looked_at(store):
    commit(store, 0, 5)
    commit(store, 7, 8, points=None)
    commit(store, 9, 10, points=lambda i: codes(i) if i == 10 else None)
    assert found(store) == expected(0, 5, 10) | {7: None, 8: None, 9: None}
    assert store.without_points() == [[3, 4], [5]]
    assert [shard.points is not None for shard in store.list_shards()] == [True, False, True]
    assert store.problems() == []


def test_a_collection_without_points_has_none_and_no_file_of_them(tmp_path):
    store = Store.create(tmp_path / "plain", PLAIN)
    commit(store, 3, 4, points=None)
    snapshot = store.snapshot()
    assert (snapshot.has_points, snapshot.points_identity) == (False, None)
    assert [each.shape for each in snapshot.points(np.array([1, 0]))] == [(0, 35), (0, 35)]
    assert len(list(store.folder.iterdir())) == 1
    with pytest.raises(AssertionError, match="the settings say nothing of points"):
        commit(store, 5)
    assert found(store) == {3: None, 4: None}


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 4), np.uint8), np.zeros((1, 3), np.int16), np.zeros(3, np.uint8)], ids=str
)
def test_points_of_another_shape_or_type_are_a_fault_of_whoever_gives_them(store, wrong):
    with pytest.raises(AssertionError, match=r"\(n, 3\) uint8 expected"):
        commit(store, 1, points=lambda _: wrong)
    assert list(store.folder.iterdir()) == []


def test_a_picture_committed_again_has_its_new_points(store):
    commit(store, 4)
    commit(store, 4, points=lambda _: codes(2))
    assert found(store) == {4: codes(2).tolist()}


def test_points_of_a_part_of_a_snapshot_are_those_of_its_pictures(store):
    for shard in ([1, 2, 3], [4, 5], [6, 0, 7, 8]):
        commit(store, *shard)
    whole = store.snapshot()
    among = np.isin(whole.ids, [2, 3, 5, 9])
    part, positions = whole.only(among)
    assert [each.tolist() for each in part.points(np.arange(part.n_positions))] == [
        each.tolist() for each in whole.points(positions)
    ]
    backwards = whole.in_order(np.arange(8, -1, -1))
    assert [len(each) for each in backwards.points(np.arange(9))] == [8, 7, 0, 6, 5, 4, 3, 2, 1]
    again = backwards.only(np.arange(9) % 4 == 1)[0]
    assert [len(each) for each in again.points(np.flatnonzero(again.live))] == [7, 4]
    assert [len(each) for each in whole.first_regions(1).points(np.array([8, 0]))] == [8, 1]
    assert again.looked_at().all()


def test_the_bytes_of_a_collection_are_those_of_all_its_files(store):
    commit(store, 1, 2)
    commit(store, 3, points=None)
    files = [store.catalogue.path, *store.folder.iterdir()]
    assert (len(files), store.n_bytes()) == (4, sum(path.stat().st_size for path in files))


@pytest.mark.posix  # on Windows, maps keep no files open
def test_more_parts_than_files_may_be_open_can_be_mapped(store):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for i in range(40):
        commit(store, i)
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 50, hard))  # features alone would fit
    try:
        assert found(store) == expected(*range(40))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- points for pictures that lack them


def test_pictures_of_before_are_given_points_shard_by_shard(tmp_path):
    store = Store.create(tmp_path / "old", PLAIN)
    for shard in ([1, 2, 3], [4, 0]):
        commit(store, *shard, points=None)
    before = store.snapshot()
    with Writer(store) as writer:
        writer.renew(SETTINGS)
        writer.remove([2])
        assert store.without_points() == [[1, 3], [4, 5]]
        numbers = {1: 1, 3: 3, 4: 4, 5: 0}
        for ids in store.without_points():
            assert writer.add_points({i: codes(numbers[i]) for i in ids}) == len(ids)
    assert Store.open(store.path).settings == SETTINGS
    assert found(store) == expected(1, 3, 4, 0)
    assert store.without_points() == []
    after = store.snapshot()
    assert after.shards == before.shards, "an engine that was built before still fits"
    assert store.problems() == []


def test_points_added_later_leave_those_of_others_in_the_shard_as_they_are(store):
    commit(store, 1, 2, 3, points=lambda i: codes(i) if i != 2 else None)
    with Writer(store) as writer:
        assert writer.add_points({2: codes(2), 77: codes(7)}) == 1
        assert found(store) == expected(1, 2, 3)
        assert writer.add_points({1: codes(9)}) == 1
        assert writer.add_points({}) == 0
    assert found(store) == {1: codes(9).tolist()} | expected(2, 3)
    Writer(store).close()
    assert len(list(store.folder.iterdir())) == 2, "what was replaced is gone"


@pytest.mark.posix  # Windows leaves what a reader has mapped
def test_a_reader_from_before_still_reads_what_was_replaced_compacted_or_dropped(store):
    commit(store, 1, 2)
    commit(store, 3)
    before = store.snapshot()  # none of its points have been looked at yet
    with Writer(store) as writer:
        writer.add_points({1: codes(5)})
        writer.remove([2])
        writer.compact()
        between = store.snapshot()
        writer.renew(PLAIN)
    assert [len(each) for each in before.points(np.arange(3))] == [1, 2, 3]
    assert [len(each) for each in between.points(np.arange(2))] == [5, 3]
    assert not store.snapshot().has_points
    assert len(list(store.folder.iterdir())) == 1


# ---- compact


def test_compacting_keeps_the_points_of_what_is_kept_and_knows_who_was_never_looked_at(store):
    commit(store, 1, 2, 0, 4)
    commit(store, 5, 6, points=None)
    commit(store, 7, 8)
    with Writer(store) as writer:
        writer.remove([2, 7])
        writer.set_aside([6])
        assert writer.compact() > 0
        assert len(store.list_shards()) == 1
        assert found(store) == expected(1, 0, 4, 8) | {5: None}
        assert store.problems() == []
        assert store.without_points() == [[5]]
        writer.remove([1, 3, 4, 8])
        writer.compact()
    (shard,) = store.list_shards()
    assert shard.points is None, "nothing is left that was looked at"
    assert len(list(store.folder.iterdir())) == 1
    assert found(store) == {5: None}


# ---- what is damaged


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped": flip_a_byte,
    "gone": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "foreign": lambda path: path.write_bytes(b"x" * path.stat().st_size),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_points_are_found_and_dropped_alone(store, damage, caplog):
    commit(store, 1, 2)
    commit(store, 3)
    path = points_files(store)[0]
    DAMAGES[damage](path)
    (problem,) = store.problems()
    assert path.name in problem
    with Writer(store) as writer:
        assert writer.repair() == 0, "no picture is lost"
    assert caplog.messages == [
        f"{store.path}: the points of 2 pictures were damaged and are dropped; make the points anew with: "
        "patchseek index FOLDER --with-points"
    ]
    assert store.problems() == []
    assert found(store) == {1: None, 2: None} | expected(3)
    assert store.without_points() == [[1, 2]]


@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_search_says_what_to_do_about_points_that_are_not_there(store, damage):
    commit(store, 1)
    DAMAGES[damage](points_files(store)[0])
    with pytest.raises(StoreDamaged, match="verify --repair"):
        store.snapshot()
    with pytest.raises(StoreDamaged, match="verify --repair"):
        store.require_shards()


def save(path, *arrays):
    with path.open("wb") as file:
        for array in arrays:
            if isinstance(array, bytes):
                file.write(header(array))
            else:
                np.save(file, array)


TWO, THREE = np.zeros((2, 3), np.uint8), np.zeros((3, 3), np.uint8)
OTHERS = {
    "too many counted": [np.array([2, 1], np.int32), TWO],
    "too few counted": [np.array([1, 1], np.int32), THREE],
    "fewer than none": [np.array([-2, 2], np.int32), TWO],
    "many beyond all": [np.array([2**31 - 1, 2**31 - 1], np.int32), TWO],
    "of other pictures": [np.array([1, 1, 1], np.int32), THREE],
    "counts of another type": [np.array([1, 1], np.int64), TWO],
    "counts in a table": [np.array([[1, 1]], np.int32), TWO],
    "another width": [np.array([1, 1], np.int32), np.zeros((2, 35), np.uint8)],
    "numbers of another type": [np.array([1, 1], np.int32), TWO.astype(np.int8)],
    "features": [np.zeros((2, 5, 4), np.float16)],
    "one block": [np.array([0, 0], np.int32)],
    "three blocks": [np.array([1, 1], np.int32), TWO, TWO],
    "numbers of no known order": [np.array([1, 1], np.int32), np.asfortranarray(TWO)],
    "objects": [np.array([1, 1], np.int32), np.array([[{}, 1, 2]], object)],
}


def header(shape):
    """An array's header that says so, before the bytes of another one."""
    file = BytesIO()
    np.save(file, TWO)
    return file.getvalue().replace(b"(2, 3), }" + b" " * 20, shape.ljust(29), 1)


OTHERS |= {shape.decode(): [np.array([1, 1], np.int32), shape] for shape in (b"(%d, 3), }" % 10**15, b"(-2, 3), }")}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_something_else_is_never_taken_for_points_even_with_the_right_hash(store, name):
    commit(store, 1, 2)
    (path,) = points_files(store)
    save(path, *OTHERS[name])
    with sqlite3.connect(store.catalogue.path) as db:
        said = path.stat().st_size, hash_file(path)
        db.execute("UPDATE part SET n_bytes = ?, sha256 = ? WHERE kind = 'points'", said)
    snapshot = store.snapshot()
    for ask in (lambda: snapshot.points(np.array([1])), snapshot.looked_at):
        with pytest.raises(StoreDamaged, match=f"{path.name}: cannot be read as points .*verify --repair"):
            ask()
    (problem,) = store.problems()
    assert "cannot be read as points" in problem
    with Writer(store) as writer:
        writer.repair()
    assert found(store) == {1: None, 2: None}


def test_a_shard_whose_features_are_damaged_goes_with_its_points(store):
    commit(store, 1, 2)
    commit(store, 3)
    flip_a_byte(store.folder / store.list_shards()[0].regions.file)
    assert len(store.problems()) == 1
    with Writer(store) as writer:
        assert writer.repair() == 2
    assert found(store) == expected(3)
    assert len(list(store.folder.iterdir())) == 2


def test_a_picture_whose_features_are_no_numbers_goes_alone_and_the_others_keep_their_points(store):
    commit(store, 1, 2, 3, points=lambda i: codes(i) if i != 3 else None)
    (shard,) = store.list_shards()
    path = store.folder / shard.regions.file
    features = np.load(path)
    features[0] = np.nan
    np.save(path, features)
    with sqlite3.connect(store.catalogue.path) as db:
        db.execute("UPDATE part SET sha256 = ? WHERE kind = 'regions'", (hash_file(path),))
    with Writer(store) as writer:
        assert writer.repair() == 1
    assert found(store) == expected(2) | {3: None}
    assert store.problems() == []


def test_a_shard_of_which_the_catalogue_names_no_features_is_found_and_dropped(store):
    commit(store, 1)
    commit(store, 2)
    with sqlite3.connect(store.catalogue.path) as db:
        db.execute("DELETE FROM part WHERE shard = 1 AND kind = 'regions'")
    with pytest.raises(StoreDamaged, match="shard 1: the catalogue names no features; run: patchseek verify --repair"):
        store.snapshot()
    assert store.problems() == ["shard 1: the catalogue names no features; run: patchseek verify --repair"]
    with Writer(store) as writer:
        assert writer.repair() == 1
    assert found(store) == expected(2)


def test_points_of_a_collection_that_has_none_are_no_secret(store):
    commit(store, 1)
    store.catalogue.set("settings", PLAIN.to_json())
    plain = Store.open(store.path)
    assert plain.problems() == [f"{points_files(plain)[0].name}: points, in a collection that has none"]
    assert not plain.snapshot().has_points
    with Writer(plain) as writer:
        assert writer.repair() == 0
    assert plain.problems() == []


def test_a_full_disk_at_the_points_leaves_neither_file(store, monkeypatch):
    commit(store, 1)
    before, free = sorted(store.folder.iterdir()), iter([10**9, 1000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, next(free)))
    with pytest.raises(DiskFull, match="free some space"):
        commit(store, 2)
    assert sorted(store.folder.iterdir()) == before
    assert found(store) == expected(1)


# ---- finished files from elsewhere


def staged(folder, numbers):
    """A shard of these pictures, finished elsewhere."""
    np.save(folder / "f.npy", np.repeat(np.array(numbers, np.float16) + 1, 20).reshape(-1, 5, 4))
    counts = np.array(numbers, np.int32)
    save(folder / "p.npy", counts, np.concatenate([codes(number) for number in numbers]))
    pictures = [NewEntry(f"{i}.jpg", FileState(10, 20), "aa", 64, 48) for i in numbers]
    return pictures, folder / "f.npy", hash_file(folder / "f.npy"), (folder / "p.npy", hash_file(folder / "p.npy"))


def test_a_finished_shard_is_adopted_with_its_points(store, tmp_path):
    pictures, file, sha256, points = staged(tmp_path, [3, 0, 1])
    with Writer(store) as writer:
        writer.adopt(ROOT, pictures, file, sha256, points=points)
    assert found(store) == expected(3, 0, 1)
    assert store.problems() == []
    file.unlink()
    points[0].unlink()
    assert found(store) == expected(3, 0, 1)


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_with_damaged_points_is_not_and_leaves_nothing(store, tmp_path, damage):
    pictures, file, sha256, points = staged(tmp_path, [3, 0, 1])
    DAMAGES[damage](points[0])
    with Writer(store) as writer:
        with pytest.raises(StoreDamaged):
            writer.adopt(ROOT, pictures, file, sha256, points=points)
        assert list(store.folder.iterdir()) == []
        assert len(store) == 0


# ---- what the collection says of its points


def test_the_settings_of_a_collection_without_points_read_as_those_of_earlier_versions():
    assert PLAIN.to_json() == (
        '{"encoder": {"dim": 4, "name": "tiny", "preprocessing": "squash", "size": 8, "weights": "00"}, '
        '"pyramid": {"follows_shape": true, "levels": [0, 1], "overlap": 0.0}}'
    )
    assert Settings.from_json(PLAIN.to_json()) == PLAIN
    assert Settings.from_json(SETTINGS.to_json()) == SETTINGS


def test_to_want_points_or_none_is_no_mismatch(tmp_path):
    Store.create(tmp_path / "a", SETTINGS).require(PLAIN)
    Store.create(tmp_path / "b", PLAIN).require(SETTINGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": "33" * 32}, f"points' weights: '{'11' * 32}' here, '{'33' * 32}' asked for"),
        ({"codes": "33" * 32}, f"points' codes: '{'22' * 32}' here, '{'33' * 32}' asked for"),
        ({"n_most": 400}, "points' number: 100 here, 400 asked for"),
        ({"side": 800}, "points' size: 1024 here, 800 asked for"),
        ({"name": "other"}, "points' name: 'made up' here, 'other' asked for"),
        ({"n_bytes": 35}, "points' bytes: 3 here, 35 asked for"),
    ],
)
def test_other_points_are_outdated_and_that_is_said_with_what_to_do(store, change, words):
    other = replace(SETTINGS, points=replace(POINTS, **change))
    with pytest.raises(StoreMismatch) as caught:
        store.require(other)
    assert str(caught.value) == (
        f"{store.path}: {words}; make the points anew with: patchseek index FOLDER --with-points"
    )


def test_another_encoder_is_said_before_other_points(store):
    other = replace(SETTINGS, encoder=replace(SETTINGS.encoder, name="huge"), points=replace(POINTS, side=1))
    with pytest.raises(StoreMismatch, match=r"encoder: 'tiny' here, 'huge' asked for; use the collection's own"):
        store.require(other)


def test_points_of_another_kind_never_stand_beside_those_of_before(store):
    commit(store, 1, 2)
    commit(store, 3)
    newer = replace(SETTINGS, points=replace(POINTS, weights="33" * 32))
    with Writer(store) as writer:
        writer.renew(newer)
        assert found(store) == {1: None, 2: None, 3: None}
        assert len(list(store.folder.iterdir())) == 2, "their files are gone as well"
        writer.renew(newer)
        writer.add_points({1: codes(1)})
        writer.renew(newer)
    assert found(store) == expected(1) | {2: None, 3: None}
    assert store.snapshot().points_identity == newer.points


def test_whoever_has_the_collection_open_goes_on_when_points_come_and_go(make_folder, tmp_path):
    folder, tiny = make_folder("1.png", "2.png", "3.png"), TinyEncoder()
    opened = Collection.open(tmp_path / "c", encoder=tiny, pyramid=Pyramid.up_to(1), create=True)
    opened.add(folder)
    first = opened.search(folder / "2.png", refine=0, depth=0)
    other = Store.open(tmp_path / "c")
    with Writer(other) as writer:
        writer.renew(replace(other.settings, points=POINTS))
        writer.add_points({1: codes(1), 2: codes(2), 3: codes(3)})
    assert opened.verify() == []
    assert opened.search(folder / "2.png", refine=0, depth=0) == first
    snapshot = opened.store.snapshot()
    assert [len(each) for each in snapshot.points(np.arange(3))] == [1, 2, 3]
    assert opened.store.settings.points == POINTS
    with Writer(other) as writer:
        writer.renew(replace(other.settings, points=None))
    assert opened.add(folder).unchanged == 3
    assert not opened.store.snapshot().has_points


# ---- backups


def test_a_backup_has_the_points_and_comes_back_with_them(store, tmp_path):
    commit(store, 1, 2)
    commit(store, 3, points=None)
    seen = []
    back_up(store, tmp_path / "a.tar", lambda done, total, _: seen.append((done, total)))
    again = restore(tmp_path / "a.tar", tmp_path / "again")
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert again.settings == SETTINGS
    assert found(again) == found(store) == expected(1, 2) | {3: None}
    assert again.problems() == []


def test_damaged_points_are_not_backed_up(store, tmp_path):
    commit(store, 1)
    flip_a_byte(points_files(store)[0])
    with pytest.raises(StoreDamaged, match="verify --repair"):
        back_up(store, tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()
