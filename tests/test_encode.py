"""A folder becomes rows: each row belongs to its picture, whatever fails, moves or is interrupted on the way."""

import os

import numpy as np
import pytest
from PIL import Image

from patchseek import encode
from patchseek.encode import ENCODING, _load, add_folder
from patchseek.errors import DiskFull, EncoderError, PatchseekError
from patchseek.images import read
from patchseek.patches import cut, need_of
from patchseek.regions import Pyramid
from patchseek.store import FileState, NewEntry, Settings, Store, Writer, hash_file

from .conftest import TinyEncoder, blot

PYRAMID = Pyramid.up_to(1)


@pytest.fixture
def store(tmp_path, tiny):
    return Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID))


def check_rows(store, tiny):
    """Every live row is the feature of the very file that the catalogue names for it."""
    snapshot = store.snapshot()
    for position in np.flatnonzero(snapshot.live):
        image = store.images([snapshot.ids[position]])[0]
        expected = tiny.encode(cut(read(image.file, need=need_of(PYRAMID, tiny.feed)), PYRAMID, tiny.feed))
        assert snapshot.features(np.array([position]))[0] == pytest.approx(expected, abs=2e-3), image.path
        assert image.sha256 == hash_file(image.file)


def paths(store):
    return [path for _, _, path in store.paths()]


def test_every_picture_below_the_folder_is_encoded_into_its_own_rows(store, tiny, make_folder):
    folder = make_folder("b.png", "a.png", "sub/deep/c.png", "d.JPG")
    (folder / "notes.txt").write_text("no picture")
    report = add_folder(store, folder, tiny)
    assert (report.added, report.failed) == (4, [])
    assert paths(store) == ["a.png", "b.png", "d.JPG", "sub/deep/c.png"]
    check_rows(store, tiny)


def test_failures_in_the_middle_of_a_batch_shift_no_row(store, tiny, make_folder):
    folder = make_folder(*(f"{i:02}.png" for i in range(20)))
    for i in (0, 3, 4, 11, 19):
        (folder / f"{i:02}.png").write_bytes((folder / f"{i:02}.png").read_bytes()[: 3 * i])
    report = add_folder(store, folder, tiny)
    assert report.added == 15
    assert [failure.path for failure in report.failed] == ["00.png", "03.png", "04.png", "11.png", "19.png"]
    assert all(failure.reason and "\n" not in failure.reason for failure in report.failed)
    check_rows(store, tiny)


def test_a_second_run_encodes_nothing_and_reads_nothing(store, tiny, make_folder, monkeypatch):
    folder = make_folder("a.png", "b.png")
    (folder / "bad.png").write_bytes(b"bad")
    add_folder(store, folder, tiny)
    monkeypatch.setattr(_load, "open_regular", None)
    report = add_folder(store, folder, tiny)
    assert (report.added, report.unchanged, len(report.failed)) == (0, 2, 1)


def test_only_what_is_new_or_changed_is_encoded(store, tiny, make_folder):
    folder = make_folder("a.png", "b.png", "c.png")
    add_folder(store, folder, tiny)
    blot(7).save(folder / "b.png")
    make_folder("d.png")
    report = add_folder(store, folder, tiny)
    assert (report.added, report.changed, report.unchanged, report.removed) == (1, 1, 2, 0)
    assert sorted(paths(store)) == ["a.png", "b.png", "c.png", "d.png"]
    check_rows(store, tiny)


def test_a_touched_file_is_recognised_by_its_content(store, tiny, make_folder):
    folder = make_folder("a.png")
    add_folder(store, folder, tiny)
    os.utime(folder / "a.png", ns=(1, 1))
    report = add_folder(store, folder, tiny)
    assert (report.unchanged, report.changed, report.moved) == (1, 0, 0)
    assert store.known(folder)["a.png"].state.mtime_ns == 1


def test_moved_files_keep_their_vectors_and_ids(store, tiny, make_folder):
    folder = make_folder("a.png", "b.png", "c.png")
    add_folder(store, folder, tiny)
    (folder / "new").mkdir()
    (folder / "a.png").rename(folder / "new" / "z.png")
    report = add_folder(store, folder, tiny)
    assert (report.added, report.moved, report.removed, report.unchanged) == (0, 1, 0, 2)
    assert store.images([1])[0].path == "new/z.png"
    assert store.snapshot().n_positions == 3
    check_rows(store, tiny)


def test_a_file_moved_and_copied_is_one_move_and_one_addition(store, tiny, make_folder):
    folder = make_folder("a.png")
    add_folder(store, folder, tiny)
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    (folder / "b.png").write_bytes(content)
    (folder / "c.png").write_bytes(content)
    report = add_folder(store, folder, tiny)
    assert (report.added, report.moved, report.removed) == (1, 1, 0)
    check_rows(store, tiny)


def test_deleted_files_leave_the_collection(store, tiny, make_folder):
    folder = make_folder("a.png", "b.png")
    add_folder(store, folder, tiny)
    (folder / "a.png").unlink()
    assert add_folder(store, folder, tiny).removed == 1
    assert paths(store) == ["b.png"]


def test_a_picture_that_became_unreadable_is_no_longer_found(store, tiny, make_folder):
    folder = make_folder("a.png", "b.png")
    add_folder(store, folder, tiny)
    (folder / "a.png").write_bytes(b"overwritten")
    assert len(add_folder(store, folder, tiny).failed) == 1
    assert paths(store) == ["b.png"]


def test_failed_files_are_tried_again_when_asked(store, tiny, make_folder, monkeypatch):
    folder = make_folder("a.png")
    with monkeypatch.context() as patch:
        patch.setattr(_load, "MAX_FILE_BYTES", 10)
        make_folder("b.png")
        assert len(add_folder(store, folder, tiny).failed) == 2
    assert len(add_folder(store, folder, tiny).failed) == 2
    assert add_folder(store, folder, tiny, retry=True).added == 2


def test_an_emptied_folder_is_an_error_and_forgets_nothing(store, tiny, make_folder):
    folder = make_folder("a.png")
    add_folder(store, folder, tiny)
    (folder / "a.png").unlink()
    with pytest.raises(PatchseekError, match="no pictures found"):
        add_folder(store, folder, tiny)
    assert paths(store) == ["a.png"]


def test_a_missing_folder_is_an_error(store, tiny, tmp_path):
    with pytest.raises(PatchseekError, match="not a folder"):
        add_folder(store, tmp_path / "nowhere", tiny)


def test_hidden_and_system_folders_excluded_names_and_links_are_left_out(store, tiny, make_folder):
    folder = make_folder("a.png", ".hidden/b.png", "@eaDir/c.png", "raw/d.png", "e_small.png", ".f.png")
    (folder / "link.png").symlink_to(folder / "a.png")
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.png").symlink_to(folder / "missing.png")
    add_folder(store, folder, tiny, exclude=["raw", "*_small.*"])
    assert paths(store) == ["a.png"]
    add_folder(store, folder, tiny, exclude=["raw/*"], hidden=True, follow_symlinks=True)
    assert sorted(paths(store)) == [".f.png", ".hidden/b.png", "a.png", "e_small.png", "link.png"]


def test_a_name_that_is_not_utf8_is_listed_and_hurts_nobody(store, tiny, make_folder):
    folder = make_folder("a.png")
    try:
        blot(1).save(os.fsencode(folder) + b"/\xff.png")
    except OSError:  # macOS refuses such names, so nobody there has them
        return
    report = add_folder(store, folder, tiny)
    assert report.added == 1
    assert "UTF-8" in report.failed[0].reason


def test_hostile_file_names_are_only_names(store, tiny, make_folder):
    names = ["'; DROP TABLE image; --.png", "new\nline.png", "<b>.png", "%s{}.png", "ünïcødé 🐢.png"]
    add_folder(store, make_folder(*names), tiny)
    assert sorted(paths(store)) == sorted(names)
    check_rows(store, tiny)


class Failing(TinyEncoder):
    """Gives up, or is interrupted, after some patches."""

    def __init__(self, n, error):
        super().__init__()
        self.n, self.error = n, error

    def encode(self, patches):
        self.n -= len(patches)
        if self.n < 0:
            raise self.error
        return super().encode(patches)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EncoderError("device lost")])
def test_an_interrupted_run_keeps_what_was_finished_and_the_next_goes_on(store, tiny, make_folder, error):
    folder = make_folder(*(f"{i}.png" for i in range(10)))
    with pytest.raises(type(error)):
        add_folder(store, folder, Failing(30, error))
    kept = len(paths(store))
    assert 1 <= kept <= 6
    report = add_folder(store, folder, tiny)
    assert (report.added, report.unchanged) == (10 - kept, kept)
    check_rows(store, tiny)


def test_shards_are_committed_on_the_way(store, tiny, make_folder, monkeypatch):
    monkeypatch.setattr(encode._run, "SHARD_IMAGES", 4)
    add_folder(store, make_folder(*(f"{i}.png" for i in range(10))), tiny)
    assert [len(array) for array in store.snapshot().arrays] == [4, 4, 2]


def test_a_disk_that_fills_keeps_the_shards_before(store, tiny, make_folder, monkeypatch):
    monkeypatch.setattr(encode._run, "SHARD_IMAGES", 4)
    folder, real, calls = make_folder(*(f"{i}.png" for i in range(10))), os.fsync, []

    def filling(handle):
        calls.append(handle)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(DiskFull):
        add_folder(store, folder, tiny)
    monkeypatch.setattr(os, "fsync", real)
    assert len(paths(store)) in (4, 8)
    assert store.problems() == []
    add_folder(store, folder, tiny)
    check_rows(store, tiny)


def test_two_folders_live_in_one_collection(store, tiny, make_folder):
    one, two = make_folder("a.png", folder="one"), make_folder("a.png", "b.png", folder="two")
    add_folder(store, one, tiny)
    add_folder(store, two, tiny)
    assert [(root.name, path) for _, root, path in store.paths()] == [
        ("one", "a.png"),
        ("two", "a.png"),
        ("two", "b.png"),
    ]
    check_rows(store, tiny)


def test_boxes_refer_to_the_upright_picture(store, tiny, make_folder):
    folder = make_folder("a.png")
    exif = Image.Exif()
    exif[274] = 6
    blot(3, 64, 32).save(folder / "turned.jpg", exif=exif)
    add_folder(store, folder, tiny)
    image = store.images([2])[0]
    assert (image.width, image.height) == (32, 64)


def test_progress_counts_every_file_to_its_end(store, tiny, make_folder):
    folder, seen = make_folder(*(f"{i}.png" for i in range(5))), []
    (folder / "bad.png").write_bytes(b"bad")
    add_folder(store, folder, tiny, on_progress=lambda *told: seen.append(told))
    assert seen == [(0, 0, "looking for pictures"), *((i, 6, ENCODING) for i in range(7))]


def test_a_rescan_opens_no_picture_and_one_more_picture_rewrites_no_shard(tmp_path, tiny):
    folder = tmp_path / "pictures"
    folder.mkdir()
    pictures = []
    for i in range(300):
        path = folder / f"{i:03d}.jpg"
        path.touch()  # empty: whoever opened one would fail
        pictures.append(NewEntry(path.name, FileState(0, path.stat().st_mtime_ns), f"{i:064x}", 64, 48))
    store = Store.create(tmp_path / "c", Settings(tiny.identity, Pyramid((0,))))
    features = np.random.default_rng(0).normal(size=(300, 1, 13)).astype(np.float16)
    with Writer(store) as writer:
        writer.commit(folder, pictures[:200], features[:200])
        writer.commit(folder, pictures[200:], features[200:])
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in store.folder.iterdir()}
    report = add_folder(store, folder, tiny)
    assert (report.unchanged, report.added, report.failed) == (300, 0, [])
    blot(1).save(folder / "new.png")
    assert add_folder(store, folder, tiny).added == 1
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in before} == before
    assert len(list(store.folder.iterdir())) == 3
    assert store.snapshot().n_live == 301
