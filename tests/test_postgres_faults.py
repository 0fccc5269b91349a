"""What becomes of a collection's rows in PostgreSQL while patchseek looks away, and under its hands.

The truth is what the collection holds: after every fault a search answers as brute force does, and the server itself is
asked what it holds then.
"""

import contextlib
import logging
import shutil
import signal
import subprocess

import numpy as np
import psycopg
import pytest

from patchseek.errors import EngineError
from patchseek.indexes import Held, _postgres, compare, open_index, ping
from patchseek.indexes._postgres_rows import PostgresRows

from .conftest import wait_for
from .contract_engine import first_shards, make_snapshot
from .test_postgres import FORCED, check, server, started, written  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("postgres")

SOME = "image IN (100, 117, 118, 159)"
FAULTS = {
    "emptied": ["TRUNCATE {t}"],
    "both emptied": ["TRUNCATE {t}, {t}_pictures"],
    "the list of pictures emptied": ["TRUNCATE {t}_pictures"],
    "pictures deleted": [f"DELETE FROM {{t}} WHERE {SOME}"],
    "pictures deleted from both": [f"DELETE FROM {{t}} WHERE {SOME}", f"DELETE FROM {{t}}_pictures WHERE {SOME}"],
    "regions deleted": ["DELETE FROM {t} WHERE region = 2"],
    "one row deleted": ["DELETE FROM {t} WHERE image = 131 AND region = 4"],
    "one row in the place of another": ["UPDATE {t} SET region = 9 WHERE image = 131 AND region = 4"],
    "rows dropped": ["DROP TABLE {t}"],
    "list dropped": ["DROP TABLE {t}_pictures"],
    "both dropped": ["DROP TABLE {t}, {t}_pictures"],
    "features of another": [f"UPDATE {{t}} SET feature = (SELECT feature FROM {{t}} LIMIT 1) WHERE {SOME}"],
    "one feature changed": ["UPDATE {t} SET feature = (SELECT feature FROM {t} LIMIT 1) WHERE image = 131"],
    "features unknown": [f"UPDATE {{t}} SET feature = NULL WHERE {SOME}"],
    "rows of another collection": [
        "DELETE FROM {t}",
        "INSERT INTO {t} SELECT image + 7, region, feature FROM {t}_kept",
    ],
    "others beside them": ["INSERT INTO {t} SELECT image + 1000, region, feature FROM {t}_kept"],
    "features exchanged": [
        "UPDATE {t} a SET feature = b.feature FROM {t}_kept b WHERE b.image = 259 - a.image AND b.region = a.region"
    ],
    "of another dimension": ["ALTER TABLE {t} ALTER feature TYPE halfvec(3) USING subvector(feature, 1, 3)::halfvec"],
    "a column dropped": ["ALTER TABLE {t} DROP feature"],
    "pgvector dropped": ["DROP EXTENSION vector CASCADE"],
    "no key, and every row twice": [
        "ALTER TABLE {t} DROP CONSTRAINT {t}_pkey",
        "INSERT INTO {t} SELECT * FROM {t}_kept",
    ],
    "an older state": ["DELETE FROM {t} WHERE image > 117", "DELETE FROM {t}_pictures WHERE image > 117"],
    "sent from other shards": ["UPDATE {t}_pictures SET shard = 'of old'"],
}
each_fault = pytest.mark.parametrize("fault", FAULTS)


@pytest.fixture(autouse=True)
def extension(server):  # noqa: F811
    """Whatever the test before did to it."""
    server.run("DROP EXTENSION IF EXISTS vector CASCADE")
    server.run("CREATE EXTENSION vector")


def harm(server, index, statements):  # noqa: F811
    """Change the tables of an index behind its back; {t} is the table, {t}_kept a copy of it."""
    server.run(f"CREATE TABLE {index._table}_kept AS SELECT * FROM {index._table}")
    for statement in statements:
        server.run(statement.format(t=index._table))


def held(server, index):  # noqa: F811
    """{(image, region): feature} of the table of rows, by the server's own words."""
    rows = server.run(f"SELECT image, region, feature::text FROM {index._table}")
    assert len(rows) == len({row[:2] for row in rows})
    return {(image, region): tuple(map(float, text.strip("[]").split(","))) for image, region, text in rows}


def assert_whole(server, index, snapshot):  # noqa: F811
    """The table holds the live pictures of the snapshot, bit by bit."""
    expected = {
        (image, region): tuple(np.float16(feature).tolist())
        for image, live, regions in zip(
            snapshot.ids.tolist(), snapshot.live, np.concatenate(snapshot.arrays), strict=True
        )
        for region, feature in enumerate(regions)
        if live
    }
    found = held(server, index)
    assert expected.keys() <= found.keys()
    assert all(np.float16(found[row]).tolist() == list(feature) for row, feature in expected.items())


@each_fault
def test_what_happened_while_nobody_looked_is_mended_at_opening(server, tmp_path, fault):  # noqa: F811
    snapshot = make_snapshot(removed=[5])
    harm(server, open_index(server.url, snapshot, tmp_path), FAULTS[fault])
    index = open_index(server.url, snapshot, tmp_path)
    check(index, snapshot)
    assert_whole(server, index, snapshot)
    assert len(held(server, index)) == 59 * 5


@each_fault
@pytest.mark.parametrize("kind", ["FLAT", "HNSW"])
def test_what_happens_to_an_open_index_is_mended_by_the_next_search(server, tmp_path, fault, kind):  # noqa: F811
    snapshot = make_snapshot(removed=[5])
    index = open_index(f"{server.url};type={kind}", snapshot, tmp_path)
    check(index, snapshot)
    harm(server, index, FAULTS[fault])
    check(index, snapshot, 1)
    check(index, snapshot, 500)
    assert_whole(server, index, snapshot)


@pytest.mark.parametrize(
    ("fault", "n_missing", "n_lost"),
    [
        ("emptied", 59, 59),
        ("list dropped", 59, 59),
        ("both dropped", 59, 59),
        ("pgvector dropped", 59, 59),
        ("of another dimension", 59, 59),
        ("pictures deleted", 4, 4),
        ("pictures deleted from both", 4, 0),
        ("one row in the place of another", 1, 1),
        ("one feature changed", 1, 1),
        ("features unknown", 4, 4),
        ("others beside them", 0, 0),
        ("an older state", 42, 0),
        ("sent from other shards", 59, 0),
    ],
)
def test_the_figures_say_what_is_lost_and_change_nothing(server, tmp_path, fault, n_missing, n_lost):  # noqa: F811
    snapshot = make_snapshot(removed=[5])
    index = open_index(server.url, snapshot, tmp_path)
    assert compare(server.url, snapshot, tmp_path, every=True) == Held(59, 0, 0)
    harm(server, index, FAULTS[fault])
    tables = "SELECT oid, relname FROM pg_class WHERE relname LIKE 'patchseek%' ORDER BY 1"
    before = server.run(tables)
    assert compare(server.url, snapshot, tmp_path, every=True) == Held(59, n_missing, n_lost)
    assert server.run(tables) == before


def test_what_was_never_sent_is_not_lost(server, tmp_path):  # noqa: F811
    snapshot = make_snapshot()
    assert compare(server.url, snapshot, tmp_path) == Held(60, 60, 0)
    assert list(tmp_path.iterdir()) == []
    open_index(server.url, first_shards(snapshot, 2), tmp_path)
    assert str(compare(server.url, snapshot, tmp_path)) == "30 of 60 pictures; the next search sends the other 30"
    assert compare("exact", snapshot, tmp_path) is None


@pytest.mark.parametrize("is_open", [True, False])
def test_an_unlogged_table_that_a_crash_has_emptied_is_filled_again(server, tmp_path, is_open):  # noqa: F811
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    server.run(f"ALTER TABLE {index._table} SET UNLOGGED")
    check(index, snapshot)
    server.kill()
    server.start()
    assert held(server, index) == {}
    check(index if is_open else open_index(server.url, snapshot, tmp_path), snapshot)
    assert_whole(server, index, snapshot)


def test_one_changed_row_of_many_is_found_by_its_score(server, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(_postgres, "_COUNTED", 0)
    monkeypatch.setattr("patchseek.indexes._postgres_rows._SAMPLED", 5)
    snapshot = make_snapshot(n_images=400)
    index = open_index(server.url, snapshot, tmp_path)
    check(index, snapshot)
    query = np.random.default_rng(1).normal(size=16)  # as the first of `check`
    query = [round(float(x), 3) for x in query / np.linalg.norm(query)]
    server.run(f"UPDATE {index._table} SET feature = '{query}' WHERE image = 300 AND region = 3")
    check(index, snapshot)
    assert_whole(server, index, snapshot)


def test_an_answer_of_too_few_pictures_is_not_believed(server, tmp_path, monkeypatch):  # noqa: F811
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    monkeypatch.setattr(
        "patchseek.indexes._postgres_place.Place.signs", lambda *_, **__: []
    )  # a server that tells nothing
    check(index, snapshot)
    server.run(f"DELETE FROM {index._table} WHERE image > 104")
    check(index, snapshot)
    assert_whole(server, index, snapshot)


def test_searches_of_what_has_not_changed_look_at_nothing_again(server, tmp_path, monkeypatch):  # noqa: F811
    snapshot, looks, look = make_snapshot(), [], PostgresRows.look
    index = open_index(server.url, snapshot, tmp_path)
    check(index, snapshot)
    monkeypatch.setattr(PostgresRows, "look", lambda *a, **b: looks.append(1) or look(*a, **b))
    check(index, snapshot)
    check(index, snapshot)
    first = len(looks)  # the server may have counted our own load in between
    check(index, snapshot, 60)
    assert first <= 1 and len(looks) == first


def test_a_row_that_somebody_sends_a_moment_ago_belongs_to_him(server, tmp_path):  # noqa: F811
    """An index of yesterday neither takes out nor misses what the one of today has sent."""
    snapshot = make_snapshot()
    yesterday = open_index(server.url, first_shards(snapshot, 2), tmp_path)
    today = open_index(server.url, snapshot, tmp_path)
    before = written(server, tmp_path)
    check(yesterday, first_shards(snapshot, 2))
    assert written(server, tmp_path) == before
    server.run(f"DELETE FROM {today._table} WHERE image = 100")
    check(yesterday, first_shards(snapshot, 2))
    assert_whole(server, today, snapshot)


@pytest.mark.parametrize("kind", ["HNSW", "IVFFLAT;lists=4;probes=4"])
def test_an_index_that_was_dropped_is_built_again(server, tmp_path, kind):  # noqa: F811
    snapshot = make_snapshot()
    engine = f"{server.url}&{FORCED};type={kind}"
    index, indexes = open_index(engine, snapshot, tmp_path), "SELECT indexname FROM pg_indexes WHERE tablename = '{}'"
    before = sorted(server.run(indexes.format(index._table)))
    for again in (lambda: index, lambda: open_index(engine, snapshot, tmp_path)):
        (name,) = [name for (name,) in before if not name.endswith("_pkey")]
        server.run(f"DROP INDEX {name}")
        check(again(), snapshot)
        assert sorted(server.run(indexes.format(index._table))) == before
    server.run(f"ALTER TABLE {index._table} DROP CONSTRAINT {index._table}_pkey")
    check(index, snapshot)
    assert sorted(server.run(indexes.format(index._table))) == before


# ---- schemas


@pytest.fixture
def own_schema(server):  # noqa: F811
    """A database whose pgvector is in the schema `extensions`, which nobody searches by default; its URL."""
    server.run("CREATE DATABASE hosted")
    url = f"postgresql://postgres@/hosted?host={server.folder}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE SCHEMA extensions")
        db.execute("CREATE EXTENSION vector SCHEMA extensions")
    yield url
    server.run("DROP DATABASE hosted WITH (FORCE)")


@pytest.mark.parametrize("kind", ["", f"&{FORCED};type=HNSW;ef=1000", f"&{FORCED};type=IVFFLAT;lists=4;probes=4"])
def test_pgvector_may_be_in_a_schema_of_its_own(own_schema, tmp_path, kind):
    snapshot = make_snapshot(removed=[3])
    open_index(own_schema + kind, first_shards(snapshot, 1), tmp_path)
    index = open_index(own_schema + kind, snapshot, tmp_path)
    check(index, snapshot)
    with psycopg.connect(own_schema, autocommit=True) as db:
        db.execute('CREATE SCHEMA "moved here"')
        db.execute('ALTER EXTENSION vector SET SCHEMA "moved here"')
    check(index, snapshot)
    check(open_index(own_schema + kind, snapshot, tmp_path), snapshot)


@pytest.mark.parametrize("table", ["moved", "left"])
def test_a_schema_that_comes_later_hides_no_table(server, tmp_path, table):  # noqa: F811
    """By default PostgreSQL looks first into a schema of the role's own name, once there is one."""
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    before = written(server, tmp_path)
    server.run("CREATE SCHEMA postgres")
    try:
        if table == "moved":
            server.run(f"ALTER TABLE {index._table} SET SCHEMA postgres")
            server.run(f"ALTER TABLE public.{index._table}_pictures SET SCHEMA postgres")
        check(index, snapshot)
        again = open_index(server.url, snapshot, tmp_path)
        check(again, snapshot)
        assert written(server, tmp_path) == before
        schemas = server.run(f"SELECT schemaname FROM pg_tables WHERE tablename LIKE '{index._table}%'")
        assert schemas == [("postgres" if table == "moved" else "public",)] * 2
    finally:
        server.run("DROP SCHEMA postgres CASCADE")


# ---- who may not write


@pytest.fixture
def reader(server):  # noqa: F811
    """The URL of a role that may read every table to come, and write none."""
    with contextlib.suppress(psycopg.errors.DuplicateObject):
        server.run("CREATE ROLE reader LOGIN")
    server.run("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader")
    return server.url.replace("postgres@", "reader@")


@pytest.mark.parametrize("kind", ["FLAT", "HNSW"])
def test_who_may_not_write_can_search_what_is_there(server, tmp_path, reader, kind):  # noqa: F811
    snapshot, engine = make_snapshot(), f"{reader};type={kind}"
    open_index(f"{server.url};type={kind}", snapshot, tmp_path)
    before = written(server, tmp_path)
    index = open_index(engine, snapshot, tmp_path)
    check(index, snapshot)
    smaller = make_snapshot(removed=range(10, 50))  # there are more than there should be
    check(open_index(engine, smaller, tmp_path), smaller)
    assert written(server, tmp_path) == before


@pytest.mark.usefixtures("reader")
def test_who_may_not_use_the_schema_of_pgvector_is_told_what_is_missing(own_schema, tmp_path):
    snapshot, engine = make_snapshot(), own_schema.replace("postgres@", "reader@")
    index = open_index(own_schema, snapshot, tmp_path)
    grant = 'GRANT USAGE ON SCHEMA "extensions" TO "reader"'
    with pytest.raises(EngineError, match=f'pgvector is in the schema "extensions", which needs: {grant}$'):
        open_index(engine, snapshot, tmp_path)
    with psycopg.connect(own_schema, autocommit=True) as db:
        db.execute(grant)
        db.execute(f"GRANT SELECT ON {index._table}, {index._table}_pictures TO reader")
    check(open_index(engine, snapshot, tmp_path), snapshot)


@pytest.mark.parametrize("options", ["", "&options=-c%20default_transaction_read_only%3Don"], ids=["role", "session"])
def test_who_may_not_write_is_told_what_is_missing(server, tmp_path, reader, options):  # noqa: F811
    snapshot = make_snapshot()
    engine = f"{server.url}{options}" if options else reader
    nothing = r"60 of 60 pictures are missing in patchseek_\w+_5 or differ there, and this role may not write there: "
    with pytest.raises(EngineError, match=nothing):
        open_index(engine, snapshot, tmp_path)
    writer = open_index(server.url, first_shards(snapshot, 2), tmp_path)
    with pytest.raises(EngineError, match="30 of 60 pictures are missing") as caught:
        open_index(engine, snapshot, tmp_path)
    assert "\n" not in str(caught.value)
    open_index(server.url, snapshot, tmp_path)
    index = open_index(engine, snapshot, tmp_path)
    check(index, snapshot)
    server.run(f"DELETE FROM {writer._table} WHERE {SOME}")
    for _ in range(2):
        with pytest.raises(EngineError, match="4 of 60 pictures are missing"):
            check(index, snapshot)
    check(open_index(server.url, snapshot, tmp_path), snapshot)
    check(index, snapshot)


def test_a_replica_searches_what_has_reached_it(server, tmp_path):  # noqa: F811
    rules, socket = server.folder / "rows" / "pg_hba.conf", server.folder / "socket"
    rules.write_text("local replication all trust\n" + rules.read_text())
    server.run("SELECT pg_reload_conf()")
    snapshot = make_snapshot()
    writer = open_index(server.url, first_shards(snapshot, 2), tmp_path)
    copy = ["pg_basebackup", "-D", "replica", "-R", "-h", str(server.folder), "-U", "postgres", "--checkpoint=fast"]
    subprocess.run(**server._command(*copy), check=True)
    socket.mkdir()
    shutil.chown(socket, server.folder.owner())
    options = ["-D", "replica", "-c", f"unix_socket_directories={socket}", "-c", "listen_addresses="]
    process = subprocess.Popen(**server._command("postgres", *options), stderr=subprocess.DEVNULL)
    url = f"postgresql://postgres@/postgres?host={socket}"

    def answers(statement, expected):
        with contextlib.suppress(psycopg.Error), psycopg.connect(url) as db:
            return db.execute(statement).fetchall() == [(expected,)]

    try:
        wait_for(lambda: answers("SELECT pg_is_in_recovery()", True))
        check(open_index(url, first_shards(snapshot, 2), tmp_path), first_shards(snapshot, 2))
        with pytest.raises(EngineError, match=r"30 of 60 pictures are missing .* in a read-only transaction"):
            open_index(url, snapshot, tmp_path)
        open_index(server.url, snapshot, tmp_path)
        wait_for(lambda: answers(f"SELECT count(*) FROM {writer._table}_pictures", 60))
        index = open_index(url, snapshot, tmp_path)
        check(index, snapshot)
        server.run(f"DELETE FROM {writer._table} WHERE {SOME}")
        wait_for(lambda: answers(f"SELECT count(*) FROM {writer._table}", 56 * 5))
        with pytest.raises(EngineError, match="4 of 60 pictures are missing"):
            check(index, snapshot)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def test_who_may_not_build_an_index_searches_without(server, tmp_path, reader, caplog):  # noqa: F811
    snapshot = make_snapshot()
    open_index(server.url, snapshot, tmp_path)
    with caplog.at_level(logging.WARNING):
        check(open_index(f"{reader};type=HNSW", snapshot, tmp_path), snapshot)
    assert "this role may not write there: must be owner of table" in caplog.text


def test_a_view_in_the_place_of_a_table_is_searched_and_never_written_to(server, tmp_path):  # noqa: F811
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    server.run(f"ALTER TABLE {index._table} RENAME TO {index._table}_elsewhere")
    server.run(f"CREATE VIEW {index._table} AS SELECT * FROM {index._table}_elsewhere")
    check(index, snapshot)
    check(open_index(server.url, snapshot, tmp_path), snapshot)
    server.run(f"DELETE FROM {index._table}_elsewhere WHERE {SOME}")
    for search in (lambda: check(index, snapshot), lambda: open_index(server.url, snapshot, tmp_path)):
        with pytest.raises(EngineError, match="is a view or the like: nothing can be sent to it"):
            search()
    server.run(f"DROP VIEW {index._table}")
    check(index, snapshot)


def test_a_ping_asks_for_no_table(server):  # noqa: F811
    ping(server.url, 2)
    server.kill()
    with pytest.raises(EngineError, match="PostgreSQL at ") as caught:
        ping(server.url, 2)
    assert "\n" not in str(caught.value)
    ping("exact", 2)
    ping("IVF4,Flat", 2)


def test_a_part_of_the_pictures_is_held_against_that_part(server, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("patchseek.indexes._exact.EXACT_BYTES", 0)
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    among = np.zeros(60, bool)
    among[:4] = True
    server.run(f"DELETE FROM {index._table} WHERE image = 102")
    check(index, snapshot, 10, among)
    assert_whole(server, index, snapshot)
