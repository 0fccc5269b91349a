"""A backup is whole or not there, holds one moment, and comes back as a collection that finds the same."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from patchseek import Collection
from patchseek.errors import DiskFull, StoreDamaged, StoreError
from patchseek.regions import Pyramid
from patchseek.store import FileState, NewEntry, Settings, Store, Writer, back_up, restore
from patchseek.store._lock import hold_shards

from .conftest import TinyEncoder

SETTINGS = Settings(TinyEncoder().identity, Pyramid.up_to(1))
ROOT = Path("/pictures")


@pytest.fixture
def store(tmp_path):
    """Four pictures in two shards; all numbers of a picture are its own number."""
    store = Store.create(tmp_path / "collection", SETTINGS)
    for numbers in ((1, 2), (3, 4)):
        commit(store, *numbers)
    return store


def commit(store, *numbers):
    features = np.repeat(np.array(numbers, np.float16), 5 * 13).reshape(-1, 5, 13)
    pictures = [NewEntry(f"{i}.jpg", FileState(10, 20), "aa", 64, 48) for i in numbers]
    with Writer(store) as writer:
        writer.commit(ROOT, pictures, features)


def numbers(store):
    snapshot = store.snapshot()
    return {int(snapshot.features(np.array([p]))[0, 0, 0]) for p in np.flatnonzero(snapshot.live)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_comes_back_is_what_was_there_without_the_indexes(store, tmp_path):
    (store.path / "indexes").mkdir()
    with Writer(store) as writer:
        writer.set_option("index", "SQ8")
    n_bytes = back_up(store, tmp_path / "a.tar")
    assert n_bytes == (tmp_path / "a.tar").stat().st_size
    again = restore(tmp_path / "a.tar", tmp_path / "again")
    assert numbers(again) == {1, 2, 3, 4}
    assert again.problems() == []
    assert (again.settings, again.paths(), again.option("index")) == (SETTINGS, store.paths(), "SQ8")
    assert names(again.path) == [".gitignore", "catalogue.sqlite", "shards"]
    assert names(tmp_path) == ["a.tar", "again", "collection"], "nothing temporary is left"
    commit(again, 5)
    assert numbers(again) == {1, 2, 3, 4, 5}


def test_an_empty_collection_comes_back_empty(tmp_path):
    back_up(Store.create(tmp_path / "collection", SETTINGS), tmp_path / "a.tar")
    assert len(restore(tmp_path / "a.tar", tmp_path / "again")) == 0


def test_sha256sum_finds_an_unpacked_backup_sound(store, tmp_path):
    back_up(store, tmp_path / "a.tar")
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path / "unpacked"], check=True)
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=tmp_path / "unpacked", capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 3


def test_compacting_and_adding_meanwhile_do_not_disturb_the_copy(store, tmp_path):
    def meddle(done, *_):
        if done == 1:  # the second shard is still to be copied
            with Writer(store) as writer:
                writer.remove([1, 2])
                writer.compact()
            commit(store, 5)

    back_up(store, tmp_path / "a.tar", meddle)
    assert numbers(restore(tmp_path / "a.tar", tmp_path / "again")) == {1, 2, 3, 4}
    assert numbers(store) == {3, 4, 5}
    assert len(names(store.folder)) == 4, "two held ones, one compacted, one new"
    Writer(store).close()
    assert len(names(store.folder)) == 2, "the next writer removes what was held"
    assert store.problems() == []


def test_a_writer_may_commit_while_the_shards_are_copied_and_is_not_in_the_copy(store, tmp_path):
    back_up(store, tmp_path / "a.tar", lambda done, *_: commit(store, 4 + done))
    assert numbers(restore(tmp_path / "a.tar", tmp_path / "again")) == {1, 2, 3, 4}
    assert numbers(store) == {1, 2, 3, 4, 5, 6}


def test_a_name_that_is_taken_is_not_overwritten(store, tmp_path):
    (tmp_path / "a.tar").write_text("older")
    with pytest.raises(StoreError, match="already there"):
        back_up(store, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_text() == "older"
    back_up(store, tmp_path / "b.tar")
    with pytest.raises(StoreError, match="already there"):
        restore(tmp_path / "b.tar", store.path)
    assert numbers(store) == {1, 2, 3, 4}


def test_a_damaged_shard_is_not_backed_up(store, tmp_path):
    shard = min(store.folder.iterdir())
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreDamaged, match="verify --repair"):
        back_up(store, tmp_path / "a.tar")
    shard.unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        back_up(store, tmp_path / "a.tar")
    assert names(tmp_path) == ["collection"]


def test_a_full_disk_is_noticed_before_anything_is_written(store, tmp_path, monkeypatch):
    back_up(store, tmp_path / "a.tar")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DiskFull, match="0 MB free"):
        back_up(store, tmp_path / "b.tar")
    with pytest.raises(DiskFull, match="0 MB free"):
        restore(tmp_path / "a.tar", tmp_path / "again")
    assert names(tmp_path) == ["a.tar", "collection"]


def test_a_disk_that_fills_on_the_way_leaves_nothing_half_there(store, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    back_up(store, tmp_path / "a.tar")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        back_up(store, tmp_path / "b.tar")
    with pytest.raises(DiskFull):
        restore(tmp_path / "a.tar", tmp_path / "again")
    assert names(tmp_path) == ["a.tar", "collection"]


def test_a_folder_that_is_not_there_is_one_clear_line(store, tmp_path):
    with pytest.raises(StoreError, match="cannot be made"):
        back_up(store, tmp_path / "nowhere" / "a.tar")
    with pytest.raises(StoreError, match=r"nothing\.tar: no such file"):
        restore(tmp_path / "nothing.tar", tmp_path / "again")


@pytest.mark.parametrize("offset", [600, 2000, -30_000], ids=["sums", "catalogue", "end"])
def test_a_changed_byte_anywhere_is_found(store, tmp_path, offset):
    back_up(store, tmp_path / "a.tar")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    with tarfile.open(tmp_path / "a.tar") as tar:
        last = tar.getmembers()[-1].offset_data
    content[last + 200 if offset < 0 else offset] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(StoreError):
        restore(tmp_path / "a.tar", tmp_path / "again")
    assert names(tmp_path) == ["a.tar", "collection"]


@pytest.mark.parametrize("n_bytes", [0, 700, 5000, 50_000])
def test_a_backup_cut_short_is_refused(store, tmp_path, n_bytes):
    back_up(store, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert n_bytes < tar.getmembers()[-1].offset_data
    os.truncate(tmp_path / "a.tar", n_bytes)
    with pytest.raises(StoreError):
        restore(tmp_path / "a.tar", tmp_path / "again")
    assert names(tmp_path) == ["a.tar", "collection"]


def odd_member(name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "member",
    [
        odd_member("/etc/passwd"),
        odd_member("../outside"),
        odd_member("shards/../../outside.npy"),
        odd_member("shards/000009-aa.npy", tarfile.SYMTYPE, "/etc/passwd"),
        odd_member("shards/000009-aa.npy", tarfile.LNKTYPE, "catalogue.sqlite"),
        odd_member("shards/000009-aa.npy", tarfile.FIFOTYPE),
        odd_member("shards", tarfile.DIRTYPE),
        odd_member("catalogue.sqlite"),
        odd_member("shards/000009-aa.npy"),
    ],
    ids=lambda member: f"{member.name} {member.type.decode()}",
)
def test_a_tar_with_anything_else_in_it_is_refused(store, tmp_path, member):
    back_up(store, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        tar.addfile(member, io.BytesIO())
    with pytest.raises(StoreError, match=r"a\.tar: "):
        restore(tmp_path / "a.tar", tmp_path / "again")
    assert names(tmp_path) == ["a.tar", "collection"]


def test_a_collection_restored_elsewhere_still_knows_its_pictures(make_folder, tmp_path, tiny):
    """It lies in its folder, which it knows as `..`; from another place, that would be another folder."""
    folder = make_folder(*(f"{i}.png" for i in range(4)))
    collection = Collection.open(folder / ".patchseek", encoder=tiny, points=False, create=True)
    collection.add(folder)
    expected = [(m.image.file, m.score) for m in collection.search(folder / "3.png", refine=0)]
    collection.back_up(tmp_path / "a.tar")
    Collection.restore(tmp_path / "a.tar", tmp_path / "elsewhere")
    again = Collection.open(tmp_path / "elsewhere", encoder=tiny)
    assert again.store.roots() == [folder]
    assert [(m.image.file, m.score) for m in again.search(folder / "3.png", refine=0)] == expected
    assert expected[0] == (folder / "3.png", pytest.approx(1, abs=1e-3))
    assert again.add(folder).unchanged == 4, "nothing is encoded again"


def test_a_collection_restored_in_its_moved_folder_knows_the_pictures_there(make_folder, tmp_path, tiny):
    folder = make_folder("a.png", "b.png")
    collection = Collection.open(folder / ".patchseek", encoder=tiny, points=False, create=True)
    collection.add(folder)
    collection.back_up(tmp_path / "a.tar")
    shutil.rmtree(folder / ".patchseek")
    folder.rename(tmp_path / "moved")
    Collection.restore(tmp_path / "a.tar", tmp_path / "moved" / ".patchseek")
    again = Collection.open(tmp_path / "moved", encoder=tiny)
    assert again.store.roots() == [tmp_path / "moved"]
    assert again.add(tmp_path / "moved").unchanged == 2


@pytest.mark.parametrize("home", ["collection", "pictures/.patchseek"])
def test_the_new_place_of_the_pictures_can_be_said(make_folder, tmp_path, tiny, home):
    folder = make_folder("a.png", "b.png")
    collection = Collection.open(tmp_path / home, encoder=tiny, points=False, create=True)
    collection.add(folder)
    collection.back_up(tmp_path / "a.tar")
    folder.rename(tmp_path / "moved")
    Collection.restore(tmp_path / "a.tar", tmp_path / "again", pictures=tmp_path / "moved")
    again = Collection.open(tmp_path / "again", encoder=tiny)
    assert again.search(tmp_path / "moved" / "b.png", refine=0)[0].image.file == tmp_path / "moved" / "b.png"
    assert again.add(tmp_path / "moved").unchanged == 2


def test_a_url_is_the_same_from_everywhere(store, tmp_path):
    with store.catalogue.writing() as db:
        db.execute("UPDATE root SET path = 's3://bucket/pictures'")
    back_up(store, tmp_path / "a.tar")
    with restore(tmp_path / "a.tar", tmp_path / "again").catalogue.reading() as db:
        assert db.execute("SELECT path FROM root").fetchall() == [("s3://bucket/pictures",)]


def test_a_new_place_is_refused_for_several_folders(store, tmp_path):
    with Writer(store) as writer:
        writer.commit(Path("/other"), [], np.empty((0, 5, 13), np.float16))
    back_up(store, tmp_path / "a.tar")
    with pytest.raises(StoreError, match=r"2 picture folders \(/pictures, /other\)"):
        restore(tmp_path / "a.tar", tmp_path / "again", tmp_path)
    assert names(tmp_path) == ["a.tar", "collection"]


def back_up_slowly(collection: Path, file: Path) -> None:
    """What the killed process runs: it says when a shard is copied and then waits to be killed."""

    def on_shard(done: int, *_) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        signal.pause()

    back_up(Store.open(collection), file, on_shard)


def test_what_a_killed_backup_left_goes_and_what_another_holds_stays(store, tmp_path):
    for name in ("held", "left"):
        (tmp_path / f".{name}.tar.patchseek-unfinished-x").mkdir()
        (tmp_path / f".{name}.tar.patchseek-unfinished-x" / "backup.tar").write_bytes(b"x")
        os.utime(tmp_path / f".{name}.tar.patchseek-unfinished-x", (0, 0))
    (tmp_path / ".somebody-elses").mkdir()
    with hold_shards(tmp_path / ".held.tar.patchseek-unfinished-x"):
        back_up(store, tmp_path / "a.tar")
    here = {path.name for path in tmp_path.iterdir()}
    assert here == {".held.tar.patchseek-unfinished-x", ".somebody-elses", "a.tar", "collection"}


def test_killed_on_the_way_nothing_has_the_final_name_and_the_next_one_succeeds(store, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    code = "import sys, pathlib; from tests.test_backup import back_up_slowly as f; f(*map(pathlib.Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(store.path), str(target / "a.tar")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (target / "a.tar").exists()
    (left,) = target.iterdir()
    commit(store, 5)  # nothing is held any more
    back_up(store, target / "a.tar")
    assert left.exists(), "so new that its owner may be about to hold it"
    os.utime(left, (0, 0))
    back_up(store, target / "b.tar")
    assert names(target) == ["a.tar", "b.tar"]
    assert numbers(restore(target / "a.tar", tmp_path / "again")) == {1, 2, 3, 4, 5}
