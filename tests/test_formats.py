"""A collection of format 1, made by that version's own statements, is read, searched, backed up and carried over."""

import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from patchseek import Collection
from patchseek.encode import add_folder
from patchseek.errors import StoreError
from patchseek.points import PointsIdentity
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store, Writer, back_up, hash_file, restore

from .conftest import TinyEncoder

TABLES = """
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE root (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE shard (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL, n_images INTEGER NOT NULL,
    n_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE image (
    id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER NOT NULL REFERENCES root, path TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, shard INTEGER NOT NULL REFERENCES shard, slot INTEGER NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0, ctime_ns INTEGER, n_pages INTEGER, UNIQUE (shard, slot));
CREATE UNIQUE INDEX image_path ON image (root, path) WHERE NOT removed;
CREATE TABLE failure (
    root INTEGER NOT NULL REFERENCES root, path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (root, path));
CREATE TABLE tag (name TEXT, image INTEGER, PRIMARY KEY (name, image)) WITHOUT ROWID;
CREATE TABLE aside (image INTEGER PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE failure_note (
    root INTEGER, path TEXT, ctime_ns INTEGER, passing INTEGER NOT NULL, PRIMARY KEY (root, path)) WITHOUT ROWID;
"""
SAYS = (
    '{"encoder": {"dim": 13, "name": "tiny", "preprocessing": "squash to 8 px", "size": 8, "weights": "%s"}, '
    '"pyramid": {"follows_shape": true, "levels": [0, 1], "overlap": 0.0}}'
)
POINTS = PointsIdentity("made up", "11" * 32, "22" * 32, 100, 1024)
NAMES = [f"{i}.png" for i in range(5)]


@pytest.fixture
def folder(make_folder):
    return make_folder(*NAMES)


@pytest.fixture
def old(tmp_path, folder, tiny):
    """Five pictures in two shards, 2 and 4, of a catalogue that has once given the numbers 1 to 7; the path."""
    new = Store.create(tmp_path / "new", Settings(tiny.identity, Pyramid.up_to(1)))
    add_folder(new, folder, tiny)
    features, known = new.snapshot().features(np.arange(5)).astype(np.float16), new.known(folder)
    path = tmp_path / "collection"
    (path / "shards").mkdir(parents=True)
    db = sqlite3.connect(path / "catalogue.sqlite")
    db.executescript(TABLES)
    db.execute("INSERT INTO setting VALUES ('format', '1')")
    db.execute("INSERT INTO setting VALUES ('settings', ?)", (SAYS % tiny.identity.weights,))
    db.execute("INSERT INTO root VALUES (1, ?)", (folder.as_posix(),))
    for number, low, high in ((2, 0, 3), (4, 3, 5)):
        file = path / "shards" / f"{number:06d}-abc.npy"
        np.save(file, features[low:high])
        said = number, file.name, high - low, file.stat().st_size, hash_file(file)
        db.execute("INSERT INTO shard (id, file, n_images, n_bytes, sha256) VALUES (?, ?, ?, ?, ?)", said)
        for slot, name in enumerate(NAMES[low:high]):
            file = known[name]
            said = file.state.size, file.state.mtime_ns, file.state.ctime_ns, file.sha256, 64, 48, number, slot
            db.execute(
                "INSERT INTO image (root, path, size, mtime_ns, ctime_ns, sha256, width, height, shard, slot) "
                "VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, *said),
            )
    db.execute("UPDATE sqlite_sequence SET seq = 7 WHERE name = 'shard'")
    db.execute("INSERT INTO tag VALUES ('good', 4)")
    db.commit()
    db.close()
    return path


def open_old(path):
    return Collection.open(path, encoder=TinyEncoder())


def features_of(path):
    return Store.open(path).snapshot().features(np.arange(5)).tolist()


def format_of(path):
    with sqlite3.connect(path / "catalogue.sqlite") as db:
        return db.execute("SELECT value FROM setting WHERE key = 'format'").fetchone()[0]


def tables_of(path):
    """By name, how the tables of a catalogue are made, without blanks and quotes."""
    with sqlite3.connect(path / "catalogue.sqlite") as db:
        rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: "".join(sql.replace('"', "").split()) for name, sql in rows}


def test_it_is_read_searched_checked_and_backed_up_as_it_is(old, folder, tmp_path):
    before = (old / "catalogue.sqlite").read_bytes()
    collection = open_old(old)
    assert [m.image.path for m in collection.search(folder / "4.png", refine=0, top=1)] == ["4.png"]
    assert (collection.verify(), len(collection), collection.store.tags()) == ([], 5, {"good": 1})
    assert not collection.store.snapshot().has_points
    files = [old / "catalogue.sqlite", *(old / "shards").iterdir()]
    assert collection.store.n_bytes() == sum(path.stat().st_size for path in files)
    back_up(collection.store, tmp_path / "a.tar")
    again = restore(tmp_path / "a.tar", tmp_path / "again")
    assert (again.problems(), format_of(again.path), features_of(again.path)) == ([], "1", features_of(old))
    assert (old / "catalogue.sqlite").read_bytes() == before, "nobody has written to it"


READ_ONLY = """
import os, sys
from pathlib import Path
from patchseek.errors import StoreError
from patchseek.store import Store, Writer
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere; nobody may not
store = Store.open(Path(sys.argv[1]))
print(store.snapshot().n_live, store.problems())
try:
    Writer(store)
except StoreError as error:
    print(error)
"""


def test_it_is_read_where_nobody_may_write(old):
    with tempfile.TemporaryDirectory() as outer:
        path = Path(outer) / "collection"
        old.rename(path)
        (path / "lock").touch(0o444)
        for each in (Path(outer), path, path / "shards"):
            each.chmod(0o555)
        command = [sys.executable, "-c", READ_ONLY, str(path)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        for each in (Path(outer), path, path / "shards"):
            each.chmod(0o755)
    assert said[0] == "5 []"
    assert "read-only" in said[1]


def test_the_first_writer_carries_it_over_and_nothing_in_it_changes(old, folder):
    features, collection = features_of(old), open_old(old)
    assert collection.add(folder).unchanged == 5
    assert format_of(old) == "2"
    assert features_of(old) == features
    assert collection.verify() == []
    with sqlite3.connect(old / "catalogue.sqlite") as db:
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT * FROM shard").fetchall() == [(2, 3), (4, 2)]
        assert [row[1] for row in db.execute("PRAGMA table_info(image)")][-2:] == ["ctime_ns", "n_pages"]
    assert tables_of(old) == tables_of(old.with_name("new"))
    assert [path for path in (old / "shards").iterdir() if "abc" not in path.name] == []


def test_it_is_added_to_and_no_number_of_a_shard_is_given_twice(old, folder, make_folder):
    collection = open_old(old)
    make_folder("5.png", "6.png")
    assert collection.add(folder).added == 2
    assert [shard.id for shard in collection.store.list_shards()] == [2, 4, 8]
    assert collection.tag("good", "6.png") == 1
    assert collection.remove("1.png") == ["1.png"]
    collection.compact()
    assert (collection.verify(), len(collection), collection.store.tags()) == ([], 6, {"good": 2})
    assert [m.image.path for m in collection.search(folder / "6.png", refine=0, top=1)] == ["6.png"]


def test_an_empty_one_goes_on_as_well(old, folder):
    with sqlite3.connect(old / "catalogue.sqlite") as db:
        db.execute("DELETE FROM image")
        db.execute("DELETE FROM shard")
    collection = open_old(old)
    assert (len(collection), collection.search(folder / "0.png")) == (0, [])
    assert collection.add(folder).added == 5
    assert [shard.id for shard in collection.store.list_shards()] == [8]


def test_one_that_never_had_a_shard_begins_with_the_first_number(old, folder):
    with sqlite3.connect(old / "catalogue.sqlite") as db:
        for table in ("image", "shard", "sqlite_sequence"):
            db.execute(f"DELETE FROM {table}")
    collection = open_old(old)
    assert collection.add(folder).added == 5
    assert [shard.id for shard in collection.store.list_shards()] == [1]


def test_its_pictures_are_given_points(old):
    store = Store.open(old)
    with Writer(store) as writer:
        writer.renew(replace(store.settings, points=POINTS))
        for ids in store.without_points():
            writer.add_points({i: np.full((i, 35), i, np.uint8) for i in ids})
    snapshot = Store.open(old).snapshot()
    assert [len(each) for each in snapshot.points(np.arange(5))] == [1, 2, 3, 4, 5]
    assert store.problems() == []


def test_whoever_has_it_open_reads_on_while_another_carries_it_over(old, folder):
    reader, first = open_old(old), open_old(old).search(folder / "2.png", refine=0)
    snapshot = reader.store.snapshot()
    Writer(Store.open(old)).close()
    assert format_of(old) == "2"
    assert reader.search(folder / "2.png", refine=0) == first
    assert snapshot.features(np.arange(5)).tolist() == features_of(old)


DIE = """
import os, signal, sys
from pathlib import Path
from patchseek.store import Store, Writer, _catalogue
n, execute = int(sys.argv[2]), _catalogue._execute_all

class Counting:
    def __init__(self, db):
        self.db, self.left = db, n

    def execute(self, statement):
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return self.db.execute(statement)

_catalogue._execute_all = lambda db, script: execute(Counting(db), script)
Writer(Store.open(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("n", range(10))
def test_killed_while_it_is_carried_over_it_is_what_it_was_and_the_next_writer_does_it(old, folder, n):
    features = features_of(old)
    done = subprocess.run([sys.executable, "-c", DIE, str(old), str(n)], check=False)
    assert done.returncode == (-signal.SIGKILL if n < 9 else 0), "there are nine statements"
    assert format_of(old) == ("1" if n < 9 else "2")
    assert (features_of(old), Store.open(old).problems()) == (features, [])
    assert open_old(old).add(folder).unchanged == 5
    assert (format_of(old), features_of(old), Store.open(old).problems()) == ("2", features, [])


def test_a_version_that_reads_format_1_alone_refuses_one_of_today_by_its_own_message(old, monkeypatch):
    """As that version does: it compares the number with its own before anything else."""
    Writer(Store.open(old)).close()
    monkeypatch.setattr("patchseek.store._store.FORMAT", 1)
    with pytest.raises(StoreError, match=r"format 2 is newer than this patchseek reads \(1\); upgrade patchseek"):
        Store.open(old)
