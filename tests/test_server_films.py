"""Films over HTTP: the file that a frame is of, or a part of it, for those who may see the frames; nothing else."""

import shutil

import pytest
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.server import ServerSettings, create_app
from patchseek.server._films import TYPES
from patchseek.sources import FILMS

from .test_filmed import shots

pytestmark = pytest.mark.extra("video")
TOKEN = "a-token-for-tests"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A film of two shots."""
    return shots(tmp_path_factory.mktemp("made") / "tape.mp4", 1, 2)


@pytest.fixture
def collection(server_collection, make_folder, made):
    """The pictures of server_collection, and a film whose name no header can hold as it is."""
    folder = make_folder("0.png", folder="films")
    shutil.copy(made, folder / "Früh \"<b>'.mp4")
    shutil.copy(made.with_name("tape.mp4"), folder / "x.html.mp4")
    with (folder / "x.html.mp4").open("ab") as file:
        file.write(b"<script>alert(1)</script>")
    server_collection.add(folder, inside=["video"])
    return server_collection


@pytest.fixture
def client(collection):
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


def frames(collection: Collection, name: str) -> list[int]:
    """The numbers of a film's frames."""
    images = collection.store.images([number for number, _, _ in collection.store.paths()])
    return [image.id for image in images if image is not None and image.stored.file.name == name]


def films(collection):
    return [f"/api/images/{frames(collection, name)[-1]}/film" for name in ("Früh \"<b>'.mp4", "x.html.mp4")]


def test_the_film_of_a_frame_is_sent_as_it_is(client, collection, made):
    for number in frames(collection, "Früh \"<b>'.mp4"):
        answer = client.get(f"/api/images/{number}/film")
        assert (answer.status_code, answer.content) == (200, made.read_bytes())
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == "inline; filename*=utf-8''Fr%C3%BCh%20%22%3Cb%3E%27.mp4"


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-99", 0, 100), ("bytes=500-", 500, None), ("bytes=-7", -7, None), ("bytes=9-99999999", 9, None)],
)
def test_a_part_is_exactly_those_bytes(client, collection, made, asked, begin, end):
    whole = made.read_bytes()
    answer = client.get(films(collection)[0], headers={"range": asked})
    assert (answer.status_code, answer.content) == (206, whole[begin:end])
    first = whole.index(answer.content)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "bytes=", "bytes=-", "lines=0-1", "x", "bytes=a-b"])
def test_what_names_no_one_part_is_answered_with_the_whole(client, collection, made, asked):
    answer = client.get(films(collection)[0], headers={"range": asked})
    assert (answer.status_code, len(answer.content)) == (200, made.stat().st_size)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_part_beyond_the_end_is_refused_in_a_sentence(client, collection, made, asked):
    answer = client.get(films(collection)[0], headers={"range": asked})
    assert answer.status_code == 416
    assert answer.json() == {"detail": f"the film has {made.stat().st_size} bytes"}
    assert answer.headers["content-range"] == f"bytes */{made.stat().st_size}"


def test_a_part_of_a_film_that_is_another_now_is_the_whole(client, collection):
    place = films(collection)[0]
    tag = client.get(place).headers["etag"]
    asked = {"range": "bytes=0-99"}
    assert client.get(place, headers=asked | {"if-range": tag}).status_code == 206
    assert client.get(place, headers=asked | {"if-range": '"another"'}).status_code == 200


def test_head_says_the_same_and_reads_nothing(client, collection, made, monkeypatch):
    monkeypatch.setattr("anyio.open_file", None)
    place = films(collection)[0]
    answer = client.head(place)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(made.stat().st_size)
    assert client.head(place, headers={"range": "bytes=0-9"}).headers["content-length"] == "10"


def test_whatever_is_in_a_film_it_is_sent_as_a_video_that_runs_nothing(client, collection):
    answer = client.get(films(collection)[1])
    assert b"<script>" in answer.content
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "media-src 'self'" in policy
    assert TYPES.keys() == FILMS
    assert {kind.partition("/")[0] for kind in TYPES.values()} == {"video", "application"}


def test_a_picture_that_is_in_no_film_has_none(client, collection):
    assert len(frames(collection, "1.png")) == 1
    assert client.get("/api/images/1/film").json() == {"detail": "1.png is no frame of a film"}
    for path in ("/api/images/1/film", "/api/images/9999/film"):
        assert client.get(path).status_code == 404
    assert client.get("/api/images/0/film").status_code == 422


def test_a_film_that_is_gone_is_said_to_be_without_its_place(client, collection, tmp_path):
    place = films(collection)[1]
    image = collection.store.images([frames(collection, "x.html.mp4")[0]])[0]
    image.stored.file.unlink()
    for _ in range(2):
        answer = client.get(place)
        assert answer.status_code == 404
        assert "the film is not there any more" in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
        image.stored.file.mkdir(exist_ok=True)  # no more of a film


def test_what_is_removed_from_the_collection_is_not_sent(client, collection):
    place = films(collection)[0]
    number = int(place.split("/")[3])
    assert client.delete(f"/api/images/{number}").status_code == 202
    while client.get(place).status_code != 404:
        pass


def test_a_film_is_guarded_as_its_frames_are(collection):
    app = create_app(collection, ServerSettings(token=TOKEN))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        place = films(collection)[0]
        assert client.get(place).status_code == 401
        own = {"authorization": f"Bearer {TOKEN}"}
        assert client.get(place, headers=own).status_code == 200
        embedded = own | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "video"}
        assert client.get(place, headers=embedded).status_code == 403


def test_a_find_says_when_it_is_shown(client, collection):
    assert len(frames(collection, "x.html.mp4")) == 2
    found = client.post("/api/search", data={"image_id": 1, "top": 30, "frames": True}).json()
    seconds = {result["image"]: result.get("seconds") for result in found["results"]}
    (moment,) = (path for path in seconds if path.startswith("x.html.mp4#t="))
    assert seconds[moment] == float(moment.partition("#t=")[2])
    assert (seconds["x.html.mp4"], seconds["1.png"]) == (0, None)
