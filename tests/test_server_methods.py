"""What any HTTP client may send: every method, HTTP/1.0 without a Host, forms of every make. Over real sockets."""

import json
import re
import threading
from io import BytesIO

import pytest
from PIL import Image

from patchseek.server import ServerSettings, create_app

from .conftest import blot, wait_for
from .live import connect, exchange, form, get, listening, part, post

END = b"--b--\r\n"
KIND = "multipart/form-data; boundary=b"
FORMS = ("/api/search", "/api/queries", "/api/images")


def png(seed=0, size=(64, 48)):
    stream = BytesIO()
    blot(seed, *size).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def app(server_collection):
    return create_app(server_collection, ServerSettings())


@pytest.fixture
def port(app):
    with listening(app) as port:
        yield port


def detail(answer):
    """The sentence of a refusal."""
    status, headers, body = answer
    assert 400 <= status < 500, body
    assert headers["content-type"] == "application/json"
    said = json.loads(body)["detail"]
    assert "\n" not in said
    assert "class" not in said
    return said


# ---- HEAD


def readable(app):
    """Every path that GET answers: those of the OpenAPI document, with ids filled in, the pages and mounted files."""
    paths = [path for path, methods in app.openapi()["paths"].items() if "get" in methods]
    pages = ["/", "/docs", "/openapi.json", "/favicon.ico", "/web/main.js", "/web/style.css"]
    return [re.sub(r"{\w+}", "1", path) for path in paths] + pages + ["/web", "/nothing", "/api/images?limit=2"]


def test_head_is_answered_as_get_is_without_the_body(app, port):
    paths = readable(app)
    assert {"/api/images/1/thumbnail", "/metrics", "/api/jobs", "/healthz", "/api/jobs/1/events"} <= set(paths)
    for path in paths:
        status, headers, body = exchange(port, get(path))
        again, same, nothing = exchange(port, get(path, method="HEAD"))
        assert (again, nothing) == (status, b""), path
        for each in (headers, same):
            each.pop("date")
            if path == "/metrics":  # its figures change, and with them their length
                each.pop("content-length")
        assert same == headers, path
        if "content-length" in headers:
            assert int(headers["content-length"]) == len(body), path


def test_head_on_a_connection_that_goes_on_leaves_the_next_answer_where_it_belongs(port):
    asked = b"HEAD /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + get("/healthz")
    _, _, rest = exchange(port, asked)
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b'{"status":"ok"}')


def test_head_of_a_thumbnail_that_is_known_is_304_as_get_is(port):
    tag = exchange(port, get("/api/images/1/thumbnail", method="HEAD"))[1]["etag"]
    for method in ("GET", "HEAD"):
        assert exchange(port, get("/api/images/1/thumbnail", f"If-None-Match: {tag}", method=method))[0] == 304


def test_head_of_a_jobs_events_ends_while_the_job_goes_on(app, port):
    gate = threading.Event()
    job = app.state.services.jobs.start("folder", "a", lambda _: gate.wait() and None)
    status, headers, body = exchange(port, get(f"/api/jobs/{job.id}/events", method="HEAD"))
    assert (status, body) == (200, b"")
    assert headers["content-type"].startswith("text/event-stream")
    assert not job.is_over
    gate.set()


def test_with_a_token_head_is_refused_and_let_in_as_get_is(server_collection):
    with listening(create_app(server_collection, ServerSettings(token="a-token-for-tests"))) as port:
        for path, headers in (("/healthz", []), ("/healthz", ["Authorization: Bearer a-token-for-tests"]), ("/", [])):
            one, other = (exchange(port, get(path, *headers, method=method)) for method in ("GET", "HEAD"))
            assert one[0] == other[0]
            assert one[1].keys() == other[1].keys()
            assert other[2] == b""
        assert "set-cookie" in exchange(port, get("/?token=a-token-for-tests", method="HEAD"))[1]


# ---- other methods


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND", "BREW"])
def test_a_method_that_a_path_does_not_know_is_405_and_all_that_it_knows_are_named(app, port, method):
    known = {path: {m.upper() for m in methods} for path, methods in app.openapi()["paths"].items()}
    known |= {path: {"GET"} for path in ("/", "/docs", "/openapi.json", "/favicon.ico", "/web/main.js")}
    assert known["/api/images/{image_id}"] == {"GET", "DELETE"}
    for path, methods in known.items():
        if method in methods:
            continue
        answer = exchange(port, get(re.sub(r"{\w+}", "1", path), method=method))
        assert answer[0] == 405, path
        assert set(answer[1]["allow"].split(", ")) == methods | ({"HEAD"} if "GET" in methods else set()), path
        assert method in detail(answer)


# ---- HTTP/1.0 and Host


def old(path, *headers, method="GET"):
    """A request of HTTP/1.0, which knows no Host."""
    return "\r\n".join([f"{method} {path} HTTP/1.0", *headers, "", ""]).encode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_check_of_health_needs_no_host_and_nothing_else_goes_without(app, port, method):
    assert exchange(port, old("/healthz", method=method))[0] == 200
    for path in set(readable(app)) - {"/healthz"} | {"/healthz/", "//healthz", "/healthz/x", "/api/../healthz/../"}:
        assert exchange(port, old(path, method=method))[0] == 421, path
        assert exchange(port, old(path, "Host:", method=method))[0] == 421, path
    assert exchange(port, old("/healthz", method="POST"))[0] == 405


def test_a_check_of_health_with_a_strangers_host_is_refused_still(port):
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8765"):
        assert exchange(port, old("/healthz", f"Host: {host}"))[0] == 421


def test_a_check_of_health_without_a_host_needs_the_token_still(server_collection):
    with listening(create_app(server_collection, ServerSettings(token="a-token-for-tests"))) as port:
        assert exchange(port, old("/healthz"))[0] == 401
        assert exchange(port, old("/healthz", "Authorization: Bearer a-token-for-tests"))[0] == 200


def test_http_1_0_with_a_host_is_served_as_any_other(port):
    for path in ("/", "/api/collection", "/web/main.js", "/api/images/1/thumbnail"):
        old_answer, new_answer = exchange(port, old(path, "Host: 127.0.0.1")), exchange(port, get(path))
        assert old_answer[0] == new_answer[0] == 200
        assert old_answer[2] == new_answer[2]
    body, kind = form(image=("a.png", png()), top="1")
    head = old("/api/search", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(body)}", method="POST")
    assert exchange(port, head + body)[0] == 200


# ---- forms


@pytest.mark.parametrize(
    "said",
    [
        b"filename*=UTF-8''a.png",
        b"filename*=utf-8'en'%e2%82%ac.png",
        b"filename*=UTF-8''%FF.png",
        b"filename*=garbage",
        b"filename*=",
        b'filename*0="a"; filename*1=".png"',
        b"",
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (1600, 1200)])
def test_a_file_without_a_plain_name_gets_a_sentence_of_ours(port, said, size):
    noise = Image.effect_noise(size, 100)
    stream = BytesIO()
    noise.save(stream, "PNG")
    body = part(b'name="image"; ' + said, stream.getvalue()) + END
    for path in FORMS:
        assert 'filename="..."' in detail(exchange(port, post(path, body, KIND)))


def test_a_file_with_both_names_is_taken_by_the_plain_one(port):
    body = part(b'name="image"; filename="a.png"; filename*=UTF-8\'\'b.png', png()) + END
    status, _, answer = exchange(port, post("/api/queries", body, KIND))
    assert (status, json.loads(answer)["image"]) == (201, "a.png")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\\\pictures\\\\a.png", "/a.png", "%2e%2e%2fa.png", "a\x00.png"]
)
def test_folders_in_the_name_of_a_file_are_a_name(port, server_collection, name):
    body = part(b'name="image"; filename="' + name.encode() + b'"', png()) + END
    assert exchange(port, post("/api/queries", body, KIND))[0] == 201
    assert exchange(port, post("/api/images", body, KIND))[0] == 202
    wait_for(lambda: len(server_collection) == 13)
    assert [path.parent for path in (server_collection.path / "uploads").iterdir()] == [
        server_collection.path / "uploads"
    ]


@pytest.mark.parametrize(
    ("path", "body", "kind", "words"),
    [
        ("/api/queries", form(image=[("a.png", png(1)), ("b.png", png(2))])[0], KIND, "one picture a request, found 2"),
        ("/api/queries", form(image=("a.png", b""))[0], KIND, "a.png: empty"),
        ("/api/images", form(image=[("a.png", b"a"), ("b.png", b"")])[0], KIND, "b.png: empty"),
        # of earlier releases of FastAPI, what has no name is a file all the same
        ("/api/queries", form(image=("", b""))[0], KIND, "no such file in the form|picture: empty"),
        ("/api/queries", b"", KIND, "no such file in the form"),
        ("/api/queries", form(picture=("a.png", png()))[0], KIND, "no such file in the form"),
        ("/api/queries", png(), "image/png", "multipart/form-data"),
        ("/api/queries", b'{"image": 1}', "application/json", "multipart/form-data"),
        ("/api/queries", b"image=a.png", "application/x-www-form-urlencoded", "a file is expected"),
        ("/api/search", b'{"image_id": 1}', "application/json", "a form sends a picture"),
        ("/api/search", form(image=("a.png", png()))[0], "multipart/form-data", "the body cannot be read"),
        ("/api/search", form(image=("a.png", png()))[0], f"{KIND}oundary", "the body cannot be read"),
        ("/api/search", b"--b\r\nContent-Disposition form-data\r\n\r\nx\r\n" + END, KIND, "the body cannot be read"),
        ("/api/search", part(b'filename="a.png"', png()) + END, KIND, "the body cannot be read"),
        ("/api/search", part(b'name="x"', b"1") * 1001 + END, KIND, "the body cannot be read"),
        ("/api/search", part(b'name="image_id"', b"\xff\xfe") + END, KIND, "image_id"),
        ("/api/search", form(image=("a.png", b"aGVsbG8="))[0], KIND, "a.png: not a picture"),
        ("/api/sheet", form(image=("a.png", png()))[0], KIND, "body"),
        ("/api/sheet", b'{"results": ["\xff\xfe"]}', "application/json", "body"),
        ("/api/sheet", b'{"results": ', "application/json", "JSON"),
    ],
)
def test_a_form_that_is_none_gets_a_sentence(port, path, body, kind, words):
    assert re.search(words, detail(exchange(port, post(path, body, kind))))


def test_whoever_is_refused_before_the_body_is_read_hears_why(server_collection):
    app = create_app(server_collection, ServerSettings(token="a-token-for-tests"))
    body, kind = form(image=("a.png", bytes(3 << 20)))
    with listening(app) as port:
        assert "needs a token" in detail(exchange(port, post("/api/queries", body, kind)))
        assert "needs a token" in detail(exchange(port, post("/nothing", body, kind)))
        bearer = "Authorization: Bearer a-token-for-tests"
        assert "Not Found" in detail(exchange(port, post("/nothing", body, kind, bearer)))
        assert "POST" in detail(exchange(port, post("/docs", body, kind, bearer)))


def test_a_body_in_chunks_is_taken(port):
    body, kind = form(image=("a.png", png()))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 50]), body[i : i + 50]) for i in range(0, len(body), 50))
    head = get("/api/queries", f"Content-Type: {kind}", "Transfer-Encoding: chunked", method="POST")
    assert exchange(port, head + chunks + b"0\r\n\r\n")[0] == 201


def expecting(path, length, kind, *headers):
    return get(
        path, f"Content-Type: {kind}", f"Content-Length: {length}", "Expect: 100-continue", *headers, method="POST"
    )


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(port):
    body, kind = form(image=("a.png", png()))
    with connect(port, expecting("/api/queries", len(body), kind)) as line:
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(body)
        assert line.recv(100).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize(
    ("path", "length", "headers", "status"),
    [
        ("/api/queries", 1 << 20, ["Authorization: Bearer a-wrong-token"], 401),
        ("/api/queries", 1 << 20, ["Origin: https://evil.example"], 403),
        ("/api/queries", 1 << 40, ["Authorization: Bearer a-token-for-tests"], 413),
        ("/nothing", 1 << 20, ["Authorization: Bearer a-token-for-tests"], 404),
        ("/docs", 1 << 20, ["Authorization: Bearer a-token-for-tests"], 405),
    ],
)
def test_a_client_that_waits_is_refused_without_its_body(server_collection, path, length, headers, status):
    with listening(create_app(server_collection, ServerSettings(token="a-token-for-tests"))) as port:
        assert exchange(port, expecting(path, length, KIND, *headers))[0] == status
