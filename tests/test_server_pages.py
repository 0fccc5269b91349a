"""Pages of a TIFF in the HTTP API: each has its own thumbnail, and a file goes when its last page is taken out."""

from io import BytesIO

import pytest
from PIL import Image
from starlette.testclient import TestClient

from patchseek.server import ServerSettings, create_app

from .conftest import blot
from .test_pages import scan
from .test_server import finish


@pytest.fixture
def client(server_collection, tmp_path):
    scan(tmp_path / "pictures" / "scan.tif", 101, 102, 103)
    server_collection.add(tmp_path / "pictures")
    with TestClient(create_app(server_collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


def shown(client, number):
    return Image.open(BytesIO(client.get(f"/api/images/{number}/picture").content)).convert("RGB")


def is_alike(one, two):
    """Whether two pictures are the same but for the losses of JPEG."""
    return (
        sum(abs(a - b) for a, b in zip(one.resize((8, 6)).tobytes(), two.resize((8, 6)).tobytes(), strict=True)) < 2000
    )


def test_each_page_has_a_thumbnail_and_a_tag_of_its_own(client):
    listed = {image["image"]: image["image_id"] for image in client.get("/api/images?name=scan").json()["images"]}
    assert listed.keys() == {"scan.tif", "scan.tif#2", "scan.tif#3"}
    tags = set()
    for page, seed in (("scan.tif", 101), ("scan.tif#2", 102), ("scan.tif#3", 103)):
        assert is_alike(shown(client, listed[page]), blot(seed))
        assert not is_alike(shown(client, listed[page]), blot(seed + 1))
        tags.add(client.get(f"/api/images/{listed[page]}/thumbnail").headers["etag"])
    assert len(tags) == 3


def test_a_page_is_found_and_can_be_the_query(client):
    listed = {image["image"]: image["image_id"] for image in client.get("/api/images?name=scan").json()["images"]}
    best = client.post("/api/search", data={"image_id": listed["scan.tif#3"]}).json()["results"][0]
    assert (best["image"], best["image_id"]) == ("scan.tif#3", listed["scan.tif#3"])


def test_an_uploaded_scan_is_deleted_with_its_last_page(client, server_collection, tmp_path):
    content = scan(tmp_path / "upload.tif", 104, 105).read_bytes()
    job = finish(client, client.post("/api/images", files={"image": ("upload.tif", content)}))
    assert job["report"]["added"] == 2
    listed = [image["image_id"] for image in client.get("/api/images?name=upload").json()["images"]]
    for number, n_left in zip(listed, (1, 0), strict=True):
        finish(client, client.delete(f"/api/images/{number}"))
        assert len(list((server_collection.path / "uploads").iterdir())) == n_left


def test_each_page_is_a_query_of_its_own(client):
    listed = client.get("/api/images", params={"name": "scan.tif"}).json()["images"]
    assert len(listed) == 3
    for page in listed:
        answer = client.post("/api/search", data={"image_id": page["image_id"], "top": 1, "refine": 0}).json()
        assert answer["results"][0]["image_id"] == page["image_id"]
