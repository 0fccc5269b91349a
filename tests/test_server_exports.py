"""Results over HTTP in every format: of a search, and of what a page shows."""

import csv
import io
import json
import re
import zipfile
from importlib.resources import files

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


def test_the_menu_of_the_page_has_every_format_and_calls_files_as_the_command_line_does():
    script = files("patchseek.server").joinpath("web/exports.js").read_text(encoding="utf-8")
    menu = re.search(r"^const FORMATS = \{(.*?)^\};", script, re.DOTALL | re.MULTILINE)[1]
    suffixes = dict(re.findall(r'^  "?([\w-]+)"?: \["[^"]+", "(\w+)"\],$', menu, re.MULTILINE))
    assert suffixes == {
        name: "zip" if each.is_folder else each.suffixes[0][1:] for name, each in FORMATS.items() if name != "json"
    }


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


def boxes_in(coco):
    return [(a["image_id"], a["bbox"], a.get("verdict")) for a in json.loads(coco.content)["annotations"]]


def test_a_search_has_the_box_that_somebody_said_yes_to(client):
    found = client.post("/api/search", data=ASKED | {"top": 3}).json()
    key, (first, second, third) = found["query_key"], found["results"]
    for result, verdict in ((second, "yes"), (third, "no")):
        said = {"query_key": key, "image_id": result["image_id"], "box": [1, 2, 30, 20], "verdict": verdict}
        assert client.put("/api/judgements", json=said).status_code == 200
    asked = ASKED | {"top": 3}
    assert boxes_in(client.post("/api/search", data=asked | {"format": "coco"})) == [
        (first["image_id"], first["box"], None),
        (second["image_id"], [1, 2, 30, 20], "yes"),
        (third["image_id"], third["box"], "no"),
    ]
    rows = list(csv.DictReader(io.StringIO(client.post("/api/search", data=asked | {"format": "csv"}).text)))
    assert [row["verdict"] for row in rows] == ["", "yes", "no"]
    assert [rows[1][side] for side in "xywh"] == ["1", "2", "30", "20"]
    lines = client.post("/api/search", data=asked | {"format": "jsonl"}).text.splitlines()
    assert json.loads(lines[1])["box"] == json.loads(lines[1])["judged_box"] == [1, 2, 30, 20]
    whole = client.post("/api/search", data=asked | {"format": "json"}).json()["results"][1]
    assert (whole["box"], whole["judged_box"], whole["verdict"]) == (second["box"], [1, 2, 30, 20], "yes")


def test_what_a_page_shows_has_the_box_that_somebody_said_yes_to(client):
    copies = [{"box": [1, 2, 30, 20], "score": 0.5}, {"box": [40, 2, 20, 20], "score": 0.4}]
    shown = [
        {"image_id": 3, "box": [1, 2, 30, 20], "boxes": copies, "verdict": "yes", "judged_box": [5, 6, 7, 8.2]},
        {"image_id": 4, "box": [1, 2, 30, 20], "boxes": copies, "verdict": "yes", "judged_box": [1, 2, 30, 20]},
        {"image_id": 5, "box": [1, 2, 30, 20], "verdict": "unsure", "judged_box": [5, 6, 7, 8]},
    ]
    expected = [
        (3, [5, 6, 7, 8], "yes"),
        (4, [1, 2, 30, 20], "yes"),
        (4, [40, 2, 20, 20], "yes"),
        (5, [1, 2, 30, 20], "unsure"),
    ]
    assert boxes_in(client.post("/api/export", json={"format": "coco", "results": shown})) == expected
    copies[0]["outline"] = [[1, 2], [31, 2], [31, 22], [1, 22]]
    query = {"image": "photo.jpg", "box": [1, 2, 3, 4]}
    lines = client.post(
        "/api/export", json={"format": "jsonl", "results": shown[1:2], "query": query}
    ).text.splitlines()
    assert ["outline" in json.loads(line) for line in lines] == [True, False], "each place has its own"
    rows = client.post("/api/export", json={"format": "csv", "results": shown, "query": query}).text
    told = csv.DictReader(io.StringIO(rows))
    assert [(int(r["image_id"]), [int(r[side]) for side in "xywh"], r["verdict"]) for r in told] == expected
    whole = client.post("/api/export", json={"format": "json", "results": shown}).json()["results"][0]
    assert (whole["box"], whole["judged_box"], len(whole["boxes"])) == ([1, 2, 30, 20], [5, 6, 7, 8], 2)
    outside = [{**shown[0], "judged_box": [900, 2, 3, 4]}]
    assert client.post("/api/export", json={"format": "coco", "results": outside}).status_code == 422


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
