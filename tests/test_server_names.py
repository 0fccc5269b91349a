"""Places, tags and days over HTTP: the answers of the library, and whatever is wrong is one sentence."""

import pytest
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.server import ServerSettings, create_app

NAMES = ["image[1].png", "image1.png", "Fotos [alt]/a.png", "K\u00e4se/c.png", "raw/deep/d.png"]


@pytest.fixture
def client(tmp_path, tiny, make_folder):
    collection = Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    collection.add(make_folder(*NAMES))
    collection.tag("Mu\u0308ller", "image1.png")
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


def images(client, **form):
    answer = client.post("/api/search", data={"image_id": 1, "refine": 0, **form})
    assert answer.status_code == 200, answer.text
    return {result["image"] for result in answer.json()["results"]}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"under": "image[1].png"}, {"image[1].png"}),
        ({"under": "image[12].png"}, {"image1.png"}),
        ({"under": ["Fotos [alt]/", "./Ka\u0308se"]}, {"Fotos [alt]/a.png", "K\u00e4se/c.png"}),
        ({"under": ["*", "!*.png/", "!raw"]}, None),
        ({"under": ["*", "!raw"]}, set(NAMES) - {"raw/deep/d.png"}),
        ({"under": "**/deep/**"}, {"raw/deep/d.png"}),
        ({"under": ""}, set(NAMES)),
        ({"tags": "M\u00fcller"}, {"image1.png"}),
        ({"since": "0001-01-01", "until": "9999-12-31"}, set(NAMES)),
        ({"since": "9999-12-31T23:59:59+14:00"}, set()),
        ({"until": "0001-01-01T00:00:00-14:00"}, set()),
        ({"since": "2300-01-01"}, set()),
        ({"since": "2024-13-45"}, None),
        ({"until": "99999-01-01"}, None),
        ({"under": "IMAGE1.png"}, None),
        ({"under": "*a" * 400 + "b"}, None),
        ({"under": "[z-a]"}, None),
    ],
)
def test_a_search_over_http_is_limited_as_any_other(client, form, expected):
    if expected is not None:
        assert images(client, **form) == expected
        return
    answer = client.post("/api/search", data={"image_id": 1, **form})
    assert answer.status_code == 422
    assert "\n" not in answer.json()["detail"]


def test_a_place_that_means_nothing_is_answered_with_what_may_have_been_meant(client):
    answer = client.post("/api/search", data={"image_id": 1, "under": "IMAGE1.png"})
    detail = "no picture of the collection matches 'IMAGE1.png'; did you mean 'image1.png'?"
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


def test_names_are_listed_by_a_part_in_whatever_letters(client):
    for part in ("K\u00c4SE", "ka\u0308s"):
        assert client.get("/api/images", params={"name": part}).json()["total"] == 1
