"""Names that are one to some systems, or that some cannot have, and dates that are kept to two seconds."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest

from patchseek._platform import _paths, as_spelled, file_uri, is_spelled_so, possible_name
from patchseek.encode import add_file, add_folder
from patchseek.formats._files import below
from patchseek.patterns import Exclusions
from patchseek.patterns._names import seen_from, tidy
from patchseek.regions import Pyramid
from patchseek.server._uploads import safe_name
from patchseek.store import FileState, NewEntry, Settings, Store, Writer
from patchseek.store._inventory import latest, put_inventories, read_inventory


@pytest.fixture
def store(tmp_path, tiny):
    return Store.create(tmp_path / "collection", Settings(tiny.identity, Pyramid.up_to(1)))


@pytest.fixture
def one_case(monkeypatch):
    """A file system to which a.jpg is A.jpg, which keeps the letters by which a file was made, as that of macOS."""
    real_stat, real_list = os.stat, os.listdir

    def found(path):
        place = Path(Path(path).anchor)
        for name in Path(path).parts[1:]:
            names = real_list(place) if place.is_dir() else []
            place /= name if name in names else next((n for n in names if n.casefold() == name.casefold()), name)
        return place

    def stat(path, **more):
        try:
            return real_stat(path, **more)
        except FileNotFoundError:
            monkeypatch.setattr(os, "stat", real_stat)
            there = found(path)
            monkeypatch.setattr(os, "stat", stat)
            return real_stat(there, **more)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "listdir", lambda path=".": real_list(path if os.path.lexists(path) else found(path)))


def known(store):
    return {path: number for number, _, path in store.paths()}


# ---- one file, two spellings


@pytest.mark.usefixtures("one_case")
@pytest.mark.parametrize(("before", "after"), [("a.png", "A.png"), ("sub/a.png", "SUB/a.png")])
def test_a_picture_whose_letters_become_capitals_keeps_its_number_and_tags(store, tiny, make_folder, before, after):
    folder = make_folder(before, "other.png")
    add_folder(store, folder, tiny)
    number = known(store)[before]
    with Writer(store) as writer:
        writer.tag("red", [number])
    source, target = (folder / name.partition("/")[0] for name in (before, after))
    source.rename(target)
    report = add_folder(store, folder, tiny)
    assert (report.added, report.moved, report.unchanged) == (0, 1, 1)
    assert known(store)[after] == number
    assert before not in known(store)
    assert store.tags() == {"red": 1}


def test_two_files_that_differ_in_capitals_alone_are_two_where_the_system_says_so(store, tiny, make_folder):
    folder = make_folder("a.png", "A.png")
    add_folder(store, folder, tiny)
    add_folder(store, folder, tiny, exclude=["a.png"])
    assert known(store).keys() == {"A.png"}
    assert add_folder(store, folder, tiny, exclude=[]).returned == 1


@pytest.mark.usefixtures("one_case")
def test_a_folder_is_one_however_it_is_typed(store, tiny, make_folder, monkeypatch):
    folder = make_folder("a.png", "b.png", folder="Pictures")
    add_folder(store, folder, tiny)
    monkeypatch.setattr(sys, "platform", "darwin")
    report = add_folder(store, folder.parent / "pictures", tiny)
    assert report.unchanged == 2
    assert store.roots() == [folder]
    add_file(store, folder.parent / "PICTURES" / "A.png", tiny)
    assert known(store).keys() == {"a.png", "b.png"}


def test_what_is_not_there_keeps_the_letters_in_which_it_is_typed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert as_spelled(tmp_path / "No Such" / "Folder") == tmp_path / "No Such" / "Folder"
    (tmp_path / "one").mkdir()
    assert as_spelled(tmp_path / "ONE") == tmp_path / "ONE"  # here, these are two


def test_a_spelling_is_that_of_each_folder_on_the_way(make_folder):
    folder = make_folder("sub/a.png")
    assert is_spelled_so(folder, "sub/a.png")
    assert not is_spelled_so(folder, "SUB/a.png")
    assert not is_spelled_so(folder, "sub/A.png")


# ---- names that Windows has not


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(_paths, "is_windows", lambda: True)


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("photo.jpg", "photo.jpg"),
        ("aux.jpg", "_aux.jpg"),
        ("COM1", "_COM1"),
        ("con .tar.gz", "_con .tar.gz"),
        ("conference.jpg", "conference.jpg"),
        ("a:b?.jpg", "a_b_.jpg"),
        ("end.", "end_"),
        ("end ", "end_"),
        ("Käse 图.png", "Käse 图.png"),
    ],
)
def test_a_new_file_gets_a_name_that_windows_can_have(monkeypatch, name, possible):
    assert possible_name(name) == name
    monkeypatch.setattr(_paths, "is_windows", lambda: True)
    assert possible_name(name) == possible
    assert not PureWindowsPath(possible).is_reserved()


@pytest.mark.usefixtures("windows")
def test_labels_and_uploads_of_such_pictures_get_another_name():
    assert below(PureWindowsPath("C:/out"), "trip./aux.jpg", ".txt") == PureWindowsPath("C:/out/trip_/_aux.txt")
    assert below(PureWindowsPath("C:/out"), "C:/Users/a.jpg", ".txt") == PureWindowsPath("C:/out/C_/Users/a.txt")
    assert safe_name("nul.jpg", b"").startswith("_nul-")
    assert safe_name("12:30.jpg", b"").startswith("12_30-")


# ---- paths of Windows


def test_paths_are_kept_and_compared_with_slashes(monkeypatch):
    assert seen_from(PureWindowsPath(r"C:\Users\ann\Pictures"), "C:/Users/ann/Pictures/raw/a.jpg") == "raw/a.jpg"
    assert seen_from(PureWindowsPath(r"\\nas\photos"), "//nas/photos/a.jpg") == "a.jpg"
    monkeypatch.setattr(os, "sep", "\\")
    assert tidy(r"raw\2024") == "raw/2024"
    assert Exclusions([r"raw\2024"]).leaves_out("raw/2024", is_folder=True)


def test_sqlite_opens_a_catalogue_on_a_network_drive(tmp_path):
    assert file_uri(PureWindowsPath(r"\\nas\photos\a b.sqlite")) == "file:////nas/photos/a%20b.sqlite"
    assert file_uri(PureWindowsPath(r"C:\photos\a.sqlite")) == "file:///C:/photos/a.sqlite"
    assert file_uri(Path("/photos/a.sqlite")) == "file:///photos/a.sqlite"
    with pytest.raises(sqlite3.OperationalError, match="authority"):  # which is why
        sqlite3.connect(f"file://nas{tmp_path}/a.sqlite", uri=True)
    with closing(sqlite3.connect(f"file:///{tmp_path}/a.sqlite", uri=True)) as db:
        db.execute("CREATE TABLE t (x)")
    assert (tmp_path / "a.sqlite").is_file()


# ---- dates


def test_of_two_that_were_told_within_two_seconds_the_later_one_counts(store):
    """As exFAT and FAT keep dates."""
    one = NewEntry("a.jpg", FileState(1, 1), "0" * 64, 4, 4)
    with Writer(store) as writer:
        writer.commit(Path("/pictures"), [one], np.ones((1, *store.settings.shape), np.float16))
        first = latest(store.path)[1]
        content = first.read_bytes()
        with store.catalogue.writing() as db:
            db.execute("UPDATE image SET removed = 1")
            put_inventories(store.path, db, [1])
        second = latest(store.path)[1]
        assert second != first
        for file in (first, second):
            os.utime(file, ns=(10**18, 10**18))
        assert latest(store.path)[1] == second
        assert read_inventory(second)["pictures"][0]["removed"] == 1
        assert first.read_bytes() == content
