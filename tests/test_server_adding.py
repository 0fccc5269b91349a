"""Sending several pictures, of which some cannot be added; and the places that a search may be limited to."""

from io import BytesIO

import pytest
from starlette.testclient import TestClient

import patchseek as ps
from patchseek.errors import PatchseekError
from patchseek.server import ServerSettings, _services, create_app
from patchseek.server._queue import Busy
from patchseek.store import Choice, Writer, folders_in

from .conftest import blot
from .test_server import finish

LETTER = ("letter.jpg", b"Dear reader")


@pytest.fixture
def client(server_collection):
    app = create_app(server_collection, ServerSettings(max_pixels=10_000))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


def picture(seed, **size):
    stream = BytesIO()
    blot(seed, **size).save(stream, "PNG")
    return f"{seed}.png", stream.getvalue()


def send(client, *files):
    return client.post("/api/images", files=[("image", file) for file in files])


def test_a_bad_file_among_others_is_told_and_stops_none(client, server_collection):
    answer = send(client, picture(71), LETTER, picture(72), picture(73, width=800, height=80), ("<b>.jpg", b""))
    told = {failure["image"]: failure["reason"] for failure in answer.json()["failures"]}
    assert set(told) == {"letter.jpg", "73.png", "<b>.jpg"}
    assert told["letter.jpg"].startswith("not a picture") and "letter" not in told["letter.jpg"]
    job = finish(client, answer)
    assert (job["state"], job["title"], job["report"]["added"]) == ("done", "2 pictures", 2)
    assert {failure["image"]: failure["reason"] for failure in job["failures"]} == told
    assert len(list((server_collection.path / "uploads").iterdir())) == 2
    assert len(server_collection) == 14


def test_where_every_file_is_bad_each_is_told_and_no_job_begins(client):
    answer = send(client, *[(f"{i}.jpg", b"no picture") for i in range(5)])
    assert answer.status_code == 422
    detail, failures = answer.json()["detail"], answer.json()["failures"]
    assert detail.startswith("none of the 5 files can be added: 0.jpg: ") and detail.endswith("; and 2 more")
    assert [failure["image"] for failure in failures] == [f"{i}.jpg" for i in range(5)]
    assert client.get("/api/jobs").json() == []
    alone = send(client, LETTER)
    assert alone.status_code == 422 and alone.json()["detail"].startswith("letter.jpg: not a picture")


def test_what_a_full_disk_refuses_is_told_of_that_file_alone(client, monkeypatch):
    write = _services.write_upload

    def refuse(collection, name, content):
        if name == "72.png":
            raise PatchseekError("the upload could not be kept (No space left on device)")
        write(collection, name, content)

    monkeypatch.setattr(_services, "write_upload", refuse)
    job = finish(client, send(client, picture(71), picture(72), picture(73)))
    assert job["report"]["added"] == 2
    assert job["failures"] == [{"image": "72.png", "reason": "the upload could not be kept (No space left on device)"}]
    alone = send(client, LETTER, picture(72))
    assert (alone.status_code, alone.json()["detail"]) == (
        500,
        "the upload could not be kept (No space left on device)",
    )


def test_a_busy_server_refuses_all_at_once_or_keeps_what_it_took(client, monkeypatch):
    services = client.app.state.services
    run, turns = services.decodes.run, []

    async def busy(*arguments):
        turns.append(1)
        if len(turns) >= 2:
            raise Busy(1)
        return await run(*arguments)

    monkeypatch.setattr(services.decodes, "run", busy)
    job = finish(client, send(client, picture(71), picture(72), picture(73)))
    assert job["report"]["added"] == 1
    assert [failure["image"] for failure in job["failures"]] == ["72.png", "73.png"]
    refused = send(client, picture(74), picture(75))
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) == 1


def test_folders_and_tags_are_listed_as_a_search_takes_them(tmp_path, tiny, make_folder):
    names = ["a.png", "trips/2024/may/1.png", "trips2/2.png", "[x]/3.png", "50% & _/4.png"]
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    collection.add(make_folder(*names))
    with Writer(collection.store) as writer:
        writer.tag("red things", [1])
    expected = ["50% & _", "[x]", "trips", "trips/2024", "trips/2024/may", "trips2"]
    assert folders_in(collection.store) == expected
    assert [len(Choice(under=folder).ids(collection.store)) for folder in expected] == [1, 1, 1, 1, 1, 1]
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        assert client.get("/api/places").json() == {"folders": expected, "n_folders": 6, "tags": ["red things"]}


def test_of_several_roots_they_are_listed_too_for_whoever_sits_at_the_machine(tmp_path, tiny, make_folder):
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    roots = [make_folder("in/1.png", folder=name) for name in ("one", "two")]
    for root in roots:
        collection.add(root)
    assert folders_in(collection.store) == sorted([*map(str, roots), "in"])
    assert [len(Choice(under=str(root)).ids(collection.store)) for root in roots] == [1, 1]
    for settings, listed in ((ServerSettings(), 3), (ServerSettings(public_url="http://127.0.0.1:8765"), 1)):
        with TestClient(create_app(collection, settings), base_url="http://127.0.0.1:8765") as client:
            assert len(client.get("/api/places").json()["folders"]) == listed


def test_of_very_many_folders_the_nearest_are_listed(tmp_path, tiny, make_folder):
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    collection.add(make_folder("a/b/c/1.png", "a/d/2.png", "e/3.png"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("patchseek.server._routes_images._PLACES", 3)
        with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
            found = client.get("/api/places").json()
    assert (found["folders"], found["n_folders"]) == (["a", "a/b", "e"], 5)
