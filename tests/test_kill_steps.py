"""Killed before every single transaction in turn: nothing is lost, and the next run ends where one run would have."""

import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest

from patchseek import Collection, encode
from patchseek.errors import StoreError
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store, Writer, hash_file
from patchseek.store._catalogue import Catalogue

from .conftest import TinyEncoder, blot
from .test_pages import scan

SETTINGS = Settings(TinyEncoder().identity, Pyramid.up_to(1))


class Killed(BaseException):
    """The process is dead: nothing of it can write any more."""


@contextmanager
def killed_before(n, monkeypatch):
    """Let n transactions happen and none after; yields a list that is filled when one was kept from happening."""
    real, left, dead = Catalogue.writing, [n], []

    @contextmanager
    def writing(self, **options):
        if not left[0]:
            dead.append(True)
            raise Killed
        left[0] -= 1
        with real(self, **options) as db:
            yield db

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "writing", writing)
        yield dead


def tag_of_each(collection):
    """The tags of each picture, by the hash of its file and its page."""
    with collection.store.catalogue.reading() as db:
        tags = dict(db.execute("SELECT image, name FROM tag").fetchall())
    images = collection.store.images([number for number, _, _ in collection.store.paths()])
    return {(image.sha256, image.page): tags.get(image.id) for image in images}


def vectors(collection):
    snapshot = collection.store.snapshot()
    positions = np.flatnonzero(snapshot.live)
    images = collection.store.images(snapshot.ids[positions].tolist())
    return {image.root / image.path: f.tobytes() for image, f in zip(images, snapshot.features(positions), strict=True)}


def move_all(home):
    (home / "pictures").rename(home / "moved")
    return ["moved"], {}


def move_into_another(home):
    (home / "pictures").rename(home / "other" / "inner")
    return ["other"], {}


def stir(home):
    """Every file under another name in another folder: recognised one by one."""
    (home / "new").mkdir()
    for i, file in enumerate(sorted((home / "pictures").iterdir())):
        file.rename(home / "new" / f"{i} of them{file.suffix}")
    (home / "pictures").rmdir()
    return ["new"], {}


def lose_two(home):
    for name in ("0.png", "scan.tif"):
        (home / "pictures" / name).unlink()
    return ["pictures"], {}


def lose_most(home):
    for i in range(5):
        (home / "pictures" / f"{i}.png").unlink()
    return ["pictures"], {"prune": True}


def change(home):
    """A scan with fewer pages, another picture, one more, one damaged."""
    scan(home / "pictures" / "scan.tif", 60, 61)
    blot(62).save(home / "pictures" / "1.png")
    blot(63).save(home / "pictures" / "new.png")
    (home / "pictures" / "2.png").write_bytes(b"damaged")
    return ["pictures"], {}


def lose_and_find(home):
    kept = (home / "pictures" / "scan.tif").read_bytes()
    (home / "pictures" / "scan.tif").unlink()
    Collection(Store.open(home / "collection"), TinyEncoder()).add(home / "pictures")
    (home / "pictures" / "back.tif").write_bytes(kept)
    return ["pictures"], {}


def take_in(_home):
    return ["."], {"exclude": ["collection"]}


@pytest.fixture
def home(tmp_path):
    """A folder with a scan of three pages, of whose pictures each has a tag of its own; and another folder."""
    home = tmp_path / "home"
    for folder, seeds in (("pictures", range(6)), ("other", range(10, 12))):
        (home / folder).mkdir(parents=True)
        for seed in seeds:
            blot(seed).save(home / folder / f"{seed}.png")
    scan(home / "pictures" / "scan.tif", 20, 21, 22)
    collection = Collection(Store.create(home / "collection", SETTINGS), TinyEncoder())
    collection.add(home / "pictures")
    collection.add(home / "other")
    for number, _, path in collection.store.paths():
        with Writer(collection.store) as writer:
            writer.tag(f"tag of {path}", [number])
    return home


@pytest.mark.parametrize(
    "happen", [move_all, move_into_another, stir, lose_two, lose_most, change, lose_and_find, take_in]
)
def test_a_run_killed_before_any_of_its_steps_is_made_good_by_the_next(home, happen, monkeypatch):
    monkeypatch.setattr(encode._run, "SHARD_IMAGES", 2)
    shutil.copytree(home, home.with_name("kept"))
    n_steps = 0
    expected = None
    while True:
        shutil.rmtree(home)
        shutil.copytree(home.with_name("kept"), home)
        folders, options = happen(home)
        collection = Collection(Store.open(home / "collection"), TinyEncoder())
        before = tag_of_each(collection)
        with killed_before(n_steps, monkeypatch) as dead:
            try:
                for folder in folders:
                    collection.add(home / folder, **options)
            except Killed:
                pass
        assert collection.store.problems() == []
        collection = Collection(Store.open(home / "collection"), TinyEncoder())
        for folder in folders:
            collection.add(home / folder, **options)
        found = vectors(collection), {key: tag for key, tag in tag_of_each(collection).items() if key in before}
        expected = expected or expected_of(home, folders, happen, before)
        assert found == expected, f"killed before step {n_steps}"
        assert collection.store.problems() == []
        n_steps += 1
        if not dead:
            break
    assert n_steps > 2


def expected_of(home, folders, happen, before):
    """What a collection made now has, and the tags of those pictures that were there before and are still."""
    fresh = Collection(Store.create(home.with_name("fresh"), SETTINGS), TinyEncoder())
    for folder in {"pictures", "other", *folders} - ({"pictures", "other"} if "." in folders else set()):
        if (home / folder).is_dir():
            fresh.add(home / folder, exclude=["collection"])
    found = vectors(fresh)
    hashes = {
        (hash_file(image.file), image.page) for image in fresh.store.images([i for i, _, _ in fresh.store.paths()])
    }
    assert happen is not lose_most or len(hashes) < len(before)
    return found, {key: tag for key, tag in before.items() if key in hashes}


def test_time_passes_for_what_is_set_aside_while_nothing_runs(home):
    """And only compact, never a run, drops it."""
    file = home / "pictures" / "0.png"
    kept = file.read_bytes()
    file.unlink()
    collection = Collection(Store.open(home / "collection"), TinyEncoder())
    collection.add(home / "pictures")
    with collection.store.catalogue.writing() as db:
        db.execute("UPDATE aside SET since = ?", (time.time() - 100 * 86400,))
    file.write_bytes(kept)
    assert collection.add(home / "pictures").returned == 1


def test_what_was_recognised_is_committed_on_the_way(home, monkeypatch):
    """Not only when a shard is full: a library that moved fills none."""
    monkeypatch.setattr(encode._run, "SHARD_SECONDS", -1.0)  # everything has waited long enough
    folders, _ = stir(home)
    collection = Collection(Store.open(home / "collection"), TinyEncoder())
    move, moved = Writer.move, []

    def breaking(self, root, moves):
        move(self, root, moves)
        moved.extend(moves)
        if len(moved) >= 3:
            raise StoreError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "move", breaking)
        with pytest.raises(StoreError, match="killed"):
            collection.add(home / folders[0])
    assert sum(root == home / "new" for _, root, _ in collection.store.paths()) == len(moved) < 9
    assert collection.add(home / folders[0]).added == 0
    assert collection.store.roots() == [home / "other", home / "new"]
