"""Answers in lines, as they become known; pages of an answer that need no search; ids of files that were sent."""

import json
import threading
from io import BytesIO

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

from patchseek import cli
from patchseek.errors import StoreError
from patchseek.server import ServerSettings, create_app
from patchseek.server._answers import AHEAD
from patchseek.server.client import Client, ServerError

from .conftest import wait_for
from .live import connect, form, listening, post

LINES = {"accept": "application/x-ndjson"}


@pytest.fixture
def app(server_collection):
    return create_app(server_collection, ServerSettings(n_searches=1, n_refined=1))


@pytest.fixture
def client(app):
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


def lines_of(answer):
    assert answer.headers["content-type"] == LINES["accept"]
    return [json.loads(line) for line in answer.text.splitlines()]


def test_the_answer_so_far_comes_first_then_progress_and_last_what_one_piece_would_be(client):
    asked = {"image_id": 3, "box": "4,4,40,30", "top": 5, "refine": 4}
    whole = client.post("/api/search", data=asked).json()
    plain = client.post("/api/search", data=asked | {"refine": 0}).json()
    first, *between, last = lines_of(client.post("/api/search", data=asked, headers=LINES))
    assert last == {"answer": whole, "is_final": True}
    assert first["is_final"] is False
    assert first["answer"]["results"] == plain["results"]
    told = [line["progress"] for line in between]
    assert {"doing": "refining boxes", "done": 0, "total": 4} in told
    assert {"doing": "refining boxes", "done": 4, "total": 4} in told


def test_where_no_file_is_opened_the_answer_is_the_first_line(client):
    asked = {"image_id": 3, "refine": 0}
    (only,) = lines_of(client.post("/api/search", data=asked, headers=LINES))
    assert only == {"answer": client.post("/api/search", data=asked).json(), "is_final": True}


def test_what_is_wrong_from_the_start_has_its_own_status(client):
    for asked, status in (({"image_id": 999}, 404), ({"image_id": 3, "box": "0,0,0,0"}, 422), ({}, 422)):
        answer = client.post("/api/search", data=asked, headers=LINES)
        assert answer.status_code == status
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (StoreError("the disk is gone"), {"status": 503, "detail": "the disk is gone"}),
        (ZeroDivisionError("inner"), {"status": 500, "detail": "unexpected: ZeroDivisionError"}),
    ],
)
def test_what_goes_wrong_later_is_the_last_line(client, app, monkeypatch, error, problem):
    collection = app.state.services.collection

    def search(_, *, on_answer, **__):
        on_answer([])
        raise error

    monkeypatch.setattr(collection, "search", search)
    first, last = lines_of(client.post("/api/search", data={"image_id": 3}, headers=LINES))
    assert first["answer"]["results"] == []
    assert last == {"problem": problem}


def test_a_client_that_leaves_after_the_first_line_ends_the_work(app, monkeypatch):
    services = app.state.services
    told, left, stopped = threading.Event(), threading.Event(), []

    def search(_, *, on_answer, on_step, **__):
        on_answer([])
        told.set()
        wait_for(left.is_set)
        try:
            wait_for(lambda: on_step() is not None)  # until it raises
        except BaseException as error:
            stopped.append(type(error).__name__)
            raise

    monkeypatch.setattr(services.collection, "search", search)
    with listening(app) as port:
        line = connect(port, post("/api/search", *form(image_id="3"), "Accept: application/x-ndjson"))
        wait_for(told.is_set)
        received = b""
        while b"is_final" not in received and (more := line.recv(65536)):  # the headers may come by themselves
            received += more
        line.close()
        left.set()
        assert b"is_final" in received
        wait_for(lambda: services.refined.n_calls == 0)
    assert stopped == ["Gone"]


def test_where_refinement_has_to_wait_the_answer_without_it_comes_at_once(client, app, monkeypatch):
    services, gate, heard = app.state.services, threading.Event(), []
    asked = {"image_id": 3, "box": "4,4,40,30", "top": 5, "refine": 4}
    plain = client.post("/api/search", data=asked | {"refine": 0}).json()
    whole = client.post("/api/search", data=asked).json()
    held = threading.Thread(target=services.refined._submit(gate.wait).result)  # the only thread of refined searches
    held.start()
    asker = threading.Thread(
        target=lambda: heard.extend(lines_of(client.post("/api/search", data=asked, headers=LINES)))
    )
    searches, search = [], services.collection.search
    monkeypatch.setattr(services.collection, "search", lambda *a, **k: (search(*a, **k), searches.append(k))[0])
    asker.start()
    wait_for(lambda: len(searches) == 1)
    assert services.refined.n_calls == 2
    gate.set()
    asker.join()
    held.join()
    first, *_, last = heard
    assert first["is_final"] is False and first["answer"]["results"] == plain["results"]
    assert last == {"answer": whole, "is_final": True}


def test_what_is_wrong_has_its_own_status_also_where_refinement_has_to_wait(client, app):
    services, gate, heard = app.state.services, threading.Event(), []
    services.refined._submit(gate.wait)
    asked = {"image_id": 999}
    asker = threading.Thread(target=lambda: heard.append(client.post("/api/search", data=asked, headers=LINES)))
    asker.start()
    wait_for(lambda: services.refined.n_calls == 2 and services.searches.n_calls == 0)
    gate.set()
    asker.join()
    assert heard[0].status_code == 404


def test_further_pages_are_told_without_a_search(client, app, monkeypatch):
    asked = {"image_id": 3, "box": "4,4,40,30", "refine": 4}
    whole = client.post("/api/search", data=asked | {"top": 12}).json()["results"]
    collection, searches = app.state.services.collection, []
    search = collection.search
    monkeypatch.setattr(collection, "search", lambda *a, **k: searches.append(k["top"]) or search(*a, **k))

    def page(skip, **other):
        return client.post("/api/search", data=asked | {"top": 4, "skip": skip} | other).json()["results"]

    assert page(0) == whole[:4]
    assert searches == [AHEAD]
    assert page(4) + page(8) == whole[4:]
    assert page(12) == []
    assert searches == [AHEAD]
    page(0)
    assert len(searches) == 2, "a first page is looked for: files may have changed"
    page(4, exclude=5)
    page(4, box="4,4,40,31")
    page(4, under="1*")
    assert page(4, image_id=5) != whole[4:8]
    assert len(searches) == 6, "another question has other pages"
    collection.remove("7.png")
    page(4)
    assert len(searches) == 7, "another collection, too"


def test_the_same_file_is_decoded_once_and_keeps_its_id(client, app, monkeypatch):
    stream = BytesIO()
    Image.new("RGB", (90, 60), "teal").save(stream, "PNG")
    decoder, decoded = app.state.services.decoder, []
    decode = decoder.decode
    monkeypatch.setattr(decoder, "decode", lambda *given: decoded.append(1) or decode(*given))
    first, again = (
        client.post("/api/queries", files={"image": (name, stream.getvalue())}).json() for name in ("a.png", "b.png")
    )
    assert first["query_id"] == again["query_id"]
    assert (again["image"], len(decoded)) == ("b.png", 1)
    assert client.get(f"/api/queries/{first['query_id']}").json() == again
    found = client.post("/api/search", data={"query_id": first["query_id"], "box": "1,1,30,30", "refine": 0}).json()
    assert found["query"]["query_id"] == first["query_id"]
    assert client.get("/api/queries/other").status_code == 404
    other = client.post("/api/queries", files={"image": ("a.png", stream.getvalue() + b" ")}).json()
    assert other["query_id"] != first["query_id"]


def test_the_client_hears_it_all_and_a_server_of_before_is_understood(app):
    with listening(app) as port:
        asked = Client(f"http://127.0.0.1:{port}")
        so_far, told = [], []
        answer = asked.search(3, top=5, on_answer=so_far.append, on_progress=lambda *at: told.append(at))
        assert answer == asked.search(3, top=5)
        assert [len(each["results"]) for each in so_far] == [5]
        assert (12, 12, "refining boxes") in told
        before = {"query": {}, "collection": {}, "results": []}
        assert asked._last([json.dumps(before)], None, None) == before
        with pytest.raises(ServerError, match="the disk is gone") as caught:
            asked._last(['{"problem": {"status": 503, "detail": "the disk is gone"}}'], None, None)
        assert caught.value.status == 503
        with pytest.raises(ValueError, match="broke off"):
            asked._last(['{"progress": {"doing": "", "done": 1, "total": 2}}'], None, None)


def test_the_command_line_hears_what_a_server_is_doing(app, monkeypatch):
    heard = []
    monkeypatch.setattr("patchseek.server.client.Client._last", lambda *given: heard.append(given[3]) or found)
    found = {"query": {}, "collection": {}, "results": []}
    with listening(app) as port:
        asked = ["search", "--image-id", "3", "--server", f"http://127.0.0.1:{port}", "--json"]
        done = CliRunner().invoke(cli.cli, asked)
    assert done.exit_code == 4
    assert callable(heard[0])
    assert json.loads(done.stdout)["results"] == []
