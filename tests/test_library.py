"""Disks that are not there, folders that move, hold others or are part of them: what was encoded and tagged is kept."""

import os
import shutil
import time

import numpy as np
import pytest

from patchseek import Collection
from patchseek.encode import Missing
from patchseek.errors import PatchseekError
from patchseek.regions import Pyramid
from patchseek.store import NewEntry, Settings, Store, Writer

from .conftest import TinyEncoder, blot

DAY = 86400


class Counting(TinyEncoder):
    """Counts the patches it encodes."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def encode(self, patches):
        self.n += len(patches)
        return super().encode(patches)


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def collection(tmp_path, encoder):
    return Collection(Store.create(tmp_path / "collection", Settings(encoder.identity, Pyramid.up_to(1))), encoder)


def places(collection):
    """Where the collection says its pictures are, by id."""
    return {number: root / path for number, root, path in collection.store.paths()}


def tag_ids(collection, name):
    """The ids that the catalogue notes under a tag and that can be found."""
    with collection.store.catalogue.reading() as db:
        query = "SELECT image FROM tag JOIN image ON id = image WHERE name = ? AND NOT removed ORDER BY 1"
        return [row[0] for row in db.execute(query, (name,))]


def counts(report):
    names = ("added", "unchanged", "changed", "moved", "returned", "removed", "missing")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def unmount(folder, away):
    """Move what is in a folder elsewhere; returns how to bring it back."""
    folder.rename(away)
    folder.mkdir()

    def mount():
        folder.rmdir()
        away.rename(folder)

    return mount


# ---- a disk that is not mounted


def test_a_picture_that_is_gone_is_not_found_and_comes_back_with_its_tag_and_without_being_encoded(
    collection, encoder, make_folder
):
    folder = make_folder("a.png", "b.png", "c.png")
    collection.add(folder)
    collection.tag("good", "a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    assert counts(collection.add(folder)) == {"unchanged": 2, "removed": 1}
    assert set(places(collection)) == {2, 3}
    assert collection.store.tags() == {}
    n = encoder.n
    (folder / "a.png").write_bytes(content)
    assert counts(collection.add(folder)) == {"unchanged": 2, "returned": 1}
    assert places(collection)[1] == folder / "a.png"
    assert tag_ids(collection, "good") == [1]
    assert encoder.n == n


def test_it_comes_back_under_another_path_as_well(collection, encoder, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    collection.tag("good", "a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    collection.add(folder)
    n = encoder.n
    (folder / "deep").mkdir()
    (folder / "deep" / "z.png").write_bytes(content)
    assert counts(collection.add(folder)) == {"unchanged": 1, "returned": 1}
    assert (places(collection)[1], tag_ids(collection, "good"), encoder.n) == (folder / "deep" / "z.png", [1], n)


def test_it_comes_back_in_another_folder_of_the_collection(collection, encoder, make_folder):
    one, two = make_folder("a.png", "b.png", folder="one"), make_folder("c.png", folder="two")
    collection.add(one)
    collection.add(two)
    content = (one / "a.png").read_bytes()
    (one / "a.png").unlink()
    collection.add(one)
    (two / "new.png").write_bytes(content)
    n = encoder.n
    assert counts(collection.add(two)) == {"unchanged": 1, "returned": 1}
    assert (places(collection)[1], encoder.n) == (two / "new.png", n)


def test_of_two_set_aside_with_the_same_bytes_the_one_of_the_same_path_comes_back(collection, make_folder):
    folder = make_folder("a.png", "keep1.png", "keep2.png", "keep3.png")
    shutil.copy(folder / "a.png", folder / "b.png")
    collection.add(folder)
    names = {path.name: number for number, path in places(collection).items()}
    collection.tag("of a", "a.png")
    collection.tag("of b", "b.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    (folder / "b.png").unlink()
    collection.add(folder)
    for name in ("0.png", "b.png", "a.png"):
        (folder / name).write_bytes(content)
    assert counts(collection.add(folder)) == {"unchanged": 3, "returned": 2, "added": 1}
    found = places(collection)
    assert (found[names["a.png"]].name, found[names["b.png"]].name) == ("a.png", "b.png")
    assert (tag_ids(collection, "of a"), tag_ids(collection, "of b")) == ([names["a.png"]], [names["b.png"]])


def test_an_emptied_folder_is_an_error_that_names_how_many_are_known_and_nothing_is_lost(
    collection, make_folder, tmp_path
):
    folder = make_folder("a.png", "b.png", "c.png")
    collection.add(folder)
    mount = unmount(folder, tmp_path / "away")
    with pytest.raises(PatchseekError, match=r"3 known: is a disk not mounted\?.*--prune") as caught:
        collection.add(folder)
    assert "\n" not in str(caught.value)
    assert len(collection) == 3
    mount()
    assert counts(collection.add(folder)) == {"unchanged": 3}


def test_so_is_a_folder_that_is_not_there(collection, make_folder):
    folder = make_folder("a.png")
    collection.add(folder)
    folder.rename(folder.with_name("away"))
    with pytest.raises(PatchseekError, match=r"no such folder now, 1 known: is a disk not mounted\?.*--prune"):
        collection.add(folder)
    assert len(collection) == 1


def test_a_folder_that_may_not_be_looked_at_is_not_pruned(collection, make_folder, monkeypatch):
    folder = make_folder("a.png")
    collection.add(folder)

    real = type(folder).stat

    def failing(path, **options):
        if path.is_relative_to(folder):
            raise OSError(5, "Input/output error")
        return real(path, **options)

    monkeypatch.setattr(type(folder), "stat", failing)
    with pytest.raises(PatchseekError, match="cannot be looked at"):
        collection.add(folder, prune=True)
    monkeypatch.undo()
    assert len(collection) == 1


def test_a_place_in_the_folder_where_a_disk_was_is_missed_and_its_pictures_stay(
    collection, encoder, make_folder, tmp_path
):
    inside = [f"disk/{i}.png" for i in range(3)]
    folder = make_folder(*inside, *(f"{i}.png" for i in range(9)))
    collection.add(folder)
    collection.tag("far", "disk")
    mount = unmount(folder / "disk", tmp_path / "away")
    make_folder("new.png")
    report = collection.add(folder)
    assert counts(report) == {"unchanged": 9, "added": 1, "missing": 3}
    assert report.missing_from == [Missing(str(folder / "disk"), 3, 3)]
    assert len(collection) == 13
    mount()
    n = encoder.n
    assert counts(collection.add(folder)) == {"unchanged": 13}
    assert (len(tag_ids(collection, "far")), encoder.n) == (3, n)


def test_a_link_that_leads_nowhere_is_a_disk_that_is_not_there(collection, make_folder):
    folder, disk = make_folder(*(f"{i}.png" for i in range(9))), make_folder("x.png", "y.png", "z.png", folder="disk")
    (folder / "link").symlink_to(disk)
    collection.add(folder, follow_symlinks=True)
    disk.rename(disk.with_name("away"))
    report = collection.add(folder, follow_symlinks=True)
    assert report.missing_from == [Missing(str(folder / "link"), 3, 3)]
    assert len(collection) == 12


def test_a_large_share_that_is_gone_stays_until_it_is_pruned_and_what_is_new_is_indexed(collection, make_folder):
    folder = make_folder(*(f"{i}.png" for i in range(7)), "old/x.png")
    collection.add(folder)
    for i in range(5):
        (folder / f"{i}.png").unlink()
    make_folder("new.png")
    report = collection.add(folder)
    assert counts(report) == {"added": 1, "unchanged": 3, "missing": 5}
    assert report.missing_from == [Missing(str(folder), 5, 8)]
    assert len(collection) == 9
    assert counts(collection.add(folder, prune=True)) == {"unchanged": 4, "removed": 5}
    assert len(collection) == 4
    assert collection.store.n_aside() == 0


@pytest.mark.parametrize(("n", "n_gone"), [(6, 3), (2, 2), (5, 2)])
def test_half_of_a_folder_or_less_than_three_are_set_aside_without_a_word(collection, make_folder, n, n_gone):
    folder = make_folder(*(f"{i}.png" for i in range(n)))
    collection.add(folder)
    make_folder("new.png")
    for i in range(n_gone):
        (folder / f"{i}.png").unlink()
    report = collection.add(folder)
    assert (report.added, report.unchanged, report.removed, report.missing) == (1, n - n_gone, n_gone, 0)


def test_pruning_drops_what_was_set_aside_before(collection, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    collection.add(folder)
    assert collection.store.n_aside() == 1
    collection.add(folder, prune=True)
    assert collection.store.n_aside() == 0
    (folder / "a.png").write_bytes(content)
    assert counts(collection.add(folder)) == {"unchanged": 1, "added": 1}


def test_pruning_takes_back_first_what_has_returned(collection, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    collection.add(folder)
    (folder / "z.png").write_bytes(content)
    assert counts(collection.add(folder, prune=True)) == {"unchanged": 1, "returned": 1}


def test_a_folder_that_is_gone_for_good_can_be_pruned(collection, make_folder):
    one, two = make_folder("a.png", "b.png", "c.png", folder="one"), make_folder("d.png", folder="two")
    collection.add(one)
    collection.add(two)
    shutil.rmtree(one)
    assert counts(collection.add(one, prune=True)) == {"removed": 3}
    assert list(places(collection).values()) == [two / "d.png"]


def test_a_folder_that_never_was_there_cannot_be_pruned(collection, tmp_path):
    with pytest.raises(PatchseekError, match="not a folder"):
        collection.add(tmp_path / "nowhere", prune=True)


def test_compact_keeps_what_was_set_aside_for_thirty_days(collection, encoder, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    collection.tag("good", "a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    collection.add(folder)
    with Writer(collection.store, clock=lambda: time.time() + 29 * DAY) as writer:
        writer.compact()
    assert (collection.store.snapshot().n_positions, collection.store.problems()) == (2, [])
    n = encoder.n
    (folder / "a.png").write_bytes(content)
    assert counts(collection.add(folder)) == {"unchanged": 1, "returned": 1}
    assert (tag_ids(collection, "good"), encoder.n) == ([1], n)
    (folder / "a.png").unlink()
    collection.add(folder)
    with Writer(collection.store, clock=lambda: time.time() + 31 * DAY) as writer:
        writer.compact()
    assert (collection.store.snapshot().n_positions, collection.store.n_aside()) == (1, 0)
    (folder / "a.png").write_bytes(content)
    assert counts(collection.add(folder)) == {"unchanged": 1, "added": 1}


def test_what_was_taken_out_by_hand_stays_out_until_it_is_asked_for(collection, make_folder):
    folder = make_folder("a.png", "b.png", "sub/a.png", "sub/c.png")
    collection.add(folder)
    assert collection.remove("a.png", "sub") == ["a.png", "sub/a.png", "sub/c.png"]
    report = collection.add(folder, check_content=True, retry=True)
    assert (counts(report), report.passed_over) == ({"unchanged": 1}, {"taken out": 3})
    assert counts(collection.add(folder / "a.png")) == {"added": 1}  # that very file
    assert counts(collection.add(folder / "sub", with_removed=True)) == {"added": 2}
    report = collection.add(folder)
    assert (counts(report), report.passed_over, collection.store.n_taken_out()) == ({"unchanged": 4}, {}, 0)


def test_what_was_taken_out_is_known_when_its_folder_moves_or_is_part_of_another(collection, make_folder, tmp_path):
    folder = make_folder("sub/a.png", "sub/b.png", "sub/c.png")
    collection.add(folder / "sub")
    collection.remove("b.png")
    report = collection.add(folder)  # around it
    assert (counts(report), report.passed_over) == ({"unchanged": 2}, {"taken out": 1})
    folder.rename(tmp_path / "moved")
    report = collection.add(tmp_path / "moved")
    assert (counts(report), report.passed_over) == ({"moved": 2}, {"taken out": 1})
    collection.compact()
    assert collection.add(tmp_path / "moved").passed_over == {"taken out": 1}


def test_what_was_taken_out_by_hand_is_dropped_and_comes_back_encoded_anew(collection, encoder, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    collection.tag("good", "a.png")
    collection.remove("a.png")
    assert collection.store.n_aside() == 0
    n = encoder.n
    assert counts(collection.add(folder, with_removed=True)) == {"unchanged": 1, "added": 1}
    assert encoder.n > n
    assert tag_ids(collection, "good") == []


def test_what_is_left_out_is_set_aside_and_no_disk_is_missed(collection, encoder, make_folder):
    folder = make_folder("raw/1.png", "raw/2.png", "raw/3.png", "raw/4.png", "a.png")
    collection.add(folder)
    report = collection.add(folder, exclude=["raw"])
    assert counts(report) == {"unchanged": 1, "removed": 4}
    n = encoder.n
    assert counts(collection.add(folder, exclude="")) == {"unchanged": 1, "returned": 4}
    assert encoder.n == n


def test_a_damaged_picture_that_is_repaired_comes_back_with_its_tag(collection, encoder, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    collection.tag("good", "a.png")
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(content[:100])
    assert len(collection.add(folder).failed) == 1
    n = encoder.n
    (folder / "a.png").write_bytes(content)
    report = collection.add(folder)
    assert (counts(report), report.failed) == ({"unchanged": 1, "returned": 1}, [])
    assert (tag_ids(collection, "good"), encoder.n) == ([1], n)
    assert collection.store.failures() == []


def test_what_was_set_aside_comes_back_without_being_read_where_nothing_touched_it(
    collection, make_folder, monkeypatch, tmp_path
):
    folder = make_folder("a/1.png", "a/2.png", "b.png", "c.png", "d.png")
    collection.add(folder)
    (folder / "a").rename(tmp_path / "away")
    assert counts(collection.add(folder)) == {"unchanged": 3, "removed": 2}
    (tmp_path / "away").rename(folder / "a")
    monkeypatch.setattr(os, "fdopen", None)
    assert counts(collection.add(folder)) == {"unchanged": 3, "returned": 2}


# ---- folders that moved


def test_a_library_that_moved_keeps_ids_and_tags_and_nothing_is_encoded(collection, encoder, make_folder, tmp_path):
    folder = make_folder("a.png", "deep/b.png", "deep/c.png")
    collection.add(folder)
    collection.tag("good", "deep/b.png")
    before, n = places(collection), encoder.n
    moved = folder.rename(tmp_path / "elsewhere")
    assert counts(collection.add(moved)) == {"moved": 3}
    assert places(collection) == {i: moved / path.relative_to(folder) for i, path in before.items()}
    assert (encoder.n, collection.store.roots()) == (n, [moved])
    assert [places(collection)[i] for i in tag_ids(collection, "good")] == [moved / "deep" / "b.png"]


def test_a_library_copied_to_another_disk_and_deleted_here_has_moved(collection, encoder, make_folder, tmp_path):
    folder, n_others = make_folder("a.png", "deep/b.png"), 3
    for i in range(n_others):  # of the same bytes, each at its own path
        shutil.copyfile(folder / "a.png", folder / "deep" / f"copy{i}.png")
    collection.add(folder)
    before, n = places(collection), encoder.n
    shutil.copytree(folder, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    shutil.rmtree(folder)
    report = collection.add(tmp_path / "elsewhere")
    assert (counts(report), encoder.n) == ({"moved": 5}, n)
    assert places(collection) == {i: tmp_path / "elsewhere" / p.relative_to(folder) for i, p in before.items()}
    assert collection.store.roots() == [tmp_path / "elsewhere"]


def test_a_library_moved_and_stirred_is_recognised_file_by_file(collection, encoder, make_folder, tmp_path):
    folder = make_folder(*(f"{i}.png" for i in range(6)))
    collection.add(folder)
    collection.tag("third", "3.png")
    n = encoder.n
    new = tmp_path / "new"
    new.mkdir()
    for i in range(6):
        shutil.copyfile(folder / f"{i}.png", new / f"picture {5 - i}.png")
    shutil.rmtree(folder)
    assert counts(collection.add(new)) == {"moved": 6}
    assert [places(collection)[i].name for i in tag_ids(collection, "third")] == ["picture 2.png"]
    assert (encoder.n, collection.store.roots()) == (n, [new])


def test_the_folder_above_was_renamed(collection, encoder, make_folder, tmp_path):
    folder = make_folder("2023/a.png", "2024/b.png", folder="old/pictures")
    collection.add(folder)
    before, n = places(collection), encoder.n
    (tmp_path / "old").rename(tmp_path / "new")
    moved = tmp_path / "new" / "pictures"
    assert counts(collection.add(moved)) == {"moved": 2}
    assert places(collection) == {i: moved / path.relative_to(folder) for i, path in before.items()}
    assert encoder.n == n


def test_part_of_a_library_that_moved_moves_and_the_rest_is_set_aside(collection, encoder, make_folder, tmp_path):
    folder = make_folder(*(f"{i}.png" for i in range(5)))
    collection.add(folder)
    collection.tag("good", "*.png")
    moved = folder.rename(tmp_path / "elsewhere")
    content = (moved / "0.png").read_bytes()
    (moved / "0.png").unlink()
    (moved / "1.png").unlink()
    assert counts(collection.add(moved)) == {"moved": 3, "removed": 2}
    assert collection.store.roots() == [moved]
    assert collection.store.n_aside() == 2
    n = encoder.n
    (moved / "0.png").write_bytes(content)
    assert counts(collection.add(moved)) == {"unchanged": 3, "returned": 1}
    assert (len(tag_ids(collection, "good")), encoder.n) == (4, n)


def test_where_little_of_a_library_turns_up_elsewhere_the_rest_is_missed_and_stays(
    collection, encoder, make_folder, tmp_path
):
    folder = make_folder(*(f"{i}.png" for i in range(9)))
    collection.add(folder)
    new, n = tmp_path / "new", encoder.n
    new.mkdir()
    for i in range(2):
        shutil.copyfile(folder / f"{i}.png", new / f"{i}.png")
    away = folder.rename(tmp_path / "away")
    report = collection.add(new)
    assert counts(report) == {"moved": 2, "missing": 7}
    assert report.missing_from == [Missing(str(folder), 7, 7)]
    assert (len(collection), encoder.n) == (9, n)
    away.rename(folder)
    assert counts(collection.add(folder)) == {"unchanged": 7, "added": 2}  # the two are copies now


def test_a_copy_beside_the_original_is_a_picture_of_its_own(collection, make_folder, tmp_path):
    folder = make_folder("a.png", "b.png")
    collection.add(folder)
    shutil.copytree(folder, tmp_path / "copy")
    assert counts(collection.add(tmp_path / "copy")) == {"added": 2}
    assert len(collection) == 4


def test_other_pictures_of_the_same_names_and_sizes_are_not_taken_for_those_that_moved(collection, tmp_path):
    """Uncompressed pictures of one camera are all of one size."""
    one, two = tmp_path / "card1", tmp_path / "card2"
    for folder, seed in ((one, 0), (two, 100)):
        folder.mkdir()
        for i in range(4):
            blot(seed + i).save(folder / f"IMG_{i}.bmp")
    collection.add(one)
    collection.tag("first card", "*.bmp")
    away = one.rename(tmp_path / "away")
    assert counts(collection.add(two)) == {"added": 4}
    away.rename(one)
    assert counts(collection.add(one)) == {"unchanged": 4}
    assert len(tag_ids(collection, "first card")) == 4


def test_a_folder_moved_into_another_indexed_one_is_part_of_it(collection, encoder, make_folder):
    one, two = make_folder("a.png", "x/b.png", folder="one"), make_folder("c.png", folder="two")
    collection.add(one)
    collection.add(two)
    collection.tag("good", "a.png")
    n = encoder.n
    (two / "in").mkdir()
    one.rename(two / "in" / "one")
    assert counts(collection.add(two)) == {"moved": 2, "unchanged": 1}
    assert places(collection) == {1: two / "in/one/a.png", 2: two / "in/one/x/b.png", 3: two / "c.png"}
    assert (encoder.n, collection.store.roots(), tag_ids(collection, "good")) == (n, [two], [1])


def test_a_folder_moved_out_of_an_indexed_one_keeps_its_pictures(collection, encoder, make_folder, tmp_path):
    folder = make_folder("a.png", "sub/b.png", "sub/c.png")
    collection.add(folder)
    before, n = places(collection), encoder.n
    moved = (folder / "sub").rename(tmp_path / "out")
    assert counts(collection.add(moved)) == {"moved": 2}
    assert places(collection) == {i: moved / p.name if p.parent.name == "sub" else p for i, p in before.items()}
    assert counts(collection.add(folder)) == {"unchanged": 1}
    assert encoder.n == n


def test_a_file_moved_between_two_indexed_folders_keeps_its_tag(collection, encoder, make_folder):
    one, two = make_folder("a.png", "b.png", folder="one"), make_folder("c.png", folder="two")
    collection.add(one)
    collection.add(two)
    collection.tag("good", "a.png")
    n = encoder.n
    (one / "a.png").rename(two / "z.png")
    assert counts(collection.add(two)) == {"unchanged": 1, "moved": 1}
    assert counts(collection.add(one)) == {"unchanged": 1}
    assert (tag_ids(collection, "good"), places(collection)[1], encoder.n) == ([1], two / "z.png", n)


def test_two_libraries_that_moved_below_one_new_folder(collection, encoder, make_folder, tmp_path):
    one = make_folder("0.png", "1.png", folder="one")
    two = tmp_path / "two"
    two.mkdir()
    for i in range(2):
        blot(50 + i).save(two / f"{i}.png")
    collection.add(one)
    collection.add(two)
    before, n = places(collection), encoder.n
    (tmp_path / "all").mkdir()
    for folder in (one, two):
        folder.rename(tmp_path / "all" / folder.name)
    report = collection.add(tmp_path / "all")
    assert (counts(report), encoder.n) == ({"moved": 4}, n)
    assert places(collection) == {i: tmp_path / "all" / p.relative_to(tmp_path) for i, p in before.items()}
    assert collection.store.roots() == [tmp_path / "all"]


def test_a_collection_inside_its_folder_moves_along(tmp_path, encoder, make_folder):
    folder = make_folder("a.png", "b.png")
    Collection(Store.create(folder / ".patchseek", Settings(encoder.identity, Pyramid.up_to(1))), encoder).add(folder)
    n = encoder.n
    moved = folder.rename(tmp_path / "elsewhere")
    collection = Collection(Store.open(moved / ".patchseek"), encoder)
    assert counts(collection.add(moved)) == {"unchanged": 2}
    assert (encoder.n, collection.store.roots()) == (n, [moved])


# ---- folders inside and around


def test_a_folder_inside_an_indexed_one_updates_that_part(collection, make_folder):
    folder = make_folder("a.png", "sub/b.png", "sub/c.png", "other/d.png")
    collection.add(folder)
    (folder / "sub" / "b.png").unlink()
    (folder / "other" / "d.png").unlink()
    make_folder("sub/new.png", "e.png")
    report = collection.add(folder / "sub")
    assert counts(report) == {"unchanged": 1, "added": 1, "removed": 1}
    assert collection.store.roots() == [folder]
    names = sorted(path for _, _, path in collection.store.paths())
    assert names == ["a.png", "other/d.png", "sub/c.png", "sub/new.png"]
    (folder / "sub" / "bad.png").write_bytes(b"bad")
    assert [failure.path for failure in collection.add(folder / "sub").failed] == ["sub/bad.png"]
    assert counts(collection.add(folder)) == {"unchanged": 3, "added": 1, "removed": 1}


def test_a_file_moved_from_one_part_to_another_is_recognised_there(collection, encoder, make_folder):
    folder = make_folder("1/a.png", "2/b.png")
    collection.add(folder)
    n = encoder.n
    (folder / "1" / "a.png").rename(folder / "2" / "z.png")
    assert counts(collection.add(folder / "2")) == {"unchanged": 1, "moved": 1}
    assert (places(collection)[1], encoder.n) == (folder / "2" / "z.png", n)


def test_an_emptied_part_is_an_error_as_well(collection, make_folder):
    folder = make_folder("a.png", "sub/b.png")
    collection.add(folder)
    (folder / "sub" / "b.png").unlink()
    with pytest.raises(PatchseekError, match="1 known: is a disk not mounted"):
        collection.add(folder / "sub")
    assert counts(collection.add(folder / "sub", prune=True)) == {"removed": 1}
    assert list(places(collection).values()) == [folder / "a.png"]


def test_a_folder_around_an_indexed_one_takes_it_in(collection, encoder, make_folder):
    folder = make_folder("a.png", "sub/b.png", "sub/c.png")
    collection.add(folder / "sub")
    collection.tag("good", "b.png")
    n = encoder.n
    assert counts(collection.add(folder)) == {"unchanged": 2, "added": 1}
    assert encoder.n == n + 5, "one picture of five regions"
    assert places(collection) == {1: folder / "sub/b.png", 2: folder / "sub/c.png", 3: folder / "a.png"}
    assert (collection.store.roots(), tag_ids(collection, "good")) == ([folder], [1])


def test_pictures_that_an_older_version_has_twice_become_one_with_all_tags(collection, encoder, make_folder):
    """As it was when a folder and one inside it were roots of their own."""
    folder = make_folder("a.png", "sub/b.png")
    collection.add(folder / "sub")
    twin = Collection(
        Store.create(collection.path.with_name("twin"), Settings(encoder.identity, Pyramid.up_to(1))), encoder
    )
    twin.add(folder)
    known = twin.store.known(folder)
    pictures = [NewEntry(path, file.state, file.sha256, 64, 48) for path, file in known.items()]
    with Writer(collection.store) as writer:
        writer.commit(folder, pictures, twin.store.snapshot().features(np.arange(2)).astype(np.float16))
        writer.tag("inner", [1])
        writer.tag("outer", [3])
    assert [path.name for path in places(collection).values()] == ["b.png", "a.png", "b.png"]
    collection.add(folder)
    assert sorted(places(collection).values()) == [folder / "a.png", folder / "sub/b.png"]
    assert tag_ids(collection, "inner") == tag_ids(collection, "outer") == [3]


def test_links_and_dots_in_the_given_path_are_resolved(collection, make_folder, tmp_path, monkeypatch):
    folder = make_folder("a.png", "sub/b.png")
    collection.add(folder)
    (tmp_path / "link").symlink_to(folder)
    for way in (tmp_path / "link", folder / "sub" / "..", tmp_path / "link" / "sub"):
        assert counts(collection.add(way)).keys() == {"unchanged"}
    monkeypatch.chdir(folder / "sub")
    assert counts(collection.add("..")) == {"unchanged": 2}
    assert collection.store.roots() == [folder]


def test_a_hidden_folder_and_uploads_stay_roots_of_their_own(encoder, make_folder):
    folder = make_folder("a.png", ".hidden/b.png")
    collection = Collection(Store.create(folder / ".patchseek", Settings(encoder.identity, Pyramid.up_to(1))), encoder)
    uploads = collection.path / "uploads"
    uploads.mkdir()
    blot(9).save(uploads / "u.png")
    collection.add(uploads)
    collection.add(folder / ".hidden")
    for _ in range(2):
        collection.add(folder)
        assert sorted(places(collection).values()) == sorted(
            [folder / ".hidden/b.png", uploads / "u.png", folder / "a.png"]
        )
    collection.add(folder, hidden=True)
    assert len(collection) == 3
    assert counts(collection.add(uploads)) == {"unchanged": 1}


# ---- what is left out goes along


def test_what_is_left_out_of_a_folder_is_left_out_of_its_parts(collection, make_folder):
    folder = make_folder("a.png", "sub/b.png", "sub/raw/c.png", "raw/d.png")
    collection.add(folder, exclude=["raw"])
    assert counts(collection.add(folder / "sub")) == {"unchanged": 1}
    assert len(collection) == 2


def test_what_is_left_out_of_a_part_is_left_out_by_the_folder_around(collection, make_folder):
    folder = make_folder("a.png", "sub/b.png", "sub/raw/c.png", "raw/d.png", "sub/x.tif.png")
    collection.add(folder / "sub", exclude=["raw", "/x*"])
    collection.add(folder)
    assert sorted(path for _, _, path in collection.store.paths()) == ["a.png", "raw/d.png", "sub/b.png"]
    assert counts(collection.add(folder)) == {"unchanged": 3}
    assert counts(collection.add(folder / "sub", exclude=["raw"])) == {"unchanged": 1, "added": 1}
    assert counts(collection.add(folder)) == {"unchanged": 4}


def test_what_is_left_out_of_a_folder_is_left_out_where_it_moved(collection, make_folder, tmp_path):
    folder = make_folder("a.png", "raw/b.png")
    collection.add(folder, exclude=["raw"])
    moved = folder.rename(tmp_path / "moved")
    assert counts(collection.add(moved)) == {"moved": 1}
    assert [path for _, _, path in collection.store.paths()] == ["a.png"]


def test_a_part_that_was_left_out_can_be_indexed_by_itself(collection, make_folder):
    folder = make_folder("a.png", "raw/b.png")
    collection.add(folder, exclude=["raw"])
    collection.add(folder / "raw")
    for _ in range(2):
        assert counts(collection.add(folder)) == {"unchanged": 1}
        assert counts(collection.add(folder / "raw")) == {"unchanged": 1}
    assert len(collection) == 2


# ---- a single picture


def test_a_single_picture_that_moved_is_recognised(collection, encoder, make_folder):
    folder = make_folder("a.png", "sub/b.png")
    collection.add(folder)
    n = encoder.n
    (folder / "a.png").rename(folder / "sub" / "z.png")
    assert counts(collection.add(folder / "sub" / "z.png")) == {"moved": 1}
    (folder / "sub" / "z.png").rename(folder / "sub" / "y.png")
    assert counts(collection.add(folder / "sub" / "y.png")) == {"moved": 1}
    assert (encoder.n, places(collection)[1]) == (n, folder / "sub" / "y.png")
    assert len(collection) == 2
