"""Pictures on the web, named by a list: indexed, refined, looked at again, politely; and what is never asked."""

import hashlib
import io
import time

import numpy as np
import pytest
import urllib3
from click.testing import CliRunner

from patchseek import Collection, server
from patchseek.cli import cli
from patchseek.errors import ImageError, PatchseekError
from patchseek.originals import open_original
from patchseek.sources import _web, _web_cache, _web_hosts, _web_reach, open_web
from patchseek.sources._web_reach import is_public

from .conftest import TinyEncoder, blot
from .web_server import serving

pytestmark = [pytest.mark.extra("urls"), pytest.mark.usefixtures("own_web")]
assert urllib3  # what the extra brings


def png(seed, size=(96, 64)):
    """A small photograph of its own, as a file's bytes."""
    stream = io.BytesIO()
    blot(seed, *size).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def site():
    with serving() as (site, base):
        site.base = base
        for seed in range(4):
            site.put(f"/{seed}.png", png(seed))
        yield site


@pytest.fixture
def collection(tmp_path):
    return Collection.open(tmp_path / "collection", encoder=TinyEncoder(), points=False, create=True)


@pytest.fixture
def listed(site, tmp_path):
    """listed("0.png", "1.png") -> a text file with these addresses."""

    def write(*names, called="list.txt"):
        file = tmp_path / called
        file.write_text("".join(f"{name if '://' in name else site.base + name}\n" for name in names))
        return file

    return write


def paths(collection):
    return sorted(path for _, _, path in collection.store.paths())


def a_day_later(monkeypatch):
    now = time.time() + 2 * _web.DAY
    monkeypatch.setattr(time, "time", lambda: now)


# ---- what a list names


def test_a_list_is_indexed_searched_and_its_boxes_refined_without_a_cluster(collection, site, listed, tmp_path):
    report = collection.add(listed("0.png", "1.png", "2.png"))
    assert (report.added, report.failed) == (3, [])
    assert paths(collection) == [f"{site.base}{n}.png" for n in range(3)]
    blot(1, 96, 64).save(tmp_path / "query.png")
    best = collection.search(tmp_path / "query.png", refine=10)[0]
    assert best.image.path == f"{site.base}1.png"
    assert best.image.stored.name == f"{site.base}1.png"
    assert np.array_equal(open_original(best.image).pixels, np.asarray(blot(1, 96, 64)))
    assert site.times() == {f"/{n}.png": 1 for n in range(3)}  # fetched once; refined from what is kept


def test_files_and_addresses_may_stand_in_one_list(collection, site, tmp_path):
    blot(9).save(tmp_path / "own.png")
    (tmp_path / "list.csv").write_text(f"title,url\none,{site.base}0.png\ntwo,own.png\n# no,\n")
    report = collection.add(tmp_path / "list.csv")
    assert (report.added, report.passed_over["comments"]) == (2, 1)
    assert paths(collection) == sorted([f"{site.base}0.png", f"{tmp_path}/own.png"])


def test_the_command_line_takes_a_list_and_says_what_failed(site, listed, tmp_path):
    words = ["index", listed("0.png", "gone.png"), "-c", tmp_path / "home", "--encoder", "embedded", "--no-points"]
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 3  # some failed
    assert "1 added" in done.output
    assert f"{site.base}gone.png: cannot be fetched (HTTP 404 Not Found)" in done.output


def test_what_a_list_names_no_longer_is_set_aside_and_comes_back_without_being_encoded(collection, site, listed):
    collection.add(listed("0.png", "1.png"))
    assert collection.add(listed("0.png")).removed == 1
    assert paths(collection) == [f"{site.base}0.png"]
    report = collection.add(listed("0.png", "1.png"))
    assert (report.added, report.moved + report.returned) == (0, 1)
    assert len(collection) == 2


@pytest.mark.parametrize("line", ["/etc/a.png", "file:///etc/a.png", "s3://bucket/a.png"])
def test_a_list_on_the_web_is_indexed_and_names_nothing_but_the_web(collection, site, line):
    site.put("/list.txt", f"0.png\n{site.base}1.png\n".encode())
    assert collection.add(f"{site.base}list.txt").added == 2
    site.put("/list.txt", f"0.png\n{line}\n".encode())
    with pytest.raises(PatchseekError, match="a list from elsewhere may not"):
        collection.add(f"{site.base}list.txt")
    assert len(collection) == 2


def test_a_picture_on_the_web_may_be_the_source(collection, site):
    assert collection.add(f"{site.base}0.png").added == 1
    with pytest.raises(PatchseekError, match="fetch it first"):
        collection.add(f"{site.base}tape.mp4")


def test_exclusions_see_the_addresses_and_are_remembered(collection, listed):
    assert collection.add(listed("0.png", "1.png"), exclude=["1.png"]).added == 1
    assert collection.add(listed("0.png", "1.png")).added == 0


# ---- looked at again


def test_what_was_asked_today_is_not_asked_again(collection, site, listed):
    collection.add(listed("0.png", "1.png"))
    site.asked.clear()
    assert collection.add(listed("0.png", "1.png")).unchanged == 2
    assert site.asked == []


def test_later_a_server_is_asked_whether_anything_changed_and_only_that_comes(collection, site, listed, monkeypatch):
    collection.add(listed("0.png", "1.png"))
    before = {image.path: image.id for image in collection.store.images([1, 2])}
    site.put("/1.png", png(11))
    site.headers.clear()
    a_day_later(monkeypatch)
    report = collection.add(listed("0.png", "1.png"))
    assert (report.unchanged, report.changed, report.added) == (1, 1, 0)
    assert all("if-none-match" in headers and "if-modified-since" in headers for headers in site.headers)
    ids = {path: number for number, _, path in collection.store.paths()}
    assert ids[f"{site.base}0.png"] == before[f"{site.base}0.png"]
    assert ids[f"{site.base}1.png"] != before[f"{site.base}1.png"]


def test_of_a_server_that_says_nothing_the_bytes_are_compared(collection, site, listed):
    site.answers["/0.png"] = 200, {}, png(0)
    collection.add(listed("0.png"))
    assert collection.add(listed("0.png"), check_content=True).unchanged == 1
    site.answers["/0.png"] = 200, {}, png(5)
    assert collection.add(listed("0.png"), check_content=True).changed == 1


def test_a_collection_whose_cache_is_gone_asks_again_and_encodes_nothing(collection, site, listed, own_cache):
    collection.add(listed("0.png"))
    for file in [path for path in own_cache.rglob("*") if path.is_file()]:
        file.unlink()
    site.asked.clear()
    assert collection.add(listed("0.png")).unchanged == 1
    assert site.asked == ["/0.png"]


def test_a_picture_that_was_replaced_is_not_taken_for_the_one_that_was_indexed(collection, site, listed, own_cache):
    collection.add(listed("0.png"))
    (image,) = collection.store.images([1])
    for file in [path for path in own_cache.rglob("*") if path.is_file()]:
        file.unlink()
    site.put("/0.png", png(7))
    with pytest.raises(ImageError, match="changed"):
        open_original(image)


# ---- what does not come


def test_what_is_not_there_is_not_asked_again_and_what_fails_for_now_is(collection, site, listed, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    site.answers["/broken.png"] = 500, {}, b""
    report = collection.add(listed("gone.png", "broken.png", "0.png"))
    assert {f.path.removeprefix(site.base): (f.reason, f.passing) for f in report.failed} == {
        "gone.png": ("cannot be fetched (HTTP 404 Not Found)", False),
        "broken.png": ("cannot be fetched (HTTP 500 Internal Server Error)", True),
    }
    assert site.times()["/broken.png"] == _web.TRIES
    site.asked.clear()
    assert len(collection.add(listed("gone.png", "broken.png", "0.png")).failed) == 2
    assert set(site.asked) == {"/broken.png"}
    site.put("/broken.png", png(8))
    site.put("/gone.png", png(9))
    assert collection.add(listed("gone.png", "broken.png", "0.png"), retry=True).added == 2


def test_a_host_that_asks_for_patience_is_given_it(collection, site, listed):
    began, first = time.monotonic(), []

    def busy(_):
        if not first:
            first.append(time.monotonic())
            return 429, {"Retry-After": "1"}, b""
        return 200, {}, png(0)

    site.answers["/0.png"] = busy
    report = collection.add(listed("0.png"))
    assert (report.added, report.failed) == (1, [])
    assert time.monotonic() - began >= 1


def test_a_host_that_asks_for_much_patience_is_left_alone(collection, site, listed):
    site.answers["/0.png"] = 503, {"Retry-After": "3600"}, b""
    report = collection.add(listed("0.png", *(f"{n}.png?{k}" for n in range(4) for k in range(20))))
    assert report.added < 20
    assert len(site.asked) < 20  # those that were under way
    (one, *_) = [failure for failure in report.failed if failure.path == f"{site.base}0.png"]
    assert one.passing
    assert "127.0.0.1 asks to be left alone for 3600 s" in one.reason or "for 3599 s" in one.reason


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), (" 12 ", 12), ("", None), ("soon", None), (None, None)])
def test_seconds_of_patience(said, seconds):
    assert _web_hosts.seconds_of(said) == seconds


def test_a_date_of_patience_is_seconds_from_now(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    assert _web_hosts.seconds_of("Tue, 14 Nov 2023 22:14:20 GMT") == 60
    assert _web_hosts.seconds_of("Tue, 14 Nov 2022 22:14:20 GMT") == 0


def test_a_host_is_asked_for_two_pictures_at_a_time(collection, site, listed):
    def slow(_):
        time.sleep(0.05)
        return 200, {}, png(0)

    for n in range(12):
        site.answers[f"/slow{n}.png"] = slow
    collection.add(listed(*(f"slow{n}.png" for n in range(12))))
    assert site.most_at_once == _web_hosts.AT_ONCE


def test_what_is_too_large_is_not_read_to_its_end(collection, site, listed, monkeypatch):
    monkeypatch.setattr(_web, "MOST_BYTES", 100_000)
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(b"x" * 10_000)
            sent.append(10_000)

    site.answers["/endless.png"] = endless
    site.answers["/claims.png"] = 200, {"Content-Length": "99999999999"}, b"x"
    report = collection.add(listed("endless.png", "claims.png"))
    assert [failure.reason for failure in report.failed] == ["more than 0 MB is too large for a picture"] * 2
    assert sum(sent) < 50_000_000


def test_a_server_that_never_ends_its_answer_holds_nothing_up(collection, site, listed, monkeypatch):
    monkeypatch.setattr(_web, "SECONDS", 0.5)

    def trickle(handler):
        try:
            for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 200:
                handler.wfile.write(bytes([letter]))
                time.sleep(0.05)
        except OSError:
            pass

    site.answers["/slow.png"] = trickle
    report = collection.add(listed("slow.png", "0.png"))
    assert (report.added, [failure.reason for failure in report.failed]) == (1, ["takes more than 0.5 s to come"])


def test_a_page_that_is_no_picture_and_a_secret_in_an_address(collection, site, listed):
    site.answers["/page.png?token=abcdef"] = 200, {"Content-Type": "text/html"}, b"<html>no</html>"
    report = collection.add(listed("page.png?token=abcdef", "gone.png?token=abcdef"))
    assert len(report.failed) == 2
    assert not any("abcdef" in failure.reason for failure in report.failed)


def test_a_name_and_password_go_to_the_host_they_are_for_and_nowhere_else(collection, site, listed):
    with serving() as (other, base):
        other.put("/0.png", png(3))
        site.answers["/0.png"] = 302, {"Location": f"{base}0.png"}, b""
        assert collection.add(listed(site.base.replace("://", "://me:p%40ss@") + "0.png")).added == 1
        assert site.headers[0]["authorization"] == "Basic bWU6cEBzcw=="  # me:p@ss
        assert "authorization" not in other.headers[0]


# ---- what is never asked


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # a cloud's metadata
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::7f00:1", False),  # 127.0.0.1 through a translator
        ("64:ff9b::5db8:d70e", True),
        ("2002:7f00:1::", False),
        ("no address", False),
    ],
)
def test_which_addresses_are_public(address, public):
    assert is_public(address) == public


def test_an_address_of_a_private_network_is_refused_unless_it_was_named(collection, site, listed, monkeypatch):
    monkeypatch.delenv("PATCHSEEK_PRIVATE_HOSTS")
    report = collection.add(listed("0.png"))
    assert [failure.reason for failure in report.failed] == [
        "127.0.0.1 is an address of a private network; to allow it, name it in PATCHSEEK_PRIVATE_HOSTS"
    ]
    assert site.asked == []
    monkeypatch.setenv("PATCHSEEK_PRIVATE_HOSTS", "127.0.0.1")
    assert collection.add(listed("0.png")).added == 1


def test_a_name_counts_as_private_if_any_of_its_addresses_is(monkeypatch):
    both = [(2, 1, 6, "", ("93.184.215.14", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(_web_reach.socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(ImageError, match="private network"):
        _web_reach.reach("rebound.example", 80)


def test_what_was_looked_at_is_what_is_connected_to(site, monkeypatch):
    """A name that stands for another address a moment later."""
    asked = []

    def lookup(host, port, *_, **__):
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(_web_reach.socket, "getaddrinfo", lookup)
    monkeypatch.setenv("PATCHSEEK_PRIVATE_HOSTS", "pictures.example")
    url = site.base.replace("127.0.0.1", "pictures.example") + "0.png"
    assert open_web().read(url) == png(0)
    assert asked.count("pictures.example") == 1
    assert site.headers[0]["host"].startswith("pictures.example:")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://127.0.0.2/0.png", "127.0.0.2 is an address of a private network"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254 is an address of a private network"),
        ("file:///etc/passwd", "is redirected to what is not asked: file:///etc/passwd"),
        ("ftp://host/a.png", "is redirected to what is not asked"),
        ("/0.png", "is redirected again and again"),
    ],
)
def test_redirections_are_looked_at_like_what_was_asked_for(collection, site, listed, target, said):
    site.answers["/0.png"] = 302, {"Location": target}, b""
    report = collection.add(listed("0.png"))
    assert said in report.failed[0].reason


def test_a_redirection_is_followed(collection, site, listed):
    site.answers["/old.png"] = 301, {"Location": "1.png"}, b""
    assert collection.add(listed("old.png")).added == 1


def test_nothing_is_led_from_a_secure_address_to_an_open_one(monkeypatch):
    reply = _web._Reply(302, {"Location": "http://host/a.png"}, b"")
    monkeypatch.setattr(_web.Web, "_one", lambda *_, **__: reply)
    with pytest.raises(ImageError, match="is redirected to what is not asked"):
        open_web().read("https://host/a.png")


# ---- the page, and what is kept


def test_a_server_fetches_nothing_unless_it_is_told(collection, site, listed, own_cache, tmp_path):
    collection.add(listed("0.png", "1.png"))
    for file in [path for path in own_cache.rglob("*") if path.is_file()]:
        file.unlink()
    site.asked.clear()
    blot(1, 96, 64).save(tmp_path / "query.png")
    for may_fetch, asked in ((False, []), (True, ["/1.png"])):
        app = server.create_app(collection, server.ServerSettings(may_fetch=may_fetch))
        served = app.state.services.collection
        assert served.search(tmp_path / "query.png", refine=1, top=1)[0].image.path == f"{site.base}1.png"
        assert site.asked == asked
        app.state.services.close()
    assert collection.store.may_fetch


def test_what_was_used_longest_ago_makes_room(own_cache):
    cache = _web_cache.Cache(own_cache / "small", most_bytes=1000)
    for n in range(30):
        content = bytes([n]) * 100
        answer = _web_cache.Answer(hashlib.sha256(content).hexdigest(), 100, None, None, float(n))
        cache.keep(f"http://h/{n}", answer, content)
        assert cache.read("http://h/0", cache.find("http://h/0")) == bytes([0]) * 100  # used all the time
    kept = [n for n in range(30) if cache.read(f"http://h/{n}", cache.find(f"http://h/{n}"))]
    assert kept[0] == 0
    assert kept[1:] == list(range(30 - len(kept) + 1, 30))
    assert 8 <= len(kept) <= 10
    assert cache.find("http://h/3").sha256  # what was said of it is known


def test_bytes_that_are_not_what_was_kept_are_fetched_again(site, own_cache):
    url = site.base + "0.png"
    assert open_web().read(url) == png(0)
    (file,) = [path for path in own_cache.rglob("*") if path.is_file() and path.name != "answers.sqlite"]
    file.write_bytes(b"other")
    assert open_web().read(url) == png(0)
    assert site.times() == {"/0.png": 2}


def test_a_cache_that_cannot_be_written_is_done_without(site, own_cache):
    own_cache.write_bytes(b"a file where the folder would be")
    for _ in range(2):
        assert open_web().read(site.base + "0.png") == png(0)
