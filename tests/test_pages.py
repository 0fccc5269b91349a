"""Every page of a TIFF is a picture of its own, `scan.tif#2`, in the catalogue, in searches and on sheets."""

import shutil

import numpy as np
import pytest
from PIL import Image

from patchseek import Collection, encode
from patchseek import images as images_part
from patchseek.draw.thumbnails import thumbnail
from patchseek.encode import Regions, _load, encode_tasks
from patchseek.errors import ImageError, StoreError
from patchseek.images import read
from patchseek.patches import cut
from patchseek.regions import Pyramid
from patchseek.sources import page_path, split_page
from patchseek.store import FileState, NewEntry, Settings, Store, Writer, hash_file
from patchseek.store import Image as StoredImage

from .conftest import TinyEncoder, blot

PYRAMID = Pyramid.up_to(1)


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID)), tiny)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def scan(file, *seeds):
    """A TIFF whose pages are these blots."""
    pages = [blot(seed) for seed in seeds]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    return file


def paths(collection):
    return sorted(path for _, _, path in collection.store.paths())


def check_rows(collection, tiny):
    """Every row is the feature of the page that its path names, as Pillow reads it."""
    snapshot = collection.store.snapshot()
    for position in np.flatnonzero(snapshot.live):
        image = collection.store.images([snapshot.ids[position]])[0]
        with Image.open(image.file) as opened:
            opened.seek(image.page - 1)
            picture = images_part.Picture(np.asarray(opened.convert("RGB")), *opened.size)
        expected = tiny.encode(cut(picture, PYRAMID, tiny.feed))
        assert snapshot.features(np.array([position]))[0] == pytest.approx(expected, abs=2e-3), image.path
        assert image.sha256 == hash_file(image.file)


def counts(report):
    names = ("added", "unchanged", "changed", "moved", "returned", "removed", "missing")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_a_path_names_a_file_and_a_page():
    for path, file, page in (
        ("a/scan.tif", "a/scan.tif", 1),
        ("a/scan.tif#2", "a/scan.tif", 2),
        ("SCAN.TIFF#17", "SCAN.TIFF", 17),
        ("new\nline.Tif#3", "new\nline.Tif", 3),
    ):
        assert split_page(path) == (file, page)
        assert page_path(file, page) == path
    for path in ("a#2.tif", "a.png#2", "a.tif#1", "a.tif#02", "a.tif#", "a.tif#2.png", "a.tif#x"):
        assert split_page(path) == (path, 1)


def test_pages_are_pictures_found_by_search_with_their_place_and_pixels(collection, folder, tiny):
    scan(folder / "scan.tif", 1, 2, 3)
    scan(folder / "one.TIF", 4)
    blot(5).save(folder / "a.png")
    assert counts(collection.add(folder)) == {"added": 5}
    assert paths(collection) == ["a.png", "one.TIF", "scan.tif", "scan.tif#2", "scan.tif#3"]
    check_rows(collection, tiny)
    best = collection.search(collection.read(_id(collection, "scan.tif#3")))[0]
    assert (best.image.path, best.image.page, best.image.file) == ("scan.tif#3", 3, folder / "scan.tif")
    assert (collection.read(best.image.id).pixels == np.asarray(blot(3))).all()
    assert (thumbnail(best.image) == np.asarray(blot(3))).all()
    assert best.confidence is None or best.confidence > 0.5


def _id(collection, wanted):
    return next(number for number, _, path in collection.store.paths() if path == wanted)


def test_a_scan_is_meant_with_all_its_pages(collection, folder):
    scan(folder / "scan.tif", 1, 2, 3)
    (folder / "sub").mkdir()
    scan(folder / "sub" / "other.tiff", 4, 5)
    collection.add(folder)
    query = blot(9)
    query.save(folder.parent / "q.png")

    def under(place):
        return {m.image.path for m in collection.search(folder.parent / "q.png", top=None, under=place, refine=0)}

    scans = {"scan.tif", "scan.tif#2", "scan.tif#3"}
    assert under("scan.tif") == scans
    assert under(str(folder / "scan.tif")) == scans
    assert under("scan.tif#2") == {"scan.tif#2"}
    assert under("sub") == under("sub/*.tiff") == {"sub/other.tiff", "sub/other.tiff#2"}
    assert collection.tag("good", "scan.tif") == 3
    assert sorted(collection.remove("*.tif")) == sorted(scans)
    assert counts(collection.add(folder)) == {"unchanged": 2}
    assert counts(collection.add(folder, with_removed=True)) == {"unchanged": 2, "added": 3}


def test_an_unchanged_scan_is_not_opened(collection, folder, monkeypatch):
    scan(folder / "scan.tif", 1, 2)
    collection.add(folder)
    monkeypatch.setattr(_load, "open_regular", None)
    assert counts(collection.add(folder)) == {"unchanged": 2}


def test_a_changed_scan_replaces_all_its_pages_and_drops_those_beyond(collection, folder, tiny):
    scan(folder / "scan.tif", 1, 2, 3)
    collection.add(folder)
    scan(folder / "scan.tif", 1, 7)
    assert counts(collection.add(folder)) == {"changed": 2}
    assert paths(collection) == ["scan.tif", "scan.tif#2"]
    check_rows(collection, tiny)
    scan(folder / "scan.tif", 8)
    assert counts(collection.add(folder)) == {"changed": 1}
    assert paths(collection) == ["scan.tif"]
    scan(folder / "scan.tif", 8, 9, 10, 11)
    assert counts(collection.add(folder)) == {"changed": 1, "added": 3}
    check_rows(collection, tiny)


def test_a_touched_scan_keeps_its_pages(collection, folder):
    scan(folder / "scan.tif", 1, 2, 3)
    collection.add(folder)
    (folder / "scan.tif").touch()
    assert counts(collection.add(folder)) == {"unchanged": 3}
    states = {file.state for file in collection.store.known(folder).values()}
    assert {state.mtime_ns for state in states} == {(folder / "scan.tif").stat().st_mtime_ns}


def test_pages_move_with_their_file_and_come_back_with_it(collection, folder, tmp_path):
    scan(folder / "scan.tif", 1, 2, 3)
    blot(4).save(folder / "a.png")
    collection.add(folder)
    ids = {path: number for number, _, path in collection.store.paths()}
    collection.tag("second", "scan.tif#2")
    (folder / "sub").mkdir()
    (folder / "scan.tif").rename(folder / "sub" / "new name.tiff")
    assert counts(collection.add(folder)) == {"unchanged": 1, "moved": 3}
    assert {path: number for number, _, path in collection.store.paths()} == {
        "a.png": ids["a.png"],
        "sub/new name.tiff": ids["scan.tif"],
        "sub/new name.tiff#2": ids["scan.tif#2"],
        "sub/new name.tiff#3": ids["scan.tif#3"],
    }
    (folder / "sub" / "new name.tiff").rename(tmp_path / "away.tif")
    assert counts(collection.add(folder)) == {"unchanged": 1, "removed": 3}
    assert paths(collection) == ["a.png"]
    shutil.copyfile(tmp_path / "away.tif", folder / "back.tif")
    assert counts(collection.add(folder)) == {"unchanged": 1, "returned": 3}
    assert collection.store.images([ids["scan.tif#2"]])[0].path == "back.tif#2"
    assert collection.store.tags() == {"second": 1}


def test_one_scan_of_many_pages_that_is_gone_is_no_disk_that_is_gone(collection, folder):
    scan(folder / "scan.tif", 1, 2, 3, 4)
    blot(4).save(folder / "a.png")
    collection.add(folder)
    (folder / "scan.tif").unlink()
    assert counts(collection.add(folder)) == {"unchanged": 1, "removed": 4}


def test_the_pages_of_a_moved_library_move(collection, folder, tmp_path):
    scan(folder / "scan.tif", 1, 2)
    collection.add(folder)
    moved = folder.rename(tmp_path / "moved")
    assert counts(collection.add(moved)) == {"moved": 2}
    assert [image.file for image in collection.store.images([1, 2])] == [moved / "scan.tif"] * 2


def damage_page(monkeypatch, page, error):
    real = _load.read

    def failing(source, **options):
        if options["page"] == page:
            raise error
        return real(source, **options)

    monkeypatch.setattr(_load, "read", failing)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_damaged_page_is_listed_and_the_others_are_found(collection, folder, monkeypatch, page):
    scan(folder / "scan.tif", 1, 2, 3)
    own, others = page_path("scan.tif", page), {page_path("scan.tif", n) for n in {1, 2, 3} - {page}}
    with monkeypatch.context() as patch:
        damage_page(patch, page, ImageError("x", "truncated"))
        report = collection.add(folder)
        assert (report.added, [f.path for f in report.failed]) == (2, [own])
        assert set(paths(collection)) == others
        patch.setattr(_load, "open_regular", None)  # it is not even opened again
        report = collection.add(folder)
        assert (counts(report), [f.path for f in report.failed]) == ({"unchanged": 2}, [own])
    assert counts(collection.add(folder, retry=True)) == {"added": 1, "unchanged": 2}
    assert (set(paths(collection)), collection.store.failures()) == (others | {own}, [])


@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_could_not_be_decoded_for_now_is_tried_again_and_no_other(collection, folder, monkeypatch, page):
    scan(folder / "scan.tif", 1, 2, 3)
    with monkeypatch.context() as patch:
        damage_page(patch, page, ImageError("x", "too little memory", passing=True))
        collection.add(folder)
    ids = {number for number, _, _ in collection.store.paths()}
    assert counts(collection.add(folder)) == {"added": 1, "unchanged": 2}
    assert ids < {number for number, _, _ in collection.store.paths()}
    assert collection.store.failures() == []


def test_a_scan_that_became_unreadable_is_found_no_more_and_comes_back_repaired(collection, folder):
    content = scan(folder / "scan.tif", 1, 2).read_bytes()
    blot(4).save(folder / "a.png")
    collection.add(folder)
    (folder / "scan.tif").write_bytes(b"overwritten")
    assert len(collection.add(folder).failed) == 1
    assert paths(collection) == ["a.png"]
    (folder / "scan.tif").write_bytes(content)
    report = collection.add(folder)
    assert (counts(report), report.failed) == ({"unchanged": 1, "returned": 2}, [])
    assert collection.store.failures() == []


def test_a_page_taken_out_by_hand_comes_back_alone(collection, folder):
    scan(folder / "scan.tif", 1, 2, 3)
    collection.add(folder)
    collection.remove("scan.tif#2")
    assert counts(collection.add(folder)) == {"unchanged": 2, "added": 1}
    assert {number for number, _, _ in collection.store.paths()} == {1, 3, 4}


def test_the_further_pages_of_a_scan_that_an_older_version_indexed_are_found_at_last(collection, folder):
    """That version knew the first page, and not how many there are."""
    scan(folder / "scan.tif", 1, 2, 3)
    scan(folder / "one.tif", 4)
    collection.add(folder)
    with collection.store.catalogue.writing() as db:
        db.execute("UPDATE image SET removed = 1 WHERE path GLOB '*#*'")
        db.execute("UPDATE image SET n_pages = NULL")
    assert counts(collection.add(folder)) == {"unchanged": 2, "added": 2}
    assert len(paths(collection)) == 4
    assert counts(collection.add(folder)) == {"unchanged": 4}


def test_the_first_page_is_there_when_all_are(collection, folder, tiny, monkeypatch):
    """At whatever page a run breaks off: what is there stays, and the next run encodes the rest."""
    monkeypatch.setattr(encode._run, "SHARD_IMAGES", 1)
    scan(folder / "scan.tif", 1, 2, 3, 4)
    commit, committed = Writer.commit, []

    def breaking(self, root, pictures, *others):
        commit(self, root, pictures, *others)
        committed.extend(picture.path for picture in pictures)
        if len(committed) in (1, 3):
            raise StoreError("killed")

    monkeypatch.setattr(Writer, "commit", breaking)
    for n in (1, 3):
        with pytest.raises(StoreError, match="killed"):
            collection.add(folder)
        assert paths(collection) == [f"scan.tif#{page}" for page in range(5 - n, 5)]
    assert counts(collection.add(folder)) == {"unchanged": 3, "added": 1}
    assert committed == ["scan.tif#4", "scan.tif#3", "scan.tif#2", "scan.tif"]
    check_rows(collection, tiny)


def test_no_more_pages_are_held_than_are_decoded_at_once(tiny, tmp_path):
    """A scan of 40 pages, one worker: pages are loaded as the encoder takes them."""
    loaded, taken = [], []

    def load(page):
        loaded.append(page)
        new = NewEntry(page_path("scan.tif", page), FileState(1, 1), "aa", 64, 48)
        return _load.Loaded(new, {"regions": cut(read(tmp_path / "a.png"), PYRAMID, tiny.feed)})

    blot(1).save(tmp_path / "a.png")
    several = _load.Several(tuple(range(40, 0, -1)), load, None)
    for _ in encode_tasks(["scan.tif"], lambda *_: several, [Regions(tiny, PYRAMID)], 1, lambda _: None):
        taken.append(1)
        assert len(loaded) - len(taken) < 12
    assert loaded == list(range(40, 0, -1))


def test_files_named_one_by_one_are_their_first_pages(collection, folder, tiny, monkeypatch):
    """As the galleries of benchmarks are."""
    scan(folder / "scan.tif", 1, 2, 3)
    assert encode.add_files(collection.store, folder, ["scan.tif"], tiny).added == 1
    monkeypatch.setattr(_load, "open_regular", None)
    assert encode.add_files(collection.store, folder, ["scan.tif"], tiny).unchanged == 1
    assert paths(collection) == ["scan.tif"]


def test_progress_counts_files(collection, folder):
    scan(folder / "scan.tif", 1, 2, 3)
    scan(folder / "two.tif", 4, 5)
    blot(6).save(folder / "a.png")
    seen = []
    collection.add(folder, on_progress=lambda *told: seen.append(told))
    assert seen[1:] == [(i, 3, encode.ENCODING) for i in range(4)]


def test_an_image_without_pages_is_its_own_file(tmp_path):
    image = StoredImage(1, "a#2.png", tmp_path, 1, 1, "aa")
    assert (image.file, image.page) == (tmp_path / "a#2.png", 1)


def test_many_pages_are_encoded_bit_for_bit_as_one_picture_each(collection, folder, tmp_path, tiny):
    scan(folder / "scan.tif", *range(20))
    singles = tmp_path / "singles"
    singles.mkdir()
    for i in range(20):
        blot(i).save(singles / f"{i + 1}.png")
    other = Collection(Store.create(tmp_path / "other", Settings(TinyEncoder().identity, PYRAMID)), tiny)
    collection.add(folder)
    other.add(singles)

    def rows(of, name):
        snapshot = of.store.snapshot()
        images = of.store.images(snapshot.ids.tolist())
        features = snapshot.features(np.arange(len(images))).astype(np.float16)
        return {name(image): row.tobytes() for image, row in zip(images, features, strict=True)}

    assert rows(collection, lambda image: image.page) == rows(other, lambda image: int(image.path.removesuffix(".png")))
