"""What people say of finds is kept by the query and the picture's content, is never lost, and disturbs nothing."""

import hashlib
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.errors import BoxError, QueryError, StoreLocked
from patchseek.judgements import Judgements, ObjectView, query_key, user_name
from patchseek.server import ServerSettings, create_app
from patchseek.server.client import Client
from patchseek.store import Writer

from .conftest import TinyEncoder, blot
from .live import listening

BOX = (32, 24, 32, 24)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Eight small pictures, 1.png to 8.png by their numbers, for tests that change none of them."""
    home = tmp_path_factory.mktemp("judgements")
    for number in range(1, 9):
        (home / "pictures").mkdir(exist_ok=True)
        blot(number).save(home / "pictures" / f"{number}.png")
    collection = Collection.open(home / "collection", encoder=TinyEncoder(), points=False, create=True)
    collection.add(home / "pictures")
    return collection


@pytest.fixture
def judgements(shared):
    """Of a collection in which each test has a query of its own."""
    return Judgements(shared, clock=iter(range(1_700_000_000, 1_800_000_000)).__next__)


@pytest.fixture
def own(server_collection):
    """Of a collection that the test may change."""
    return Judgements(server_collection)


@pytest.fixture(scope="module")
def client(shared):
    with TestClient(create_app(shared, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


def file_of(collection, name):
    (root,) = collection.store.roots()
    return root / name


def id_of(collection, name):
    return next(number for number, _, path in collection.store.paths() if path == name)


def verdicts(judgements, key):
    standing = judgements.standing(key)
    ids = judgements.ids(list(standing.values()))
    return {number: standing[content].verdict for content, numbers in ids.items() for number in numbers}


# ---- which query it is


def test_a_query_is_known_by_its_pictures_and_boxes_in_any_order():
    cup, mug = ObjectView("aa" * 32, 1, (1, 2, 3, 4)), ObjectView("bb" * 32, 1, (5, 6, 7, 8))
    said = '["patchseek query 1", [["' + "aa" * 32 + '", 1, 1, 2, 3, 4], ["' + "bb" * 32 + '", 1, 5, 6, 7, 8]], ""]'
    assert query_key([cup, mug]) == query_key([mug, cup]) == hashlib.sha256(said.encode()).hexdigest()
    others = [
        [cup],
        [mug],
        [cup, cup, mug],
        [ObjectView("aa" * 32, 2, (1, 2, 3, 4)), mug],
        [ObjectView("aa" * 32, 1, (1, 2, 3, 5)), mug],
    ]
    keys = [query_key(views) for views in others] + [query_key([cup, mug], "a red cup")]
    assert len({query_key([cup, mug]), *keys}) == 7


def test_a_file_its_bytes_and_the_member_of_the_collection_are_the_same_query(shared, judgements):
    file, member = file_of(shared, "5.png"), id_of(shared, "5.png")
    ways, boxes = (file, file.read_bytes(), member), (BOX, (0.5, 0.5, 0.5, 0.5))
    keys = {judgements.key(way, box=box) for way in ways for box in boxes}
    assert len(keys) == 1
    assert judgements.key(file) == judgements.key(file, box=(0, 0, 64, 48)) not in keys
    assert judgements.key([file, member], box=[BOX, None]) == judgements.key([member, file], box=[None, BOX])
    pixels = Image.open(file).convert("RGB")
    assert judgements.key(pixels) == judgements.key(np.asarray(pixels)) != judgements.key(file)


def test_a_page_of_a_tiff_is_another_query_and_judged_alone(own, server_collection):
    pages = [blot(number) for number in (70, 71)]
    pages[0].save(file_of(server_collection, "scan.tif"), save_all=True, append_images=pages[1:])
    server_collection.add(server_collection.store.roots()[0])
    first, second = (id_of(server_collection, name) for name in ("scan.tif", "scan.tif#2"))
    own.add("k", second, "yes", BOX)
    assert verdicts(own, "k") == {second: "yes"}
    assert own.key(first) != own.key(second)


# ---- what is kept


def test_the_last_word_stands_and_all_of_them_are_kept(judgements):
    for verdict, who in (("yes", "ann"), ("no", "bob"), ("unsure", "ann")):
        judgements.add("words", 3, verdict, BOX, who=who)
    judgements.add("words", 4, "yes", (0, 0, 10, 10))
    judgements.add("other words", 3, "no", BOX)
    assert verdicts(judgements, "words") == {3: "unsure", 4: "yes"}
    judgements.add("words", 3, None, BOX, who="bob")
    assert verdicts(judgements, "words") == {4: "yes"}
    assert verdicts(judgements, "other words") == {3: "no"}
    said = judgements.history("words")
    expected = [("yes", "ann"), ("no", "bob"), ("unsure", "ann"), ("yes", user_name()), (None, "bob")]
    assert [(each.verdict, each.who) for each in said] == expected
    assert (said[0].box, said[0].width, said[0].height) == ((0.5, 0.5, 1, 1), 64, 48)
    assert [each.at - 1_700_000_000 for each in said] == [0, 1, 2, 3, 5]


def test_the_last_word_stands_though_a_clock_goes_backwards(shared):
    judgements = Judgements(shared, clock=iter([900.0, 100.0]).__next__)
    judgements.add("clock", 1, "yes", BOX)
    judgements.add("clock", 1, "no", BOX)
    assert verdicts(judgements, "clock") == {1: "no"}


@pytest.mark.parametrize(
    ("image_id", "verdict", "box", "error"),
    [
        (1, "maybe", BOX, QueryError),
        (99, "yes", BOX, QueryError),
        (1, "yes", (0, 0, 0, 5), BoxError),
        (1, "yes", (0, 0, 500, 5), BoxError),
    ],
)
def test_what_cannot_be_meant_is_refused_and_not_kept(judgements, image_id, verdict, box, error):
    with pytest.raises(error):
        judgements.add("refused", image_id, verdict, box)
    assert judgements.history("refused") == []


def test_it_survives_moves_removal_indexing_anew_repair_and_a_backup(own, server_collection, tmp_path):
    folder, number = server_collection.store.roots()[0], id_of(server_collection, "5.png")
    own.add("k", number, "yes", BOX)
    (folder / "sub").mkdir()
    (folder / "5.png").rename(folder / "sub" / "five.png")
    server_collection.add(folder)
    assert verdicts(own, "k") == {number: "yes"}
    server_collection.remove("sub/five.png")
    server_collection.compact()
    assert [said.verdict for said in own.standing("k").values()] == ["yes"]  # though there is no such picture now
    assert verdicts(own, "k") == {}
    server_collection.add(folder, with_removed=True)
    again = id_of(server_collection, "sub/five.png")
    assert again != number and verdicts(own, "k") == {again: "yes"}
    server_collection.back_up(tmp_path / "backup.tar")
    restored = Judgements(Collection.restore(tmp_path / "backup.tar", tmp_path / "restored"))
    assert restored.history("k") == own.history("k") != []
    assert server_collection.verify() == [] and server_collection.repair() == 0
    assert verdicts(own, "k") == {again: "yes"}


def test_copies_share_what_was_said(own, server_collection):
    first = id_of(server_collection, "3.png")
    file_of(server_collection, "copy.png").write_bytes(file_of(server_collection, "3.png").read_bytes())
    server_collection.add(server_collection.store.roots()[0])
    own.add("k", first, "yes", BOX)
    assert verdicts(own, "k") == {first: "yes", id_of(server_collection, "copy.png"): "yes"}


def test_a_collection_of_before_gains_the_table_at_the_first_judgement(own, server_collection):
    db = sqlite3.connect(server_collection.path / "catalogue.sqlite")
    db.execute("DROP TABLE judgement")
    db.close()
    assert own.history("k") == []
    own.add("k", 1, "no", BOX)
    with Writer(server_collection.store) as writer:
        writer.tag("a", [1])
    assert verdicts(own, "k") == {1: "no"}


# ---- what it disturbs


def test_nothing_is_opened_anew_for_it_and_everything_for_what_others_change(own, server_collection):
    catalogue = server_collection.store.catalogue
    server_collection.search(5, top=1)
    opened, state = server_collection.engine._opened, catalogue.state()
    for number in range(1, 6):
        own.add("k", number, "yes", BOX)
        assert catalogue.state() == state
    server_collection.search(5, top=1)
    assert server_collection.engine._opened is opened
    Collection.open(server_collection.path, encoder=server_collection.encoder).tag("new", "5.png")
    own.add("k", 6, "yes", BOX)  # does not hide what came before it
    assert catalogue.state() != state
    server_collection.search(5, top=1)
    assert server_collection.engine._opened is not opened


def test_a_change_by_somebody_else_right_after_it_is_seen(own, server_collection, monkeypatch):
    catalogue = server_collection.store.catalogue
    state, status, calls = catalogue.state(), catalogue._status, []

    def late():
        calls.append(1)
        if len(calls) == 2:  # the judgement is in, and nobody has looked yet what the catalogue is then
            db = sqlite3.connect(catalogue.path, isolation_level=None)
            db.execute("INSERT INTO tag VALUES ('sneaked in', 1)")
            db.close()
        return status()

    monkeypatch.setattr(catalogue, "_status", late)
    own.add("k", 1, "yes", BOX)
    assert len(calls) == 2 and catalogue.state() != state


def test_people_judge_while_somebody_indexes(judgements, shared):
    with Writer(shared.store) as writer:
        judgements.add("meanwhile", 1, "yes", BOX)
        writer.tag("meanwhile", [1])
    assert verdicts(judgements, "meanwhile") == {1: "yes"}


def test_a_catalogue_that_another_program_holds_is_an_error_and_nothing_is_lost(judgements, shared, monkeypatch):
    monkeypatch.setattr("patchseek.store._catalogue.SILENT_SECONDS", 0.01)
    monkeypatch.setattr("patchseek.store._catalogue.WAIT_SECONDS", 0.02)
    holder = sqlite3.connect(shared.path / "catalogue.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked):
        judgements.add("held", 1, "yes", BOX)
    holder.close()
    judgements.add("held", 1, "no", BOX)
    assert [said.verdict for said in judgements.history("held")] == ["no"]


def test_two_people_at_once_lose_nothing(judgements):
    def judge(who, verdict):
        for number in range(1, 9):
            judgements.add("both", number, verdict, BOX, who=who)

    people = [threading.Thread(target=judge, args=said) for said in (("ann", "yes"), ("bob", "no"))]
    for person in people:
        person.start()
    for person in people:
        person.join()
    said = judgements.history("both")
    assert sorted((each.who, each.verdict) for each in said) == [("ann", "yes")] * 8 + [("bob", "no")] * 8
    assert len(judgements.standing("both")) == 8


def judge_for_ever(path):
    """What the killed process runs: says when each judgement has returned."""
    judgements = Judgements(Collection.open(path))
    for number in itertools.count():
        judgements.add("killed", 1 + number % 8, "yes", BOX)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def test_what_has_returned_survives_a_kill(shared, judgements):
    code = "import sys; from tests.test_judgements import judge_for_ever; judge_for_ever(sys.argv[1])"
    command, root = [sys.executable, "-c", code, str(shared.path)], Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        for _ in range(20):
            assert process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        n_returned = 20 + len(process.stdout.readlines())
    assert n_returned <= len(judgements.history("killed")) <= n_returned + 1
    assert shared.verify() == []


# ---- over HTTP


def search(client, **fields):
    return client.post("/api/search", data={"image_id": 1, "box": "0,0,32,24", **fields}).json()


def test_answers_carry_what_was_said_and_the_key_it_was_said_of(client, judgements):
    found = search(client)
    key, (first, second, third) = found["query_key"], found["results"][:3]
    assert key == judgements.key(1, box=(0, 0, 32, 24)) and "verdict" not in first
    for result, verdict, box in ((first, "yes", [1, 2, 30, 20]), (second, "no", second["box"])):
        body = {"query_key": key, "image_id": result["image_id"], "box": box, "verdict": verdict}
        kept = client.put("/api/judgements", json=body).json()
        assert (kept["verdict"], kept["box"], kept["who"]) == (verdict, box, user_name())
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", kept["at"])
    again = search(client, exclude=third["image_id"], top=5)  # what is not meant makes it no other query
    said = [(each["image_id"], each["verdict"], each["judged_box"]) for each in again["results"] if "verdict" in each]
    assert sorted(said) == sorted(
        [(first["image_id"], "yes", [1, 2, 30, 20]), (second["image_id"], "no", second["box"])]
    )
    page = search(client, top=1, skip=1)["results"][0]
    assert (page["image_id"], page["verdict"]) == (second["image_id"], "no")
    other = search(client, box="0,0,30,24")
    assert other["query_key"] != key and not any("verdict" in each for each in other["results"])


def test_an_answer_in_lines_carries_it_in_each_of_them(client):
    first = search(client, box="8,8,16,16")
    said = {"query_key": first["query_key"], "image_id": 1, "box": [8, 8, 16, 16], "verdict": "unsure"}
    client.put("/api/judgements", json=said)
    fields, accept = {"image_id": 1, "box": "8,8,16,16"}, {"accept": "application/x-ndjson"}
    lines = [json.loads(line) for line in client.post("/api/search", data=fields, headers=accept).text.splitlines()]
    answers = [line["answer"] for line in lines if "answer" in line]
    assert len(answers) == 2
    for answer in answers:
        assert answer["query_key"] == first["query_key"]
        assert [each["verdict"] for each in answer["results"] if each["image_id"] == 1] == ["unsure"]


def test_the_fields_of_a_search_name_its_judgements(client, shared):
    content, member = file_of(shared, "5.png").read_bytes(), id_of(shared, "5.png")
    sent = client.post("/api/queries", files={"image": ("a.png", content)}).json()["query_id"]
    said = {"queries": [{"query_id": sent, "box": [0, 0, 32, 24]}], "image_id": 2, "box": [0, 0, 9, 9]}
    for verdict in ("unsure", None, "yes"):
        assert client.put("/api/judgements", json=said | {"verdict": verdict}).status_code == 200
    for fields in ({"query_id": sent}, {"image_id": member}):  # the same file
        asked = fields | {"box": "0,0,32,24"}
        found = client.get("/api/judgements", params=asked).json()
        (stands,) = found["judgements"]
        assert (stands["verdict"], stands["image_ids"], stands["box"]) == ("yes", [2], [0, 0, 9, 9])
        every = client.get("/api/judgements", params=asked | {"history": True}).json()
        assert [each["verdict"] for each in every["judgements"]] == ["unsure", None, "yes"]
        assert every["query_key"] == found["query_key"]
    assert client.get("/api/judgements", params={"query_id": sent}).json()["judgements"] == []


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"image_id": 99}, 404, "no picture with id 99"),
        ({"verdict": "maybe"}, 422, "verdict"),
        ({"query_key": "k"}, 422, "query_key"),
        ({"query_key": None}, 422, "which query"),
        ({"query_key": None, "queries": [{}]}, 422, "query_id or image_id"),
        ({"query_key": None, "queries": [{"query_id": "guess"}]}, 404, "send it again"),
        ({"box": [0, 0, 500, 5]}, 422, "outside"),
        ({"box": None}, 422, "box"),
    ],
)
def test_what_cannot_be_kept_is_said_in_a_sentence(client, change, status, words):
    body = {"query_key": "ab" * 32, "image_id": 1, "box": [0, 0, 9, 9], "verdict": "yes"} | change
    answer = client.put("/api/judgements", json=body)
    assert answer.status_code == status and words in answer.json()["detail"], answer.text
    assert client.get("/api/judgements", params={"query_key": "ab" * 32}).json()["judgements"] == []


@pytest.mark.parametrize(
    "params", [{}, {"image_id": 1, "box": "1e300,0,1,1"}, {"image_id": 1, "box": ["", ""]}, {"image_id": [1] * 11}]
)
def test_a_query_that_is_none_has_no_judgements(client, params):
    assert client.get("/api/judgements", params=params).status_code == 422


def test_the_client_judges_with_a_token_and_that_is_who_said_it(shared):
    with listening(create_app(shared, ServerSettings(token="a-token-for-tests"))) as port:
        client = Client(f"http://127.0.0.1:{port}", "a-token-for-tests")
        found = client.search(3, box=(0, 0, 32, 24), top=2)
        key, result = found["query_key"], found["results"][0]
        kept = client.judge(key, result["image_id"], "no", result["box"])
        assert (kept["verdict"], kept["who"], kept["box"]) == ("no", "token", result["box"])
        assert [each["image_ids"] for each in client.judgements(key)] == [[result["image_id"]]]
        client.judge(key, result["image_id"], None, result["box"])
        assert client.judgements(key) == []
        assert [each["verdict"] for each in client.judgements(key, history=True)] == ["no", None]
