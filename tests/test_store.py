"""What is committed stays; what is not does not exist; every failure leaves things as they were."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from patchseek.encoders import EncoderIdentity
from patchseek.errors import DiskFull, StoreDamaged, StoreError, StoreLocked, StoreMismatch
from patchseek.regions import Pyramid
from patchseek.store import Failure, FileState, NewEntry, Settings, Store, Writer, save_features
from patchseek.store._features import map_features
from patchseek.store._files import Part

SETTINGS = Settings(EncoderIdentity("tiny", 8, 4, "00", "squash"), Pyramid.up_to(1))
ROOT = Path("/pictures")


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "collection", SETTINGS)


def picture(name, sha256="aa"):
    return NewEntry(name, FileState(10, 20), sha256, 640, 480)


def commit(store, *names, value=1.0):
    with Writer(store) as writer:
        writer.commit(ROOT, [picture(name) for name in names], np.full((len(names), 5, 4), value, np.float16))


def test_pictures_come_back_as_they_were_committed(store):
    commit(store, "a.jpg", "b/c.jpg")
    again = Store.open(store.path)
    assert again.settings == SETTINGS
    assert [(i, path) for i, _, path in again.paths()] == [(1, "a.jpg"), (2, "b/c.jpg")]
    image = again.images([2])[0]
    assert (image.path, image.file, image.width, image.height) == ("b/c.jpg", ROOT / "b/c.jpg", 640, 480)


def test_rows_stand_in_the_order_of_commits(store):
    for value in (1, 2, 3):
        commit(store, f"{value}a.jpg", f"{value}b.jpg", value=value)
    snapshot = store.snapshot()
    assert snapshot.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert snapshot.features(np.array([5, 0, 3]))[:, 0, 0].tolist() == [3, 1, 2]
    assert [(start, len(block)) for start, block in snapshot.blocks(1, start=3)] == [(3, 1), (4, 1), (5, 1)]


def test_a_picture_committed_again_takes_its_own_place(store):
    commit(store, "a.jpg", "b.jpg", value=1)
    commit(store, "a.jpg", value=2)
    snapshot = store.snapshot()
    assert snapshot.ids[snapshot.live].tolist() == [2, 3]
    assert len(store.paths()) == 2


@pytest.mark.posix  # Windows leaves what a reader has mapped: see test_windows.py
def test_removed_pictures_are_gone_at_once_and_their_bytes_after_compact(store):
    commit(store, *(f"{i}.jpg" for i in range(50)))
    commit(store, "last.jpg", value=7)
    with Writer(store) as writer:
        assert writer.remove(range(1, 41)) == 40
        assert writer.remove([1, 99]) == 0
        before = store.snapshot()
        assert writer.compact() > 0
    after = store.snapshot()
    assert after.n_positions == after.n_live == 11
    assert after.ids.tolist() == [*range(41, 52)], "ids stay"
    assert after.features(np.array([10]))[0, 0, 0] == 7
    assert before.features(np.array([50]))[0, 0, 0] == 7, "a reader from before still reads"
    assert len(list((store.path / "shards").iterdir())) == 1
    assert store.problems() == []


def test_compacting_an_emptied_collection_leaves_an_empty_one(store):
    commit(store, "a.jpg")
    with Writer(store) as writer:
        writer.remove([1])
        writer.compact()
    assert store.snapshot().n_positions == 0


def test_failures_are_noted_and_forgotten_when_the_file_is_well_again(store):
    with Writer(store) as writer:
        nothing = np.empty((0, 5, 4), np.float16)
        writer.commit(ROOT, [], nothing, [Failure("a.jpg", FileState(1, 2), "truncated")])
    assert store.failures() == store.failures(ROOT) == [Failure("a.jpg", FileState(1, 2), "truncated")]
    commit(store, "a.jpg")
    assert store.failures() == []


def test_a_second_writer_gets_a_clear_error_that_names_the_first(store):
    with Writer(store), pytest.raises(StoreLocked, match=f"process {os.getpid()} is writing"):
        Writer(store)
    Writer(store).close()


def test_readers_work_beside_a_writer_in_another_process(store):
    commit(store, "a.jpg")
    with Writer(store):
        code = (
            "import sys, pathlib as p, patchseek.store as s; print(s.Store.open(p.Path(sys.argv[1])).snapshot().n_live)"
        )
        out = subprocess.run([sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "1"


def test_orphans_of_a_killed_writer_are_removed_and_do_not_count(store):
    commit(store, "a.jpg")
    (store.path / "shards" / "000002-abc.npy").write_bytes(b"never committed")
    (store.path / "shards" / "000003.tmp").write_bytes(b"half")
    assert store.snapshot().n_positions == 1
    Writer(store).close()
    assert len(list((store.path / "shards").iterdir())) == 1


def test_a_full_disk_is_noticed_before_the_shard_and_nothing_is_lost(store, monkeypatch):
    commit(store, "a.jpg")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DiskFull, match="free some space"):
        commit(store, "b.jpg")
    monkeypatch.undo()
    assert [path for _, _, path in store.paths()] == ["a.jpg"]
    assert store.problems() == []


def test_a_disk_that_fills_while_writing_leaves_no_half_shard(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        commit(store, "a.jpg")
    assert list((store.path / "shards").iterdir()) == []


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_verify_finds_a_flipped_bit_and_repair_drops_its_pictures(store):
    commit(store, "a.jpg", "b.jpg")
    commit(store, "c.jpg")
    flip_a_byte(sorted((store.path / "shards").iterdir())[0])
    assert len(store.problems()) == 1
    assert "SHA-256 differs" in store.problems()[0]
    with Writer(store) as writer:
        assert writer.repair() == 2
    assert store.problems() == []
    assert [path for _, _, path in store.paths()] == ["c.jpg"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.unlink(),
        lambda p: p.write_bytes(p.read_bytes()[:-8]),
        lambda p: p.write_bytes(b"x" * p.stat().st_size),
    ],
)
def test_a_missing_short_or_foreign_shard_is_an_error_that_says_what_to_do(store, damage):
    commit(store, "a.jpg")
    damage(next((store.path / "shards").iterdir()))
    with pytest.raises(StoreDamaged, match="verify --repair"):
        store.snapshot()
    assert len(store.problems()) == 1


def test_a_catalogue_that_is_no_database_is_an_error(store):
    (store.path / "catalogue.sqlite").write_bytes(b"hello" * 1000)
    with pytest.raises(StoreDamaged, match="catalogue"):
        Store.open(store.path)


def test_a_newer_format_is_refused_by_name(store):
    store.catalogue.set("format", "99")
    with pytest.raises(StoreError, match="format 99 is newer"):
        Store.open(store.path)


def test_a_folder_without_a_collection_says_how_to_make_one(tmp_path):
    with pytest.raises(StoreError, match="patchseek index"):
        Store.open(tmp_path)


def test_other_settings_are_a_mismatch_that_names_both(store):
    other = Settings(EncoderIdentity("huge", 8, 4, "00", "squash"), SETTINGS.pyramid)
    with pytest.raises(StoreMismatch, match="'tiny' here, 'huge' asked for"):
        store.require(other)
    with pytest.raises(StoreMismatch, match=r"pyramid: 1x1\+2x2, .* here, 1x1, "):
        store.require(Settings(SETTINGS.encoder, Pyramid.up_to(0)))


def test_a_collection_inside_its_folder_can_move_with_it(tmp_path):
    root = tmp_path / "before"
    store = Store.create(root / ".patchseek", SETTINGS)
    with Writer(store) as writer:
        writer.commit(root, [picture("a.jpg")], np.zeros((1, 5, 4), np.float16))
    root.rename(tmp_path / "after")
    moved = Store.open(tmp_path / "after" / ".patchseek")
    assert moved.images([1])[0].file == tmp_path / "after" / "a.jpg"
    assert moved.known(tmp_path / "after").keys() == {"a.jpg"}


READ_ONLY = """
import mmap, os, sys
from pathlib import Path
import numpy
from patchseek.errors import StoreError
from patchseek.store import Store, Writer
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere; nobody may not
store = Store.open(Path(sys.argv[1]))
print(store.snapshot().n_live)
try:
    Writer(store)
except StoreError as error:
    print(error)
"""


def test_a_collection_that_may_not_be_written_can_still_be_read():
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "collection", SETTINGS)
        commit(store, "a.jpg")
        (store.path / "lock").chmod(0o444)
        for path in (Path(folder), store.path, store.path / "shards"):
            path.chmod(0o555)
        command = [sys.executable, "-c", READ_ONLY, str(store.path)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        for path in (Path(folder), store.path, store.path / "shards"):
            path.chmod(0o755)
    assert out[0] == "1"
    assert "read-only" in out[1]


@pytest.mark.posix  # on Windows, maps keep no files open
def test_more_shards_than_files_may_be_open_can_be_mapped(store):
    """The soft limit of open files is raised; here to 60 shards from 40 files."""
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom patchseek.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "print(Store.open(Path(sys.argv[1])).snapshot().n_live)\n"
    )
    for i in range(60):
        commit(store, f"{i}.jpg")
    done = subprocess.run([sys.executable, "-c", code, str(store.path)], capture_output=True, text=True)
    assert done.stdout == "60\n", done.stderr


def test_a_header_of_features_with_any_byte_changed_is_damage_or_the_same(tmp_path):
    """numpy's reader of headers raises what Python's own parser does, and takes a file that begins as a zip for one."""
    features = np.arange(24, dtype=np.float16).reshape(2, 3, 4)
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        save_features(file, features)
    whole = path.read_bytes()
    part = Part("regions", "a.npy", len(whole), "")
    for at in range(len(whole) - features.nbytes):
        for byte in {*b"P(,'\\#\n\0\x80", whole[at] ^ 1, whole[at] ^ 0x20} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            try:
                assert np.array_equal(map_features(tmp_path, part, features.shape), features)
            except StoreDamaged as error:
                assert "\n" not in str(error)
    for start in (b"PK\x03\x04", b"\x80\x04"):
        path.write_bytes(start + whole[len(start) :])
        with pytest.raises(StoreDamaged):
            map_features(tmp_path, part, features.shape)
