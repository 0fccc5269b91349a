"""Watching: what comes is told once, whatever moment the watcher is killed at and whatever is in its way."""

import base64
import hashlib
import hmac
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchseek import Collection, watch
from patchseek.cli import cli
from patchseek.cli._targets import WrongUse
from patchseek.errors import MissingExtra, PatchseekError, StoreLocked
from patchseek.judgements import Judgements
from patchseek.regions import Pyramid
from patchseek.saved import Saved
from patchseek.store import Find, Run, Settings, Store, Writer, _files, _news, add_run, last_run
from patchseek.watch import Address, Changes, LinesFile, Watcher, _changes, alone, read_key, signature

from .conftest import TinyEncoder, blot, wait_for
from .test_kill_steps import Killed, killed_before

PLAIN = {"refine": 0, "depth": 0, "turned": False}
PAGE = (Path(__file__).parents[1] / "docs" / "watching.md").read_text()
KEY = b"a key of more than sixteen bytes"


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self):
        self.time = 1_700_000_000.0

    def __call__(self):
        return self.time


class Over(Exception):
    """The script has ended."""


class Script:
    """Stands for Changes: whenever the watcher waits, that time passes, and the next thing happens."""

    def __init__(self, clock, *steps):
        self.clock, self.steps, self.waited = clock, list(steps), []

    def listen(self):
        pass

    def wait(self, seconds):
        self.clock.time += seconds
        self.waited.append(seconds)
        if not self.steps:
            raise Over
        return self.steps.pop(0)() or set()


class Setting:
    """A folder of two pictures, a collection of it with a saved query, and watchers of it, one after the other."""

    def __init__(self, home):
        self.home, self.folder, self.file = home, home / "in", home / "finds.jsonl"
        self.clock, self.lines, self.looks = Clock(), [], []
        self.folder.mkdir()
        self.put(0, 1)
        Store.create(home / "collection", Settings(TinyEncoder().identity, Pyramid.up_to(1)))
        self.collection.add(self.folder)
        blot(7).save(home / "query.png")
        self.query = Saved(self.collection).add("seven", home / "query.png")

    @property
    def collection(self):
        """As a new process opens it."""
        return Collection(Store.open(self.home / "collection"), TinyEncoder())

    def put(self, *seeds):
        for seed in seeds:
            blot(seed).save(self.folder / f"{seed}.png")

    def watcher(self, output=None, **options):
        given = {"tell": self.lines.append, "clock": self.clock, "now": self.clock, **PLAIN, **options}
        return Watcher(self.collection, self.folder, output or LinesFile(self.file), **given)

    def run(self, *steps, **options):
        """Watch while these happen, one whenever the watcher waits."""
        script = Script(self.clock, *steps)
        with pytest.raises(Over):
            self.watcher(**options).run(script, self.looks.append)
        return script

    def once(self, **options):
        return self.watcher(**options).once(self.looks.append, sleep=self.pass_time)

    def pass_time(self, seconds):
        self.clock.time += seconds

    @property
    def told(self):
        """The names of the pictures of the finds in the file, in its order."""
        return [find["image"] for find in self.finds]

    @property
    def finds(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path)


def test_what_comes_is_told_once_and_with_all_that_a_reader_needs(setting):
    setting.put(7)
    assert setting.once()
    assert sorted(setting.told) == ["0.png", "1.png", "7.png"]  # the query had never been asked
    (find,) = [find for find in setting.finds if find["image"] == "7.png"]
    assert (find["query"], find["query_key"]) == ("seven", setting.query.key)
    assert find["sha256"] == hashlib.sha256((setting.folder / "7.png").read_bytes()).hexdigest()
    assert find["collection"] == str(setting.home / "collection") and find["box"] == [0, 0, 64, 48]
    assert find["time"].startswith("2023-11-14T22:13:") and find["time"].endswith("+00:00")
    setting.put(8)
    assert setting.once() and setting.once()
    assert sorted(setting.told) == ["0.png", "1.png", "7.png", "8.png"]
    assert len({find["id"] for find in setting.finds}) == 4
    (setting.folder / "8.png").rename(setting.folder / "moved.png")
    (setting.folder / "copy.png").write_bytes((setting.folder / "7.png").read_bytes())
    assert setting.once() and len(setting.told) == 4
    assert "moved.png" in {path for _, _, path in setting.collection.store.paths()}


def test_what_was_found_before_anybody_watched_is_known_and_what_others_find_later_is_not(setting):
    list(Saved(setting.collection).run(**PLAIN))
    setting.once()
    assert setting.told == []
    setting.put(7)
    setting.collection.add(setting.folder)
    list(Saved(setting.collection).run(only_new=True, **PLAIN))  # by hand
    setting.once()
    assert setting.told == ["7.png"]


def test_what_somebody_judged_or_is_less_sure_than_asked_for_is_not_told(setting):
    setting.once()
    Judgements(setting.collection).add(setting.query.key, 1, "no", (0, 0, 9, 9))
    store, begun = setting.collection.store, len(setting.told)
    said = {"score": 0.5, "image": "", "box": [0, 0, 1, 1]}
    sure = {"a": 0.79, "b": 0.8, "c": 0.95, "d": None, "e": 0.1}
    finds = [Find((name, 1), {**said, "image": name, "confidence": value}) for name, value in sure.items()]
    first = store.images([1])[0]
    finds.append(Find((first.sha256, 1), {**said, "image": "judged", "confidence": 1.0}))
    with store.catalogue.writing() as db:  # as if it were found for the first time now
        db.execute("DELETE FROM told WHERE sha256 = ?", (first.sha256,))
    before = last_run(store, setting.query.key)
    add_run(store, setting.query.key, Run(before.mark, 2, before.options, before.made_by, 1.0), finds, is_whole=False)
    setting.once()
    assert setting.told[begun:] == ["c", "b", "d"]
    setting.once(min_confidence=0.0)
    assert setting.told[begun:] == ["c", "b", "d"], "what was looked through is no news at another threshold"


def test_a_file_that_grows_waits_and_the_others_do_not(setting):
    content = BytesIO()
    blot(7).save(content, "PNG")
    parts = [content.getvalue()[i : i + 60] for i in range(0, 240, 60)] + [content.getvalue()[240:]]
    growing, there = setting.folder / "7.png", []

    def grow(*others):
        there.append({path for _, _, path in setting.collection.store.paths()})
        setting.put(*others)
        with growing.open("ab") as file:
            file.write(parts.pop(0))

    def grow_heard():
        grow()
        return {growing}

    def look():
        there.append({path for _, _, path in setting.collection.store.paths()})

    script = setting.run(grow_heard, lambda: grow(8), grow, grow_heard, grow, look, look)
    assert there[:3] == 3 * [{"0.png", "1.png"}], "8.png has come between these, and was seen for the first time"
    assert there[3:6] == 3 * [{"0.png", "1.png", "8.png"}]
    assert there[6] == {"0.png", "1.png", "7.png", "8.png"}
    assert all(not seen.report.failed for seen in setting.looks) and setting.lines == []
    assert sorted(setting.told) == ["0.png", "1.png", "7.png", "8.png"]
    assert script.waited[0] == watch.EVERY and script.waited[-1] == watch.EVERY
    assert set(script.waited) <= {watch.EVERY, watch.SETTLED}


def test_of_a_changed_file_that_is_not_ready_what_was_known_stays(setting):
    before = setting.collection.store.known(setting.folder)["1.png"].sha256
    blot(9).save(setting.folder / "1.png")
    report = setting.collection.add(setting.folder, is_ready=lambda file, _: file.name != "1.png")
    assert (report.waiting, report.unchanged, report.removed) == (1, 1, 0)
    assert setting.collection.store.known(setting.folder)["1.png"].sha256 == before
    assert setting.collection.add(setting.folder).changed == 1


def test_killed_before_any_of_its_steps_it_tells_each_find_once(setting, monkeypatch):
    setting.once()
    n_steps = 0
    expected = set(setting.told)
    every = {"min_confidence": 0.0}  # of a few pictures it is not known, of more it is
    while True:
        name = 100 + n_steps
        setting.put(name)
        with killed_before(n_steps, monkeypatch) as dead, suppress(Killed):
            setting.once(**every)
        assert setting.once(**every)
        expected.add(f"{name}.png")
        assert sorted(setting.told) == sorted(expected), f"killed before step {n_steps}"
        n_steps += 1
        if not dead:
            break
    assert n_steps > 4  # index, ask, put down, written


def test_wherever_a_write_was_broken_off_each_line_is_there_once(tmp_path):
    file, before, text = tmp_path / "finds.jsonl", b'{"of": "others"}\n', '{"id": "one"}\n{"id": "two"}\n'
    for begin in (b"", before):
        for end in range(len(text) + 1):
            file.write_bytes(begin + text.encode()[:end])
            LinesFile(file).put(text, len(begin))
            assert file.read_bytes() == begin + text.encode(), end


def test_lines_of_others_and_another_file_in_its_place_take_nothing_away(tmp_path):
    file, text = tmp_path / "finds.jsonl", '{"id": "one"}\n{"id": "two"}\n'
    file.write_bytes(b'{"id": "two"}\n{"id": "of others"}\n{"tor')
    LinesFile(file).put(text, 0)
    assert file.read_bytes() == b'{"id": "two"}\n{"id": "of others"}\n{"tor\n{"id": "one"}\n'
    file.write_bytes(b"short")  # put there instead by whoever rotates files
    LinesFile(file).put(text, 1000)
    assert file.read_bytes() == b"short\n" + text.encode()
    file.write_bytes(b"no end of line {")
    LinesFile(file).put(text, 16)
    assert file.read_bytes() == b"no end of line {\n" + text.encode()


# ---- what is in its way


def test_a_drive_that_goes_and_comes_is_a_line_each(setting):
    away = setting.home / "away"

    def come():
        away.rename(setting.folder)
        setting.put(7)

    def go():
        setting.folder.rename(away)

    script = setting.run(go, lambda: None, lambda: None, come, lambda: None, lambda: None)
    gone, again = setting.lines
    assert "no such folder now, 2 known: is a disk not mounted?" in gone and again.endswith("in: works again")
    assert script.waited[1:4] == [5, 10, 20]
    assert sorted(setting.told) == ["0.png", "1.png", "7.png"]
    assert all(look.report.removed == 0 for look in setting.looks)


def test_an_empty_folder_is_a_line_till_the_first_picture_comes(setting):
    setting.folder.rename(setting.home / "away")
    setting.folder.mkdir()
    Store.create(setting.home / "new", Settings(TinyEncoder().identity, Pyramid.up_to(1)))
    new = Collection(Store.open(setting.home / "new"), TinyEncoder())
    Saved(new).add("seven", setting.home / "query.png")
    watcher = Watcher(
        new, setting.folder, LinesFile(setting.file), tell=setting.lines.append, clock=setting.clock, now=setting.clock
    )
    with pytest.raises(Over):
        watcher.run(Script(setting.clock, lambda: None, lambda: setting.put(7), lambda: None), setting.looks.append)
    assert len(setting.lines) == 2 and "no pictures found" in setting.lines[0]
    assert setting.told == ["7.png"]


@pytest.mark.parametrize("problem", [MissingExtra("watchfiles", "watch"), OSError(28, "No space left on device")])
def test_where_nothing_is_told_of_changes_that_is_a_line_and_the_folder_is_looked_at_all_the_same(
    setting, monkeypatch, problem
):
    def refuse(*_, **__):
        raise problem

    monkeypatch.setattr(_changes, "_library", refuse if isinstance(problem, MissingExtra) else lambda: refuse)
    with Changes(setting.folder, setting.home / "collection", setting.lines.append) as changes:
        for _ in range(3):
            changes.listen()
            assert changes.wait(0.01) == set()
    (line,) = setting.lines
    assert "watchfiles is not installed" in line or "No space left on device" in line


def test_another_writer_and_a_full_disk_are_waited_for(setting, monkeypatch):
    writers, usage = [], _files.shutil.disk_usage

    def lock():
        setting.put(7)
        writers.append(Writer(setting.collection.store))

    def fill():
        writers.pop().close()
        monkeypatch.setattr(_files.shutil, "disk_usage", lambda path: usage(path)._replace(free=0))

    def empty():
        monkeypatch.setattr(_files.shutil, "disk_usage", usage)

    wait = [lambda: None] * 3
    setting.run(lock, lambda: None, fill, *wait, empty, *wait)
    locked, works, full, again = setting.lines
    assert "is writing to this collection" in locked and "0 MB free" in full
    assert works == again == f"{setting.folder}: works again"
    assert sorted(setting.told) == ["0.png", "1.png", "7.png"]


def test_where_finds_cannot_be_written_they_wait_over_restarts(setting):
    setting.file = setting.home / "drive" / "finds.jsonl"
    assert not setting.once()
    assert not setting.once()
    assert setting.lines == 2 * [f"{setting.file}: cannot be written (No such file or directory)"]
    setting.lines.clear()
    setting.run(lambda: None, lambda: setting.file.parent.mkdir(), lambda: None)
    assert len(setting.lines) == 2 and setting.lines[1] == f"{setting.file}: works again"
    assert sorted(setting.told) == ["0.png", "1.png"]


def test_one_watcher_a_collection(setting):
    store = setting.collection.store
    with alone(store), pytest.raises(StoreLocked, match=f"process {os.getpid()} watches for this collection already"):
        alone(store).__enter__()
    with alone(store):
        pass


# ---- posting


@contextmanager
def receiving(*codes):
    """An address that answers with these codes, then 204; yields it, what came (path, headers, body), codes left."""
    came, left = [], list(codes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((self.path, self.headers, self.rfile.read(int(self.headers["content-length"]))))
            code = left.pop(0) if left else 204
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self):  # of whoever follows
            self.do_POST()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/finds", came, left
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def receiver_of_the_page():
    """The five lines of docs/watching.md by which a receiver checks what it is sent."""
    scope = {}
    exec(PAGE.split("```python\n")[1].split("```")[0], scope)
    return scope["is_ours"]


def test_the_signature_is_that_of_the_standard():
    """The example that the libraries of Standard Webhooks are tested with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    name, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    assert signature(key, name, 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    headers = {"webhook-id": name, "webhook-timestamp": "1614265330"}
    headers["webhook-signature"] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert receiver_of_the_page()(key, headers, body)
    assert not receiver_of_the_page()(key, headers, body + b" ")


def test_an_address_that_refuses_is_a_line_and_gets_all_later_with_growing_waits(setting):
    is_ours = receiver_of_the_page()
    with receiving(503, 500, 500, 302) as (url, came, _):
        address = Address(url, KEY, setting.clock)
        setting.run(lambda: None, lambda: None, address=address, every=1000)
        assert len(came) == 3 and len(setting.lines) == 2 and "refuses (503" in setting.lines[0]
        assert sorted(setting.told) == ["0.png", "1.png"], "the file has them meanwhile"
        assert not setting.once(address=address)  # a new process; it is led elsewhere and does not go
        assert "leads elsewhere, where nothing was sent" in setting.lines[-1]
        setting.put(7)
        assert setting.once(address=address)
    assert {path for path, _, _ in came} == {"/finds"}
    assert len({body for _, _, body in came[:5]}) == len({headers["webhook-id"] for _, headers, _ in came[:5]}) == 1
    assert all(is_ours(KEY, headers, body) for _, headers, body in came)
    stamps = [int(headers["webhook-timestamp"]) for _, headers, _ in came[:3]]
    assert [b - a for a, b in pairwise(stamps)] == [5, 10]
    bodies = [json.loads(body) for _, _, body in came]
    assert [body["type"] for body in bodies] == 6 * ["patchseek.finds"]
    assert [find for body in bodies[4:] for find in body["data"]["finds"]] == setting.finds


class Slow:
    """An address that takes its time, or nothing at all."""

    url = shown = "http://slow"

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.posted = clock, seconds, []

    def post(self, name, _body):
        if not self.seconds:
            raise PatchseekError("closed")
        self.clock.time += self.seconds
        self.posted.append(name)


def test_much_that_waits_to_be_posted_makes_way_for_looks(setting):
    for seed in (7, 8, 9):
        setting.put(seed)
        assert not setting.once(address=Slow(setting.clock, 0))
    slow = Slow(setting.clock, 40)
    posted = []
    script = setting.run(*2 * [lambda: posted.append(len(slow.posted))], address=slow)
    assert posted == [2, 4] and script.waited == [1, watch.EVERY - 2 * 40 - 1 - 2 * 40, watch.EVERY]
    assert setting.once(), "nobody waits for an address that is not named any more"


def test_without_a_key_nothing_is_signed_and_nobody_there_is_a_line(setting):
    with receiving() as (url, came, _):
        assert setting.once(address=Address(url, None, setting.clock))
        ((_, headers, _),) = came
        assert "webhook-signature" not in headers and headers["content-type"] == "application/json"
    setting.put(7)
    assert not setting.once(address=Address(url, None, setting.clock))
    (line,) = setting.lines
    assert line.startswith(f"{url}: no answer (") and "refused" in line


def test_what_waits_to_be_posted_is_bounded(setting, monkeypatch):
    monkeypatch.setattr(_news, "MOST_NEWS", 2)
    with receiving(*50 * [500]) as (url, came, left):
        for seed in range(20, 24):
            setting.put(seed)
            assert not setting.once(address=Address(url, None, setting.clock))
        assert [line for line in setting.lines if "given up" in line]
        left.clear()
        assert setting.once(address=Address(url, None, setting.clock))
    posted = [find["image"] for _, _, body in came[-2:] for find in json.loads(body)["data"]["finds"]]
    assert posted == ["22.png", "23.png"] and len(setting.told) == 6


@pytest.mark.parametrize(
    "url",
    ["ftp://host/a", "host/a", "https://", "http://u:secret@host/", "http://host/a b", "http://hÃ¶st/", "http://h:x/"],
)
def test_what_is_no_address_is_a_line_that_shows_no_password(url):
    with pytest.raises(PatchseekError) as raised:
        Address(url, None, Clock())
    assert "\n" not in str(raised.value) and "secret" not in str(raised.value)


def test_a_key_is_text_or_what_the_standard_writes(tmp_path):
    (tmp_path / "key").write_text("0123456789abcdef\n")
    assert read_key(tmp_path / "key") == b"0123456789abcdef"
    (tmp_path / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    assert hmac.compare_digest(read_key(tmp_path / "key"), base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    for wrong in ("short", "whsec_not base64!", "whsec_c2hvcnQ="):
        (tmp_path / "key").write_text(wrong)
        with pytest.raises(PatchseekError):
            read_key(tmp_path / "key")


# ---- the command


@pytest.mark.parametrize(
    "wrong",
    [
        *(("--every", every) for every in ("", "10", "0s", "5x", "-5m", "999h", "1.5m")),
        ("--post", "ftp://host/"),
        ("--key-file", "key"),
        ("--post", "http://host/", "--key-file", "nowhere"),
        ("--output", "."),
        ("--output", "nowhere/finds.jsonl"),
    ],
)
def test_a_wrong_use_is_one_line_before_anything_is_done(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["watch", str(tmp_path), *wrong])
    assert isinstance(done.exception, WrongUse) and "\n" not in str(done.exception)
    assert not list(tmp_path.iterdir())


@contextmanager
def command(setting, *arguments, before="pass"):
    """A real process that watches; files settle in no time, and the encoder is the tiny one. It is gone at the end."""
    code = f"""
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are told to ignore it
import patchseek.collection, patchseek.watch
from patchseek.cli import main
from tests.conftest import TinyEncoder
patchseek.collection.open_encoder = lambda *_, **__: TinyEncoder()
patchseek.watch.SETTLED = 0
{before}
main()
"""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "XDG_STATE_HOME": str(setting.home / "state")}
    environment["PYTHONPATH"] = os.pathsep.join([str(root / "src"), str(root)])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    whole = [sys.executable, "-c", code, "watch", "in", "-c", "collection", *arguments]
    with subprocess.Popen(whole, cwd=setting.home, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_finds(setting, n, process):
    wait_for(lambda: process.poll() is not None or len(setting.finds) == n)
    assert process.poll() is None, process.stderr.read()


def test_killed_between_index_and_report_the_next_tells_and_ctrl_c_ends_it(setting):
    setting.put(7)
    stop = "patchseek.watch.put_down = lambda *_, **__: (print('here', flush=True), time.sleep(10**6))"
    with command(setting, "--output", "finds.jsonl", before=stop) as killed:
        assert killed.stdout.readline() == "here\n"
        os.kill(killed.pid, signal.SIGKILL)
    assert setting.told == []
    with command(setting, "--output", "finds.jsonl", "--every", "2h") as process:
        wait_for_finds(setting, 3, process)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        said = process.stderr.read()
        assert said.splitlines()[-1].startswith("patchseek: interrupted") and "Traceback" not in said
    assert sorted(setting.told) == ["0.png", "1.png", "7.png"]


@pytest.mark.extra("watch")
def test_a_change_is_heard_a_second_watcher_goes_and_sigterm_ends_the_first_well(setting):
    with command(setting, "--output", "finds.jsonl", "--every", "2h") as process:
        wait_for_finds(setting, 2, process)
        with command(setting, "--once") as second:
            said = second.communicate()[1]
            assert second.returncode == 1 and said.count("\n") == 1
        assert f"process {process.pid} watches for this collection already" in said
        (setting.folder / "2026").mkdir()
        blot(7).save(setting.home / "7.png")
        (setting.home / "7.png").rename(setting.folder / "2026" / "7.png")
        wait_for_finds(setting, 3, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert "Traceback" not in process.stderr.read()
    assert setting.told[-1] == "2026/7.png" and setting.collection.verify() == []


def test_once_ends_as_index_does_and_each_failure_is_said_once(setting, monkeypatch):
    monkeypatch.setattr(watch, "SETTLED", 0)
    monkeypatch.setattr("patchseek.cli._watch._opened", lambda *_: setting.collection)
    (setting.folder / "broken.png").write_bytes(b"no picture")

    def run(*more):
        return CliRunner().invoke(cli, ["watch", str(setting.folder), "--once", *more])

    done = run()
    assert done.exit_code == 3 and "failed: broken.png: " in done.stderr
    assert sorted(json.loads(line)["image"] for line in done.stdout.splitlines()) == ["0.png", "1.png"]
    (setting.folder / "broken.png").unlink()
    assert run().exit_code == 0
    with receiving(500, 204) as (url, _, _):
        setting.put(7)
        done = run("--post", url)
        assert done.exit_code == 3 and done.stderr.count("refuses (500") == 1
        assert run("--post", url).exit_code == 0
    missing = CliRunner().invoke(cli, ["watch", str(setting.home / "nowhere"), "--once"])
    assert isinstance(missing.exception, PatchseekError) and "nowhere: not a folder" in str(missing.exception)


def test_a_watcher_says_a_failure_once_and_the_way_to_a_first_query(setting, monkeypatch, capsys):
    from patchseek.cli._watch import _Teller

    monkeypatch.setattr(watch, "SETTLED", 0)
    Saved(setting.collection).remove("seven")
    (setting.folder / "broken.png").write_bytes(b"no picture")
    teller, watcher = _Teller(setting.collection), setting.watcher()
    for _ in range(3):
        teller.hear(watcher.look())
    said = capsys.readouterr().err
    assert said.count("failed: broken.png") == 1 and said.count("no query is saved") == 1


def commands_of_the_page():
    """Its shell lines, what the unit of systemd starts, and what the container does."""
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith("    patchseek ")]
    (started,) = re.findall(r"^ExecStart=/opt/patchseek/bin/(.*)$", PAGE, re.MULTILINE)
    (contained,) = re.findall(r"^    command: \[(.*)\]$", PAGE, re.MULTILINE)
    return [shlex.split(line)[1:] for line in (*lines, started)] + [contained.split(", ")]


def test_each_command_of_the_page_does_what_it_says(tmp_path, monkeypatch):
    """But a watcher ends after one look, the encoder is the tiny one, and nothing is sent."""
    posted = []
    monkeypatch.setattr(watch, "SETTLED", 0)
    monkeypatch.setattr(Watcher, "run", lambda self, _, hear, progress: self.once(hear, progress))
    monkeypatch.setattr(Address, "post", lambda self, *what: posted.append((self.url, *what)))
    monkeypatch.setattr("patchseek.collection.open_encoder", lambda *_, **__: TinyEncoder())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "collection").mkdir()
    for folder in ("incoming", "srv/incoming", "pictures"):
        (tmp_path / folder).mkdir(parents=True)
        blot(1).save(tmp_path / folder / "first.png")
    blot(7, 800, 600).save("meter.jpg")
    Path("key").write_text("0123456789abcdef0123456789abcdef\n")
    moved = {"/srv": "srv", "/var/lib/patchseek": "lib", "/pictures": "pictures", "/collection": "collection"}
    moved |= {"~": str(tmp_path), "": ""}
    for number, arguments in enumerate(commands_of_the_page()):
        blot(20 + number).save(tmp_path / "incoming" / f"new{number}.png")
        own = []
        for each in arguments:
            at = next(at for at in moved if each.startswith(at))
            own.append(moved[at] + each.removeprefix(at))
        done = CliRunner().invoke(cli, own, catch_exceptions=False)
        assert done.exit_code == 0, (own, done.output)
    told = [json.loads(line)["image"] for line in Path("finds.jsonl").read_text().splitlines()]
    assert sorted(told) == ["first.png", *(f"new{number}.png" for number in range(5))]
    ((url, _, body),) = posted
    assert url == "https://example.org/finds"
    assert [find["image"] for find in json.loads(body)["data"]["finds"]] == ["new4.png"]
    assert (tmp_path / "lib" / "collection" / "catalogue.sqlite").exists()
