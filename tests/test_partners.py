"""How an object lies in a picture that nobody opens, and which of its points say so: from a search to every edge."""

import json
import math
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.cli import cli
from patchseek.cli._targets import WrongUse
from patchseek.draw import ANSWER, QUERY
from patchseek.records import match_record
from patchseek.search import FoundBox, Match, PartnerPoints
from patchseek.server import ServerSettings, create_app
from patchseek.store import Image as Stored

from .conftest import TinyEncoder

CUP = (77, 18, 401, 371)
"""The cup in its photograph, x y w h in pixels."""
TURN, SHARE, MIDDLE = 15.0, 0.6, (330, 260)
"""Degrees counter-clockwise by which it was turned, how much smaller, and where its middle was put."""


def in_scene(x, y):
    """Where in the scene a place in shares of the cup's box lies: turned about the middle, by the formula."""
    angle = math.radians(-TURN)  # y points down
    dx, dy = (x - 0.5) * CUP[2] * SHARE, (y - 0.5) * CUP[3] * SHARE
    return (
        MIDDLE[0] + dx * math.cos(angle) - dy * math.sin(angle),
        MIDDLE[1] + dx * math.sin(angle) + dy * math.cos(angle),
    )


CORNERS = [in_scene(*corner) for corner in ((0, 0), (1, 0), (1, 1), (0, 1))]


@pytest.fixture(scope="module")
def cup():
    return Image.fromarray(data.coffee())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cup):
    """Photographs without the cup, a scene with it, and a collection of them without an encoder worth the name."""
    folder = tmp_path_factory.mktemp("partners") / "pictures"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "rocket", "motorcycle_left", "colorwheel", "hubble_deep_field"):
        pixels = data.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(data, name)()
        Image.fromarray(pixels).convert("RGB").save(folder / f"{name}.png")
    x, y, w, h = CUP
    small = cup.crop((x, y, x + w, y + h)).convert("RGBA").resize((round(w * SHARE), round(h * SHARE)))
    turned = small.rotate(TURN, Image.Resampling.BICUBIC, expand=True)
    scene = Image.fromarray(data.brick()).convert("RGB").resize((640, 512))
    scene.paste(turned, (MIDDLE[0] - turned.width // 2, MIDDLE[1] - turned.height // 2), turned)
    scene.save(folder / "scene.png")
    Collection.open(folder.parent / "collection", encoder=TinyEncoder(), create=True).add(folder)
    Collection.open(folder.parent / "plain", encoder=TinyEncoder(), points=False, create=True).add(folder)
    return folder


@pytest.fixture
def collection(folder):
    return Collection.open(folder.parent / "collection", encoder=TinyEncoder())


def found(matches, name="scene.png"):
    return next(match for match in matches if match.image.path == name)


def test_the_outline_of_a_turned_object_is_told_though_no_picture_is_opened(collection, cup):
    matches = collection.search(cup, box=CUP, refine=0, turned=False)
    assert matches[0].image.path == "scene.png"
    outline = np.array(matches[0].outline) * (640, 512)
    assert np.abs(outline - CORNERS).max() < 8
    assert any(match.outline == () for match in matches), "nobody knows how it lies where it is not"
    assert all(len(match.outline) == 4 for match in matches if match.partners)


def test_partners_are_the_same_point_of_both_pictures(collection, cup):
    match = found(collection.search(cup, box=CUP, refine=0))
    assert match.partners.asked == 0
    places = match.partners.places
    assert len(places) > 20 and places.shape[1] == 4 and places.dtype == np.float32
    truth = np.array([in_scene(x, y) for x, y in places[:, :2].tolist()])
    away = np.linalg.norm(places[:, 2:] * (640, 512) - truth, axis=1)
    assert np.median(away) < 3 and away.max() < 20


def quarter(a, b):
    return 1 - b, a


def half(a, b):
    return 1 - a, 1 - b


def mirror(a, b):
    return 1 - a, b


@pytest.mark.parametrize(
    ("change", "back", "box"),
    [
        (Image.Transpose.ROTATE_90, quarter, (18, 122, 371, 401)),
        (Image.Transpose.ROTATE_180, half, (122, 11, 401, 371)),
        (Image.Transpose.FLIP_LEFT_RIGHT, mirror, (122, 18, 401, 371)),
    ],
)
def test_outline_and_partners_of_a_query_that_lies_otherwise_are_told_as_it_lies(collection, cup, change, back, box):
    """back: from shares of the changed query's box to those of the cup's."""
    match = found(collection.search(cup.transpose(change), box=box, refine=0, mirrored=back is mirror))
    corners = [in_scene(*back(*corner)) for corner in ((0, 0), (1, 0), (1, 1), (0, 1))]
    assert np.abs(np.array(match.outline) * (640, 512) - corners).max() < 12
    truth = np.array([in_scene(*back(a, b)) for a, b in match.partners.places[:, :2].tolist()])
    away = np.linalg.norm(match.partners.places[:, 2:] * (640, 512) - truth, axis=1)
    assert len(away) > 10 and np.median(away) < 4


def test_refinement_keeps_the_partners_and_tells_the_outline_of_its_own_box(collection, cup):
    match = found(collection.search(cup, box=CUP, refine=5))
    assert match.partners is not None and len(match.outline) == 4


def test_of_several_query_pictures_the_one_that_agrees_is_named(collection, cup):
    other = Image.fromarray(data.coins())
    match = found(collection.search([other, cup], box=[None, CUP], refine=0))
    assert match.partners.asked == 1


def test_without_points_nothing_is_said(collection, folder, cup):
    plain = Collection.open(folder.parent / "plain", encoder=TinyEncoder())
    for where, depth in ((collection, 0), (plain, 500)):
        matches = where.search(cup, box=CUP, refine=0, depth=depth, turned=False)
        assert all(match.outline == () and match.partners is None for match in matches)


def test_the_first_few_points_are_spread_over_the_object():
    x = [0, 0.1, 0.2, 1.0, 0.1, 0.6]
    partners = PartnerPoints(0, np.array([(each, 0, 0, i / 10) for i, each in enumerate(x)], np.float32))
    assert partners.spread(3)[:, 0].tolist() == pytest.approx([0, 1, 0.6])
    assert partners.spread()[:, 0].tolist() == pytest.approx([0, 1, 0.6, 0.2, 0.1, 0.1])
    assert sorted(partners.spread()[:, 3].tolist()) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])  # each of them once
    assert partners.spread(99).shape == (6, 4)
    assert PartnerPoints(0, np.empty((0, 4), np.float32)).spread(5).shape == (0, 4)


# ---- records


@pytest.fixture
def match(collection):
    image: Stored = replace(found(collection.search(Image.fromarray(data.brick()))).image, width=200, height=100)
    corners = ((0.1, 0.2), (0.3336, 0.2), (0.3, 0.6), (-0.05, 0.6))
    partners = PartnerPoints(1, np.array([(0, 0, 0.5, 0.5), (1, 0.5, 0.25, 0.126)], np.float32))
    return Match(image, 0.5, (0.1, 0.2, 0.3, 0.6), outline=corners, partners=partners)


def test_an_outline_is_four_corners_in_pixels_and_only_there_where_known(match):
    record = match_record(1, match)
    assert record["outline"] == [[20, 20], [66.7, 20], [60, 60], [-10, 60]]
    assert "partners" not in record
    assert "outline" not in match_record(1, replace(match, outline=()))
    json.dumps(record)


def test_copies_tell_their_outlines_too(match):
    first, second = FoundBox(match.box, 0.5, outline=match.outline), FoundBox((0, 0, 1, 1), 0.4)
    boxes = match_record(1, replace(match, boxes=(first, second)))["boxes"]
    assert boxes[0]["outline"][0] == [20, 20]
    assert boxes[1] == {"box": [0, 0, 200, 100], "score": 0.4}


def test_partners_are_pixels_of_both_upright_pictures(match):
    whole = {"box": None, "width": 40, "height": 80}
    boxed = {"box": [5, 10, 20, 30], "width": 40, "height": 80}
    record = match_record(1, match, [whole, boxed])
    assert record["partners"] == {"query": 1, "points": [[5, 10, 100, 50], [25, 25, 50, 12.6]]}
    assert match_record(1, match, [boxed, whole])["partners"]["points"][1] == [40, 40, 50, 12.6]
    assert "partners" not in match_record(1, replace(match, partners=None), [whole, boxed])
    json.dumps(record)


# ---- the command line


def search(folder, *arguments):
    command = ["search", "-c", str(folder.parent / "collection"), "--refine", "0", *arguments]
    return CliRunner().invoke(cli, command)


@pytest.fixture
def here(folder, cup, monkeypatch, tmp_path):
    """A folder to work in with the cup's photograph; the collection's encoder is the tiny one."""
    monkeypatch.setattr("patchseek.collection.open_encoder", lambda *_, **__: TinyEncoder())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    cup.save("cup.png")
    return folder


ASKED = ("cup.png", "--box", ",".join(map(str, CUP)))


def test_json_says_why_where_it_is_asked(here):
    quiet = json.loads(search(here, *ASKED, "--json").stdout)["results"]
    assert len(quiet[0]["outline"]) == 4 and not any("partners" in result for result in quiet)
    said = json.loads(search(here, *ASKED, "--json", "--why").stdout)["results"]
    more = [result.keys() - quiet[i].keys() for i, result in enumerate(said)]
    assert more[0] == {"partners"} and all(keys <= {"partners"} for keys in more) and set() in more
    for x, y, u, v in said[0]["partners"]["points"][:5]:
        assert math.dist(in_scene((x - CUP[0]) / CUP[2], (y - CUP[1]) / CUP[3]), (u, v)) < 20


@pytest.mark.extra("parquet")
def test_why_without_a_picture_or_json_is_refused_before_the_search(here):
    for form in ([], ["--csv"], ["--parquet", "found.parquet"]):
        done = search(here, *ASKED, "--why", *form)
        assert isinstance(done.exception, WrongUse)
        expected = "--why is said in a picture or in JSON: give --save, --preview, --open, --json or --jsonl"
        assert str(done.exception) == expected


def test_a_sheet_that_says_why_has_the_query_beside_every_result_it_was_found_in(here):
    for arguments in (ASKED, ("cup.png", "cup.png", "--box", "0,0,60,60", *ASKED[1:])):
        done = search(here, *arguments, "--save", "why.png", "--why", "--top", "2")
        assert done.exit_code == 0, done.stderr
        sheet = np.asarray(Image.open("why.png"))
        columns = [np.nonzero((sheet == colour).all(axis=2))[1] for colour in (QUERY, ANSWER)]
        dots, lines = (each[each > 320] for each in columns)  # right of the query's own panel
        assert dots.size and lines.size and dots.max() < lines.max()


# ---- the server


@pytest.fixture
def client(collection):
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        yield client


def ask(client, cup, **form):
    stream = BytesIO()
    cup.save(stream, "PNG")
    sent = {"box": ",".join(map(str, CUP)), "refine": 0} | form
    answer = client.post("/api/search", files={"image": ("cup.png", stream.getvalue())}, data=sent)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_server_says_why_where_it_is_asked(client, cup):
    quiet, said = ask(client, cup)["results"], ask(client, cup, why=True)["results"]
    assert [{**result, "partners": None} for result in quiet] == [{**result, "partners": None} for result in said]
    assert said[0]["partners"]["query"] == 0 and "partners" not in quiet[0] and "partners" not in said[1]
    assert np.abs(np.array(said[0]["outline"]) - CORNERS).max() < 8
    later = ask(client, cup, why=True, skip=1, top=2)["results"]
    assert [result["rank"] for result in later] == [2, 3]


@pytest.mark.usefixtures("here")
def test_the_command_line_asks_a_server_why(client, monkeypatch):
    def open_there(_opener, request, **_):
        return BytesIO(
            client.post(request.selector, content=request.data, headers=dict(request.header_items())).content
        )

    monkeypatch.setattr("urllib.request.OpenerDirector.open", open_there)
    command = ["search", *ASKED, "--refine", "0", "--server", "http://127.0.0.1:8765", "--json"]
    for arguments, is_said in ((command, False), ([*command, "--why"], True)):
        best = json.loads(CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout)["results"][0]
        assert ("partners" in best) == is_said and "outline" in best


def test_why_is_offered_where_points_are_kept_and_refused_nowhere(client, folder, cup):
    assert client.get("/api/collection").json()["features"]["why"]
    plain = Collection.open(folder.parent / "plain", encoder=TinyEncoder())
    with TestClient(create_app(plain, ServerSettings()), base_url="http://127.0.0.1:8765") as other:
        assert not other.get("/api/collection").json()["features"].get("why")
        assert not any("partners" in result for result in ask(other, cup, why=True)["results"])


def test_a_sheet_of_the_server_draws_the_outline(client, cup):
    result = ask(client, cup)["results"][0]
    shown = {key: result[key] for key in ("image_id", "box", "score", "outline")}
    pictures = []
    for outline in (result["outline"], None):
        answer = client.post("/api/sheet", json={"results": [{**shown, "outline": outline}]})
        assert answer.status_code == 200
        pictures.append(np.asarray(Image.open(BytesIO(answer.content))))
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[1]).any()
    refused = client.post("/api/sheet", json={"results": [{**shown, "outline": [[0, 0]] * 3}]})
    assert refused.status_code == 422


def test_the_document_of_the_api_describes_both(client):
    shapes = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"outline", "partners", "boxes"} <= shapes["Result"]["properties"].keys()
    assert shapes["Partners"]["properties"].keys() == {"query", "points"}
