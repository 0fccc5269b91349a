"""Sources and staging places without a cluster, and what goes wrong with them: one clear line, nothing lost."""

import os
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from patchseek import Collection
from patchseek._progress import unheard
from patchseek.distributed import _work, add_source
from patchseek.distributed._driver import Driver
from patchseek.distributed._sources import open_sources
from patchseek.distributed._staging import Staging
from patchseek.errors import ImageError, MissingExtra, PatchseekError, StoreError, StoreLocked
from patchseek.sources import stores
from patchseek.store import Settings, Store, Writer

from .conftest import LIMIT, TinyEncoder, blot
from .test_distributed import PYRAMID, local_vectors, vectors
from .test_pages import scan

URLS = pytest.mark.extra("ray")


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())


def by_name(vectors):
    """The same by a picture's bare name, wherever it came from."""
    return {path.replace("!", "/").rpartition("/")[2]: rows for path, rows in vectors.items()}


def numbered(make_folder, n):
    return make_folder(*(f"{i:03}.png" for i in range(n)))


def add_here(collection, source, staging=None, exclude=None, opening=None, **options):
    """What `add_source` does, with one worker in this very process instead of a cluster; opening: of the sources."""
    settings, options = collection.store.settings, {"shard_images": 4, "retry": False, "on_progress": unheard} | options
    with Writer(collection.store) as writer:
        shards = Staging.open(staging or str(collection.path / "staging"), settings)
        opening = {"exclude": exclude} | (opening or {})
        driver = Driver(writer, shards, open_sources(str(source), **opening), **options)
        driver.recover()
        driver.has_work()
        worker = _work.ShardWorker(TinyEncoder, settings, shards, driver.gone(), 2)
        while (work := driver.next_work()) is not None:
            driver.take(worker(work))
        return driver.finish()


def finish_one_shard(collection, folder):
    """A shard of four pictures that a worker finished and nobody committed; its record."""
    settings = collection.store.settings
    with Writer(collection.store) as writer:
        shards = Staging.open(str(collection.path / "staging"), settings)
        driver = Driver(writer, shards, open_sources(str(folder)), shard_images=4, retry=False, on_progress=unheard)
        driver.has_work()
        work = driver.next_work()
    return _work.ShardWorker(TinyEncoder, settings, shards, {}, 1)(work)


def test_a_staged_shard_whose_bytes_have_changed_is_encoded_again(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 6)
    file = collection.path / "staging" / finish_one_shard(collection, folder).file
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)
    (file.parent / "torn.json").write_text('{"key": "to')
    assert add_here(collection, folder).added == 6
    assert by_name(vectors(collection.store)) == local_vectors(folder, tmp_path / "local")
    assert collection.store.problems() == []


def test_a_shard_that_was_committed_but_not_cleared_away_is_not_committed_twice(collection, make_folder):
    folder, staging = numbered(make_folder, 4), collection.path / "staging"
    finish_one_shard(collection, folder)
    kept = {path.name: path.read_bytes() for path in staging.iterdir()}
    assert add_here(collection, folder).unchanged == 4
    staging.mkdir()
    for name, content in kept.items():
        (staging / name).write_bytes(content)
    assert add_here(collection, folder).unchanged == 4
    assert collection.store.snapshot().n_positions == 4
    assert not staging.exists()


def test_a_staged_shard_of_a_file_that_changed_since_is_replaced(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 4)
    finish_one_shard(collection, folder)
    blot(99).save(folder / "002.png")
    assert add_here(collection, folder).changed == 1
    assert by_name(vectors(collection.store)) == local_vectors(folder, tmp_path / "local")


def test_a_decoder_that_hangs_ends_its_worker(make_folder, tmp_path):
    code = (
        "import sys, time\n"
        "from tests.test_distributed_sources import *\n"
        "from tests.test_distributed_sources import _work\n"
        "_work.DECODE_SECONDS, _work.load_content = 0.3, lambda *_: time.sleep(600)\n"
        "store = Store.create(Path(sys.argv[2]), Settings(TinyEncoder().identity, PYRAMID))\n"
        "add_here(Collection(store, TinyEncoder()), sys.argv[1])\n"
    )
    command = [sys.executable, "-c", code, str(numbered(make_folder, 1)), str(tmp_path / "c")]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, check=False)
    assert done.returncode == 70


# ---- tars, lists, URLs


def make_tar(path, folder, names):
    with tarfile.open(path, "w") as tar:
        for name in names:
            tar.add(folder / name, name)
    return path


class _RangeHandler(SimpleHTTPRequestHandler):
    """Serves a folder, and parts of files, as object stores do."""

    def do_GET(self):
        given, path = self.headers.get("Range"), Path(self.translate_path(self.path))
        if not given or not path.is_file():
            super().do_GET()
            return
        first, last = given.removeprefix("bytes=").split("-")
        content = path.read_bytes()
        part = content[int(first) : int(last or len(content)) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def start_server():
    """start_server(handler) -> the URL of a web server on this machine."""
    servers = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def serve(start_server):
    """serve(folder) -> the URL of a web server of its files."""
    return lambda folder: start_server(partial(_RangeHandler, directory=str(folder)))


def test_tars_that_are_added_grow_and_shrink_are_followed(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 12)
    names = sorted(path.name for path in folder.iterdir())
    for i in range(3):
        make_tar(tmp_path / f"x-{i:03}.tar", folder, names[4 * i : 4 * i + 4])
    assert add_here(collection, tmp_path / "x-{000..001}.tar", shard_images=3).added == 8
    report = add_here(collection, tmp_path / "x-*.tar")
    assert (report.added, report.unchanged) == (4, 8)
    assert by_name(vectors(collection.store)) == local_vectors(folder, tmp_path / "local")
    make_tar(tmp_path / "x-001.tar", folder, names[5:8])
    os.utime(tmp_path / "x-001.tar", ns=(1, 1))
    report = add_here(collection, tmp_path / "x-*.tar")
    assert (report.added, report.changed, report.removed, report.unchanged) == (0, 0, 1, 11)


def test_a_damaged_tar_keeps_what_stands_before_the_damage(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 6)
    tar = make_tar(tmp_path / "x.tar", folder, sorted(path.name for path in folder.iterdir()))
    with tarfile.open(tar) as opened:
        offset = opened.getmember("004.png").offset
    content = bytearray(tar.read_bytes())
    content[offset + 10] ^= 0xFF
    tar.write_bytes(content)
    (failure,) = add_here(collection, tar, shard_images=2).failed
    assert failure.path == "x.tar"
    assert failure.reason.startswith("cannot be read to its end (")
    assert len(collection) == 4


@URLS
def test_a_list_names_files_and_urls(collection, make_folder, tmp_path, serve):
    folder = numbered(make_folder, 6)
    url = serve(folder)
    names = ["pictures/000.png", str(folder / "001.png"), *(f"{url}/{i:03}.png" for i in (2, 3, 4))]
    names += [f"{url}/missing.png", str(tmp_path / "missing.png"), "pictures/000.png"]

    def write(names):
        (tmp_path / "list.csv").write_text("id,path\n" + "".join(f'7,"{name}"\n' for name in names))
        return tmp_path / "list.csv"

    report = add_here(collection, write(names))
    assert report.added == 5
    assert [failure.path for failure in report.failed] == [str(tmp_path / "missing.png"), f"{url}/missing.png"]
    expected = local_vectors(folder, tmp_path / "local")
    assert by_name(vectors(collection.store)) == {name: rows for name, rows in expected.items() if name != "005.png"}
    assert collection.store.images([1])[0].file == folder / "000.png", "a local picture can be opened"
    again = add_here(collection, write([*names[1:-1], f"{url}/005.png"]))
    assert (again.added, again.unchanged, again.removed, len(again.failed)) == (1, 4, 1, 2)


@URLS
def test_a_tar_at_a_url_and_a_staging_place_at_one(collection, make_folder, tmp_path, serve):
    folder = make_folder("a.png", "b.png")
    make_tar(tmp_path / "x.tar", folder, ["a.png", "b.png"])
    url, shared = f"{serve(tmp_path)}/x.tar", tmp_path / "shared"
    assert add_here(collection, url, staging=f"file://{shared}/own").added == 2
    assert [path for _, _, path in collection.store.paths()] == [f"{url}/a.png", f"{url}/b.png"]
    assert collection.store.roots() == [url]
    assert by_name(vectors(collection.store)) == local_vectors(folder, tmp_path / "local")
    assert [path for path in shared.rglob("*") if path.is_file()] == [], "what is committed is cleared away"
    assert collection.store.problems() == []


@URLS
def test_an_fsspec_store_is_listed_with_sizes_and_times(make_folder):
    import fsspec

    store, content = fsspec.filesystem("memory"), (make_folder("a.png") / "a.png").read_bytes()
    began = time.time()
    store.pipe_file("/bucket/pictures/sub/a.png", content)
    store.pipe_file("/bucket/pictures/.hidden/a.png", content)
    store.pipe_file("/bucket/pictures/b.txt", b"")
    store.pipe_file("/bucket/pictures/raw/a.png", content)
    (source,) = open_sources("memory://bucket/pictures", exclude=["raw/*"])
    (entry,) = source.entries
    assert (entry.path, entry.state.size) == ("memory:///bucket/pictures/sub/a.png", len(content))
    assert began - 1 < entry.state.mtime_ns / 1e9 < time.time() + 1


@URLS
def test_a_url_that_is_slow_or_too_large_is_a_failed_picture(collection, make_folder, tmp_path, serve, monkeypatch):
    folder = numbered(make_folder, 1)
    (tmp_path / "list.csv").write_text(f"url\n{serve(folder)}/000.png\n")
    with monkeypatch.context() as patch:
        patch.setattr(stores, "MAX_FILE_BYTES", 10)
        (failure,) = add_here(collection, tmp_path / "list.csv").failed
        assert "too large" in failure.reason
    monkeypatch.setattr(stores, "FETCH_SECONDS", 0.05)
    told = threading.Event()
    monkeypatch.setattr(stores, "_read", lambda *_: told.wait(LIMIT))
    (failure,) = add_here(collection, tmp_path / "list.csv", retry=True).failed
    told.set()
    assert failure.reason == "takes more than 0.05 s to read"


# ---- one clear line


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"file\na.png\n", r"line 1: one column must be called path, url or image; found file"),
        (b"path,size\na.png,1\n,2\n", r"line 3: a path or URL is expected, found ''"),
        (b"path\na.png\n\xff\xfe\n", r"line \d: .*utf-8"),
        (b'path\na.png\n"b\n', r"after line 2: unexpected end of data"),
        (b"path\n", r"names no pictures"),
    ],
)
def test_a_bad_list_is_an_error_that_names_the_line(collection, tmp_path, content, complaint):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(PatchseekError, match=complaint) as error:
        add_source(collection, tmp_path / "list.csv")
    assert "\n" not in str(error.value)
    assert len(collection) == 0


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("nowhere", "not a folder"),
        pytest.param("file:///nowhere", r"no pictures found|cannot be read", marks=URLS),
        pytest.param("nope://bucket/pictures", r"cannot be read \(.*[Pp]rotocol", marks=URLS),
        ("nowhere.tar", "cannot be read"),
        ("nowhere-{000..003}.tar", r"nowhere-000\.tar: cannot be read"),
        ("nowhere-*.tar", "no such tar"),
        pytest.param("list.parquet", "cannot be read as Parquet", marks=pytest.mark.extra("parquet")),
        ("notes.md", r"a source is a folder, a \.tar, \.csv, \.txt, \.parquet or \.json file"),
    ],
)
def test_a_bad_source_is_an_error(collection, tmp_path, source, complaint):
    for name in ("list.parquet", "notes.md"):
        (tmp_path / name).write_text("neither")
    with pytest.raises(PatchseekError, match=complaint) as error:
        add_source(collection, source if "://" in source else tmp_path / source)
    assert "\n" not in str(error.value)


def test_a_locked_collection_a_missing_library_and_an_unshared_place_are_named(
    collection, make_folder, tmp_path, monkeypatch
):
    folder = make_folder("a.png")
    with Writer(collection.store), pytest.raises(StoreLocked):
        add_source(collection, folder)
    place = Staging.open(str(tmp_path / "place"), collection.store.settings)
    (tmp_path / "place" / "mark.txt").unlink()
    with pytest.raises(StoreError, match="not the place that the driver sees"):
        place.check()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match="get the extra 'ray' with: pip install"):
        add_source(collection, folder)


# ---- what is gone, moved, part of others; pages


def test_folders_that_move_hold_or_are_part_of_others_keep_their_pictures(collection, make_folder, tmp_path):
    folder = make_folder("a.png", "sub/b.png", "sub/c.png")
    assert add_here(collection, folder / "sub").added == 2
    report = add_here(collection, folder)
    assert (report.added, report.unchanged) == (1, 2)
    assert add_here(collection, folder / "sub").unchanged == 2
    assert collection.store.roots() == [folder]
    moved = folder.rename(tmp_path / "moved")
    report = add_here(collection, moved)
    assert (report.added, report.moved, collection.store.roots()) == (0, 3, [moved])
    assert {image.path: image.id for image in collection.store.images([1, 2, 3])} == {
        "sub/b.png": 1,
        "sub/c.png": 2,
        "a.png": 3,
    }


def test_what_is_gone_from_a_folder_is_set_aside_or_missed_and_comes_back(collection, make_folder):
    folder = numbered(make_folder, 8)
    add_here(collection, folder)
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    (folder / "000.png").unlink()
    assert add_here(collection, folder).removed == 1
    (folder / "back.png").write_bytes(contents[folder / "000.png"])
    report = add_here(collection, folder)
    assert (report.returned, report.added) == (1, 0)
    for i in range(1, 6):
        (folder / f"00{i}.png").unlink()
    report = add_here(collection, folder)
    assert (report.removed, report.missing, len(collection)) == (0, 5, 8)
    report = add_here(collection, folder, prune=True)
    assert (report.removed, report.missing, len(collection)) == (5, 0, 3)


def test_an_emptied_or_missing_folder_is_an_error_and_can_be_pruned(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 3)
    add_here(collection, folder)
    folder.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(PatchseekError, match=r"3 known: is a disk not mounted\?.*--prune"):
            add_source(collection, folder, ray="nowhere:1")
        folder.mkdir(exist_ok=True)
    assert len(collection) == 3
    assert add_source(collection, folder, ray="nowhere:1", prune=True).removed == 3


def test_pages_of_a_tiff_are_encoded_by_workers_and_move(collection, make_folder, tmp_path):
    folder = make_folder("a.png")
    scan(folder / "scan.tif", 1, 2, 3)
    assert add_here(collection, folder).added == 4
    assert vectors(collection.store) == local_vectors(folder, tmp_path / "local")
    assert add_here(collection, folder).unchanged == 4
    (folder / "scan.tif").rename(folder / "moved.tif")
    report = add_here(collection, folder)
    assert (report.moved, report.unchanged, report.added) == (3, 1, 0)
    scan(folder / "moved.tif", 1, 9)
    report = add_here(collection, folder)
    assert (report.changed, report.unchanged) == (2, 1)
    assert {path for _, _, path in collection.store.paths()} == {"a.png", "moved.tif", "moved.tif#2"}


def test_pages_of_a_tiff_that_a_list_names(collection, make_folder, tmp_path):
    folder = make_folder("a.png")
    scan(folder / "scan.tif", 1, 2)
    (tmp_path / "list.csv").write_text("path\npictures/scan.tif\n")
    assert add_here(collection, tmp_path / "list.csv").added == 2
    assert add_here(collection, tmp_path / "list.csv").unchanged == 2


def test_what_was_taken_out_stays_out_of_a_folder_and_of_a_list(collection, make_folder, tmp_path):
    folder = numbered(make_folder, 4)
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"{folder}/{i:03}.png\n" for i in range(4)))
    for source, place in ((folder, "001.png"), (tmp_path / "list.csv", str(folder / "001.png"))):
        add_here(collection, source)
        collection.remove(place)
        report = add_here(collection, source)
        assert (report.added, report.unchanged, report.passed_over["taken out"]) == (0, 3, 1)
        assert add_here(collection, source, with_removed=True).added == 1
        collection.remove("*")


def test_what_a_list_no_longer_names_is_set_aside_and_comes_back_by_name(collection, make_folder, tmp_path):
    numbered(make_folder, 5)
    names = [f"pictures/00{i}.png" for i in range(5)]
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["path", *names]))
    add_here(collection, listed)
    listed.write_text("\n".join(["path", names[0]]))
    report = add_here(collection, listed)
    assert (report.unchanged, report.removed, report.missing) == (1, 4, 0)
    listed.write_text("\n".join(["path", *names]))
    report = add_here(collection, listed)
    assert (report.unchanged, report.returned, report.added) == (1, 4, 0)


@URLS
def test_a_picture_that_cannot_be_had_for_now_is_tried_again(collection, make_folder, monkeypatch):
    folder = numbered(make_folder, 2)
    real = _work.fetch

    def failing(*_):
        raise ImageError("a.png", "cannot be read (connection reset)", passing=True)

    monkeypatch.setattr(_work, "fetch", failing)
    for _ in range(2):
        assert len(add_here(collection, f"file://{folder}").failed) == 2
    monkeypatch.setattr(_work, "fetch", real)
    report = add_here(collection, f"file://{folder}")
    assert (report.added, report.failed) == (2, [])
    assert collection.store.failures() == []


@URLS
def test_a_url_of_which_too_much_is_gone_is_missed(collection, make_folder):
    folder = numbered(make_folder, 6)
    (folder / "notes.txt").write_text("no picture")
    report = add_here(collection, f"file://{folder}")
    assert (report.added, report.passed_over) == (6, {".txt": 1})
    for i in range(4):
        (folder / f"00{i}.png").unlink()
    report = add_here(collection, f"file://{folder}")
    assert (report.missing, report.removed, len(collection)) == (4, 0, 6)
    assert [(m.n, m.n_known) for m in report.missing_from] == [(4, 6)]
    report = add_here(collection, f"file://{folder}", exclude=["004.png"])
    assert (report.missing, report.removed, len(collection)) == (4, 1, 5)
