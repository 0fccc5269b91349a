"""Names, patterns and standard input as a user types them: the embedded encoder."""

import json
from io import BytesIO

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from patchseek import Collection
from patchseek.cli import cli
from patchseek.server import ServerSettings, create_app

from .commands import run
from .conftest import blot

NAMES = ["Fotos [alt]/a.png", "Fotos a/b.png", "image[1].png", "image1.png", "K\u00e4se/c.png", "d.png"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Pictures with odd names, indexed without one folder, which is remembered."""
    home = tmp_path_factory.mktemp("home")
    for i, name in enumerate(NAMES):
        (home / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        blot(i, 320, 240).save(home / "pictures" / name)
    done = run(home, "index", "pictures", "--exclude", "Fotos [alt]", "--exclude", "FOTOS A")
    assert "--exclude 'FOTOS A' matched nothing; did you mean 'Fotos a'?" in done.stderr.splitlines()
    assert "5 added" in done.stderr
    return home


def images(done):
    return {json.loads(line)["image"] for line in done.stdout.splitlines()}


def test_what_was_excluded_stays_so_and_is_shown(home):
    assert "0 added, 5 unchanged" in run(home, "index", "pictures").stderr
    assert f"exclude        Fotos [alt], FOTOS A (in {home / 'pictures'})" in run(home, "info").stdout.splitlines()
    about = json.loads(run(home, "info", "--json").stdout)
    assert about["exclude"] == {str(home / "pictures"): ["Fotos [alt]", "FOTOS A"]}


def test_names_are_names_for_search_tag_and_remove(home):
    search = ["search", "pictures/d.png", "-c", "pictures", "--refine", "0", "--jsonl"]
    assert images(run(home, *search, "--under", "image[1].png")) == {"image[1].png"}
    assert images(run(home, *search, "--under", "image[2-3].png", "--under", "./K*", code=1)) == set()
    assert images(run(home, *search, "--under", "Ka\u0308se/")) == {"K\u00e4se/c.png"}
    assert "put on 1 picture" in run(home, "tag", "M\u00fcller", "image[1].png", "-c", "pictures").stdout
    assert images(run(home, *search, "--tag", "Mu\u0308ller")) == {"image[1].png"}
    done = run(home, "tag", "x", "IMAGE1.png", "-c", "pictures", code=1)
    line = "patchseek: error: no picture of the collection matches 'IMAGE1.png'; did you mean 'image1.png'?"
    assert done.stderr.splitlines() == [line]
    assert run(home, "remove", "image[1].png", "-c", "pictures").stdout == "image[1].png\n"
    run(home, "index", "pictures")


def test_an_empty_exclusion_forgets(home):
    assert "2 added, 4 unchanged" in run(home, "index", "pictures", "--exclude", "", "--with-removed").stderr
    assert "exclude" not in run(home, "info", "-c", "pictures").stdout
    done = run(home, "index", "pictures", "--exclude", str(home / "pictures" / "Fotos [alt]"))
    assert "1 removed" in done.stderr and "matched nothing" not in done.stderr


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_dates_far_away_are_answered_and_others_are_one_error(home, option):
    search = ["search", "pictures/d.png", "-c", "pictures", "--refine", "0", "--jsonl", option]
    first, last = ("0001-01-01", "9999-12-31") if option == "--since" else ("9999-12-31", "0001-01-01")
    assert len(images(run(home, *search, first))) == 5
    assert images(run(home, *search, last, code=4)) == set()
    done = run(home, *search, "2024-13-45", code=2)
    assert done.stderr == "patchseek: error: '2024-13-45': a date is written 2024-05-31 or 2024-05-31T18:00\n"


def test_a_picture_on_standard_input_is_the_query(home):
    content = (home / "pictures" / "d.png").read_bytes()
    done = run(home, "search", "-", "--box", "0,0,160,120", "--json", "-c", "pictures", stdin=content)
    answer = json.loads(done.stdout)
    assert answer["query"]["image"] == "-"
    assert answer["query"]["box"] == [0, 0, 160, 120]
    assert answer["results"][0]["image"] == "d.png"
    assert answer["results"][0]["box"] == pytest.approx([0, 0, 160, 120], abs=3), "in pixels"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-"], 1, "standard input: empty"),
        (["pictures/d.png", "--not", "-"], 1, "standard input: empty"),
        (["-", "-"], 2, "- is given more than once"),
        (["-", "--not", "-"], 2, "- is given more than once"),
        (["--image-id", "99999999999999999999"], 1, "no picture with id 99999999999999999999"),
    ],
)
def test_standard_input_without_a_picture_and_numbers_of_none_are_one_error(home, arguments, code, message):
    done = run(home, "search", *arguments, "-c", "pictures", code=code)
    assert message in done.stderr.splitlines()[-1]


def test_a_single_picture_is_indexed_into_the_collection_of_its_folder(home, tmp_path):
    for name in ("a.png", "b.png"):
        blot(len(name), 320, 240).save(tmp_path / name)
    assert "1 added" in run(home, "index", str(tmp_path / "a.png")).stderr
    assert "1 unchanged" in run(home, "index", str(tmp_path / "a.png")).stderr
    assert "sound, 1 picture" in run(home, "verify", "-c", str(tmp_path / ".patchseek")).stdout
    (tmp_path / "notes.md").touch()
    assert "not a folder" in run(home, "index", str(tmp_path / "notes.md"), code=1).stderr.splitlines()[0]
    assert "-: not a folder" in run(home, "index", "-", code=1).stderr


def test_standard_input_goes_to_a_server_too(tmp_path, tiny, make_folder, monkeypatch):
    """The server's application answers in this process, and `-` is read where the command is."""
    folder = make_folder("1.png", "2.png")
    collection = Collection.open(tmp_path / "collection", encoder=tiny, create=True)
    collection.add(folder)
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:

        def open_there(_opener, request, **_):
            asked = client.post(request.selector, content=request.data, headers=dict(request.header_items()))
            return BytesIO(asked.content)

        monkeypatch.setattr("urllib.request.OpenerDirector.open", open_there)
        command = ["search", "-", "--server", "http://127.0.0.1:8765", "--json"]
        done = CliRunner().invoke(cli, command, input=(folder / "2.png").read_bytes(), catch_exceptions=False)
    answer = json.loads(done.stdout)
    assert (answer["query"]["image"], answer["results"][0]["image"]) == ("-", "2.png")
