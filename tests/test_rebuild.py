"""A catalogue that is damaged or gone is made anew from what lies beside the shards."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from patchseek import Collection
from patchseek.errors import StoreDamaged
from patchseek.images import read
from patchseek.judgements import Judgements
from patchseek.store import Store, Writer, catalogue_problem, rebuild

from .commands import run
from .conftest import TinyEncoder, blot
from .damage import count_right, cut_off, flip, survive

N = 16


@pytest.fixture
def collection(tmp_path, tiny, make_folder):
    """Sixteen pictures in three shards; one was changed, one removed, one has a tag from before its shard was told."""
    opened = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    opened.add(make_folder(*(f"{i}.png" for i in range(6))))
    opened.add(make_folder(*(f"sub/{i}.png" for i in range(6))))
    opened.add(make_folder(*(f"{i}.png" for i in range(6, 10))))
    return opened


def found(collection, query):
    return [(m.image.id, m.image.path, m.box, round(m.score, 4)) for m in collection.search(query, top=None, refine=0)]


def test_a_catalogue_that_is_gone_is_made_anew_and_the_answers_are_the_same(collection, tiny, tmp_path):
    before = found(collection, tmp_path / "pictures" / "3.png")
    assert len(before) == N
    collection.store.catalogue.path.unlink()
    assert catalogue_problem(collection.path) == f"{collection.path}: the catalogue is gone"
    done = rebuild(collection.path)
    assert (done.n_pictures, done.n_shards, done.n_lost) == (N, 3, 0)
    again = Collection.open(collection.path, encoder=tiny)
    assert found(again, tmp_path / "pictures" / "3.png") == before
    assert again.verify() == []
    report = again.add(tmp_path / "pictures")
    assert (report.added, report.unchanged) == (0, N)


def test_what_was_to_be_left_out_is_remembered(collection, tiny, make_folder):
    other = make_folder("x.png", "y.png", "z.png", folder="other")
    collection.add(other, exclude=["x.png"])
    collection.store.catalogue.path.unlink()
    rebuild(collection.path)
    report = Collection.open(collection.path, encoder=tiny).add(other)
    assert (report.added, report.unchanged) == (0, 2)


def test_what_sqlite_says_of_a_damaged_schema_is_one_line(collection):
    """A table is told in several lines. SQLite quotes all that comes behind a bracket that nothing closes."""
    file = collection.store.catalogue.path
    content = file.read_bytes()
    at = content.index(b"KEY", content.index(b"CREATE TABLE image"))
    file.write_bytes(content[:at] + b"[" + content[at + 1 :])
    problem = catalogue_problem(collection.path)
    assert problem is not None and "unrecognized token" in problem and "\n" not in problem


@pytest.mark.parametrize("damage", [cut_off, flip])
def test_whatever_happens_to_the_catalogue_no_picture_gets_another_ones_features(collection, tiny, tmp_path, damage):
    for seed in range(int(os.environ.get("PATCHSEEK_ROUNDS", "25"))):
        home = tmp_path / f"damaged-{seed}"
        shutil.copytree(collection.path, home)
        damage(home / "catalogue.sqlite", np.random.default_rng(seed))
        survive(home, tiny, N)


def test_what_was_told_is_kept_up_with_what_is_written(collection, tiny, tmp_path):
    """A picture changed, one removed and the shards written anew: compacting tells it all again, tags too."""
    blot(99).save(tmp_path / "pictures" / "1.png")
    collection.add(tmp_path / "pictures")
    collection.remove("2.png")
    with Writer(collection.store) as writer:
        writer.tag("rare", [image.id for image in collection.store.sample(N)])
    collection.compact()
    collection.store.catalogue.path.unlink()
    assert rebuild(collection.path).n_pictures == N - 1
    again = Collection.open(collection.path, encoder=tiny)
    assert again.store.tags() == {"rare": N - 1}
    assert count_right(again, tiny) == N - 1
    assert again.verify() == []


def test_of_a_picture_that_was_changed_the_later_one_counts(collection, tiny, tmp_path):
    blot(99).save(tmp_path / "pictures" / "1.png")
    collection.add(tmp_path / "pictures")
    collection.store.catalogue.path.unlink()
    assert rebuild(collection.path).n_pictures == N
    assert count_right(Collection.open(collection.path, encoder=tiny), tiny) == N


def test_judgements_are_carried_over_from_what_can_be_read(collection, tmp_path):
    query = tmp_path / "pictures" / "3.png"
    image = collection.search(query, top=1, refine=0)[0].image
    key = "0" * 64
    Judgements(collection).add(key, image.id, "yes", (0, 0, 1, 1))
    with closing(sqlite3.connect(collection.store.catalogue.path)) as db, db:
        db.execute("UPDATE setting SET value = 'nonsense' WHERE key = 'settings'")
    assert "settings cannot be read" in catalogue_problem(collection.path)
    assert rebuild(collection.path).carried == {"judgement": 1}
    assert len(Judgements(Collection.open(collection.path, encoder=TinyEncoder())).standing(key)) == 1
    assert (collection.path / "catalogue.damaged").is_file()


def test_a_damaged_shard_is_lost_and_the_others_are_not(collection, tiny):
    shard = collection.store.list_shards()[1]
    (collection.store.folder / shard.regions.file).write_bytes(b"nothing")
    collection.store.catalogue.path.unlink()
    done = rebuild(collection.path)
    assert (done.n_pictures, done.n_lost) == (N - shard.n_images, 1)
    assert count_right(Collection.open(collection.path, encoder=tiny), tiny) == N - shard.n_images


def test_without_anything_that_tells_nothing_is_changed(collection):
    for file in (collection.path / "inventories").glob("*.json"):
        file.unlink()
    content = collection.store.catalogue.path.read_bytes()[:5000]
    collection.store.catalogue.path.write_bytes(content)
    with pytest.raises(StoreDamaged, match="nothing tells what its shards hold"):
        rebuild(collection.path)
    assert collection.store.catalogue.path.read_bytes() == content


def test_rows_that_were_swapped_are_noticed(collection, tiny):
    with closing(sqlite3.connect(collection.store.catalogue.path)) as db, db:
        db.execute("UPDATE image SET slot = -1 WHERE shard = 1 AND slot = 0")
        db.execute("UPDATE image SET slot = 0 WHERE shard = 1 AND slot = 1")
        db.execute("UPDATE image SET slot = 1 WHERE slot = -1")
    assert "what was not committed" in catalogue_problem(collection.path)
    assert any("what was not committed" in problem for problem in collection.verify())
    rebuild(collection.path)
    assert count_right(Collection.open(collection.path, encoder=tiny), tiny) == N


def test_a_damaged_inventory_is_named_and_written_anew(collection):
    file = next((collection.path / "inventories").glob("000001-*.json"))
    file.write_bytes(file.read_bytes().replace(b"3.png", b"4.png"))
    assert any(file.name in problem for problem in collection.verify())
    assert catalogue_problem(collection.path) is None
    assert collection.repair() == 0
    assert collection.verify() == []


def test_a_collection_of_before_is_told_at_the_first_write(collection):
    shutil.rmtree(collection.path / "inventories")
    assert collection.verify() == []
    with Writer(collection.store):
        pass
    told = [json.loads(file.read_bytes()) for file in (collection.path / "inventories").glob("*.json")]
    assert sum(each["n_images"] for each in told) == N


def test_the_command_mends_and_says_what_it_did(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        blot(i, 160, 120).save(tmp_path / "pictures" / f"{i}.png")
    run(tmp_path, "index", "pictures")
    home = tmp_path / "pictures" / ".patchseek"
    (home / "catalogue.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert "run: patchseek repair" in run(tmp_path, "info", "-c", "pictures", code=1).stderr
    done = run(tmp_path, "repair", "-c", "pictures")
    assert "made anew: 3 pictures in 1 shard" in done.stdout
    assert "now run: patchseek index FOLDER" in done.stderr
    assert "sound, 3 pictures" in run(tmp_path, "verify", "-c", "pictures").stdout
    assert "0 added, 3 unchanged" in run(tmp_path, "index", "pictures").stderr
    assert run(tmp_path, "repair", "-c", "pictures").stdout == "pictures/.patchseek: 3 pictures\n"
    (home / "catalogue.sqlite").unlink()
    assert "the catalogue is gone" in run(tmp_path, "repair", "-c", "pictures").stdout
    assert read(tmp_path / "pictures" / "0.png").width == 160
    assert Store.exists(home)
