"""Proposed boxes by the HTTP API: of a picture that was sent, and of one of the collection."""

from io import BytesIO

import pytest
from PIL import Image
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.server import ServerSettings, create_app

from .conftest import TinyEncoder
from .test_proposals import RED, Mosaic, laid

BOX = (80, 40, 120, 120)


@pytest.fixture(params=[Mosaic, TinyEncoder])
def client(request, tmp_path):
    """A server over one picture, with an encoder that shows cells and with one that does not."""
    (tmp_path / "pictures").mkdir()
    Image.fromarray(laid((RED, BOX), size=(320, 320)).pixels).save(tmp_path / "pictures" / "red.png")
    collection = Collection.open(tmp_path / "collection", encoder=request.param(), points=False, create=True)
    collection.add(tmp_path / "pictures")
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        client.has_cells = request.param is Mosaic
        yield client


def test_boxes_are_proposed_in_pixels_where_the_encoder_shows_cells(client):
    stream = BytesIO()
    Image.fromarray(laid((RED, BOX), size=(320, 320)).pixels).save(stream, "PNG")
    sent = client.post("/api/queries", files={"image": ("red.png", stream.getvalue())}).json()
    told = client.get(f"/api/queries/{sent['query_id']}/proposals")
    assert told.status_code == 200
    found = told.json()
    assert (found["bbox_format"], found["width"], found["height"]) == ("xywh_px", 320, 320)
    assert client.get("/api/images/1/proposals").json() == found
    if client.has_cells:
        assert found["boxes"][0] == pytest.approx(BOX, abs=12)
    else:
        assert found["boxes"] == []


def test_of_what_is_not_there_nothing_is_proposed(client):
    assert client.get("/api/images/9/proposals").status_code == 404
    lost = client.get("/api/queries/lost/proposals")
    assert (lost.status_code, "send it again" in lost.json()["detail"]) == (404, True)
