"""A server, and a collection held open in Python, whose database, indexes or folder others change under them."""

import asyncio
import shutil
import socket
import threading
from contextlib import closing

import psycopg
import pytest
from click.testing import CliRunner
from pymilvus import MilvusClient
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.cli._maintenance import info_command, verify_command
from patchseek.errors import EngineError, PatchseekError, StoreError, StoreMismatch
from patchseek.server import ServerSettings, create_app
from patchseek.server._health import Health

from .conftest import TinyEncoder, blot
from .test_postgres import server, started  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("postgres")

NAMES = [f"{i}.png" for i in range(1, 13)]


@pytest.fixture(params=["postgres", "milvus"])
def engine(request, tmp_path, server):  # noqa: F811
    """The string of an engine that keeps its rows in a database."""
    return server.url if request.param == "postgres" else f"milvus:{tmp_path}/rows.db"


@pytest.fixture
def client(server_collection):
    with TestClient(create_app(server_collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


@pytest.fixture(autouse=True)
def no_tables(server):  # noqa: F811
    """Of the tests before."""
    drop_everything(server.url)


def drop_everything(engine):
    """Drop whatever patchseek made in a database, as an operator would."""
    if engine.startswith("milvus"):
        with closing(MilvusClient(engine.removeprefix("milvus:"))) as milvus:
            for name in milvus.list_collections():
                milvus.drop_collection(name)
        return
    with psycopg.connect(engine, autocommit=True) as db:
        for (name,) in db.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'patchseek%'").fetchall():
            db.execute(f"DROP TABLE {name}")


def found(client, image_id=5):
    answer = client.post("/api/search", data={"image_id": image_id, "top": 12, "refine": 0, "depth": 0})
    assert answer.status_code == 200, answer.text
    return [result["image"] for result in answer.json()["results"]]


def sentence(answer):
    """The one sentence of an answer that says what is up."""
    assert answer.status_code == 503
    detail = answer.json()["detail"]
    assert "\n" not in detail and "Traceback" not in detail
    return detail


# ---- a database


def test_a_server_whose_tables_are_dropped_answers_the_next_search(client, server_collection, engine):
    expected = found(client)
    assert len(expected) == 12
    server_collection.use_index(engine)
    assert found(client) == expected
    for _ in range(2):
        drop_everything(engine)
        assert client.get("/healthz").status_code == 200
        assert found(client) == expected


def test_a_collection_held_open_answers_the_next_search(server_collection, engine, tmp_path):
    query = tmp_path / "pictures" / "7.png"
    server_collection.use_index(engine)
    expected = [match.image.path for match in server_collection.search(query, refine=0)]
    drop_everything(engine)
    assert [match.image.path for match in server_collection.search(query, refine=0)] == expected
    drop_everything(engine)
    assert [match.image.path for match in server_collection.search(query, refine=0, top=3)] == expected[:3]


def test_many_searches_at_once_mend_it_once(server_collection, server, tmp_path):  # noqa: F811
    server_collection.use_index(server.url)
    query, answers = tmp_path / "pictures" / "7.png", []
    drop_everything(server.url)
    threads = [
        threading.Thread(target=lambda: answers.append(server_collection.search(query, refine=0))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer[0].image.path for answer in answers] == ["7.png"] * 8
    tables = [name for (name,) in server.run("SELECT tablename FROM pg_tables WHERE tablename ~ 'patchseek.*[0-9]$'")]
    assert [server.run(f"SELECT count(DISTINCT xmin::text) FROM {name}") for name in tables] == [[(1,)]]


def test_a_server_says_that_its_database_is_down_and_goes_on_when_it_is_back(client, server_collection, server):  # noqa: F811
    expected = found(client)
    server_collection.use_index(server.url)
    assert found(client) == expected
    server.kill()
    assert sentence(client.post("/api/search", data={"image_id": 5})).startswith("PostgreSQL at postgresql://")
    assert sentence(client.get("/healthz")).startswith("PostgreSQL at postgresql://")
    assert client.get("/api/collection").status_code == 200
    server.start()
    assert client.get("/healthz").json() == {"status": "ok"}
    assert found(client) == expected
    server.stop()
    server.start()
    drop_everything(server.url)
    assert found(client) == expected


def test_a_database_that_takes_connections_and_says_nothing_is_not_well(client, server_collection):
    """As one does whose machine is stopped, or that a firewall has swallowed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for engine in (f"postgresql://nobody@{address}/none", f"milvus:http://{address}"):
            catalogue = server_collection.store.catalogue
            catalogue.set("option.index", engine)
            assert address in sentence(client.get("/healthz"))


def test_a_milvus_server_that_is_gone_is_said(client, server_collection):
    with socket.create_server(("127.0.0.1", 0)) as once:
        address = f"http://127.0.0.1:{once.getsockname()[1]}"
    server_collection.store.catalogue.set("option.index", f"milvus:{address}")
    assert sentence(client.get("/healthz")) == f"Milvus at {address}: no answer within 2 s"


def test_health_asks_for_no_picture(client, monkeypatch):
    asked = []
    monkeypatch.setattr(Collection, "ping", lambda self, *_: asked.append(self))
    monkeypatch.setattr(Collection, "search", lambda *_, **__: pytest.fail("a search"))
    for _ in range(3):
        assert client.get("/healthz").status_code == 200
    assert len(asked) == 3


def test_what_may_not_be_mended_is_said_until_it_is(client, server_collection, server):  # noqa: F811
    expected = found(client)
    read_only = f"{server.url}&options=-c%20default_transaction_read_only%3Don"
    server_collection.use_index(server.url)
    server_collection.use_index(read_only)
    assert found(client) == expected
    server.run("TRUNCATE " + server.run("SELECT tablename FROM pg_tables WHERE tablename ~ 'patchseek.*[0-9]$'")[0][0])
    for _ in range(2):
        said = sentence(client.post("/api/search", data={"image_id": 5}))
        assert "12 of 12 pictures are missing in patchseek_" in said
        assert "this role may not write there" in said
    Collection.open(server_collection.path, encoder=TinyEncoder()).search(5, index=server.url)
    assert found(client) == expected


# ---- the choice, and what lies in `indexes`


def test_another_process_may_choose_another_engine(client, server_collection, engine):
    expected = found(client)
    other = Collection.open(server_collection.path, encoder=TinyEncoder())
    for chosen in ("SQfp16", engine, "exact", engine, "Flat"):
        other.use_index(chosen)
        assert found(client) == expected
        assert client.get("/api/collection").json()["index"] == chosen


@pytest.mark.parametrize("kind", ["SQfp16", "a database"])
def test_indexes_may_be_deleted_or_replaced_at_any_time(client, server_collection, engine, kind):
    expected = found(client)
    server_collection.use_index(engine if kind == "a database" else kind)
    indexes = server_collection.path / "indexes"
    for files in (list(indexes.iterdir()), [], None):
        if files is None:
            shutil.rmtree(indexes)
        for file in files or ():
            file.write_bytes(b"something else")
        assert found(client) == expected
        assert [
            m.image.path
            for m in Collection.open(server_collection.path, encoder=TinyEncoder()).search(5, refine=0, depth=0, top=12)
        ] == expected


# ---- the collection itself


@pytest.mark.parametrize("chosen", ["exact", "SQfp16", "a database"])
def test_a_folder_that_is_taken_away_is_said_and_what_comes_back_is_searched(
    client, server_collection, engine, chosen, tmp_path
):
    server_collection.use_index(engine if chosen == "a database" else chosen)
    expected, path = found(client), server_collection.path
    server_collection.back_up(tmp_path / "before.tar")
    shutil.move(path, tmp_path / "aside")
    for answer in (
        client.post("/api/search", data={"image_id": 5}),
        client.get("/healthz"),
        client.get("/api/collection"),
    ):
        assert "collection" in sentence(answer)
    with pytest.raises(StoreError, match="the collection that was here is gone"):
        server_collection.search(tmp_path / "pictures" / "7.png")
    shutil.move(tmp_path / "aside", path)
    assert client.get("/healthz").status_code == 200
    assert found(client) == expected
    blot(77).save(tmp_path / "pictures" / "new.png")
    Collection.open(path, encoder=TinyEncoder()).add(tmp_path / "pictures")
    assert "new.png" in found(client, 13)
    shutil.rmtree(path)
    Collection.restore(tmp_path / "before.tar", path)
    assert found(client) == expected


@pytest.mark.parametrize("kind", ["regions", "points"])
@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_whoever_watches_hears_of_features_and_points_that_are_not_there(client, server_collection, harm, kind):
    server_collection.add_points()
    assert client.get("/healthz").status_code == 200
    shard = server_collection.path / "shards" / server_collection.store.list_shards()[0].parts[kind].file
    whole = shard.read_bytes()
    if harm == "gone":
        shard.unlink()
    else:
        shard.write_bytes(whole[:-100])
    said = sentence(client.get("/healthz"))
    assert f"{shard.name}: " in said and said.endswith("run: patchseek verify --repair")
    shard.write_bytes(whole)
    assert client.get("/healthz").status_code == 200


def test_another_collection_in_its_place_is_never_taken_for_it(client, server_collection, tmp_path):
    found(client)
    path = server_collection.path
    shutil.rmtree(path)
    Collection.open(path, encoder=TinyEncoder("another"), create=True).add(tmp_path / "pictures")
    assert "another collection is here now (encoder: 'another' here, 'tiny' asked for)" in sentence(
        client.post("/api/search", data={"image_id": 5})
    )
    assert "another collection is here now" in sentence(client.get("/healthz"))
    with pytest.raises(StoreMismatch, match="another collection is here now"):
        server_collection.add(tmp_path / "pictures")
    with pytest.raises(StoreMismatch, match="another collection is here now"):
        server_collection.remove("5.png")
    other = Collection.open(path, encoder=TinyEncoder("another"))
    assert (len(other), other.verify()) == (12, [])


@pytest.mark.parametrize("chosen", ["exact", "SQfp16", "a database"])
def test_others_may_remove_and_compact_under_a_server(client, server_collection, engine, chosen):
    server_collection.use_index(engine if chosen == "a database" else chosen)
    expected = found(client)
    other = Collection.open(server_collection.path, encoder=TinyEncoder())
    other.remove("3.png")
    assert found(client) == [name for name in expected if name != "3.png"]
    other.compact()
    assert found(client) == [name for name in expected if name != "3.png"]


# ---- what is said


def said(command, collection, *options):
    done = CliRunner().invoke(command, ["-c", str(collection.path), *options])
    assert done.exception is None or isinstance(done.exception, PatchseekError | SystemExit)
    return done.output + (str(done.exception) if isinstance(done.exception, PatchseekError) else "")


def test_info_and_verify_say_what_the_database_holds(server_collection, engine, tmp_path):
    server_collection.use_index(engine)
    assert "index_holds    12 of 12 pictures\n" in said(info_command, server_collection)
    assert f"{engine}: 12 of 12 pictures\n{server_collection.path}: sound, 12 pictures\n" in said(
        verify_command, server_collection
    )
    blot(77).save(tmp_path / "pictures" / "new.png")
    server_collection.add(tmp_path / "pictures")
    assert "12 of 13 pictures; the next search sends the other 1" in said(info_command, server_collection)
    assert "sound" in said(verify_command, server_collection)
    drop_everything(engine)
    assert "0 of 13 pictures; the next search sends the other 13" in said(info_command, server_collection)
    told = said(verify_command, server_collection)
    assert f"{engine}: 13 of 13 pictures are gone there or differ\n" in told
    assert "1 problem; run: patchseek verify --repair" in told and "sound" not in told
    said(verify_command, server_collection, "--repair")
    assert "13 of 13 pictures\n" in said(info_command, server_collection)
    assert "sound" in said(verify_command, server_collection)


def test_one_feature_of_many_that_is_not_the_collections_is_found_by_verify(server_collection, server, monkeypatch):  # noqa: F811
    monkeypatch.setattr("patchseek.indexes._postgres_rows._SAMPLED", 1)
    server_collection.use_index(server.url)
    (table,) = next(iter(server.run("SELECT tablename FROM pg_tables WHERE tablename ~ 'patchseek.*[0-9]$'")))
    server.run(f"UPDATE {table} SET feature = (SELECT feature FROM {table} WHERE image = 2 LIMIT 1) "
               "WHERE image = 9 AND region = 4")  # fmt: skip
    assert server_collection.verify() == [f"{server.url}: 1 of 12 pictures are gone there or differ"]
    server_collection.repair()
    assert server_collection.verify() == []


def test_a_database_that_is_down_is_said_and_the_rest_is_said_too(server_collection, server):  # noqa: F811
    server_collection.use_index(server.url)
    server.kill()
    told = said(info_command, server_collection)
    assert "index_holds    PostgreSQL at " in told and "failures       1" in told
    assert "sound" not in said(verify_command, server_collection)
    with pytest.raises(EngineError):
        server_collection.search(5)


def test_those_who_ask_at_once_whether_all_is_well_share_one_look():
    class Slow:
        n_looks, may_end = 0, threading.Event()

        def ping(self):
            self.n_looks += 1
            self.may_end.wait()

    async def ask(collection):
        health = Health(collection)
        asked = [asyncio.ensure_future(health.check()) for _ in range(20)]
        asked[3].cancel()  # who goes away takes nobody's answer along
        await asyncio.sleep(0)
        collection.may_end.set()
        await asyncio.gather(*asked, return_exceptions=True)
        assert [task.cancelled() for task in asked] == [n == 3 for n in range(20)]
        health.close()

    collection = Slow()
    asyncio.run(ask(collection))
    assert collection.n_looks == 1
