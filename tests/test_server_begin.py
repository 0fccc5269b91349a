"""A folder of pictures of which nothing is indexed: it is offered, and nothing is written before somebody says so."""

from io import BytesIO

import pytest
from fastapi.testclient import TestClient

from patchseek import Collection
from patchseek.cli import cli
from patchseek.cli._serve import _opened
from patchseek.encode import find_new
from patchseek.errors import PatchseekError, StoreError
from patchseek.server import ServerSettings, create_app

from .conftest import blot
from .test_server import finish


@pytest.fixture
def folder(make_folder):
    return make_folder("a.png", "b.png", "sub/c.png")


@pytest.fixture
def client(tmp_path, tiny, folder):
    """A server of a collection that has not begun."""
    empty = Collection.open(tmp_path / "temporary" / "empty", encoder=tiny, create=True)
    settings = ServerSettings(allow_dirs=(folder,), begin_at=folder / ".patchseek")
    with TestClient(create_app(empty, settings), base_url="http://127.0.0.1:8765") as client:
        yield client


def test_the_folder_is_offered_with_what_it_would_take_and_nothing_is_written(client, folder):
    look = client.get("/api/folders/0").json()
    # 30 regions of 13 numbers in 2 bytes, and 800 points of 35 bytes
    assert look == {"folder_id": 0, "name": "pictures", "n_pictures": 3, "n_new": 3, "bytes_new": 3 * (780 + 28000)}
    about = client.get("/api/collection").json()
    assert (about["name"], about["path"], about["images"]) == ("pictures", str(folder / ".patchseek"), 0)
    assert client.post("/api/search", files={"image": (folder / "a.png").read_bytes()}).json()["results"] == []
    assert not (folder / ".patchseek").exists()
    assert client.get("/api/folders/1").status_code == 404


def test_once_somebody_says_so_it_is_indexed_where_it_belongs(client, folder, tiny):
    job = finish(client, client.post("/api/folders/0/index"))
    assert (job["state"], job["report"]["added"]) == ("done", 3)
    assert client.get("/api/folders/0").json()["n_new"] == 0
    best = client.post("/api/search", files={"image": (folder / "a.png").read_bytes()}).json()["results"][0]
    assert best["image"] == "a.png"
    assert client.get(f"/api/images/{best['image_id']}/thumbnail").status_code == 200
    assert len(Collection.open(folder, encoder=tiny)) == 3
    blot(9).save(folder / "new.png")
    look = client.get("/api/folders/0").json()
    assert (look["n_pictures"], look["n_new"]) == (4, 1)
    assert finish(client, client.post("/api/folders/0/index"))["report"]["added"] == 1


def test_what_has_begun_fetches_nothing_that_the_server_must_not(client):
    finish(client, client.post("/api/folders/0/index"))
    assert not client.app.state.services.collection.store.may_fetch


def test_who_adds_a_picture_begins_it_too(client, folder):
    stream = BytesIO()
    blot(77).save(stream, "PNG")
    job = finish(client, client.post("/api/images", files={"image": ("photo.png", stream.getvalue())}))
    assert job["report"]["added"] == 1
    assert len(list((folder / ".patchseek" / "uploads").iterdir())) == 1
    assert client.get("/api/collection").json()["images"] == 1


def test_where_it_cannot_be_made_the_job_says_so_and_the_server_goes_on(client, folder):
    (folder / ".patchseek").write_text("in the way")
    job = finish(client, client.post("/api/folders/0/index"))
    assert job["state"] == "failed"
    assert "cannot make a collection here" in job["error"]
    assert client.get("/api/collection").json()["images"] == 0


def test_a_folder_that_is_gone_is_a_sentence(client, folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    answer = client.get("/api/folders/0")
    assert (answer.status_code, answer.json()["detail"]) == (503, f"{folder}: not a folder")


def test_what_is_new_is_what_index_would_look_into(tmp_path, tiny, folder):
    collection = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    assert find_new(collection.store, folder) == (4, 4)
    collection.add(folder, exclude=["b.png"])
    assert find_new(collection.store, folder) == (3, 0), "left out, and known to be no picture"
    collection.remove("sub")
    assert find_new(collection.store, folder) == (3, 0), "taken out"
    blot(1).save(folder / "sub" / "d.png")
    assert find_new(collection.store, folder / "sub") == (2, 1), "a part of it"
    assert find_new(collection.store, tmp_path) == (4, 1), "and around it"
    with pytest.raises(PatchseekError, match="not a folder"):
        find_new(collection.store, tmp_path / "nowhere")


# ---- the command


def test_it_is_offered_to_whoever_sits_here_and_the_temporary_place_goes(folder, capsys):
    with _opened(folder, None, create=False, may_begin=True) as (opened, own, begin_at):
        assert (own, begin_at, len(opened)) == (folder, folder / ".patchseek", 0)
        place = opened.path
        assert place.exists() and not (folder / ".patchseek").exists()
    assert not place.exists()
    assert "nothing of" in capsys.readouterr().err


def test_others_are_offered_nothing(folder):
    for words in (["--host", "0.0.0.0"], ["--public-url", "https://pictures.example.org"]):
        with pytest.raises(StoreError, match="no collection here"):
            cli.main(["serve", str(folder), *words], standalone_mode=False)


def test_a_folder_inside_an_indexed_one_gets_no_second_collection(folder, tiny):
    Collection.open(folder / ".patchseek", encoder=tiny, create=True).add(folder)
    with (
        pytest.raises(StoreError, match=f"{folder}, around it, has one: patchseek serve {folder}"),
        _opened(folder / "sub", None, create=False, may_begin=True),
    ):
        pass
    with _opened(folder, None, create=False, may_begin=True) as (opened, own, begin_at):
        assert (opened.path, own, begin_at) == (folder / ".patchseek", folder, None), (
            "its own folder may be indexed again"
        )
