"""One picture as the source: it is added or brought up to date, and nothing else is touched."""

import pytest

import patchseek as ps
from patchseek.errors import PatchseekError

from .conftest import blot


@pytest.fixture
def collection(tmp_path, tiny):
    return ps.Collection.open(tmp_path / "collection", encoder=tiny, create=True)


def files(collection):
    return [root / path for _, root, path in collection.store.paths()]


def counts(report):
    return (report.added, report.changed, report.unchanged, report.moved, report.removed, len(report.failed))


def test_one_picture_is_added_and_its_neighbours_are_not(collection, make_folder):
    folder = make_folder("a.png", "b.png")
    assert counts(collection.add(folder / "a.png")) == (1, 0, 0, 0, 0, 0)
    assert counts(collection.add(folder / "a.png")) == (0, 0, 1, 0, 0, 0)
    assert files(collection) == [folder / "a.png"]
    assert collection.search(folder / "a.png")[0].score > 0.99


def test_one_picture_is_brought_up_to_date_and_nothing_else_is_touched(collection, make_folder):
    folder = make_folder("a.png", "b.png", "sub/c.png")
    collection.add(folder)
    blot(7).save(folder / "a.png")
    blot(8).save(folder / "b.png")
    (folder / "sub" / "c.png").unlink()
    make_folder("new.png")
    assert counts(collection.add(folder / "a.png")) == (0, 1, 0, 0, 0, 0)
    assert len(collection) == 3
    report = collection.add(folder)
    assert (report.added, report.changed, report.unchanged) == (1, 1, 1)


def test_a_picture_belongs_to_the_innermost_folder_that_was_indexed(collection, make_folder):
    folder = make_folder("a.png", "sub/b.png", "sub/deep/c.png")
    collection.add(folder)
    assert counts(collection.add(folder / "sub" / "deep" / "c.png")) == (0, 0, 1, 0, 0, 0)
    make_folder("sub/deep/d.png")
    collection.add(folder / "sub" / "deep" / "d.png")
    assert [path for _, _, path in collection.store.paths()][-1] == "sub/deep/d.png"
    assert collection.store.roots() == [folder]


def test_pictures_of_several_folders_can_be_added_one_by_one(collection, make_folder):
    one, two = make_folder("a.png", folder="one"), make_folder("a.png", folder="two")
    for folder in (one, two, one):
        collection.add(str(folder / "a.png"))
    assert files(collection) == [one / "a.png", two / "a.png"]


def test_a_picture_that_cannot_be_read_is_reported_and_tried_again(collection, make_folder):
    folder = make_folder("a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "b.png").write_bytes(b"no picture")
    assert [failure.path for failure in collection.add(folder / "b.png").failed] == ["b.png"]
    (folder / "b.png").write_bytes(content)
    assert counts(collection.add(folder / "b.png")) == (1, 0, 0, 0, 0, 0)
    assert collection.store.failures() == []


def test_a_picture_that_is_excluded_can_still_be_added_by_its_name(collection, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder, exclude=["b.png"])
    assert counts(collection.add(folder / "b.png")) == (1, 0, 0, 0, 0, 0)
    assert collection.add(folder).removed == 1, "and what the folder leaves out is remembered"


def test_a_link_is_added_under_its_own_name(collection, make_folder, tmp_path):
    folder = make_folder("a.png")
    (folder / "link.png").symlink_to(folder / "a.png")
    (tmp_path / "way").symlink_to(folder)
    collection.add(tmp_path / "way" / "link.png")
    assert files(collection) == [folder / "link.png"]


@pytest.mark.parametrize("name", ["notes.md", "noname", "list.xls"])
def test_what_is_no_picture_by_its_name_is_an_error(collection, tmp_path, name):
    (tmp_path / name).write_text("path\n")
    with pytest.raises(PatchseekError, match="not a folder, nor a picture by its name"):
        collection.add(tmp_path / name)


def test_what_is_not_there_is_an_error(collection, tmp_path):
    with pytest.raises(PatchseekError, match=r"nowhere\.jpg: not a folder"):
        collection.add(tmp_path / "nowhere.jpg")


def test_exclusions_of_a_single_picture_are_an_error(collection, make_folder):
    with pytest.raises(PatchseekError, match="exclusions are for folders"):
        collection.add(make_folder("a.png") / "a.png", exclude=["b.png"])
