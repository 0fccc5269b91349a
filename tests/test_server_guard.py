"""Who may come in: every route of the real application, asked by the right and the wrong people."""

import re

import pytest
from starlette.testclient import TestClient

from patchseek.errors import PatchseekError
from patchseek.server import ServerSettings, create_app

TOKEN = "a-token-for-tests"
HOME = "http://127.0.0.1:8765"


@pytest.fixture
def visit(server_collection):
    """visit(settings) -> a client of an application with these settings."""
    clients = []

    def open_client(**settings) -> TestClient:
        client = TestClient(create_app(server_collection, ServerSettings(**settings)), base_url=HOME)
        client.__enter__()
        clients.append(client)
        return client

    yield open_client
    for client in clients:
        client.__exit__(None, None, None)


def all_routes(app) -> list[tuple[str, str]]:
    """(method, path) of everything the application answers, the mounted files and the pages included."""
    paths = [(m.upper(), path) for path, methods in app.openapi()["paths"].items() for m in methods]
    paths += [("GET", path) for path in ("/", "/docs", "/openapi.json", "/favicon.ico", "/web/main.js", "/nothing")]
    return [(method, re.sub(r"{\w+}", "1", path)) for method, path in paths]


def test_without_the_token_every_route_answers_401(visit):
    client = visit(token=TOKEN)
    routes = all_routes(client.app)
    assert ("GET", "/api/images/1/thumbnail") in routes
    assert ("GET", "/metrics") in routes
    assert len(routes) > 20
    for method, path in routes:
        assert client.request(method, path).status_code == 401, path
        wrong = client.request(method, path, headers={"authorization": "Bearer wrong-token"})
        assert wrong.status_code == 401, path


def test_every_route_of_the_application_is_known_to_the_test_above(visit):
    client = visit(token=TOKEN)
    known = {re.sub(r"/1(?=/|$)", "/{}", path) for _, path in all_routes(client.app)}
    schema = {re.sub(r"{\w+}", "{}", path) for path in client.app.openapi()["paths"]}
    mounted = {getattr(route, "path", None) for route in client.app.routes}
    plain = {path for path in mounted if path and path not in ("/web",)}
    assert {re.sub(r"{\w+(:\w+)?}", "{}", path) for path in plain} <= known | schema


def test_with_the_token_as_a_header_the_server_answers(visit):
    client = visit(token=TOKEN)
    for path in ("/healthz", "/api/collection", "/api/images/1/thumbnail", "/metrics", "/docs"):
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_first_visit_turns_the_token_into_a_cookie_that_scripts_cannot_read(visit):
    client = visit(token=TOKEN)
    answer = client.get(f"/?token={TOKEN}")
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 200
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/api/images/1/thumbnail").status_code == 200
    assert client.get("/").status_code == 200


def test_a_wrong_token_in_the_address_is_told_so_and_sets_nothing(visit):
    answer = visit(token=TOKEN).get("/?token=guess")
    assert answer.status_code == 401
    assert "not the right one" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1", "[::1]:8765", "127.0.0.1:9000"])
def test_names_of_this_machine_are_answered(visit, host):
    assert visit().get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", "", "10.0.0.7"]
)
def test_other_names_are_refused_as_after_dns_rebinding(visit, host):
    assert visit().get("/api/collection", headers={"host": host}).status_code == 421


def test_a_server_for_the_network_answers_to_addresses_but_not_to_strangers_names(visit):
    client = visit(host="0.0.0.0", token=TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/healthz", headers=headers | {"host": "192.168.1.20:8765"}).status_code == 200
    assert client.get("/healthz", headers=headers | {"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8765"])
def test_requests_of_other_origins_are_refused(visit, origin):
    client = visit()
    assert client.post("/api/search", headers={"origin": origin}).status_code == 403
    assert client.get("/api/collection", headers={"origin": origin}).status_code == 403


def test_our_own_page_may_ask(visit):
    headers = {"origin": HOME, "sec-fetch-site": "same-origin"}
    assert visit().post("/api/search", data={"image_id": 1}, headers=headers).status_code == 200


def test_pictures_cannot_be_embedded_by_other_sites_but_links_may_lead_here(visit):
    client = visit()
    embedding = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/api/images/1/thumbnail", headers=embedding).status_code == 403
    following = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=following).status_code == 200


def test_behind_a_proxy_the_public_address_is_the_origin_and_the_cookie_is_secure(visit):
    client = visit(token=TOKEN, public_url="https://pictures.example.org")
    headers = {"host": "pictures.example.org", "origin": "https://pictures.example.org"}
    assert client.get("/healthz", headers=headers | {"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert "Secure" in client.get(f"/?token={TOKEN}", headers=headers).headers["set-cookie"]


def test_no_answer_lacks_the_protecting_headers(visit):
    client = visit(token=TOKEN)
    for path, headers in (("/", {}), ("/api/collection", {"authorization": f"Bearer {TOKEN}"}), ("/x", {"host": "no"})):
        answer = client.get(path, headers=headers)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


def test_a_body_is_refused_at_the_limit_whether_declared_or_streamed(visit):
    client = visit(max_upload_bytes=10_000)
    assert client.post("/api/queries", files={"image": b"x" * 20_000}).status_code == 413

    def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 1000

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/api/queries", content=chunks(), headers=headers).status_code == 413


def test_an_open_address_without_a_token_is_refused_at_the_start():
    with pytest.raises(PatchseekError, match="needs a token"):
        ServerSettings(host="0.0.0.0")


@pytest.mark.parametrize(
    "settings", [{"token": "short"}, {"token": "schlüssel"}, {"public_url": "ftp://x"}, {"allow_dirs": ("/no/such",)}]
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    from pathlib import Path

    if "allow_dirs" in settings:
        settings = {"allow_dirs": tuple(map(Path, settings["allow_dirs"]))}
    with pytest.raises(PatchseekError):
        ServerSettings(**settings)
