"""The HTTP API as a program meets it, on small pictures and an encoder that can be followed by hand."""

import json
import threading
import time
import zipfile
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

import patchseek as ps
from patchseek.answers import SearchOptions
from patchseek.datasets import open_dataset
from patchseek.records import match_record
from patchseek.server import ServerSettings, create_app
from patchseek.server._answers import AHEAD
from patchseek.server.client import Client, ServerError

from .conftest import LIMIT, blot, wait_for


@pytest.fixture
def allowed(make_folder) -> Path:
    return make_folder("new/1.png", "new/2.png", "3.png", folder="allowed")


@pytest.fixture
def client(server_collection, allowed):
    app = create_app(server_collection, ServerSettings(allow_dirs=(allowed,), max_pixels=1_000_000))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


@pytest.fixture
def photo(tmp_path) -> bytes:
    """A photograph that holds the lower right quarter of picture 5.png at 100, 40."""
    quarter = Image.open(tmp_path / "pictures" / "5.png").crop((32, 24, 64, 48)).resize((64, 48))
    photo = Image.new("RGB", (240, 180), "grey")
    photo.paste(quarter, (100, 40))
    stream = BytesIO()
    photo.save(stream, "PNG")
    return stream.getvalue()


def finish(client, answer):
    """The record of a job when it is over."""
    assert answer.status_code == 202, answer.text
    while True:
        job = client.get(f"/api/jobs/{answer.json()['job_id']}").json()
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.02)


# ---- search


def test_an_uploaded_picture_and_a_box_find_the_picture_and_the_place(client, photo):
    answer = client.post("/api/search", files={"image": ("photo.png", photo)}, data={"box": "100,40,64,48", "top": 3})
    assert answer.status_code == 200
    found = answer.json()
    assert len(found["results"]) == 3
    best = found["results"][0]
    assert (best["rank"], best["image"], best["box"]) == (1, "5.png", [32, 24, 32, 24])
    assert (best["bbox_format"], best["width"], best["height"]) == ("xywh_px", 64, 48)
    query = {key: found["query"][key] for key in ("image", "box", "width", "height")}
    assert query == {"image": "photo.png", "box": [100, 40, 64, 48], "width": 240, "height": 180}


def test_the_results_are_those_of_the_library(client, server_collection, photo):
    matches = server_collection.search(photo, box=(0.4, 0.2, 0.3, 0.3), top=12)
    expected = [match_record(rank, match) for rank, match in enumerate(matches, 1)]
    form = {"box": "0.4,0.2,0.3,0.3", "top": 12}
    assert client.post("/api/search", files={"image": photo}, data=form).json()["results"] == expected


def test_pages_continue_each_other(client):
    whole = client.post("/api/search", data={"image_id": 1, "top": 9}).json()["results"]
    pages = [client.post("/api/search", data={"image_id": 1, "top": 3, "skip": n}).json()["results"] for n in (0, 3, 6)]
    assert [*pages[0], *pages[1], *pages[2]] == whole
    assert client.post("/api/search", data={"image_id": 1, "skip": 50}).json()["results"] == []


def test_a_picture_is_sent_once_and_searched_often(client, photo):
    sent = client.post("/api/queries", files={"image": ("photo.png", photo)})
    assert (sent.status_code, sent.json()["width"], sent.json()["height"]) == (201, 240, 180)
    key = sent.json()["query_id"]
    for box, best in (("100,40,64,48", "5.png"), ("", None)):
        found = client.post("/api/search", data={"query_id": key, "box": box}).json()
        assert best in (None, found["results"][0]["image"])
    shown = Image.open(BytesIO(client.get(f"/api/queries/{key}/picture").content))
    assert (shown.format, shown.size) == ("JPEG", (240, 180))


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({}, 422, "nothing to look for"),
        ({"image_id": 999}, 404, "no picture with id 999"),
        ({"query_id": "guess"}, 404, "send it again"),
        ({"image_id": 1, "box": "1,2,3"}, 422, "four numbers"),
        ({"image_id": 1, "box": "0,0,500,500"}, 422, "box"),
        ({"image_id": 1, "box": "nan,0,1,1"}, 422, "box"),
        ({"image_id": 1, "box": ["", ""]}, 422, "a box for each of 1 picture is needed, found 2"),
        ({"image_id": 1, "top": 0}, 422, "top"),
        ({"image_id": -1}, 422, "image_id"),
        ({"image_id": 1, "text": "a red cup"}, 422, "cannot do that: text"),
        ({"image_id": [1] * 11}, 422, "at most 10"),
        ({"text": "a red cup"}, 422, "nothing to look for|words"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(client, form, status, words):
    import re

    answer = client.post("/api/search", data=form)
    assert answer.status_code == status
    assert re.search(words, answer.json()["detail"]), answer.text


@pytest.mark.parametrize("content", [b"just text", b"", b"\x89PNG\r\n\x1a\n broken", b"GIF89a"])
def test_what_is_no_picture_is_refused_by_its_name(client, content):
    answer = client.post("/api/search", files={"image": ("<b>notes</b>.txt", content)})
    assert answer.status_code == 422
    assert "<b>notes</b>.txt" in answer.json()["detail"]


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(client):
    stream = BytesIO()
    Image.new("L", (2000, 1000)).save(stream, "PNG")
    answer = client.post("/api/queries", files={"image": ("large.png", stream.getvalue())})
    assert answer.status_code == 422
    assert "2000 x 1000 pixels" in answer.json()["detail"]


def test_searches_of_many_clients_at_once_all_get_their_own_answer(client):
    alone = [client.post("/api/search", data={"image_id": i, "top": 12}).json()["results"] for i in range(1, 13)]
    together = [None] * 36

    def ask(n):
        together[n] = client.post("/api/search", data={"image_id": n % 12 + 1, "top": 12}).json()["results"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(36)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone * 3


def test_too_many_refined_searches_are_told_to_come_back_while_plain_ones_and_thumbnails_go_on(server_collection):
    gate = threading.Event()
    settings = ServerSettings(n_refined=1, n_waiting=1)
    with TestClient(create_app(server_collection, settings), base_url="http://127.0.0.1:8765") as client:
        services = client.app.state.services
        whole = services.collection.search

        def search(*args, **options):
            if options.get("refine") != 0:
                gate.wait(LIMIT)
            return whole(*args, **options)

        services.collection.search = search
        answers = [None, None]

        def ask(n):
            answers[n] = client.post("/api/search", data={"image_id": 1}).status_code

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: services.refined.n_calls == 2)
        refused = client.post("/api/search", data={"image_id": 1})
        plain = client.post("/api/search", data={"image_id": 1, "refine": 0})
        thumbnail = client.get("/api/images/1/thumbnail")
        gate.set()
        for thread in threads:
            thread.join()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "try again" in refused.json()["detail"]
    assert plain.status_code == thumbnail.status_code == 200
    assert answers == [200, 200]


def test_a_server_takes_every_option_that_a_search_takes(client):
    told = client.get("/openapi.json").json()
    (body,) = told["paths"]["/api/search"]["post"]["requestBody"]["content"].values()
    form = told["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    names = {field.name for field in fields(SearchOptions)}
    assert names <= form["properties"].keys()
    assert names - {"top"} <= client.get("/api/collection").json()["features"].keys()


@pytest.mark.parametrize(("name", "value"), [("expand", 2), ("min_confidence", 0.4)])
def test_what_was_only_asked_of_the_library_is_answered_as_there(client, server_collection, name, value):
    asked = {"image_id": 3, "box": "4,4,40,30", "top": 12, "refine": 4}
    found = client.post("/api/search", data=asked | {name: value}).json()["results"]
    whole = server_collection.search(3, box=(4, 4, 40, 30), top=12, refine=4, **{name: value})
    assert [result["image_id"] for result in found] == [match.image.id for match in whole]
    assert [result["score"] for result in found] == pytest.approx([match.score for match in whole], abs=1e-4)
    assert client.post("/api/search", data=asked | {name: -1}).status_code == 422


# ---- pictures


def test_pictures_are_listed_by_number_and_part_of_a_name(client):
    page = client.get("/api/images", params={"skip": 2, "limit": 4}).json()
    assert (page["total"], [image["image_id"] for image in page["images"]]) == (12, [3, 4, 5, 6])
    assert client.get("/api/images", params={"name": "2.P"}).json()["total"] == 2  # 2.png and 12.png
    assert client.get("/api/images/1").json()["width"] == 64
    assert client.get("/api/images/99").status_code == 404


def test_a_thumbnail_is_a_new_jpeg_that_a_browser_may_keep(client):
    answer = client.get("/api/images/1/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(answer.content)).format == "JPEG"
    again = client.get("/api/images/1/thumbnail", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/images/1/picture").status_code == 200


def test_a_thumbnail_of_a_changed_file_is_kept_by_nobody(client, tmp_path):
    file = tmp_path / "pictures" / "3.png"
    number = client.get("/api/images", params={"name": "3.png"}).json()["images"][0]["image_id"]
    before = file.read_bytes()
    Image.new("RGB", (64, 48), "red").save(file)
    changed = client.get(f"/api/images/{number}/thumbnail")
    assert Image.open(BytesIO(changed.content)).getpixel((10, 10))[1:] < (10, 10)
    assert (changed.headers["cache-control"], changed.headers.get("etag")) == ("no-store", None)
    file.write_bytes(before)
    again = client.get(f"/api/images/{number}/thumbnail")
    assert again.content != changed.content
    assert again.headers["etag"]


def test_a_picture_that_is_gone_from_its_folder_is_told_in_words(client, tmp_path):
    (tmp_path / "pictures" / "3.png").unlink()
    number = client.get("/api/images", params={"name": "3.png"}).json()["images"][0]["image_id"]
    answer = client.get(f"/api/images/{number}/thumbnail")
    assert answer.status_code == 422
    assert "no such file" in answer.json()["detail"]


def test_a_folder_is_opened_on_the_screen_of_this_machine_alone(client, viewer, tmp_path):
    assert client.post("/api/images/1/reveal").status_code == 204
    wait_for(viewer.is_file)
    assert viewer.read_text() == str(tmp_path / "pictures")


@pytest.mark.parametrize(
    "path",
    [
        "/api/images/..%2f..%2fetc%2fpasswd/thumbnail",
        "/api/images/../../etc/passwd",
        "/api/images/%2e%2e/picture",
        "/web/../_app.py",
        "/web/%2e%2e/_app.py",
        "/web/..%2f_guard.py",
        "/web//etc/passwd",
        "/api/queries/..%2f..%2fcatalogue.sqlite/picture",
        "/api/folders/..%2f/index",
    ],
)
def test_no_path_leads_out(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404, 405, 422)
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_the_collection_says_what_it_is_what_failed_and_what_is_offered(client, allowed):
    found = client.get("/api/collection").json()
    assert (found["images"], found["encoder"], found["n_failures"]) == (12, "tiny", 1)
    assert found["failures"][0]["image"] == "broken.jpg"
    assert found["folders"] == [{"folder_id": 0, "name": "allowed", "path": str(allowed)}]
    assert found["features"]["text"] is False
    assert found["features"]["paths"] is True


def test_with_a_token_no_path_of_the_machine_is_told(server_collection, allowed):
    settings = ServerSettings(token="a-token-for-tests", allow_dirs=(allowed,))
    headers = {"authorization": "Bearer a-token-for-tests"}
    with TestClient(create_app(server_collection, settings), base_url="http://127.0.0.1", headers=headers) as client:
        assert str(allowed.parent) not in client.get("/api/collection").text
        assert client.get("/api/images/1").json()["file"] is None
        assert client.post("/api/images/1/reveal").status_code == 403
        found = client.post("/api/search", data={"image_id": 1})
        assert str(allowed.parent) not in found.text


# ---- changes


@pytest.mark.posix  # its name is one that Windows has not
def test_an_uploaded_picture_can_be_found_and_taken_out_again(client, server_collection):
    stream = BytesIO()
    blot(77).save(stream, "PNG")
    job = finish(client, client.post("/api/images", files={"image": ("../<b>new</b>.png", stream.getvalue())}))
    assert (job["state"], job["report"]["added"]) == ("done", 1)
    best = client.post("/api/search", files={"image": stream.getvalue()}).json()["results"][0]
    assert best["image"].startswith("<b>new<-") or best["image"].startswith("b>-")
    kept = list((server_collection.path / "uploads").iterdir())
    assert len(kept) == 1
    job = finish(client, client.delete(f"/api/images/{best['image_id']}"))
    assert (job["state"], job["report"]["removed"]) == ("done", 1)
    assert client.get(f"/api/images/{best['image_id']}").status_code == 404
    assert not list((server_collection.path / "uploads").iterdir())
    job = finish(client, client.post("/api/images", files={"image": ("../<b>new</b>.png", stream.getvalue())}))
    assert job["report"]["added"] == 1, "sent again, it is wanted again"


def test_taking_a_picture_out_leaves_its_owners_file_and_keeps_it_out(client, server_collection, tmp_path):
    finish(client, client.delete("/api/images/1"))
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 12
    assert client.get("/api/collection").json()["images"] == 11
    assert server_collection.add(tmp_path / "pictures").passed_over["taken out"] == 1


def test_what_is_no_picture_is_not_added(client, server_collection):
    answer = client.post("/api/images", files={"image": ("a.jpg", b"no picture")})
    assert answer.status_code == 422
    assert not (server_collection.path / "uploads").exists()


def test_an_allowed_folder_is_indexed_and_its_progress_streams(client):
    answer = client.post("/api/folders/0/index")
    job_id = answer.json()["job_id"]
    with client.stream("GET", f"/api/jobs/{job_id}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        text = "".join(events.iter_text())
    last = json.loads(text.strip().rpartition("data: ")[2])
    assert "event: end" in text
    assert (last["state"], last["done"], last["total"], last["report"]["added"]) == ("done", 3, 3, 3)
    assert last["doing"] == "encoding pictures"
    assert client.get("/api/collection").json()["images"] == 15
    assert client.get("/api/jobs").json()[0]["job_id"] == job_id


def test_a_folder_that_was_not_allowed_cannot_be_named(client):
    assert client.post("/api/folders/1/index").status_code == 404
    assert client.post("/api/folders/-1/index").status_code == 422


def test_a_cancelled_job_ends_and_keeps_what_was_finished(client):
    services = client.app.state.services
    entered, told = threading.Event(), threading.Event()
    encoder = services.collection.encoder.encoder
    original = encoder.encode

    def slow(patches):
        entered.set()
        told.wait(LIMIT)
        return original(patches)

    encoder.encode = slow
    started = client.post("/api/folders/0/index")
    assert entered.wait(LIMIT)
    assert client.delete(f"/api/jobs/{started.json()['job_id']}").status_code == 200
    told.set()
    assert finish(client, started)["state"] == "cancelled"
    encoder.encode = original
    assert finish(client, client.post("/api/folders/0/index"))["state"] == "done"
    assert client.get("/api/collection").json()["images"] == 15


# ---- what is saved


def test_a_contact_sheet_shows_query_and_results(client):
    results = client.post("/api/search", data={"image_id": 1, "top": 3}).json()["results"]
    refs = [{key: result[key] for key in ("image_id", "box", "score")} for result in results]
    answer = client.post("/api/sheet", json={"query": {"image_id": 1, "box": [0, 0, 32, 24]}, "results": refs})
    assert Image.open(BytesIO(answer.content)).format == "PNG"
    sure, unsure = (
        client.post("/api/sheet", json={"results": [ref | {"confidence": value} for ref in refs]}) for value in (1, 0)
    )
    assert sure.content != unsure.content
    assert client.post("/api/sheet", json={"results": [refs[0] | {"confidence": 1.5}]}).status_code == 422
    assert client.post("/api/sheet", json={"results": []}).status_code == 422


def test_judged_results_become_a_set_that_eval_reads(client, photo, tmp_path):
    key = client.post("/api/queries", files={"image": ("photo.png", photo)}).json()["query_id"]
    results = client.post("/api/search", data={"query_id": key, "box": "100,40,64,48"}).json()["results"]
    judged = {
        "name": "quarter/of 5",
        "query": {"query_id": key, "box": [100, 40, 64, 48]},
        "right": [{key: results[0][key] for key in ("image_id", "box")}],
        "unsure": [results[1]["image_id"]],
    }
    answer = client.post("/api/judgements", json={"objects": [judged]})
    assert answer.headers["content-type"] == "application/zip"
    zipfile.ZipFile(BytesIO(answer.content)).extractall(tmp_path / "set")
    data = open_dataset(str(tmp_path / "set"))
    assert (len(data.queries), len(data.gallery)) == (1, 12)
    truth = data.truth[data.queries[0].id]
    assert list(truth.positives) == [f"g-{results[0]['image_id']}"]
    assert list(truth.ignored) == [f"g-{results[1]['image_id']}"]
    assert data.queries[0].boxes[0] == (100, 40, 64, 48)
    assert data.gallery[0].image.is_file()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e300"])
def test_numbers_that_are_no_box_are_refused_in_what_is_saved(client, number):
    right = f'{{"image_id": 2, "box": [{number}, 0, 1, 1]}}'
    body = f'{{"objects": [{{"name": "a", "query": {{"image_id": 1}}, "right": [{right}]}}]}}'
    answer = client.post("/api/judgements", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


# ---- the rest


def test_metrics_count_by_route_and_never_by_path(client):
    client.get("/api/images/1/thumbnail")
    client.get("/api/images/2/thumbnail")
    client.get("/secret/path")
    text = client.get("/metrics").text
    assert 'route="/api/images/{image_id}/thumbnail",status="200"} 2.0' in text
    assert "secret" not in text
    assert "patchseek_pictures 12.0" in text


def test_the_page_and_its_documentation_load_nothing_from_elsewhere(client):
    import re

    web = Path(ps.__file__).parent / "server" / "web"
    for file in web.iterdir():
        addresses = re.findall(r"""https?://[^\s"'`<>)]+""", file.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name
        assert "innerHTML" not in file.read_text()
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").json()["info"]["title"] == "patchseek"


def test_the_client_says_what_went_wrong(tmp_path):
    with pytest.raises(ServerError, match="begins with http"):
        Client("localhost:8765")
    with pytest.raises(ServerError, match="no answer"):
        Client("http://127.0.0.1:9").search(1)
    with pytest.raises(ServerError, match="cannot be read"):
        Client("http://127.0.0.1:9").search(tmp_path / "none.jpg")


def test_options_travel_to_the_search(client, monkeypatch):
    from patchseek.server import _answers, _routes_images

    asked = []
    collection = client.app.state.services.collection
    monkeypatch.setattr(_answers, "offered", lambda _: frozenset(_answers.OPTIONS))
    monkeypatch.setattr(_routes_images, "offered", lambda _: frozenset(_answers.OPTIONS))
    monkeypatch.setattr(collection, "search", lambda query, **options: asked.append((query, options)) or [])
    features = client.get("/api/collection").json()["features"]
    assert all(features[name] for name in _answers.OPTIONS)
    form = {"image_id": [1, 2], "box": ["0,0,32,24", ""], "refine": 5, "several": True, "distinct": True, "exclude": 3}
    form |= {"turned": False, "mirrored": True}
    choice = {"under": ("trips", "*.png"), "tags": ("red",), "since": "2024-05-31", "until": "2024-06-01"}
    sent = form | choice | {"text": "a red cup", "top": 7, "skip": 7}
    assert client.post("/api/search", data=sent).status_code == 200
    pictures, options = asked[0]
    assert [picture.width for picture in pictures] == [64, 64]
    assert options.pop("exclude")[0].width == 64
    options.pop("on_step")()  # somebody waits
    assert options.pop("on_answer") is None  # in one piece
    options.pop("on_progress")
    assert options == {
        "box": [(0, 0, 32, 24), None],
        "top": 14,
        "refine": 5,
        "several": True,
        "distinct": True,
        "turned": False,
        "mirrored": True,
        "text": "a red cup",
        **choice,
    }
    assert client.post("/api/search", data={"text": "a red cup"}).json()["query"] == {"text": "a red cup"}
    query, options = asked[1]
    assert query is None
    assert (options["box"], options["top"], options["text"]) == (None, AHEAD, "a red cup")


def test_only_pictures_of_a_folder_answer(client):
    def ask(**choice):
        return client.post("/api/search", data={"image_id": [1], "refine": 0, "top": 100} | choice)

    every = [result["image"] for result in ask().json()["results"]]
    (one,) = ask(under=[every[3]]).json()["results"]
    assert one["image"] == every[3]
    assert "no picture of the collection matches 'nowhere'" in ask(under=["nowhere"]).json()["detail"]
    assert ask(until="2000-01-01").json()["results"] == []
    assert ask(since="soon").status_code == 422
