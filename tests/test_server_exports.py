"""Results over HTTP in every format: of a search, and of what a page shows."""

import io
import json
import zipfile

import pytest
from fastapi.testclient import TestClient

from patchseek.formats import FORMATS
from patchseek.server import ServerSettings, create_app

from .test_formats_written import with_its_library


@pytest.fixture
def client(server_collection):
    with TestClient(create_app(server_collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


ASKED = {"image_id": 5, "top": 2, "refine": 0, "label": "cup"}


@pytest.mark.parametrize("name", [with_its_library(name) for name in FORMATS if name != "json"])
def test_a_search_answers_in_every_format(name, client):
    answer = client.post("/api/search", data=ASKED | {"format": name})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="patchseek-{name}.')
    assert "x-left-out" not in answer.headers
    if FORMATS[name].is_folder:
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        assert len(names) >= 2 and not any(each.startswith(("/", "..")) for each in names)


def test_json_and_coco_have_the_results_of_the_plain_answer(client):
    results = client.post("/api/search", data=ASKED).json()["results"]
    assert client.post("/api/search", data=ASKED | {"format": "json"}).json()["results"] == results
    coco = client.post("/api/search", data=ASKED | {"format": "coco"}).json()
    assert [a["bbox"] for a in coco["annotations"]] == [r["box"] for r in results]
    assert coco["categories"][0]["name"] == "cup" and coco["info"]["encoder"] == "tiny"


def test_a_page_has_what_it_shows_written(client):
    shown = [
        {"image_id": 3, "box": [1, 2, 30.4, 20], "score": 0.5, "confidence": 0.9},
        {"image_id": 99, "box": [1, 2, 3, 4]},
    ]
    coco = client.post("/api/export", json={"format": "coco", "results": shown, "label": "cup"})
    assert coco.headers["content-type"] == "application/octet-stream"
    (found,) = json.loads(coco.content)["annotations"]
    assert (found["bbox"], found["score"], found["confidence"]) == ([1, 2, 30, 20], 0.5, 0.9)
    crops = client.post("/api/export", json={"format": "crops", "results": shown[:1]})
    assert zipfile.ZipFile(io.BytesIO(crops.content)).namelist()[0].startswith("00001-")


def test_what_cannot_be_written_is_one_sentence(client):
    for path, told in (("search", {"data": {"image_id": 1}}), ("export", {"json": {"results": []}})):
        kind = next(iter(told))
        answer = client.post(f"/api/{path}", **{kind: told[kind] | {"format": "nonsense"}})
        assert answer.status_code == 422 and answer.json()["detail"].startswith("format: one of json, jsonl, csv")
    outside = [{"image_id": 3, "box": [900, 2, 3, 4]}]
    answer = client.post("/api/export", json={"format": "coco", "results": outside})
    assert answer.status_code == 422 and "reaches outside" in answer.json()["detail"]


def test_pictures_that_cannot_be_cut_are_counted(client, tmp_path):
    next((tmp_path / "pictures").glob("3.png")).unlink()
    shown = [{"image_id": i, "box": [1, 2, 3, 4]} for i in range(1, 13)]
    answer = client.post("/api/export", json={"format": "crops", "results": shown})
    assert answer.headers["x-left-out"] == "1"
    assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) == 11
