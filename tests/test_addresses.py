"""URLs as sources: what their names mean, what is said when one cannot be had, and what is told to nobody."""

import base64
import hashlib
import json
import shutil
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

import pytest

from patchseek import Collection
from patchseek._addresses import is_chain, is_url, masked, name_part, without_fragment
from patchseek.cli._report import say_report, write_run_report
from patchseek.distributed import check_source
from patchseek.errors import ImageError, PatchseekError
from patchseek.sources import cause_of, stores
from patchseek.store import Settings, Store

from .conftest import TinyEncoder, blot
from .test_distributed import PYRAMID
from .test_distributed_sources import add_here, make_tar
from .test_distributed_sources import serve as serve
from .test_distributed_sources import start_server as start_server

pytestmark = pytest.mark.extra("ray")


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())


@pytest.fixture
def answer(start_server):
    """answer(function of a request) -> the URL of a server on this machine that leaves every answer to it."""

    def start(function):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, content = function(self)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        return start_server(Handler)

    return start


def why(url):
    """Why the bytes at a URL cannot be had, for a whole file and for a part of one."""
    reasons = set()
    for part in ((0, None), (5, 10)):
        with pytest.raises(ImageError) as caught:
            stores.fetch(url, "name", *part)
        assert caught.value.passing
        reasons.add(caught.value.reason)
    (reason,) = reasons
    return reason


# ---- why


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (403, {}, "HTTP 403 Forbidden"),
        (404, {}, "HTTP 404 Not Found"),
        (401, {}, "HTTP 401 Unauthorized"),
        (500, {}, "HTTP 500 Internal Server Error"),
        (599, {}, "HTTP 599"),
        (999, {}, "HTTP 999"),
        (204, {}, "HTTP 204 No Content"),
        (300, {}, "HTTP 300 Multiple Choices"),
        (304, {}, "HTTP 304 Not Modified"),
        (302, {}, "HTTP 302 Found"),
        (301, {"Location": "file:///etc/a.jpg"}, "redirected to what is no web address"),
        (307, {"Location": "http://[::1/a.jpg"}, "redirected to what is no web address"),
        (429, {}, "HTTP 429 Too Many Requests"),
        (429, {"Retry-After": "120"}, "HTTP 429 Too Many Requests, to be tried again after 120 s"),
        (
            503,
            {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"},
            "HTTP 503 Service Unavailable, to be tried again after Fri, 31 Dec 2027 23:59:59 GMT",
        ),
    ],
)
def test_what_a_server_answers_is_said(answer, status, headers, said):
    assert why(answer(lambda _: (status, headers, b"")) + "/a.jpg") == f"cannot be read ({said})"


def test_a_server_that_sends_round_in_circles_is_named_as_such(answer):
    url = answer(lambda request: (302, {"Location": request.path}, b""))
    assert why(f"{url}/a.jpg") == "cannot be read (redirected again and again)"


@pytest.mark.parametrize(
    "sent", [b"\x00\x01\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n"]
)
def test_an_answer_that_is_no_http_is_not_taken_for_a_refusal(start_server, sent):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(sent)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    assert (
        why(f"{start_server(Handler)}/a.jpg")
        == "cannot be read (the answer breaks off, or is not HTTP as it should be)"
    )


def test_what_the_owner_of_a_machine_has_set_for_web_addresses_stays(answer, monkeypatch):
    import fsspec

    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": {"headers": {"X-Mine": "yes"}}})
    url = answer(lambda request: (200 if request.headers["X-Mine"] == "yes" else 403, {}, b"x" * 20))
    assert stores.fetch(f"{url}/a.jpg", "name", 0, None) == b"x" * 20


def test_a_redirect_that_ends_is_followed(answer):
    content = b"x" * 20
    url = answer(lambda request: (200, {}, content) if request.path == "/b.jpg" else (302, {"Location": "/b.jpg"}, b""))
    assert stores.fetch(f"{url}/a.jpg", "name", 0, None) == content


def test_what_the_network_says_is_said(answer, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert why(f"http://127.0.0.1:{port}/a.jpg") == "cannot be read (connection refused)"
    plain = answer(lambda _: (200, {}, b"")).replace("http", "https")
    assert why(f"{plain}/a.jpg").startswith("cannot be read (no secure connection: ")

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert why("http://nowhere.invalid/a.jpg") == "cannot be read (no such host is known)"


def test_a_server_that_never_answers_is_given_up(answer, monkeypatch):
    ended = threading.Event()
    url = answer(lambda _: (200, {}, b"") if ended.wait() else None)
    monkeypatch.setattr(stores, "FETCH_SECONDS", 0.2)
    assert why(f"{url}/a.jpg") == "takes more than 0.2 s to read"
    ended.set()


def test_other_stores_say_why_too(tmp_path):
    assert why(f"file://{tmp_path}/none.jpg") == "cannot be read (No such file or directory)"
    assert why("nope://bucket/a.jpg") == "cannot be read (Protocol not known: nope)"
    assert cause_of(ValueError("denied: https://u:secret@host/a?token=hidden")) == "denied"
    assert cause_of(RuntimeError()) == "RuntimeError"


def test_a_folder_at_a_url_that_cannot_be_listed_is_an_error_and_nothing_of_it_is_gone(
    collection, answer, serve, make_folder
):
    content = (make_folder("a.png") / "a.png").read_bytes()
    files = {f"/sub/{i}.png": content for i in range(2)} | {"/a.png": content}
    broken = []

    def served(request):
        if request.path in files:
            return 200, {}, files[request.path]
        if request.path in broken:
            return 503, {"Retry-After": "5"}, b""
        names = {"/": ["a.png", "sub/"], "/sub/": ["0.png", "1.png"]}[f"{request.path.rstrip('/')}/"]
        page = "".join(f'<a href="{name}">{name}</a>' for name in names)
        return 200, {"Content-Type": "text/html"}, page.encode()

    url = answer(served)
    assert add_here(collection, url).added == 3
    broken += ["/sub", "/sub/"]
    with pytest.raises(PatchseekError, match=r"cannot be read \(HTTP 503 Service Unavailable, .* 5 s\)"):
        add_here(collection, url)
    assert len(collection) == 3
    for source, said in ((f"{serve(make_folder())}/none", "404"), (f"{url}/sub", "503")):
        with pytest.raises(PatchseekError, match=f"HTTP {said}"):
            check_source(source)


def test_a_tar_that_breaks_off_as_it_is_listed_is_one_failure(collection, tmp_path, make_folder, answer):
    folder = make_folder("a.png", "b.png")
    content = make_tar(tmp_path / "x.tar", folder, ["a.png", "b.png"]).read_bytes()
    asked = []

    def served(request):
        asked.append(request.headers.get("Range"))
        if request.command == "GET" and len(asked) > 2:
            return 429, {"Retry-After": "7"}, b""
        return 200, {"Accept-Ranges": "bytes"}, content

    url = f"{answer(served)}/x.tar"
    with pytest.raises(PatchseekError, match=r"x\.tar: cannot be read as a tar \(HTTP 429 .* 7 s\)"):
        add_here(collection, url)


@pytest.mark.parametrize("n_bytes", [0, 12 << 20])
def test_a_server_that_gives_no_part_of_a_tar_is_named_and_tried_again(
    collection, tmp_path, make_folder, answer, n_bytes
):
    folder = make_folder("a.png")
    (folder / "b.bin").write_bytes(bytes(n_bytes))
    content = make_tar(tmp_path / "x.tar", folder, ["b.bin", "a.png"]).read_bytes()
    url = answer(lambda _: (200, {}, content))
    for _ in range(2):
        (failure,) = add_here(collection, f"{url}/x.tar").failed
        assert "the server gives no part of a file, only all of it; fetch it to this machine first" in failure.reason
    assert len(stores.fetch(f"{url}/x.tar", "name", 0, None)) == len(content)  # as a picture of a list


# ---- what a name means

NAMES = [
    "a::b.png",
    "a#1.png",
    "a b.png",
    "é.png",
    "100%.png",
    "a+b.png",
    "a&b=c.png",
    "[1].png",
    "a;b.png",
    "a@b:c.png",
]


@pytest.fixture
def odd(make_folder, tmp_path):
    """A folder of NAMES, and of what each would be cut to, were its signs read as more than letters."""
    folder = make_folder(*NAMES)
    for name in ("a", "a::b", "100"):
        blot(99).save(tmp_path / "decoy.png")
        shutil.copy(tmp_path / "decoy.png", folder / name)
    return folder


def hashes(folder):
    return sorted(hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES)


def held(collection):
    return sorted(file.sha256 for root in collection.store.roots() for file in collection.store.known(root).values())


@pytest.mark.parametrize("kind", ["as they are", "encoded", "file", "paths", "web folder", "folder", "tar"])
def test_signs_in_names_are_letters_whatever_the_source(collection, odd, serve, tmp_path, kind):
    url = serve(odd)
    lists = {
        "as they are": [f"{url}/{name}" for name in NAMES],
        "encoded": [f"{url}/{quote(name)}" for name in NAMES],
        "file": [f"file://{odd}/{name}" for name in NAMES],
        "paths": [f"pictures/{name}" for name in NAMES],
    }
    source = {"web folder": url, "folder": odd, "tar": tmp_path / "x.tar"}.get(kind, tmp_path / "list.csv")
    make_tar(tmp_path / "x.tar", odd, NAMES)
    (tmp_path / "list.csv").write_text("\n".join(["path", *(f'"{place}"' for place in lists.get(kind, []))]))
    report = add_here(collection, source)
    assert (report.added, report.failed) == (len(NAMES), [])
    assert held(collection) == hashes(odd)


def test_a_query_is_sent_and_a_fragment_is_not(answer):
    asked = []
    url = answer(lambda request: asked.append(request.path) or (200, {}, b"x"))
    for place, sent in (
        ("a.jpg#top", "/a.jpg"),
        ("photo#1.jpg", "/photo%231.jpg"),
        ("image?id=3&sig=a%2Bb#x.jpg", "/image?id=3&sig=a%2Bb"),
        ("a%20b.jpg", "/a%20b.jpg"),
        ("a%2Fb.jpg", "/a%2Fb.jpg"),
    ):
        stores.fetch(f"{url}/{place}", "name", 0, None)
        assert set(asked) == {sent}
        asked.clear()


@pytest.mark.parametrize("behind", ["", "?sig=a/b*c", "?a=1&b=/x.csv", "#top/of"])
def test_what_is_behind_the_name_of_a_list_or_a_tar_is_no_part_of_it(collection, make_folder, serve, behind):
    folder = make_folder("a.png", "sub/b.png", "c.png")
    (folder / "list.csv").write_text("url\na.png\nsub/b.png\n")
    make_tar(folder / "x.tar", folder, ["c.png"])
    url = serve(folder)
    for source, n in ((f"{url}/list.csv{behind}", 2), (f"{url}/x.tar{behind}", 1)):
        report = add_here(collection, source)
        assert (report.added, report.failed) == (n, [])


@pytest.mark.parametrize("name", ["a#b", "q?r", "a#b?c=/d"])
def test_in_other_urls_these_are_letters_of_folders_too(collection, make_folder, name):
    folder = make_folder("a.png", "b.png", folder=name)
    (folder / "list.csv").write_text("path\na.png\n")
    make_tar(folder / "x.tar", folder, ["b.png"])
    for source in ("list.csv", "x.tar"):
        report = add_here(collection, f"file://{folder}/{source}")
        assert (report.added, report.failed) == (1, [])


def test_the_name_part_of_an_address_is_what_decides_its_kind():
    for place, name in (
        ("http://h/x.tar?a=b.csv", "http://h/x.tar"),
        ("http://h/photos#1.tar?x", "http://h/photos%231.tar"),
        ("simplecache::https://h/l.csv?x#y", "simplecache::https://h/l.csv"),
        ("s3://b/a?b/x.tar", "s3://b/a?b/x.tar"),
        ("/a?b/x#1.tar", "/a?b/x#1.tar"),
    ):
        assert name_part(place) == name


def test_a_chain_is_one_only_where_a_store_is_named_that_lies_in_another(collection, make_folder, serve, tmp_path):
    folder = make_folder("a.png")
    with zipfile.ZipFile(folder / "x.zip", "w") as file:
        file.write(folder / "a.png", "in.png")
    places = [f"zip://in.png::file://{folder}/x.zip", f"simplecache::{serve(folder)}/a.png"]
    (tmp_path / "list.csv").write_text("\n".join(["url", *places]))
    assert add_here(collection, tmp_path / "list.csv").added == 2
    for url in ("http://h/a::b.jpg", "http://h/zip::b.jpg", "s3://b/zip://x::y.jpg", "file:///zip::a", "a::b.jpg"):
        assert not is_chain(url)


def test_a_path_is_no_url_whatever_stands_in_it():
    assert all(map(is_url, ["s3://b", "HTTP://h", "zip://a::http://h/b", "simplecache::s3://b", "git+ssh://h/a"]))
    assert not any(map(is_url, ["/a://b", "./a://b", "a/b://c", "~/x::y", "a::b.jpg", "C:\\a", "1://x", "://x"]))
    assert without_fragment("http://h/a") == "http://h/a"


# ---- what is told to nobody


def test_passwords_and_tokens_are_masked():
    for text, shown in (
        ("http://user:secret@host/a.jpg", "http://user:***@host/a.jpg"),
        ("http://user:se:c@ret@host/a.jpg", "http://user:***@host/a.jpg"),
        ("no s3://k:v@b/x and ftp://u:p@h/y", "no s3://k:***@b/x and ftp://u:***@h/y"),
        ("https://ghp_token@host:80/a@b:c.jpg", "https://***@host:80/a@b:c.jpg"),
        ("postgresql://user@host/db and http://host/a@b.jpg", "postgresql://user@host/db and http://host/a@b.jpg"),
        ("http://host/a.jpg?pass=x&jwt=y#access_token=z", "http://host/a.jpg?pass=***&jwt=***#access_token=***"),
        ("http://host/a.jpg?pass_through=1&compass=2", "http://host/a.jpg?pass_through=1&compass=2"),
        (
            "http://host:80/a.jpg?id=1&Token=x&X-Amz-Signature=y#z",
            "http://host:80/a.jpg?id=1&Token=***&X-Amz-Signature=***#z",
        ),
        ("http://host/a?q=key&keyword=cup&author=me", "http://host/a?q=key&keyword=cup&author=me"),
        ("/home/a:b@c.jpg", "/home/a:b@c.jpg"),
        ("http:/user:secret@host/a.jpg", "http:/user:***@host/a.jpg"),
    ):
        assert masked(text) == shown


def test_a_password_is_used_but_shown_nowhere(collection, make_folder, answer, tmp_path, capfd):
    content, seen = (make_folder("a.png") / "a.png").read_bytes(), []

    def served(request):
        seen.append(request.headers.get("Authorization"))
        return (200, {}, content) if request.path == "/a.png" else (403, {}, b"")

    place = answer(served).replace("//", "//user:secret@")
    (tmp_path / "list.csv").write_text(f"url\n{place}/a.png\n{place}/b.png?token=hidden\n")
    report = add_here(collection, tmp_path / "list.csv")
    assert report.added == 1
    assert set(seen) == {f"Basic {base64.b64encode(b'user:secret').decode()}"}
    report.seconds = 1
    say_report(collection, report, prune=False)
    write_run_report(tmp_path / "report.json", collection, report)
    shown = place.replace("secret", "***")
    assert f"failed: {shown}/b.png?token=***: cannot be read (HTTP 403 Forbidden)\n" in capfd.readouterr().err
    (failure,) = json.loads((tmp_path / "report.json").read_text())["failures"]
    assert failure["image"] == f"{shown}/b.png?token=***"
    for source in (f"{place}/list.csv", f"{place}/x.tar", f"{place}/folder", f"{place}/x.tar.gz"):
        with pytest.raises(PatchseekError) as caught:
            check_source(source)
        assert "user:***@" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_password_does_not_follow_a_redirect_to_another_server(answer):
    seen = []
    other = answer(lambda request: seen.append(request.headers.get("Authorization")) or (200, {}, b"x"))
    first = answer(lambda _: (302, {"Location": f"{other}/a.jpg"}, b""))
    assert stores.fetch(first.replace("//", "//user:secret@") + "/a.jpg", "name", 0, None) == b"x"
    assert set(seen) == {None}
