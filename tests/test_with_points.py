"""Points are committed with their pictures, and made for those that were indexed without; of whatever extractor."""

import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from patchseek import Collection, encode, images
from patchseek.encode import _points, add_file, add_folder, add_points, add_stream
from patchseek.errors import DiskFull, StoreLocked, StoreMismatch
from patchseek.points import CodedPoints, PointsIdentity, find_points, identify
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store, Writer

from .conftest import TinyEncoder
from .test_distributed_sources import add_here
from .test_extractors import Corners, codes_of, nine_pictures, tiles
from .test_kill_steps import Killed, killed_before
from .test_pages import scan

PYRAMID = Pyramid.up_to(1)
CORNERS = PointsIdentity("corners", "aa", "bb", 4, 64)
PLAIN = Settings(TinyEncoder().identity, PYRAMID)
WITH_POINTS = replace(PLAIN, points=CORNERS)


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """The kinds of points that extractors were opened for, from now on: corners for all of them."""
    identities = []

    def open_points(identity):
        identities.append(identity)
        return Corners()

    for module in ("_extractors", "_points"):
        monkeypatch.setattr(f"patchseek.encode.{module}.open_points", open_points)
    return identities


@pytest.fixture
def folder(tmp_path):
    return nine_pictures(tmp_path / "pictures")


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "collection", WITH_POINTS)


@pytest.fixture
def old(tmp_path, folder, tiny, monkeypatch):
    """A collection of nine pictures without points, in shards of four."""
    monkeypatch.setattr(encode._run, "SHARD_IMAGES", 4)
    store = Store.create(tmp_path / "old", PLAIN)
    add_folder(store, folder, tiny)
    return store


def kept(store):
    """The points of every picture by its path; None where nobody has looked for any."""
    snapshot = store.snapshot()
    positions = np.flatnonzero(snapshot.live)
    images = store.images(snapshot.ids[positions].tolist())
    codes = snapshot.kept_points(positions)
    return {i.path: None if c is None else c.tolist() for i, c in zip(images, codes, strict=True)}


def corners_of(folder, *names):
    """What is to be kept of files, as Pillow reads them."""
    found = {}
    for name in names or sorted(path.name for path in folder.iterdir()):
        with Image.open(folder / name) as image:
            found[name] = codes_of(np.asarray(image.convert("RGB"))).tolist()
    return found


def stored_files(store):
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


# ---- new pictures


def test_a_folder_is_committed_with_its_points(store, folder, tiny, opened):
    assert add_folder(store, folder, tiny).added == 9
    assert kept(store) == corners_of(folder)
    assert opened == [CORNERS]
    assert store.problems() == []


def test_features_are_those_of_a_collection_without_points(store, old, folder, tiny):
    add_folder(store, folder, tiny)
    with_points, without = store.snapshot(), old.snapshot()
    np.testing.assert_array_equal(with_points.features(np.arange(9)), without.features(np.arange(9)))
    assert kept(old) == dict.fromkeys(corners_of(folder))


def test_a_collection_without_points_has_none_and_opens_nothing(old, opened):
    assert opened == []
    assert {kind for shard in old.list_shards() for kind in shard.parts} == {"regions"}


def test_a_changed_picture_has_new_points_and_a_moved_one_its_own(store, folder, tiny, opened):
    add_folder(store, folder, tiny)
    tiles(77, 3).save(folder / "4.png")
    (folder / "6.png").rename(folder / "six.png")
    report = add_folder(store, folder, tiny)
    assert (report.changed, report.moved, len(opened)) == (1, 1, 2)
    assert kept(store) == corners_of(folder)


def test_single_files_and_members_of_tars_have_theirs(store, folder, tiny, opened):
    add_file(store, folder / "3.png", tiny)
    add_stream(store, folder / "x.tar", [("in.png", (folder / "2.png").read_bytes())], tiny)
    expected = corners_of(folder, "2.png", "3.png")
    assert kept(store) == {"3.png": expected["3.png"], "in.png": expected["2.png"]}
    assert len(opened) == 2


def test_every_page_has_its_own(store, folder, tiny):
    scan(folder / "scan.tif", 1, 2, 3)
    add_folder(store, folder, tiny)
    with Image.open(folder / "scan.tif") as pages:
        for page in (1, 2, 3):
            pages.seek(page - 1)
            name = "scan.tif" if page == 1 else f"scan.tif#{page}"
            assert kept(store)[name] == codes_of(np.asarray(pages.convert("RGB"))).tolist()


def test_a_worker_of_a_cluster_writes_the_same(store, folder, tiny, opened, tmp_path):
    (folder / "bad.png").write_bytes(b"bad")
    report = add_here(Collection(store, tiny), folder)
    assert (report.added, [failure.path for failure in report.failed]) == (9, ["bad.png"])
    here = Store.create(tmp_path / "here", WITH_POINTS)
    add_folder(here, folder, tiny)
    assert kept(store) == kept(here)
    assert store.problems() == []
    assert len(opened) == 2


def test_points_that_this_patchseek_does_not_make_are_not_mixed_with_others(store, folder, tiny, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(StoreMismatch, match="the points of corners that are kept are not those found today; make the"):
        add_folder(store, folder, tiny)
    assert len(store) == 0


@pytest.mark.parametrize("size", [8, 64])
def test_the_points_that_ship_are_the_same_whatever_encoder_is_beside_them(tmp_path, size, monkeypatch):
    monkeypatch.undo()
    (tmp_path / "photos").mkdir()
    Image.fromarray(data.coffee()).resize((3000, 2000)).save(tmp_path / "photos" / "coffee.jpg")
    Image.new("RGB", (640, 480), "red").save(tmp_path / "photos" / "flat.png")
    encoder, identity = TinyEncoder(), identify(100, 512)
    encoder.feed = replace(encoder.feed, size=size)
    encoder.encode = lambda patches: TinyEncoder().encode(patches[:, :8, :8])
    new = Store.create(tmp_path / "new", replace(PLAIN, points=identity))
    add_folder(new, tmp_path / "photos", encoder)
    old = Store.create(tmp_path / "old", PLAIN)
    add_folder(old, tmp_path / "photos", encoder)
    assert add_points(old, identity).added == 2
    assert kept(old) == kept(new)
    codes = kept(new)
    assert {path: len(points) for path, points in codes.items()} == {"coffee.jpg": 100, "flat.png": 0}
    truth = find_points(images.read(tmp_path / "photos" / "coffee.jpg"), 100, 512)
    places = CodedPoints(np.array(codes["coffee.jpg"], np.uint8)).places
    nearest = np.linalg.norm(places[:, None] - truth.places[None], axis=2).min(axis=1)
    assert (nearest < 2 / 512).mean() > 0.8, "as in all its pixels, but for the way they were shrunk"


# ---- pictures that were indexed without


def test_old_pictures_get_the_points_that_new_ones_have(old, folder, opened):
    features = {shard.regions.sha256 for shard in old.list_shards()}
    seen = []
    report = add_points(old, CORNERS, on_progress=lambda *told: seen.append(told))
    assert (report.added, report.without) == (9, {})
    assert kept(old) == corners_of(folder)
    assert seen == [(i, 9, "finding points") for i in range(10)]
    assert opened == [CORNERS]
    assert {shard.regions.sha256 for shard in old.list_shards()} == features
    assert Store.open(old.path).settings == WITH_POINTS
    assert old.problems() == []


def test_who_has_points_is_not_looked_at_again(store, folder, tiny, monkeypatch):
    Image.new("RGB", (40, 30), "red").save(folder / "red.png")
    add_folder(store, folder, tiny)
    monkeypatch.setattr(_points, "load_original", None)
    assert add_points(store, CORNERS).added == 0


def test_a_picture_in_which_there_are_none_was_looked_at(old, monkeypatch):
    class Nothing(Corners):
        def cut(self, picture, i):
            return super().cut(picture, i)[:0]

    monkeypatch.setattr(_points, "open_points", lambda _: Nothing())
    assert [add_points(old, CORNERS).added for _ in range(2)] == [9, 0]
    assert kept(old) == {f"{i}.png": [] for i in range(9)}


def test_a_picture_that_is_gone_or_changed_gets_none(old, folder):
    expected = corners_of(folder)
    there = (folder / "2.png").read_bytes()
    (folder / "2.png").unlink()
    tiles(50, 3).save(folder / "5.png")
    tiles(51, 2).resize((65, 48)).save(folder / "6.png")
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:60])
    report = add_points(old, CORNERS)
    lost = [str(folder / name) for name in ("2.png", "5.png", "6.png", "7.png")]
    assert (report.added, sorted(report.without)) == (5, lost)
    assert report.without[lost[0]] == "no such file or directory"
    assert all("changed" in report.without[path] for path in lost[1:])
    assert kept(old) == expected | dict.fromkeys(("2.png", "5.png", "6.png", "7.png"))
    (folder / "2.png").write_bytes(there)
    assert add_points(old, CORNERS).added == 1, "it is back"
    assert kept(old)["2.png"] == expected["2.png"]


def test_a_picture_that_returns_after_it_was_set_aside_can_have_points(old, folder, tiny):
    there = (folder / "2.png").read_bytes()
    (folder / "2.png").unlink()
    add_folder(old, folder, tiny)
    assert add_points(old, CORNERS).added == 8
    (folder / "2.png").write_bytes(there)
    assert add_folder(old, folder, tiny).returned == 1
    assert add_points(old, CORNERS).added == 1
    assert kept(old) == corners_of(folder)


def test_members_of_tars_stay_without(old, folder, tiny):
    add_stream(old, folder / "x.tar", [("in.png", (folder / "2.png").read_bytes())], tiny)
    report = add_points(old, CORNERS)
    assert (report.added, len(report.without)) == (9, 1)
    assert kept(old) == corners_of(folder) | {"in.png": None}


def test_pages_that_were_indexed_without_get_theirs(old, folder, tiny, tmp_path):
    scan(folder / "scan.tif", 1, 2, 3)
    add_folder(old, folder, tiny)
    assert add_points(old, CORNERS).added == 12
    fresh = Store.create(tmp_path / "fresh", WITH_POINTS)
    add_folder(fresh, folder, tiny)
    assert kept(old) == kept(fresh)


def test_points_of_another_kind_are_made_anew(store, folder, tiny, opened):
    add_folder(store, folder, tiny)
    (folder / "1.png").unlink()
    other = replace(CORNERS, codes="cc")
    assert add_points(store, other).added == 8
    assert opened == [CORNERS, other]
    assert store.settings.points == other
    assert kept(store) == corners_of(folder) | {"1.png": None}


def test_points_that_nobody_makes_change_nothing(store, folder, tiny, monkeypatch):
    add_folder(store, folder, tiny)
    monkeypatch.undo()
    before = stored_files(store)
    with pytest.raises(StoreMismatch, match="xyz"):
        add_points(store, replace(CORNERS, name="xyz"))
    assert (stored_files(store), Store.open(store.path).settings) == (before, WITH_POINTS)


def test_only_one_writes(old):
    with closing(Writer(old)), pytest.raises(StoreLocked):
        add_points(old, CORNERS)


# ---- interrupted


def test_shards_are_committed_one_by_one_and_a_large_one_on_the_way(old, folder, monkeypatch):
    sizes, add = [], Writer.add_points
    monkeypatch.setattr(Writer, "add_points", lambda self, points: sizes.append(len(points)) or add(self, points))
    add_points(old, CORNERS)
    assert sizes == [4, 4, 1]
    monkeypatch.setattr(_points, "_SECONDS", -1.0)  # everything has waited long enough
    add_points(old, replace(CORNERS, side=32))
    assert sizes[3:] == [1] * 9
    assert kept(old) == corners_of(folder)


def test_no_file_is_left_that_another_took_the_place_of(old, monkeypatch):
    """Of a large shard there is one every few seconds."""
    monkeypatch.setattr(_points, "_SECONDS", -1.0)
    seen = []
    add_points(old, CORNERS, on_progress=lambda *_: seen.append(len(stored_files(old))))
    assert seen[-1] == 5, "three shards, two of them with points; those of the last picture come now"
    assert len(stored_files(old)) == 6


def test_what_is_ready_is_kept_when_a_person_interrupts(old):
    def interrupt(done, *_):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_points(old, CORNERS, n_workers=1, on_progress=interrupt)
    assert sum(codes is not None for codes in kept(old).values()) == 6
    assert add_points(old, CORNERS).added == 3


def test_a_full_disk_is_said_once_and_loses_nothing(old, folder, monkeypatch):
    said, add = [], Writer.add_points

    def full(self, points):
        if len(points) == 1:
            said.append(1)
            raise DiskFull("full")
        return add(self, points)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "add_points", full)
        with pytest.raises(DiskFull):
            add_points(old, CORNERS)
    assert said == [1]
    assert add_points(old, CORNERS).added == 1
    assert kept(old) == corners_of(folder)


def test_killed_before_any_of_its_steps_it_goes_on_from_there(old, folder, monkeypatch):
    for n_steps in range(20):
        Writer(old).close()
        with closing(Writer(old)) as writer:
            writer.renew(PLAIN)
        with killed_before(n_steps, monkeypatch) as dead, suppress(Killed):
            add_points(old, CORNERS)
        store = Store.open(old.path)
        assert store.problems() == []
        add_points(store, CORNERS)
        assert kept(store) == corners_of(folder), f"killed before step {n_steps}"
        if not dead:
            break
        old = store
    assert 3 < n_steps < 19


def add_until_killed(collection: Path, n: int) -> None:
    """What the killed process runs: it dies in the n-th picture, with others on their way in other threads."""
    looked = []

    class Deadly(Corners):
        def cut(self, picture, i):
            looked.append(1)
            if len(looked) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().cut(picture, i)

    _points.open_points = lambda _: Deadly()
    _points._SECONDS = 0.0
    add_points(Store.open(collection), CORNERS, n_workers=2)


def test_killed_for_good_again_and_again_it_ends_where_one_run_would_have(old, folder):
    n_kept, n_killed = 0, 0
    while n_kept < 9:
        command = [sys.executable, "-m", "tests.test_with_points", str(old.path), "6"]
        done = subprocess.run(command, cwd=Path(__file__).parent.parent, check=False)
        store = Store.open(old.path)
        assert store.problems() == []
        found = {path: codes for path, codes in kept(store).items() if codes is not None}
        assert found == corners_of(folder, *found) if found else not n_kept
        assert len(found) > n_kept, "it gets on, whenever it is killed"
        n_kept, n_killed = len(found), n_killed + (done.returncode == -signal.SIGKILL)
    assert n_killed > 0
    with closing(Writer(store)):
        assert len(stored_files(store)) == 6, "what the killed ones left is gone"


if __name__ == "__main__":
    add_until_killed(Path(sys.argv[1]), int(sys.argv[2]))
