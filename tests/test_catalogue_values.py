"""Values that nobody wrote, in every column of a catalogue: an error of one line, or none, and `repair` mends it."""

import os
import shutil
import sqlite3
from contextlib import closing, suppress

import pytest

from patchseek import Collection
from patchseek.errors import PatchseekError, StoreDamaged
from patchseek.saved import Saved
from patchseek.store import Store, catalogue_problem, rebuild

from .conftest import TinyEncoder, blot
from .damage import count_right

ENCODER = TinyEncoder()
VALUES = (None, b"\xff\x00", -1, "x", 1e308, 3.5, 1 << 62, "{}", "[]", "a\0b", "../../x")[
    : 11 if "PATCHSEEK_ROUNDS" in os.environ else 4
]
PLAIN = {"refine": 0, "depth": 0, "turned": False}
TABLES = (
    *("setting", "root", "shard", "part", "image", "failure", "failure_note", "tag", "taken_out", "aside"),
    *("saved_query", "saved_view", "kept_picture", "query_run", "query_find"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a collection in which every table that a run of before fills has a row."""
    home = tmp_path_factory.mktemp("values")
    (home / "pictures").mkdir()
    for i in range(5):
        blot(i).save(home / "pictures" / f"{i}.png")
    (home / "pictures" / "bad.png").write_bytes(b"no picture")
    collection = Collection.open(home / "c", encoder=ENCODER, points=False, create=True)
    collection.add(home / "pictures")
    collection.remove("1.png")
    (home / "pictures" / "4.png").unlink()
    collection.add(home / "pictures")
    collection.tag("rare", "0.png")
    saved = Saved(collection)
    saved.add("tile", home / "pictures" / "0.png", box=(8, 8, 24, 24))
    list(saved.run(**PLAIN))
    return home


def columns_of(home):
    with closing(sqlite3.connect(home / "c" / "catalogue.sqlite")) as db:
        return {
            (table, row[1])
            for table in TABLES
            if db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for row in db.execute(f"PRAGMA table_info({table})")
        }


def put(home, table, column, value):
    """Whether a value could be put into the first row of a table."""
    with closing(sqlite3.connect(home / "c" / "catalogue.sqlite")) as db:
        rows = (
            f"SELECT max(rowid) FROM {table}" if column != "value" else "SELECT rowid FROM setting WHERE key='format'"
        )
        try:
            (row,) = db.execute(rows).fetchone()
            where = f"rowid = {row}"
        except sqlite3.OperationalError:  # a table without numbers of rows
            where = "1"
        try:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
        except sqlite3.Error:
            return False
        db.commit()
        return True


@pytest.mark.parametrize("table", TABLES)
def test_a_value_that_nobody_wrote_is_an_error_of_one_line_or_none(whole, tmp_path, table):
    tried = 0
    for column in sorted(column for own, column in columns_of(whole) if own == table):
        for value in VALUES:
            home = tmp_path / "tried"
            shutil.copytree(whole, home)
            if put(home, table, column, value):
                tried += 1
                use(home, is_of_queries="query" in table or "saved" in table or "kept" in table)
            shutil.rmtree(home)
    assert tried > 1


def use(home, is_of_queries):
    """What a collection is asked for, and its repair where something is wrong."""

    def opened():
        return Collection.open(home / "c", encoder=ENCODER)

    others = (lambda: opened().search(home / "pictures" / "0.png", top=3), lambda: opened().add(home / "pictures"))
    for work in (
        lambda: opened().verify(),
        *([lambda: [told.finds for told in Saved(opened()).run(**PLAIN)]] if is_of_queries else others),
    ):
        try:
            work()
        except PatchseekError as error:
            assert "\n" not in str(error)
    with suppress(PatchseekError):  # such as a format of tomorrow, or a file of features that is not there
        if catalogue_problem(home / "c"):
            rebuild(home / "c")
        assert catalogue_problem(home / "c") is None
        count_right(opened(), ENCODER)


def test_what_is_wrong_is_named_and_only_where_a_catalogue_is_opened(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "home")
    opened = Store.open(tmp_path / "home" / "c")
    assert put(tmp_path / "home", "image", "height", "tall")
    with pytest.raises(StoreDamaged, match=r"image\.height is not of its kind\); run: patchseek repair"):
        Store.open(tmp_path / "home" / "c")
    assert len(opened.paths()) > 0


def test_repair_leaves_out_rows_that_it_cannot_believe(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "home")
    assert put(tmp_path / "home", "query_find", "record", "{}")
    done = rebuild(tmp_path / "home" / "c")
    with closing(sqlite3.connect(whole / "c" / "catalogue.sqlite")) as db:
        (n,) = db.execute("SELECT count(*) FROM query_find").fetchone()
    assert done.carried.get("query_find", 0) < n
    assert Saved(Collection.open(tmp_path / "home" / "c", encoder=ENCODER)).all()
