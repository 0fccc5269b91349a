"""A server below a path of another name: behind a proxy that takes the path off, and behind one that leaves it."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.testclient import TestClient

from patchseek.errors import PatchseekError
from patchseek.server import ServerSettings, _address, create_app
from patchseek.server._app import WEB
from patchseek.server.client import Client

from .proxy import proxied

TOKEN = "a-token-for-tests"
PUBLIC = "https://pictures.example.org/our/pictures"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(params=[(True, None), (False, None), (True, "127.0.0.1:8765")], ids=["strips", "leaves", "renames"])
def visit(request, server_collection):
    """A browser of the public address, behind each kind of proxy."""
    strips, host = request.param
    app = create_app(server_collection, ServerSettings(token=TOKEN, public_url=f"{PUBLIC}/"))
    proxy = proxied(app, urlsplit(PUBLIC).path, strips=strips, host=host)
    with TestClient(proxy, base_url=PUBLIC, follow_redirects=True) as client:
        yield client


class Addresses(HTMLParser):
    """The addresses in a page that are followed or loaded."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, _, attributes):
        for name, value in attributes:
            if name in ("href", "src", "action"):
                self.found.append(value)
            if name == "content" and "url=" in value:
                self.found.append(value.partition("url=")[2])


def addresses(answer):
    """Those of a page, as a browser that has this page open resolves them."""
    return [urljoin(str(answer.url), place) for place in Addresses(answer.text).found]


def test_the_printed_address_leads_to_the_page_and_to_nothing_outside_of_it(visit):
    settings = ServerSettings(token=TOKEN, public_url=f"{PUBLIC}/")
    assert _address(settings) == f"{PUBLIC}/?token={TOKEN}"
    welcome = visit.get(_address(settings))
    assert welcome.status_code == 200
    assert addresses(welcome) == [f"{PUBLIC}/", f"{PUBLIC}/"]
    page = visit.get(addresses(welcome)[0])
    assert page.status_code == 200
    assert "Drop a photo" in page.text
    loaded = [place for place in addresses(page) if not urlsplit(place).fragment]
    assert f"{PUBLIC}/web/main.js" in loaded
    for place in loaded:
        assert place.startswith(f"{PUBLIC}/web/")
        assert visit.get(place).status_code == 200


def test_the_cookie_is_kept_for_the_page_alone_and_lets_everything_through(visit):
    assert visit.get("/api/collection").status_code == 401
    cookie = visit.get(f"/?token={TOKEN}").headers["set-cookie"]
    assert "path" not in cookie.lower()  # so a browser takes the folder of the address: RFC 6265, 5.1.4
    assert {kept.path for kept in visit.cookies.jar} <= {"/our/pictures", "/our/pictures/"}
    for path in ("/", "/api/collection", "/api/images/1/thumbnail", "/api/images/1/picture", "/docs", "/metrics"):
        assert visit.get(path).status_code == 200, path


def test_a_page_of_the_public_address_may_search_and_others_may_not(visit):
    own = {"origin": "https://pictures.example.org", "sec-fetch-site": "same-origin"} | BEARER
    assert visit.post("/api/search", data={"image_id": 1}, headers=own).json()["results"]
    again = {"origin": "https://pictures.example.org:443"} | BEARER
    assert visit.post("/api/search", data={"image_id": 1}, headers=again).status_code == 200
    for origin in ("https://evil.example", "http://pictures.example.org", "null", "https://pictures.example.org:99x"):
        assert visit.post("/api/search", data={"image_id": 1}, headers=own | {"origin": origin}).status_code == 403


def test_redirections_stay_below_the_path(visit):
    visit.get(f"/?token={TOKEN}")
    for path, place in (("/docs/", "/docs"), ("/api/collection/", "/api/collection"), ("/api/images/?limit=2", None)):
        answer = visit.get(path)
        assert answer.status_code == 200, path
        assert str(answer.url).startswith(f"{PUBLIC}{place or '/api/images?limit=2'}")
    visit.follow_redirects = False
    assert visit.get("/docs/").headers["location"] == "../docs"
    assert "://" not in visit.get("/web").headers.get("location", "")


def test_without_its_slash_the_address_leads_to_the_page(visit):
    page = visit.get(PUBLIC, params={"token": TOKEN})
    assert str(page.url) == f"{PUBLIC}/?token={TOKEN}"
    assert page.status_code == 200


def test_the_documentation_is_of_the_public_address(visit):
    visit.get(f"/?token={TOKEN}")
    docs = visit.get("/docs")
    for place in addresses(docs):
        assert place.startswith(f"{PUBLIC}/")
        assert visit.get(place).status_code == 200
    described = visit.get("/openapi.json").json()
    assert described["servers"] == [{"url": PUBLIC}]
    assert "/api/search" in described["paths"]


def test_the_scripts_name_no_address_from_the_root_of_a_host(visit):
    visit.get(f"/?token={TOKEN}")
    scripts = [path.name for path in WEB.glob("*.js")]
    assert "main.js" in scripts
    for script in scripts:
        assert not re.search(r"""["'`]/(api|web|docs|openapi)""", visit.get(f"/web/{script}").text), script


def test_a_visit_from_a_link_elsewhere_finds_the_way_in(visit):
    following = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert visit.get("/", params={"token": TOKEN}, headers=following).status_code == 200
    embedding = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert visit.get("/api/images/1/thumbnail", headers=embedding | BEARER).status_code == 403


def test_what_is_not_below_the_path_is_another_application(visit):
    assert visit.get("https://pictures.example.org/our/picturesque").status_code == 502


def test_the_server_itself_is_still_open_under_its_own_address(server_collection):
    app = create_app(server_collection, ServerSettings(token=TOKEN, public_url=PUBLIC))
    with TestClient(app, base_url="http://127.0.0.1:8765", headers=BEARER) as client:
        for path in ("/", "/api/collection", "/our/pictures/", "/our/pictures/api/collection"):
            assert client.get(path).status_code == 200, path
        assert client.get("/our/picturesque").status_code == 404


def test_a_cookie_of_an_older_token_beside_it_does_not_keep_anybody_out(server_collection):
    app = create_app(server_collection, ServerSettings(token=TOKEN, port=8765))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        session = client.get(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]
        client.cookies.clear()
        for cookie in (f"{session}; patchseek-8765=old", f"patchseek-8765=old; {session}", f'a=b; {session}; c="d'):
            assert client.get("/api/collection", headers={"cookie": cookie}).status_code == 200
        assert client.get("/api/collection", headers={"cookie": "patchseek-8765=old"}).status_code == 401


@pytest.mark.parametrize(
    "url",
    [
        *("https://", "https:///x", "http://[::1", "https://a.example:99999", "a.example", "https://a.example/x?y=1"),
        *("https://a.example/#x", "https://me@a.example/", "https://a.example/x/../y", "https://a.example/api"),
        *("https://a.example/web/x", "https://a example/", "https://a.example/\n"),
    ],
)
def test_an_address_that_no_browser_opens_or_that_is_one_of_ours_is_refused(url):
    with pytest.raises(PatchseekError, match=r"public address|path of patchseek itself"):
        ServerSettings(token=TOKEN, public_url=url)


@pytest.mark.parametrize("url", ["https://a.example", "http://[::1]:8080/x", "https://a.example/b%C3%BCcher/"])
def test_an_address_with_a_port_a_path_or_letters_is_taken(url):
    assert ServerSettings(token=TOKEN, public_url=url).prefix in ("", "/x", "/bücher")


def test_a_program_may_be_given_the_whole_printed_address():
    client = Client(f"{PUBLIC}/?token={TOKEN}")
    assert (client.url, client.token) == (PUBLIC, TOKEN)
    assert Client(f"{PUBLIC}/?token=other", "mine").token == "mine"
