"""Numbers that cannot be counted with: too large, infinite, none at all, or of digits that only look like some."""

import json

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from patchseek.cli import cli
from patchseek.cli._numbers import positive
from patchseek.errors import PatchseekError
from patchseek.regions import Pyramid
from patchseek.server import ServerSettings, create_app

HUGE = "99999999999999999999"
ODD = [HUGE, "9" * 5000, "²", "1e400", "nan", "-inf", "", "0x10"]
OPTIONS = [
    ["search", "x.png", "--top"],
    ["search", "x.png", "--refine"],
    ["search", "x.png", "--expand"],
    ["search", "x.png", "--box"],
    ["search", "x.png", "-c", "nowhere", "--min-confidence"],
    ["search", "-c", "nowhere", "--image-id"],
    ["index", "nowhere", "--levels"],
    ["index", "nowhere", "--overlap"],
    ["index", "nowhere", "--ray", "local", "--workers"],
    ["serve", "nowhere", "--port"],
    ["serve", "nowhere", "--max-upload"],
    ["compress", "nowhere", "--queries"],
    ["compress", "nowhere", "--target-loss"],
    ["eval", "nowhere", "--level"],
    ["eval", "nowhere", "--train-level"],
    ["eval", "nowhere", "--top"],
    ["eval", "nowhere", "--refine"],
    ["score", "nowhere", "nowhere", "--k"],
    ["plan", "--images"],
    ["plan", "--images", "1e6", "--cores"],
    ["plan", "--images", "1e6", "--gpus", "0", "--gpus"],
    ["plan", "--images", "1e6", "--bandwidth"],
    ["plan", "--images", "1e6", "--picture-mb"],
]


@pytest.mark.parametrize("number", ODD, ids=lambda text: text[:20] or "empty")
@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_the_command_line_takes_no_number_that_cannot_be_counted_with(option, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, [*option, number])
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit | PatchseekError), repr(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_how_many_is_read_from_plain_digits_alone():
    assert [positive(text) for text in ("1", "010", "999", "0", "", "-1", "1.0", "²", "٣", " 1")] == [
        *(1, 10, 999),
        *[None] * 7,
    ]
    assert positive("9" * 5000) == 2**63 - 1


@pytest.mark.parametrize("level", [10**20, 16, -1])
def test_a_pyramid_is_not_built_before_its_levels_are_judged(level):
    with pytest.raises(PatchseekError, match=r"levels must lie in 0\.\.15"):
        Pyramid.up_to(level)


@pytest.fixture
def client(server_collection):
    app = create_app(server_collection, ServerSettings())
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=True) as client:
        yield client


@pytest.mark.parametrize("number", [*ODD[:-2], "-1", HUGE * 10], ids=lambda text: text[:20])
@pytest.mark.parametrize("field", ["top", "skip", "refine", "image_id", "exclude", "box"])
def test_a_form_takes_no_number_that_cannot_be_counted_with(client, field, number):
    fields = {"image_id": ["1"], field: [f"{number},0,1,1" if field == "box" else number]}
    answer = client.post("/api/search", data=fields)
    assert answer.status_code in (400, 404, 422), answer.text
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", HUGE, "1e300", "9" * 5000, '"²"'])
@pytest.mark.parametrize("field", ["id", "box", "score", "unsure"])
def test_json_takes_no_number_that_cannot_be_counted_with(client, field, number):
    values = {"id": "1", "box": "10", "score": "0.5", "unsure": "2"} | {field: number}
    result = f'{{"image_id": {values["id"]}, "box": [{values["box"]}, 0, 5, 5], "score": {values["score"]}}}'
    objects = f'[{{"name": "a", "query": {{"image_id": 1}}, "right": [{result}], "unsure": [{values["unsure"]}]}}]'
    for path, body in (("/api/sheet", f'{{"results": [{result}]}}'), ("/api/judgements", f'{{"objects": {objects}}}')):
        if field == "unsure" and path == "/api/sheet":
            continue
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404, 422), (path, answer.status_code)
        assert isinstance(json.loads(answer.text)["detail"], str)


@pytest.mark.parametrize("number", [HUGE, "-1", "²", "1e5", "nan", "9" * 5000])
def test_an_address_takes_no_number_that_cannot_be_counted_with(client, number):
    for path in (f"/api/images/{number}", f"/api/images/{number}/thumbnail", f"/api/images?skip={number}"):
        assert client.get(path).status_code in (400, 404, 422), path
    for path in (f"/api/images?limit={number}", f"/api/images?name=a&skip={number}"):
        assert client.get(path).status_code == 422
    assert client.post(f"/api/folders/{number}/index").status_code in (404, 422)
