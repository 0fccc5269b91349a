"""Saved queries over HTTP: kept with what was sent, asked in a job, judged, and names that are odd."""

from io import BytesIO
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.testclient import TestClient

from patchseek.server import ServerSettings, create_app
from patchseek.server.client import Client, ServerError

from .conftest import blot
from .live import listening
from .test_server import finish

BOX = [8, 6, 40, 30]
ODD = "a/b ../c \"d\" 'e' <script>alert(1)</script> ?&#%2F ü 写"


@pytest.fixture
def client(server_collection):
    with TestClient(create_app(server_collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


def png(picture):
    stream = BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def sent(client, content):
    return client.post("/api/queries", files={"image": ("meter.png", content)}).json()["query_id"]


def save(client, name="north", **fields):
    asked = {"name": name, "queries": [{"image_id": 3, "box": BOX}]} | fields
    return client.post("/api/saved", json=asked)


def run(client, **fields):
    return finish(client, client.post("/api/runs", json=fields))


def finds(client, name="north", **fields):
    return client.get(f"/api/saved/{quote(name, safe='')}", params=fields).json()


def test_what_was_sent_is_saved_asked_and_finds_what_a_search_finds(client):
    query_id = sent(client, png(blot(3)))
    answer = client.post("/api/search", data={"query_id": query_id, "box": "8,6,40,30", "top": 50}).json()
    made = save(client, queries=[{"query_id": query_id, "box": BOX}], note="a note", exclude=[7])  # 4.png
    assert made.status_code == 201, made.text
    query = made.json()
    assert (query["name"], query["note"], query["asked"], query["finds"]) == ("north", "a note", None, 0)
    assert query["query_key"] == answer["query_key"]  # what is judged there is judged here
    wanted, unwanted = query["views"]
    assert (wanted["image"], wanted["kept_box"], wanted["is_wanted"]) == ("meter.png", BOX, True)
    assert (unwanted["image"], unwanted["is_wanted"]) == ("4.png", False)
    job = run(client)
    assert (job["state"], job["report"]["queries"], job["report"]["looked_at"]) == ("done", 1, 12)
    page = finds(client)
    found = {find["image"]: find for find in page["finds"]}
    expected = {each["image"]: each for each in answer["results"] if each["image"] != "4.png"}
    assert page["total"] == len(found) and set(found) == set(expected)
    best = page["finds"][0]
    assert best["box"] == pytest.approx(expected[best["image"]]["box"], abs=4) and best["rank"] == 1
    assert (page["query"]["views"][0]["kept_width"], page["query"]["views"][0]["kept_height"]) == blot(3).size
    assert client.get("/api/saved").json()["queries"][0]["finds"] == page["total"]


def test_what_is_judged_is_open_no_more(client):
    key = save(client).json()["query_key"]
    run(client)
    assert finds(client, which="open")["total"] == finds(client)["query"]["sure"] == 1
    page = finds(client, which="unjudged")
    assert page["total"] == page["query"]["finds"] > 3 and page["query"]["open"] == 1
    judged = page["finds"][0]
    said = {"query_key": key, "image_id": judged["image_id"], "verdict": "no", "box": judged["box"]}
    assert client.put("/api/judgements", json=said).status_code == 200
    after = finds(client, which="unjudged")
    assert after["total"] == page["total"] - 1 and finds(client, which="open")["total"] == after["query"]["open"] == 0
    assert judged["image_id"] not in [find["image_id"] for find in after["finds"]]
    every = {find["image_id"]: find for find in finds(client, key)["finds"]}  # by its key
    assert every[judged["image_id"]]["verdict"] == "no" and after["query"]["judged"]["no"] == 1
    rest = finds(client, which="unjudged", skip=1, limit=2)["finds"]
    assert rest == after["finds"][1:3]


def nearly(tmp_path):
    """The picture that is searched with, but for one pixel."""
    picture = Image.open(tmp_path / "pictures" / "11.png").convert("RGB")
    picture.putpixel((0, 0), (1, 2, 3))
    return picture


def test_pictures_that_are_added_are_looked_at_and_what_is_found_is_new(client, tmp_path):
    save(client)
    run(client)
    assert client.get("/api/saved").json()["queries"][0]["new"] == 0  # the first time all is to be judged, none is news
    job = finish(client, client.post("/api/images", files=[("image", ("new.png", png(nearly(tmp_path))))]))
    assert job["report"]["added"] == 1
    asking = next(each for each in client.get("/api/jobs").json() if each["kind"] == "saved")
    asked = finish(client, client.post("/api/runs", json={"only_new": True}))  # comes after it
    assert asked["report"]["looked_at"] == 0
    done = client.get(f"/api/jobs/{asking['job_id']}").json()
    assert (done["state"], done["report"]["looked_at"]) == ("done", 1)
    query = client.get("/api/saved").json()["queries"][0]
    new = [find["image"] for find in finds(client)["finds"] if find["is_new"]]
    assert query["new"] == len(new) == 1 and new[0].startswith("new-")


def test_pictures_that_look_the_same_are_told_and_one_that_is_gone_has_no_number(client, server_collection, tmp_path):
    nearly(tmp_path).save(tmp_path / "pictures" / "nearly.png")
    server_collection.add(tmp_path / "pictures")
    save(client)
    run(client)
    same = [find["image"] for find in finds(client)["finds"] if find["same_as"] == find_of(client, "11.png")["same_as"]]
    assert set(same) == {"11.png", "nearly.png"}
    finish(client, client.delete(f"/api/images/{find_of(client, '1.png')['image_id']}"))
    gone = find_of(client, "1.png")
    assert gone["image_id"] is None and gone["images"] == []
    assert "1.png" not in [find["image"] for find in finds(client, which="unjudged")["finds"]]


def find_of(client, name):
    return next(find for find in finds(client)["finds"] if find["image"] == name)


def test_the_picture_that_is_kept_is_shown_whole_or_cut_out_and_nothing_else_is(client):
    rng_picture = Image.effect_noise((900, 700), 90).convert("RGB")  # no PNG below a megabyte: a part is kept
    query_id = sent(client, png(rng_picture.resize((1800, 1400))))
    (view,) = save(client, queries=[{"query_id": query_id, "box": [400, 300, 200, 100]}]).json()["views"]
    assert view["kept"] != view["sha256"] and view["kept_box"] == [50, 25, 200, 100]
    whole = client.get(f"/api/kept/{view['kept']}")
    assert Image.open(BytesIO(whole.content)).size == (300, 150) and "immutable" in whole.headers["cache-control"]
    cut = client.get(f"/api/kept/{view['kept']}", params={"box": "50,25,200,100", "small": True})
    width, height = Image.open(BytesIO(cut.content)).size
    assert abs(width - 261) <= 2 and abs(height - 131) <= 2
    assert client.get(f"/api/kept/{'0' * 64}").status_code == 404
    assert client.get(f"/api/kept/{view['kept']}", params={"box": "9e9,1,1,1"}).status_code == 422
    assert client.get(f"/api/kept/{view['kept']}", params={"box": "nan,1,1,1"}).status_code == 422
    client.delete("/api/saved/north")
    assert client.get(f"/api/kept/{view['kept']}").status_code == 404


def test_odd_names_are_names(client):
    name = ODD.replace("%2F", "")  # which the test's own client decodes twice
    assert save(client, name).status_code == 201
    assert run(client, names=[name])["state"] == "done"
    assert finds(client, name)["query"]["name"] == name
    removed = client.delete(f"/api/saved/{quote(name, safe='')}")
    assert removed.json() == {"removed": 1} and client.get("/api/saved").json() == {"queries": []}


def test_what_is_no_name_is_refused(client):
    for name in ("", " ", ".", "..", "a\nb", "\x00", "x" * 201):
        assert save(client, name).status_code == 422, name
    assert client.get("/api/saved").json() == {"queries": []}


def test_what_cannot_be_saved_or_asked_is_said(client):
    assert "nothing to look for" in save(client, queries=[]).json()["detail"]
    assert "words" in save(client, text="a red thing").json()["detail"]
    assert save(client, queries=[{}]).status_code == 422
    assert save(client, queries=[{"query_id": "gone"}]).status_code == 404
    assert save(client, queries=[{"image_id": 999}]).status_code == 404
    assert save(client, queries=[{"image_id": 3, "box": [0, 0, 900, 9]}]).status_code == 422
    assert "at most 10" in save(client, exclude=list(range(1, 11))).json()["detail"]
    assert save(client).status_code == 201
    assert "already" in save(client, queries=[{"image_id": 4}]).json()["detail"]
    assert save(client, queries=[{"image_id": 4}], replace=True).status_code == 201
    for answer in (client.get("/api/saved/south"), client.delete("/api/saved/south")):
        assert answer.status_code == 404 and "no saved query is called 'south'" in answer.json()["detail"]
    assert client.post("/api/runs", json={"names": ["south"]}).status_code == 404


def test_a_token_is_asked_for_and_named(server_collection):
    app = create_app(server_collection, ServerSettings(token="secret word"))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        assert save(client).status_code == client.post("/api/runs", json={}).status_code == 401
        assert client.get("/api/saved").status_code == client.delete("/api/saved/north").status_code == 401
        assert client.get(f"/api/kept/{'0' * 64}").status_code == 401
        client.headers["authorization"] = "Bearer secret word"
        assert save(client).json()["who"] == "token"


def test_the_client_saves_asks_lists_and_removes(server_collection, tmp_path):
    with listening(create_app(server_collection, ServerSettings())) as port:
        client, heard = Client(f"http://127.0.0.1:{port}"), []
        file = tmp_path / "pictures" / "3.png"
        made = client.save(ODD, file, box=BOX, note="a note")
        client.save("two views", [file.read_bytes(), 4], box=[None, BOX])
        job = client.run_saved(on_progress=lambda *told: heard.append(told))
        assert job["report"]["queries"] == 2 and heard
        assert [query["name"] for query in client.saved()] == sorted([ODD, "two views"])
        assert len(client.finds(ODD)) == made["finds"] + 12
        best = client.finds(ODD, limit=1)[0]
        client.judge(made["query_key"], best["image_id"], "yes", best["box"])
        assert best["image_id"] not in [find["image_id"] for find in client.finds(ODD, which="unjudged")]
        client.remove_saved(ODD)
        with pytest.raises(ServerError, match="no saved query is called"):
            client.finds(ODD)
        assert [query["name"] for query in client.saved()] == ["two views"]
