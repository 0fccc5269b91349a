"""PostgreSQL with pgvector against brute force, on a real server.

What was sent, and when, the server itself tells: every row carries the transaction that wrote it.
"""

import dataclasses
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest

from patchseek import Collection
from patchseek.errors import EngineError, QueryError
from patchseek.indexes import _postgres, _postgres_load, open_index
from patchseek.store import Snapshot

from .conftest import blot, wait_for
from .contract_engine import FaithfulContract, assert_brute_force, first_shards, make_snapshot, unit
from .postgres import Server

pytestmark = pytest.mark.extra("postgres")

FORCED = "options=-c%20enable_seqscan%3Doff"  # so few rows are read sooner than looked up
KINDS = ["", f"&{FORCED};type=HNSW;ef=1000", f"&{FORCED};type=IVFFLAT;lists=4;probes=4"]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["FLAT", "HNSW", "IVFFLAT"])


@pytest.fixture(scope="module")
def started():
    with Server() as server:
        yield server


@pytest.fixture
def server(started):
    """The server, running again after a test that broke off while it was down."""
    if started.process.poll() is not None:
        started.start()
    return started


def check(index, snapshot, k=7, among=None):
    """The index answers as brute force does."""
    queries = unit(np.random.default_rng(1), 3, snapshot.dim)
    hits = index.search(queries, k, among)
    chosen = snapshot if among is None else dataclasses.replace(snapshot, live=snapshot.live & among)
    assert_brute_force(hits, chosen, queries, k)


class TestContract(FaithfulContract):
    @pytest.fixture(params=KINDS, ids=["FLAT", "HNSW", "IVFFLAT"])
    def engine(self, server, request):
        return server.url + request.param


def written(server, cache, n_regions=5):
    """{transaction: rows of it that are still there}, in the order in which they were written."""
    table = f"patchseek_{(cache / 'postgres-owner').read_text()[:16]}_{n_regions}"
    return dict(server.run(f"SELECT xmin::text::bigint, count(*) FROM {table} GROUP BY 1 ORDER BY 1"))


def test_a_second_opening_sends_nothing_and_growth_sends_the_new_shard(server, tmp_path):
    snapshot = make_snapshot()  # shards of 18, 12 and 30 pictures of 5 regions
    check(open_index(server.url, first_shards(snapshot, 2), tmp_path), first_shards(snapshot, 2))
    first = written(server, tmp_path)
    assert list(first.values()) == [90, 60]
    for _ in range(2):
        check(open_index(server.url, snapshot, tmp_path), snapshot)
        second = written(server, tmp_path)
    assert list(second.items())[:2] == list(first.items())
    assert list(second.values()) == [90, 60, 150]


def test_pictures_removed_later_are_gone_and_nothing_is_sent_for_them(server, tmp_path):
    open_index(server.url, make_snapshot(), tmp_path)
    before = written(server, tmp_path)
    snapshot = make_snapshot(removed=range(10, 50))
    check(open_index(server.url, snapshot, tmp_path), snapshot)
    after = written(server, tmp_path)
    assert list(after.values()) == [50, 50]
    assert after.keys() <= before.keys()


def test_after_compaction_the_rows_come_from_the_new_shard(server, tmp_path):
    snapshot = make_snapshot(removed=range(0, 60, 2))
    open_index(server.url, snapshot, tmp_path)
    kept = np.flatnonzero(snapshot.live)
    features = snapshot.features(kept).astype(np.float16)
    compacted = Snapshot([features], ("new",), snapshot.ids[kept], np.ones(30, bool), 5, 16)
    check(open_index(server.url, compacted, tmp_path), compacted)
    assert list(written(server, tmp_path).values()) == [150]


def test_a_copy_of_a_collection_that_grows_on_its_own_does_not_disturb_the_first(server, tmp_path):
    (tmp_path / "a").mkdir()
    first, other = make_snapshot(seed=0), make_snapshot(seed=1)
    index = open_index(server.url, first, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    check(open_index(server.url, other, tmp_path / "b"), other)
    check(index, first)
    check(open_index(server.url, first, tmp_path / "a"), first)


def test_another_kind_of_index_makes_room_and_is_really_used(server, tmp_path):
    snapshot = make_snapshot(n_images=400)
    indexes = "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = '{}' AND indexrelname !~ 'pkey'"
    sessions = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

    def used(kind):
        """Name and scans of what indexes there are, once the session that searched has ended and been counted."""
        before = set(server.run(sessions))
        index = open_index(f"{server.url}&{FORCED};type={kind}", snapshot, tmp_path)
        index.search(unit(np.random.default_rng(3), 4, 16), 5)
        table = index._table
        del index
        gc.collect()
        wait_for(lambda: set(server.run(sessions)) <= before)
        return [(name.removeprefix(table), n) for name, n in server.run(indexes.format(table))]

    assert used("HNSW;m=8;ef=50") == [("_hnsw_m8", 4)]
    assert used("HNSW;m=8;ef=80") == [("_hnsw_m8", 8)]
    assert used("IVFFLAT") == [("_ivfflat", 4)]
    assert used("FLAT") == []


def test_as_many_clusters_as_take_more_memory_than_is_usual_are_found(server, tmp_path):
    """Of features as long as those of the embedded encoder; pgvector refuses them within 64 MB."""
    snapshot = make_snapshot(n_images=150, dim=1280)
    assert server.run("SHOW maintenance_work_mem") == [("64MB",)]
    for lists in (512, 1500):
        index = open_index(f"{server.url}&{FORCED};type=IVFFLAT;lists={lists};probes={lists}", snapshot, tmp_path)
        check(index, snapshot)
    assert server.run("SHOW maintenance_work_mem") == [("64MB",)]


def test_many_threads_may_search(server, tmp_path):
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(check, index, snapshot) for _ in range(40)]:
            done.result()


def dies_at(n, act):
    """`_copied` that acts at its n-th call."""
    copied, calls = _postgres_load._copied, []

    def counted(*rows):
        calls.append(rows)
        if len(calls) == n:
            act()
        return copied(*rows)

    return counted


def test_a_server_killed_in_mid_load_loses_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_postgres_load, "_BATCH_BYTES", 4 * 2 * 16 * 5)  # four pictures a message
    snapshot = make_snapshot()  # 5, 3 and 8 messages
    with monkeypatch.context() as during:
        during.setattr(_postgres_load, "_copied", dies_at(10, server.kill))
        with pytest.raises(EngineError, match="nothing is lost") as caught:
            open_index(server.url, snapshot, tmp_path)
    assert "\n" not in str(caught.value)
    server.start()
    before = written(server, tmp_path)
    assert list(before.values()) == [90, 60]
    smaller = make_snapshot(removed=[0, 20, 21])  # some of what had arrived is removed before the next try
    check(open_index(server.url, smaller, tmp_path), smaller)
    after = written(server, tmp_path)
    assert list(after.values()) == [85, 50, 150]
    assert list(after)[:2] == list(before)


def test_a_patchseek_killed_in_mid_load_loses_nothing(server, tmp_path):
    command = [sys.executable, "-m", "tests.test_postgres", server.url, str(tmp_path)]
    killed = subprocess.run(command, cwd=Path(__file__).parent.parent, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(written(server, tmp_path).values()) == [90, 60]
    snapshot = make_snapshot()
    check(open_index(server.url, snapshot, tmp_path), snapshot)
    assert list(written(server, tmp_path).values()) == [90, 60, 150]


def load_and_die(url, cache):
    """What the killed process runs."""
    _postgres_load._copied = dies_at(3, lambda: os.kill(os.getpid(), signal.SIGKILL))
    open_index(url, make_snapshot(), Path(cache))


def test_a_disk_that_is_full_loses_nothing(server, tmp_path):
    snapshot = make_snapshot(n_images=1200, n_regions=30, dim=500)  # shards of 11, 7 and 18 MB
    server.stop()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # no file of a server started now can grow beyond 17 MB, as on a full disk; its journal has files of 16 MB
    resource.setrlimit(resource.RLIMIT_FSIZE, (17 << 20, before[1]))
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(EngineError, match=r"could not extend file .*; nothing is lost"):
        open_index(server.url, snapshot, tmp_path)
    server.stop()
    server.start()
    assert list(written(server, tmp_path, 30).values()) == [360 * 30]
    check(open_index(server.url, snapshot, tmp_path), snapshot)


def test_a_server_that_is_down_is_an_error_of_one_line_and_found_again_when_it_is_back(server, tmp_path):
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    server.kill()
    with pytest.raises(EngineError, match=r"PostgreSQL at postgresql://.* failed: ") as caught:
        check(index, snapshot)
    assert "\n" not in str(caught.value)
    server.start()
    check(index, snapshot)
    server.stop()
    server.start()
    check(index, snapshot)


def test_who_loads_the_same_collection_at_the_same_time_waits_and_then_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_postgres, "_WAIT", 0.1)
    snapshot = make_snapshot()
    index = open_index(server.url, snapshot, tmp_path)
    with psycopg.connect(server.url) as other:
        other.execute("SELECT pg_advisory_lock(hashtext(%s))", [index._table])
        with pytest.raises(EngineError, match="another process is bringing it up to date"):
            open_index(server.url, snapshot, tmp_path)
        check(index, snapshot)
    check(open_index(server.url, snapshot, tmp_path), snapshot)


def test_a_database_without_pgvector_or_with_an_old_one_is_an_error_of_one_line(server, tmp_path):
    server.run("CREATE ROLE guest LOGIN")
    server.run("CREATE DATABASE bare")
    bare = f"postgresql://guest@/bare?host={server.folder}"
    with pytest.raises(EngineError, match='permission denied to create extension "vector"') as caught:
        open_index(bare, make_snapshot(), tmp_path)
    assert "\n" not in str(caught.value)
    with psycopg.connect(server.url, dbname="bare", autocommit=True) as db:
        db.execute("CREATE EXTENSION vector")
        db.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(EngineError, match=r"has pgvector 0\.7\.4; 0\.8 or later is needed"):
        open_index(bare, make_snapshot(), tmp_path)
    with psycopg.connect(server.url, dbname="bare", autocommit=True) as db:
        db.execute("UPDATE pg_extension SET extversion = '0.8.0' WHERE extname = 'vector'")
    with pytest.raises(EngineError, match="permission denied for schema public"):
        open_index(bare, make_snapshot(), tmp_path)


def test_a_password_comes_from_the_environment_and_is_kept_nowhere(server, tmp_path, monkeypatch):
    server.run("CREATE ROLE keeper LOGIN PASSWORD 'open sesame'")
    server.run("CREATE DATABASE cave OWNER keeper")
    with psycopg.connect(server.url, dbname="cave", autocommit=True) as db:
        db.execute("CREATE EXTENSION vector")
    rules = server.folder / "rows" / "pg_hba.conf"
    rules.write_text("local cave all scram-sha-256\n" + rules.read_text())
    server.stop()
    server.start()
    cave, snapshot = f"postgresql://keeper@/cave?host={server.folder}", make_snapshot()
    with pytest.raises(EngineError, match="no password supplied"):
        open_index(cave, snapshot, tmp_path)
    monkeypatch.setenv("PGPASSWORD", "open sesame")
    check(open_index(cave, snapshot, tmp_path), snapshot)
    assert not any(b"sesame" in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("dim", [4000, 4001])
def test_more_numbers_than_fit_into_a_page_are_stored_and_searched(server, tmp_path, dim):
    snapshot = make_snapshot(n_images=10, n_regions=1, dim=dim)
    check(open_index(server.url, snapshot, tmp_path), snapshot)


def test_more_numbers_than_an_index_takes_are_an_error(server, tmp_path):
    with pytest.raises(EngineError, match="more than 4000 dimensions for hnsw"):
        open_index(f"{server.url};type=HNSW", make_snapshot(n_images=10, n_regions=1, dim=4001), tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_features_that_are_no_numbers_are_not_sent(server, tmp_path, value):
    snapshot = make_snapshot()
    snapshot.arrays[1][2, 4] = value
    with pytest.raises(EngineError, match=r"of 1 picture at least: `patchseek verify` names them"):
        open_index(server.url, snapshot, tmp_path)
    assert list(written(server, tmp_path).values()) == [5 * len(snapshot.arrays[0])]
    query = unit(np.random.default_rng(0), 1, 16)
    with pytest.raises(QueryError, match="not all zero"):
        open_index(server.url, first_shards(snapshot, 1), tmp_path).search(query * np.float32(value), 3)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("postgresql://me:secret@host/db", "PGPASSWORD"),
        ("postgresql://me@host/db?pass%77ord=secret", "PGPASSWORD"),
        ("postgresql://me:sec%ret@host/db", "postgresql://USER@HOST"),
        ("postgresql://host/db;type=DISKANN", "no index 'DISKANN'"),
        ("postgresql://host/db;type=HNSW;ef=many", "ef must be a whole number from 1 to 1,000, found 'many'"),
        ("postgresql://host/db;ef=9", "'ef' is no parameter of PostgreSQL's FLAT; there are none"),
        ("postgresql://nobody.invalid/db", "PostgreSQL at postgresql://nobody.invalid/db: "),
    ],
)
def test_a_string_that_says_nothing_sensible_is_an_error_of_one_line(engine, reason, tmp_path):
    with pytest.raises(EngineError, match=reason) as caught:
        open_index(engine, make_snapshot(), tmp_path)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_collection_keeps_its_database_and_grows_with_it(server, tiny, tmp_path, make_folder):
    folder = make_folder("a.png", "b.png", "c.png")
    Collection.open(tmp_path / "collection", encoder=tiny, create=True).add(folder)
    Collection.open(tmp_path / "collection", encoder=tiny).use_index(f"{server.url};type=HNSW")
    blot(7).save(folder / "new.png")
    collection = Collection.open(tmp_path / "collection", encoder=tiny)
    collection.add(folder)
    assert collection.index == f"{server.url};type=HNSW"
    assert collection.search(folder / "new.png")[0].image.path == "new.png"


if __name__ == "__main__":
    load_and_die(*sys.argv[1:])
