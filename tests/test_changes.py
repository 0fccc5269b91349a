"""Edits that keep size and date, failures that pass, files passed over, and catalogues of an older version."""

import os
import sqlite3
import subprocess
import sys

import pytest

from patchseek import _heif
from patchseek.encode import _extractors, _load, add_folder
from patchseek.errors import ImageError
from patchseek.points import identify
from patchseek.regions import Pyramid
from patchseek.store import Failure, FileState, Settings, Store, Writer, hash_file

from .conftest import TinyEncoder, blot
from .test_formats import TABLES

PYRAMID = Pyramid.up_to(1)


@pytest.fixture
def store(tmp_path, tiny):
    return Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID))


def edit(file, seed):
    """Another picture of the same size in the same file, whose date is set back."""
    before, size = file.stat(), file.stat().st_size
    blot(seed).save(file, "BMP")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (size, before.st_mtime_ns)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        blot(i).save(folder / f"{i}.bmp")
    return folder


def hashes(store):
    return {path: file.sha256 for root in store.roots() for path, file in store.known(root).items()}


# ---- edits


def test_an_edit_that_keeps_size_and_date_is_noticed(store, tiny, folder):
    add_folder(store, folder, tiny)
    edit(folder / "1.bmp", 50)
    report = add_folder(store, folder, tiny)
    assert (report.changed, report.unchanged) == (1, 2)
    assert hashes(store) == {f"{i}.bmp": hash_file(folder / f"{i}.bmp") for i in range(3)}


def test_a_file_whose_rights_alone_changed_is_read_and_left_as_it_is(store, tiny, folder):
    add_folder(store, folder, tiny)
    (folder / "1.bmp").chmod(0o600)
    report = add_folder(store, folder, tiny)
    assert (report.changed, report.unchanged) == (0, 3)
    known = store.known(folder)["1.bmp"]
    assert (known.id, known.state) == (2, FileState.of((folder / "1.bmp").stat()))


def test_with_check_content_every_file_is_read(store, tiny, folder, monkeypatch):
    """As where a disk keeps no such time: here it is taken off the catalogue, so that nothing else tells."""
    add_folder(store, folder, tiny)
    edit(folder / "1.bmp", 50)
    monkeypatch.setattr(FileState, "of", lambda status: FileState(status.st_size, status.st_mtime_ns))
    assert add_folder(store, folder, tiny).unchanged == 3
    report = add_folder(store, folder, tiny, check_content=True)
    assert (report.changed, report.unchanged) == (1, 2)


def test_on_windows_the_time_a_file_was_made_is_not_taken_for_a_change(folder, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert FileState.of((folder / "1.bmp").stat()).ctime_ns is None


def test_a_failed_file_that_was_repaired_in_place_is_noticed(store, tiny, folder):
    good, bad = (folder / "1.bmp").read_bytes(), folder / "bad.bmp"
    bad.write_bytes(b"x" * len(good))
    assert len(add_folder(store, folder, tiny).failed) == 1
    before = bad.stat()
    blot(70).save(bad)
    os.utime(bad, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = add_folder(store, folder, tiny)
    assert (report.added, report.failed, store.failures()) == (1, [], [])


# ---- failures


def failing_once(monkeypatch, module, name, error):
    """Make a function fail until `mended` is set in the list returned."""
    real, mended = getattr(module, name), []

    def function(*arguments, **options):
        if not mended:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, function)
    return mended


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied"),
        OSError(5, "Input/output error"),
        OSError(116, "Stale file handle"),
    ],
)
def test_a_file_that_could_not_be_read_is_tried_again_every_time(store, tiny, folder, monkeypatch, error):
    mended = failing_once(monkeypatch, _load, "open_regular", error)
    for _ in range(2):
        report = add_folder(store, folder, tiny)
        assert [f.reason for f in report.failed] == [f"cannot be read ({error.strerror})"] * 3
        assert [f.reason for f in store.failures()] == [f"cannot be read ({error.strerror})"] * 3
    mended.append(True)
    report = add_folder(store, folder, tiny)
    assert (report.added, report.failed, store.failures()) == (3, [], [])


@pytest.mark.parametrize(
    ("module", "name"), [(_load, "open_regular"), (_load, "read"), (_extractors, "cut"), (_extractors, "find_points")]
)
def test_too_little_memory_at_any_step_fails_the_picture_alone_and_for_now(
    tmp_path, tiny, folder, monkeypatch, module, name
):
    store = Store.create(tmp_path / "with-points", Settings(tiny.identity, PYRAMID, identify()))
    real, n_calls = getattr(module, name), []

    def failing(*arguments, **options):
        n_calls.append(1)
        if len(n_calls) == 2:
            raise MemoryError if name != "read" else ImageError("x", "too little memory to decode it", passing=True)
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, failing)
    report = add_folder(store, folder, tiny, n_workers=1)
    assert (report.added, len(report.failed)) == (2, 1)
    assert report.failed[0].reason.startswith("too little memory to ")
    assert add_folder(store, folder, tiny).added == 1


@pytest.mark.parametrize("error", [MemoryError(), OSError(5, "Input/output error"), TimeoutError("takes too long")])
def test_so_is_one_that_could_not_be_decoded_for_reasons_outside_it(store, tiny, folder, monkeypatch, error):
    from patchseek import images

    mended = failing_once(monkeypatch, images, "opened", error)
    assert len(add_folder(store, folder, tiny).failed) == 3
    mended.append(True)
    assert add_folder(store, folder, tiny).added == 3


@pytest.mark.parametrize("error", [TimeoutError("takes more than 60 s"), MemoryError()])
def test_so_is_a_heic_picture_whose_decoder_had_too_little_time_or_memory(store, tiny, tmp_path, monkeypatch, error):
    folder = tmp_path / "heic"
    folder.mkdir()
    (folder / "a.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(100))

    def as_tiff(*_):
        raise error

    monkeypatch.setattr(_heif, "as_tiff", as_tiff)
    assert len(add_folder(store, folder, tiny).failed) == 1
    assert store.failures()[0].passing
    blot(1).save(tmp_path / "a.tif")
    monkeypatch.setattr(_heif, "as_tiff", lambda *_: (tmp_path / "a.tif").read_bytes())
    assert add_folder(store, folder, tiny).added == 1


def test_a_heic_decoder_that_the_system_ends_had_too_little_memory(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -9))
    with pytest.raises(MemoryError):
        _heif.as_tiff(b"", 100)


def test_a_file_that_is_no_picture_is_not_tried_again_until_it_changes(store, tiny, folder, monkeypatch):
    (folder / "bad.png").write_bytes(b"bad")
    add_folder(store, folder, tiny)
    with monkeypatch.context() as patch:
        patch.setattr(_load, "open_regular", None)  # whoever opened a file would fail
        assert [f.path for f in add_folder(store, folder, tiny).failed] == ["bad.png"]
    assert [f.path for f in add_folder(store, folder, tiny, retry=True).failed] == ["bad.png"]


def test_a_known_picture_that_cannot_be_read_for_now_stays(store, tiny, folder, monkeypatch):
    add_folder(store, folder, tiny)
    os.utime(folder / "1.bmp", ns=(1, 1))
    mended = failing_once(monkeypatch, _load, "open_regular", PermissionError(13, "Permission denied"))
    for _ in range(2):
        assert [f.path for f in add_folder(store, folder, tiny).failed] == ["1.bmp"]
        assert len(store) == 3
    mended.append(True)
    report = add_folder(store, folder, tiny)
    assert (report.unchanged, report.failed, store.failures()) == (3, [], [])


def test_a_folder_that_cannot_be_listed_keeps_its_pictures(store, tiny, folder, monkeypatch):
    (folder / "sub").mkdir()
    for i in range(5):
        blot(20 + i).save(folder / "sub" / f"{i}.png")
    add_folder(store, folder, tiny)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("sub"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = add_folder(store, folder, tiny)
    assert (report.unchanged, report.removed, report.missing, len(report.failed)) == (3, 0, 0, 1)
    assert len(store) == 8


def test_an_image_error_says_whether_it_may_pass():
    assert not ImageError("a.png", "no picture").passing
    assert ImageError("a.png", "no disk", passing=True).passing


# ---- passed over


def test_what_is_passed_over_is_counted_by_kind(store, tiny, folder, tmp_path):
    for name in ("a.CR2", "b.cr2", "c.mp4", "README", "notes.txt", ".hidden", "x.raw"):
        (folder / name).write_bytes(b"")
    (folder / "link.bmp").symlink_to(folder / "1.bmp")
    (folder / "folder link").symlink_to(tmp_path)
    (folder / "text link").symlink_to(folder / "notes.txt")
    for name in (".git", "@eaDir", "raw"):
        (folder / name).mkdir()
        blot(8).save(folder / name / "8.png")
    report = add_folder(store, folder, tiny, exclude=["raw", "2.bmp"])
    assert report.added == 2
    assert report.passed_over == {
        ".cr2": 2,
        ".mp4": 1,
        "no suffix": 1,
        ".txt": 1,
        ".raw": 1,
        "links": 2,
        "excluded": 2,
    }


def test_it_is_said_in_one_line():
    from patchseek.cli._report import passed_over_text

    counts = {".cr2": 12, ".mp4": 3, "links": 2, "excluded": 4, "no suffix": 1, ".a": 1, ".b": 1, ".c": 1}
    said = "12 .cr2, 3 .mp4 (--inside video), 1 .a, 1 .b, 1 .c, 1 others, 2 links (--follow-symlinks), 4 excluded"
    assert passed_over_text(counts) == said
    assert passed_over_text({"no suffix": 2}) == "2 without suffix"


# ---- catalogues of an older version

OLD_TABLES = TABLES.replace(", ctime_ns INTEGER, n_pages INTEGER", "")


@pytest.fixture
def old(store, tiny, folder):
    """A collection as the version before wrote it: its tables, and nothing in them that it did not know."""
    (folder / "bad.png").write_bytes(b"bad")
    add_folder(store, folder, tiny)
    path = store.catalogue.path
    with sqlite3.connect(path) as db:
        rows = {t: db.execute(f"SELECT * FROM {t}").fetchall() for t in ("setting", "root", "image", "failure")}
        rows["setting"] = [("format", "1") if row[0] == "format" else row for row in rows["setting"]]
        query = "SELECT shard.id, file, n_images, n_bytes, sha256 FROM shard JOIN part ON part.shard = shard.id"
        rows["shard"] = db.execute(query).fetchall()
    db.close()
    path.unlink()
    db = sqlite3.connect(path)
    db.executescript(OLD_TABLES)
    for table, found in rows.items():
        found = [row[:11] for row in found]
        db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(found[0]))})", found)
    db.commit()
    db.close()
    return store


def columns(store, table):
    with store.catalogue.reading() as db:
        return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def test_an_old_catalogue_is_read_before_anybody_has_written_to_it(old, folder):
    assert len(old) == 3
    assert old.known(folder)["1.bmp"].state.ctime_ns is None
    assert (old.n_aside(), old.aside(folder), old.strays(folder, "", {1}), old.tags()) == (0, [], [], {})
    assert old.failures() == [
        Failure("bad.png", FileState(3, (folder / "bad.png").stat().st_mtime_ns), old.failures()[0].reason, True)
    ]
    assert columns(old, "image")[-1] == "removed"


def test_an_old_catalogue_goes_on_and_notes_what_it_did_not_know(old, tiny, folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(TinyEncoder, "encode", None)  # nothing is encoded anew
        report = add_folder(old, folder, tiny)
    assert (report.unchanged, len(report.failed)) == (3, 1)
    assert old.known(folder)["1.bmp"].state == FileState.of((folder / "1.bmp").stat())
    edit(folder / "1.bmp", 50)
    assert add_folder(old, folder, tiny).changed == 1


def test_failures_noted_by_an_older_version_are_tried_once_more(old, tiny, folder, monkeypatch):
    read = []
    real = _load.open_regular
    monkeypatch.setattr(_load, "open_regular", lambda file, label: read.append(label) or real(file, label))
    for _ in range(2):
        assert [f.path for f in add_folder(old, folder, tiny).failed] == ["bad.png"]
    assert read == ["bad.png"]


def test_what_an_older_version_writes_is_understood(store, tiny, folder):
    """The statements of the version before, on a catalogue of today: they name their columns, or are of five values."""
    add_folder(store, folder, tiny)
    edit(folder / "1.bmp", 50)
    known, state = store.known(folder)["1.bmp"], (folder / "1.bmp").stat()
    with store.catalogue.writing() as db:
        db.execute("UPDATE image SET removed = 1 WHERE root = ? AND path = ? AND NOT removed", (1, "0.bmp"))
        new = ("1.bmp", state.st_size, state.st_mtime_ns, known.id)
        db.execute("UPDATE image SET path = ?, size = ?, mtime_ns = ? WHERE id = ?", new)
        db.execute("INSERT INTO failure VALUES (?, ?, ?, ?, ?)", (1, "0.bmp", 1, 2, "truncated"))
        db.execute(
            "INSERT INTO image (root, path, size, mtime_ns, sha256, width, height, shard, slot) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (1, "x.bmp", 1, 2, "aa", 3, 4, 1, 3),
        )
        db.execute("DELETE FROM image WHERE path = 'x.bmp'")
    report = add_folder(store, folder, tiny)
    assert (report.changed, report.added, report.unchanged, report.failed) == (1, 1, 1, [])
    assert store.failures() == []


def test_an_older_version_does_not_see_what_is_set_aside_and_its_compact_drops_it(store, tiny, folder):
    add_folder(store, folder, tiny)
    with Writer(store) as writer:
        writer.set_aside([2])
    with store.catalogue.reading() as db:
        query = "SELECT path FROM image WHERE NOT removed AND root = 1 ORDER BY 1"
        assert [row[0] for row in db.execute(query)] == ["0.bmp", "2.bmp"]
    with store.catalogue.writing() as db:  # as the compact of that version does
        db.execute("UPDATE image SET removed = 1 WHERE id = 3")
        db.execute("DELETE FROM image WHERE removed")
    assert store.n_aside() == 0
    assert store.aside(folder) == []
