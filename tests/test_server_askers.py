"""Clients that go before they are answered: what they asked for is dropped where it waits and stops where it runs."""

import json
import threading
from contextlib import contextmanager
from io import BytesIO

import pytest

from patchseek import Collection, collection, sources
from patchseek.rank import _stored
from patchseek.server import ServerSettings, _sheets, create_app

from .conftest import LIMIT, TinyEncoder, blot, wait_for
from .live import connect, exchange, form, get, listening, post


class Gate:
    """A function that counts its calls and, from the n-th on, lets none through until it is opened."""

    def __init__(self, function, n):
        self.function, self.n, self.calls = function, n, 0
        self.opened, self.lock = threading.Event(), threading.Lock()

    def __call__(self, *args, **kwargs):
        with self.lock:
            self.calls += 1
            waits = self.calls >= self.n
        if waits:
            assert self.opened.wait(LIMIT)
        return self.function(*args, **kwargs)


def png(seed=0):
    stream = BytesIO()
    blot(seed).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def app(server_collection):
    return create_app(server_collection, ServerSettings(n_searches=1, n_refined=1, n_waiting=64))


@contextmanager
def abandoned(app, gate, requests, queue):
    """Send requests, wait until they have come to the gate, close every connection, and open the gate when that is
    known. Yields the port, when nothing that was asked for is under way any more."""
    services = app.state.services
    work = getattr(services, queue)
    with listening(app) as port:
        lines = [connect(port, request) for request in requests]
        wait_for(lambda: work.n_calls == len(lines) and gate.calls >= gate.n)
        for line in lines:
            line.close()
        wait_for(lambda: n_gone(services) == len(lines))
        gate.opened.set()
        wait_for(lambda: work.n_calls == 0)
        yield port


def n_gone(services):
    """Requests that ended because nobody waited any more, as /metrics counts them."""
    lines = services.metrics.text().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("patchseek_requests_total") and "499" in line
    )


def search(**fields):
    return post("/api/search", *form(**fields))


def test_of_twenty_searches_whose_clients_left_only_the_one_under_way_was_begun(app, monkeypatch):
    encoder = app.state.services.collection.encoder.encoder
    gate = Gate(encoder.encode, 1)
    monkeypatch.setattr(encoder, "encode", gate)
    with abandoned(app, gate, [search(image_id=i % 12 + 1) for i in range(20)], "refined") as port:
        assert gate.calls == 1  # and of that one nothing but what was being encoded
        status, _, body = exchange(port, search(image_id=1, top=1))
    assert (status, len(json.loads(body)["results"])) == (200, 1)


def test_a_search_that_nobody_waits_for_opens_no_further_picture(app, monkeypatch):
    gate = Gate(_stored.find_closely, 3)
    monkeypatch.setattr(_stored, "find_closely", gate)
    with abandoned(app, gate, [search(image_id=1, refine=12, top=12)], "refined"):
        assert gate.calls in (3, 4)  # of twelve; two are opened at a time


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("several", ["false", "true"])
def test_a_search_that_nobody_waits_for_encodes_nothing_further(app, monkeypatch, n, several):
    encoder = app.state.services.collection.encoder.encoder
    gate = Gate(encoder.encode, n)
    monkeypatch.setattr(encoder, "encode", gate)
    with abandoned(app, gate, [search(image_id=1, refine=12, top=12, several=several)], "refined"):
        assert gate.calls == n


def test_of_the_pictures_of_one_object_none_is_opened_any_more(app, monkeypatch):
    gate = Gate(collection.open_original, 2)
    monkeypatch.setattr(collection, "open_original", gate)
    with abandoned(app, gate, [search(image_id=[1, 2, 3, 4], exclude=[5, 6])], "refined"):
        assert gate.calls == 2


def test_files_that_may_have_changed_are_not_read_any_more(app, monkeypatch, tmp_path):
    for i in range(1, 13):
        path = tmp_path / "pictures" / f"{i}.png"
        path.touch()  # another date: to know whether it has changed, it must be read
    gate = Gate(sources._stored.hash_regular, 2)
    monkeypatch.setattr(sources._stored, "hash_regular", gate)
    with abandoned(app, gate, [search(text="", image_id=1, refine=0, top=12)], "searches"):
        assert gate.calls == 2


def test_a_contact_sheet_that_nobody_waits_for_opens_no_further_picture(app, monkeypatch):
    gate = Gate(_sheets.thumbnail, 2)
    monkeypatch.setattr(_sheets, "thumbnail", gate)
    results = [{"image_id": i, "box": [0, 0, 32, 24]} for i in range(1, 13)]
    asked = post("/api/sheet", json.dumps({"results": results}).encode(), "application/json")
    with abandoned(app, gate, [asked] * 5, "searches"):
        assert gate.calls == 2


def test_a_judged_set_that_nobody_waits_for_opens_no_further_picture(app, monkeypatch):
    gate = Gate(collection.open_original, 2)
    monkeypatch.setattr(collection, "open_original", gate)
    objects = [{"name": str(i), "query": {"image_id": i}, "right": []} for i in range(1, 13)]
    asked = post("/api/judgements", json.dumps({"objects": objects}).encode(), "application/json")
    with abandoned(app, gate, [asked], "searches"):
        assert gate.calls == 2


def test_thumbnails_and_query_pictures_that_nobody_waits_for_are_not_made(app, monkeypatch):
    services = app.state.services
    gate = Gate(services.thumbnails.jpeg, 1)
    monkeypatch.setattr(services.thumbnails, "jpeg", gate)
    asked = [get(f"/api/images/{i}/{kind}") for i in range(1, 13) for kind in ("thumbnail", "picture")]
    with abandoned(app, gate, asked, "pictures"):
        assert gate.calls == 2  # two are made at a time


def test_uploads_that_nobody_waits_for_are_not_decoded(app, monkeypatch):
    services = app.state.services
    gate = Gate(services.decoder.decode, 1)
    monkeypatch.setattr(services.decoder, "decode", gate)
    asked = [post(path, *form(image=("a.png", png()))) for path in ("/api/queries", "/api/search") for _ in range(6)]
    with abandoned(app, gate, asked, "decodes"):
        assert gate.calls == 2
        assert services.queries.n_bytes == 0


def test_pictures_that_were_sent_whole_are_added_although_their_sender_has_gone(app, monkeypatch):
    services = app.state.services
    gate = Gate(services.decoder.decode, 1)
    monkeypatch.setattr(services.decoder, "decode", gate)
    files = [("new.png", png(101)), ("other.png", png(102))]
    with listening(app) as port:
        line = connect(port, post("/api/images", *form(image=files)))
        wait_for(lambda: gate.calls == 1)
        line.close()
        gate.opened.set()
        wait_for(lambda: len(services.collection) == 14)


def test_what_ends_a_search_comes_out_of_it_at_whatever_step(tmp_path, make_folder):
    folder = make_folder(*(f"{i}.png" for i in range(6)))
    opened = Collection.open(tmp_path / "collection", encoder=TinyEncoder(), create=True)
    opened.add(folder)
    steps = []

    def stop_at(n):
        steps.append(n)
        if len(steps) >= n:
            raise KeyboardInterrupt

    asked = {"top": 6, "several": True, "expand": 2}
    opened.search(folder / "1.png", on_step=lambda: steps.append(0), **asked)
    n_steps = len(steps)
    assert n_steps > 6 * 3
    for n in range(1, n_steps + 1, 5):
        steps.clear()
        with pytest.raises(KeyboardInterrupt):
            opened.search(folder / "1.png", on_step=lambda n=n: stop_at(n), **asked)
        assert len(steps) <= n + 3  # those of the other threads, at most
