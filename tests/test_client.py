"""Whoever sends a secret sends it to the one it is for, and shows it to nobody: tokens, passwords of URLs."""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from patchseek.errors import PatchseekError
from patchseek.server import ServerSettings, _address, create_app, new_token
from patchseek.server.client import Client, ServerError

from .commands import run
from .conftest import blot
from .live import exchange, form, get, listening, post
from .test_distributed_sources import add_here

TOKEN = "a-token-for-tests"


class Heard(BaseHTTPRequestHandler):
    """Notes what it is asked and shown, and answers as its server says."""

    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.heard.append((self.command, self.path, dict(self.headers), body))
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_HEAD = do_CONNECT = answer  # noqa: N815


@contextmanager
def answering(status, headers=None, content=b"{}", host="127.0.0.1"):
    """A server that answers everything alike; `heard` is what came to it, `url` its address."""
    server = ThreadingHTTPServer((host, 0), Heard)
    server.heard, server.answer = [], (status, headers or {}, content)
    server.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def elsewhere():
    """Another host of this machine, which would take a token."""
    with answering(200, {"content-type": "application/json"}, b'{"results": []}', host="127.0.0.2") as server:
        yield server


def said_by(caplog):
    return [record.message for record in caplog.records if record.name.startswith("patchseek")]


# ---- a busy server


class BusyAtFirst(Heard):
    """Refuses so many times, and then answers."""

    def answer(self):
        if len(self.server.heard) < self.server.n_refusals:
            self.server.answer = 429, {"Retry-After": "7"}, b'{"detail": "too many requests at once"}'
        else:
            self.server.answer = 200, {}, b'{"results": []}'
        super().answer()

    do_POST = answer  # noqa: N815


@pytest.mark.parametrize("n_refusals", [2, 9])
def test_a_busy_server_is_asked_again_when_it_says_a_few_times(n_refusals, monkeypatch):
    slept = []
    monkeypatch.setattr("patchseek.server.client.time.sleep", slept.append)
    with answering(200) as server:
        server.RequestHandlerClass, server.n_refusals = BusyAtFirst, n_refusals
        if n_refusals == 2:
            assert Client(server.url).search(b"a picture") == {"results": []}
        else:
            with pytest.raises(ServerError, match="too many requests at once"):
                Client(server.url).search(b"a picture")
        sent = [body for *_, body in server.heard]
    assert slept == [7] * min(n_refusals, 4)
    assert len(sent) == len(slept) + 1 and all(b"a picture" in body for body in sent)


# ---- redirections


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("way", ["to another host", "to another port", "on the same host"])
def test_a_redirection_is_named_and_not_followed(elsewhere, status, way, tmp_path):
    blot(1).save(tmp_path / "a.png")
    with answering(status) as server, answering(200) as near:
        place = {"to another host": elsewhere.url, "to another port": near.url, "on the same host": server.url}[way]
        server.answer = status, {"Location": f"{place}/api/other"}, b""
        for ask in (lambda c: c.collection(), lambda c: c.search(tmp_path / "a.png")):
            with pytest.raises(ServerError) as refused:
                ask(Client(server.url, TOKEN))
            assert f"leads on to '{place}/api/other' ({status})" in str(refused.value)
            assert TOKEN not in str(refused.value)
            assert refused.value.status == status
        assert [path for _, path, _, _ in server.heard] == ["/api/collection", "/api/search"]
        assert server.heard[0][2]["Authorization"] == f"Bearer {TOKEN}"
        assert elsewhere.heard == []
        assert near.heard == []


@pytest.mark.parametrize(
    "place", ["//127.0.0.2/x", "/api/other", "file:///etc/passwd", "ftp://127.0.0.2/x", "", "\x1b[2Jx"]
)
def test_a_redirection_of_any_form_is_one_line(place):
    with answering(302, {"Location": place}) as server:
        with pytest.raises(ServerError) as refused:
            Client(server.url, TOKEN).collection()
        assert str(refused.value).isprintable()
        assert len(server.heard) == 1


def test_the_command_line_names_where_a_server_leads(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setenv("PATCHSEEK_TOKEN", TOKEN)
    blot(1).save(tmp_path / "a.png")
    with answering(302, {"Location": f"{elsewhere.url}/login"}) as server:
        asked = ["search", str(tmp_path / "a.png"), "--server", server.url]
        result = run(tmp_path, *asked, code=1)
    assert f"{elsewhere.url}/login" in result.stderr
    assert elsewhere.heard == []


# ---- proxies, plain HTTP


def test_this_machine_is_never_reached_through_a_proxy(monkeypatch):
    with answering(200, content=b'{"images": 12}') as server, answering(502) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Client(server.url, TOKEN).collection() == {"images": 12}
        assert proxy.heard == []
        with pytest.raises(ServerError):
            Client("http://pictures.invalid", TOKEN).collection()
        assert proxy.heard[0][1] == "http://pictures.invalid/api/collection"  # as the environment says


def test_the_check_of_a_containers_health_shows_its_token_to_nobody_else(server_collection, elsewhere):
    said = re.search(r"HEALTHCHECK [^[]*CMD (\[.*\])", (Path(__file__).parent.parent / "Dockerfile").read_text())
    _, *arguments = json.loads(said[1])

    def check(port, token):
        command = [sys.executable, *(argument.replace("8765", str(port)) for argument in arguments)]
        environment = {**os.environ, "PATCHSEEK_TOKEN": token, "http_proxy": elsewhere.url, "HTTP_PROXY": elsewhere.url}
        return subprocess.run(command, env=environment, capture_output=True).returncode

    with listening(create_app(server_collection, ServerSettings(token=TOKEN))) as port:
        assert check(port, TOKEN) == 0
        assert check(port, "a-wrong-token") == 1
    with answering(302, {"Location": elsewhere.url}) as server:
        assert check(server.server_port, TOKEN) == 1
    assert elsewhere.heard == []


@pytest.mark.parametrize("host", ["pictures.example.org", "192.168.1.20:8765", "[2001:db8::1]"])
def test_a_token_over_plain_http_to_another_machine_is_remarked_on(caplog, host):
    Client(f"http://{host}", TOKEN)
    assert said_by(caplog) == [
        f"http://{host}: the token travels unencrypted, and whoever is between can read it; use https://"
    ]


@pytest.mark.parametrize(
    "url", ["https://pictures.example.org", "http://127.0.0.1:8765", "http://localhost", "http://[::1]:1"]
)
def test_a_token_over_tls_or_on_this_machine_is_not(caplog, url):
    Client(url, TOKEN)
    Client("http://pictures.example.org")
    assert said_by(caplog) == []


# ---- addresses


HARD = [
    "Zm9v+YmFy/YmF6==",
    "a&b=c&token=d",
    "50%25%of#100",
    "two words; and 3",
    "?question=mark",
    "'quotes\"<>\\^`{|}~",
    "++++////====",
    "%2B%2F%3D%23",
]


@pytest.mark.parametrize("token", HARD)
def test_a_token_of_any_letters_comes_through_the_printed_address(server_collection, token):
    app = create_app(server_collection, ServerSettings(token=token))
    with listening(app) as port:
        address = _address(ServerSettings(token=token, port=port))
        assert re.fullmatch(r"token=[\w.~%-]+", urlsplit(address).query, re.ASCII)
        assert Client(address).collection()["images"] == 12
        assert Client(f"http://127.0.0.1:{port}", token).collection()["images"] == 12
        assert Client(f"{address}#search").collection()["images"] == 12
        with pytest.raises(ServerError, match="needs a token"):
            Client(f"http://127.0.0.1:{port}").collection()


@pytest.mark.parametrize("token", ["Zm9v+YmFy/YmF6==", "++++////===="])
def test_a_token_that_somebody_types_without_encoding_it_is_understood(token):
    assert Client(f"http://127.0.0.1/?token={token}").token == token


def test_tokens_that_are_made_up_need_no_encoding():
    for _ in range(100):
        token = new_token()
        assert quote(token, safe="") == token


@pytest.mark.parametrize("token", ["schlüssel-und-schloss", "a-token-for-tests\nHost: evil", "token\x00token"])
def test_a_token_that_no_header_holds_is_refused_without_repeating_it(token):
    with pytest.raises(ServerError, match="plain ASCII") as refused:
        Client("http://127.0.0.1:9", token)
    assert token not in str(refused.value)


def test_what_a_file_leaves_behind_a_token_is_no_part_of_it():
    assert Client("http://127.0.0.1", f" {TOKEN}\r\n").token == TOKEN


@pytest.mark.parametrize("token", [" leading", "trailing ", "\ttabulator", "a-token-for-tests\n"])
def test_a_server_takes_no_token_that_no_header_can_show(token):
    with pytest.raises(PatchseekError, match="a token"):
        ServerSettings(token=token)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8765/?token=my-secret-token",
        "ftp://127.0.0.1/?token=my-secret-token",
        "http://me:my-secret-token@127.0.0.1/",
        "https://my-secret-token@127.0.0.1",
        "me:my-secret-token@127.0.0.1",
        "http://127.0.0.1:port/?token=my-secret-token",
        "http://:8765/?token=my-secret-token",
        "http://[::1/?token=my-secret-token",
        "http://127.0.0.1:99999/?token=my-secret-token",
        "http://a b/?token=my-secret-token",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(url):
    with pytest.raises(ServerError) as refused:
        Client(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_the_token():
    with pytest.raises(ServerError, match=r"^http://127\.0\.0\.1:9: no answer") as refused:
        Client(f"http://127.0.0.1:9/?token={TOKEN}").collection()
    assert TOKEN not in str(refused.value)


def test_letters_of_any_kind_may_be_in_the_path_of_an_address():
    with answering(200) as server:
        Client(f"{server.url}/bücher/%C3%A4 b/".replace(" ", "%20")).collection()
    assert server.heard[0][1] == "/b%C3%BCcher/%C3%A4%20b/api/collection"


def test_the_token_of_an_address_goes_before_that_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PATCHSEEK_TOKEN", TOKEN)
    blot(1).save(tmp_path / "a.png")
    found = {"query": {"image": "a.png"}, "collection": {}, "results": []}
    with answering(200, content=json.dumps(found).encode()) as server:
        for address, token in ((f"{server.url}/?token=its-own-token", "its-own-token"), (server.url, TOKEN)):
            asked = ["search", str(tmp_path / "a.png"), "--server", address]
            run(tmp_path, *asked, code=4)
            assert server.heard[-1][2]["Authorization"] == f"Bearer {token}"


# ---- pictures at a URL


@pytest.mark.extra("ray")
def test_a_server_tells_no_password_of_the_urls_of_its_pictures(server_collection, tmp_path):
    stream = BytesIO()
    blot(77).save(stream, "PNG")
    with answering(200, {"content-type": "image/png", "content-length": stream.tell()}, stream.getvalue()) as pictures:
        place = pictures.url.replace("//", "//me:hidden-1@")
        gone = "http://me:hidden-2@127.0.0.1:9"
        (tmp_path / "list.csv").write_text(f"url\n{place}/a.png?token=hidden-3\n{gone}/b.png?sig=hidden-4\n")
        report = add_here(server_collection, tmp_path / "list.csv")
        assert (report.added, len(report.failed)) == (1, 1)
    shown = f"{place.replace('hidden-1', '***')}/a.png?token=***"
    app = create_app(server_collection, ServerSettings())
    with listening(app) as port:
        ask = partial(exchange, port)
        number = json.loads(ask(get("/api/images?name=a.png%3Ftoken"))[2])["images"][0]["image_id"]
        assert json.loads(ask(get(f"/api/images/{number}"))[2])["image"] == shown
        found = json.loads(ask(post("/api/search", *form(image=("a.png", stream.getvalue()), top=1, refine=0)))[2])
        assert found["results"][0]["image"] == shown
        assert json.loads(ask(get("/api/images?name=hidden"))[2])["total"] == 0
        results = [{"image_id": number, "box": [0, 0, 9, 9]}]
        judged = {"objects": [{"name": "a", "query": {"image_id": 1}, "right": results}]}
        told = [
            ask(get("/api/collection")),
            ask(get("/api/images?limit=100")),
            ask(get(f"/api/images/{number}/picture")),
            ask(post("/api/search", *form(image_id=number))),
            ask(post("/api/search", *form(image_id=1, top=100))),
            ask(post("/api/search", *form(image_id=1, under="a.png"))),
            ask(post("/api/sheet", json.dumps({"results": results}).encode(), "application/json")),
            ask(post("/api/judgements", json.dumps(judged).encode(), "application/json")),
            ask(get(f"/api/images/{number}", method="DELETE")),
            ask(get("/api/jobs")),
        ]
    assert b"me:***@" in told[0][2]
    for answer in told:
        assert b"hidden" not in answer[2]
