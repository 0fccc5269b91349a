"""Pictures in stores that fsspec opens, here in memory: indexed, refined, looked at again, without a cluster."""

import io
import shutil

import fsspec
import numpy as np
import pytest
from click.testing import CliRunner

from patchseek import Collection
from patchseek.cli import cli
from patchseek.errors import ImageError, PatchseekError
from patchseek.originals import open_original
from patchseek.sources import stores

from .conftest import TinyEncoder, blot

pytestmark = pytest.mark.extra("stores")


@pytest.fixture(autouse=True)
def own_store(own_cache):  # noqa: ARG001
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.fixture
def reads(monkeypatch):
    """What a store is asked for."""
    asked = []
    fetch = stores.fetch
    monkeypatch.setattr(stores, "fetch", lambda url, *of: asked.append(url) or fetch(url, *of))
    return asked


@pytest.fixture
def collection(tmp_path):
    return Collection.open(tmp_path / "collection", encoder=TinyEncoder(), points=False, create=True)


def put(store, path, seed):
    stream = io.BytesIO()
    blot(seed, 96, 64).save(stream, "PNG")
    store.pipe_file(path, stream.getvalue())


@pytest.fixture
def shelf(own_store):
    for seed, name in enumerate(("a.png", "sub/b.png", "sub/c.png", ".hidden/d.png", "notes.md")):
        put(own_store, f"/shelf/{name}", seed)
    return own_store


def paths(collection):
    return sorted(path for _, _, path in collection.store.paths())


def test_what_lies_below_a_url_is_indexed_searched_and_refined(collection, shelf, reads):
    report = collection.add("memory://shelf")
    assert (report.added, report.failed) == (3, [])
    assert paths(collection) == [f"memory:///shelf/{name}" for name in ("a.png", "sub/b.png", "sub/c.png")]
    assert report.passed_over[".md"] == 1
    best = collection.search(blot(1, 96, 64), refine=10)[0]
    assert (best.image.path, best.is_refined) == ("memory:///shelf/sub/b.png", True)
    assert np.array_equal(open_original(best.image).pixels, np.asarray(blot(1, 96, 64)))
    assert len(reads) == 3, "read once, refined from what is kept"
    assert shelf.exists("/shelf/a.png")


def test_only_what_is_new_or_changed_is_read_again(collection, shelf, reads):
    collection.add("memory://shelf")
    put(shelf, "/shelf/a.png", 7)
    put(shelf, "/shelf/new.png", 8)
    shelf.rm("/shelf/sub/c.png")
    reads.clear()
    report = collection.add("memory://shelf")
    assert (report.added, report.changed, report.unchanged, report.removed) == (1, 1, 1, 1)
    assert sorted(reads) == ["memory:///shelf/a.png", "memory:///shelf/new.png"]


def test_a_picture_that_moved_in_a_store_is_not_encoded_again(collection, shelf):
    collection.add("memory://shelf")
    shelf.mv("/shelf/a.png", "/shelf/moved.png")
    report = collection.add("memory://shelf")
    assert (report.added, report.moved, report.removed) == (0, 1, 0)


def test_what_is_no_longer_kept_is_read_again_but_by_no_server_that_was_not_told(collection, shelf, own_cache, reads):
    assert shelf.exists("/shelf/a.png")
    collection.add("memory://shelf")
    shutil.rmtree(own_cache / "patchseek" / "web")
    reads.clear()
    image = collection.search(blot(0, 96, 64), refine=0, top=1)[0].image
    assert reads == [], "nothing is refined"
    collection.store.may_fetch = False
    refused = collection.search(blot(0, 96, 64), refine=0, top=1)[0].image
    with pytest.raises(ImageError, match="nothing is read here"):
        open_original(refused)
    assert np.array_equal(open_original(image).pixels, np.asarray(blot(0, 96, 64)))


def test_exclusions_and_hidden_folders(collection, shelf):
    assert shelf.exists("/shelf/.hidden/d.png")
    assert collection.add("memory://shelf", exclude=["sub"], hidden=True).added == 2
    assert paths(collection) == ["memory:///shelf/.hidden/d.png", "memory:///shelf/a.png"]


def test_a_list_names_files_of_stores_and_may_lie_in_one(collection, shelf, reads):
    shelf.pipe_file("/shelf/list.txt", b"memory://shelf/a.png\nmemory://shelf/nowhere.png\n")
    report = collection.add("memory://shelf/list.txt")
    assert report.added == 1
    assert [failure.path for failure in report.failed] == ["memory://shelf/nowhere.png"]
    reads.clear()
    report = collection.add("memory://shelf/list.txt")
    assert (report.unchanged + report.moved, reads) == (1, []), "its date is asked for, not its bytes"


def test_what_vanishes_between_listing_and_reading_is_one_failure(collection, shelf, monkeypatch):
    listed = stores.list_folder("memory://shelf")
    shelf.rm("/shelf/sub/b.png")
    monkeypatch.setattr("patchseek.encode._find_listed.list_folder", lambda _: listed)
    report = collection.add("memory://shelf")
    assert report.added == 2
    assert [failure.path for failure in report.failed] == ["memory:///shelf/sub/b.png"]


@pytest.mark.parametrize(
    "url",
    [
        "sftp://10.0.0.1/a.png",
        "ftp://me:secret@router/a.png",
        "simplecache::http://169.254.169.254/a.png",
        "zip://a.png::https://host/b.zip",
        "webhdfs://127.0.0.1:9870/a.png",
    ],
)
def test_a_list_cannot_lead_into_a_private_network(collection, tmp_path, reads, url, monkeypatch):
    asked = []
    monkeypatch.setattr(stores, "_system", asked.append)
    (tmp_path / "list.txt").write_text(f"{url}\n")
    (failure,) = collection.add(tmp_path / "list.txt").failed
    assert "PATCHSEEK_PRIVATE_HOSTS" in failure.reason
    assert failure.passing
    assert "secret" not in str(failure.reason)
    assert asked == reads == []
    with pytest.raises(ImageError, match="PATCHSEEK_PRIVATE_HOSTS"):
        collection.add(url)


def test_a_host_that_was_named_may_be_read(monkeypatch):
    monkeypatch.setenv("PATCHSEEK_PRIVATE_HOSTS", "pictures.lan")
    stores.require_open("sftp://me@Pictures.lan:22/a.png")
    with pytest.raises(ImageError):
        stores.require_open("sftp://other.lan/a.png")


def test_a_list_in_a_store_names_nothing_of_this_machine(collection, shelf, tmp_path):
    blot(1, 96, 64).save(tmp_path / "mine.png")
    for line in (f"{tmp_path}/mine.png", f"file://{tmp_path}/mine.png"):
        shelf.pipe_file("/shelf/list.txt", line.encode())
        with pytest.raises(PatchseekError, match="a list from elsewhere may not"):
            collection.add("memory://shelf/list.txt")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://nothing", "cannot be read|no pictures found"),
        ("memory://shelf/x.tar", "--ray local"),
        ("nonsense://x", "private network"),
        ("hf://", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line(collection, shelf, url, said):
    assert shelf.exists("/shelf/a.png")
    with pytest.raises(PatchseekError, match=said):
        collection.add(url)


def test_the_command_line_takes_a_store(shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert shelf.exists("/shelf/a.png")
    place = str(tmp_path / "c")
    done = CliRunner().invoke(cli, ["index", "memory://shelf", "-c", place], catch_exceptions=False)
    assert (done.exit_code, "3 added" in done.stderr) == (0, True)
    blot(2, 96, 64).save(tmp_path / "query.png")
    done = CliRunner().invoke(cli, ["search", str(tmp_path / "query.png"), "-c", place, "--jsonl", "--top", "1"])
    assert "memory:///shelf/sub/c.png" in done.stdout
