"""Only regular files are opened, whoever asks: nothing waits at a pipe, no device is touched, no file is outgrown."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from patchseek import Collection, _files, encode, read
from patchseek.draw.thumbnails import thumbnail
from patchseek.encode import _load, add_folder, read_file
from patchseek.errors import ImageError, PatchseekError
from patchseek.images import count_pages
from patchseek.regions import Pyramid
from patchseek.server.client import Client, ServerError
from patchseek.sources.stores import open_file
from patchseek.store import Settings, Store

from .conftest import TinyEncoder, blot

pytestmark = pytest.mark.timeout(60)  # what is tried here used to wait for ever


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have no more than about 100 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD = {"a pipe": make_pipe, "a socket": make_socket, "a device": make_device, "a folder": Path.mkdir}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something called odd.jpg that is no regular file."""
    path = tmp_path / "odd.jpg"
    ODD[request.param](path)
    return path


def why(path: Path) -> str:
    return "is a directory" if path.is_dir() else "is not a regular file"


def test_what_is_no_regular_file_is_refused_by_all_who_open_pictures(odd: Path) -> None:
    for attempt in (
        lambda: read(odd),
        lambda: read(str(odd)),
        lambda: read_file(odd, str(odd), 0),
        lambda: _files.open_regular(odd, odd),
    ):
        with pytest.raises(ImageError) as caught:
            attempt()
        assert str(caught.value) == f"{odd}: {why(odd)}"
    assert count_pages(odd) == 1


def test_a_server_is_not_sent_what_is_no_regular_file(odd: Path) -> None:
    with pytest.raises(ServerError, match=why(odd)):
        Client("http://127.0.0.1:9").search(odd)


@pytest.fixture
def store(tmp_path: Path, tiny: TinyEncoder) -> Store:
    return Store.create(tmp_path / "store", Settings(tiny.identity, Pyramid((0,))))


def test_indexing_passes_over_pipes_sockets_and_devices(store: Store, tiny: TinyEncoder, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    blot(1).save(folder / "a.png")
    for name, make in ODD.items():
        make(folder / f"{name[2:]}.jpg")
    report = add_folder(store, folder, tiny, follow_symlinks=True)
    assert report.added == 1
    failed = {failure.path: failure.reason for failure in report.failed}
    assert failed == dict.fromkeys(("pipe.jpg", "socket.jpg", "device.jpg"), "is not a regular file")


def test_a_picture_that_has_become_a_pipe_has_no_thumbnail_and_cannot_be_asked_for(
    tmp_path: Path, tiny: TinyEncoder, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder("a.png", "b.png")
    collection = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    collection.add(folder)
    image = collection.search(folder / "b.png", top=1)[0].image
    (folder / "b.png").unlink()
    os.mkfifo(folder / "b.png")
    with pytest.raises(ImageError, match=r"b\.png: "):
        collection.read(image.id)
    assert thumbnail(image).tolist() == np.full((7, 9, 3), 200).tolist()  # a grey tile


def test_a_tar_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    os.mkfifo(path)
    with pytest.raises(PatchseekError, match=r"a\.tar: is not a regular file"):
        open_file(str(path))


def test_a_file_replaced_by_a_pipe_at_the_last_moment_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blot(1).save(tmp_path / "a.png")
    regular, pipe = os.stat(tmp_path / "a.png"), tmp_path / "pipe.png"  # noqa: PTH116
    os.mkfifo(pipe)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: regular)
    for attempt in (lambda: read(pipe), lambda: read_file(pipe, str(pipe), 9)):
        with pytest.raises(ImageError, match="is not a regular file"):
            attempt()


def test_nothing_stays_open_and_nothing_is_inherited(tmp_path: Path) -> None:
    blot(1).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    opened = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    before = len(list(opened.iterdir()))
    for name in ("a.png", "pipe", "."):
        try:
            with _files.open_regular(tmp_path / name, name) as file:
                assert not os.get_inheritable(file.fileno())
        except ImageError:
            continue
    assert len(list(opened.iterdir())) == before


# ---- size


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    os.truncate(path, _files.MAX_FILE_BYTES + (5 << 20))
    for attempt in (lambda: read(path), lambda: read_file(path, "a.jpg", 7), lambda: read_file(path, "a.jpg", 2 << 30)):
        with pytest.raises(ImageError, match=r"a\.jpg: (1029|2048) MB is too large for a picture"):
            attempt()


def test_a_file_as_large_as_a_picture_may_be_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    blot(1).save(path)
    size = path.stat().st_size
    for limit, is_read in ((size, True), (size - 1, False)):
        for module in ("patchseek.images", "patchseek.encode._load"):
            monkeypatch.setattr(f"{module}.MAX_FILE_BYTES", limit)
        if is_read:
            assert read(path).width == 64
            assert read_file(path, "a.png", size) == path.read_bytes()
        else:
            with pytest.raises(ImageError, match="too large"):
                read(path)
            with pytest.raises(ImageError, match="too large"):
                read_file(path, "a.png", 0)


@pytest.mark.parametrize("difference", [-10, 10])
def test_a_file_that_shrinks_or_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    path = tmp_path / "a.png"
    blot(1).save(path)
    fstat, size, changed = os.fstat, path.stat().st_size, []

    def writes_after_the_check(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and not changed and len(asked) == 1:
            changed.append(os.truncate(path, size + difference))
        asked.append(descriptor)
        return status

    asked: list[int] = []
    monkeypatch.setattr(os, "fstat", writes_after_the_check)
    with pytest.raises(ImageError, match=r"a\.png: changed while it was read"):
        read_file(path, "a.png", size)


def test_of_large_files_one_is_held_at_a_time_however_many_threads_read(
    store: Store, tiny: TinyEncoder, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(*(f"{i}.png" for i in range(8)))
    monkeypatch.setattr(_load, "_LARGE", 100)
    read = _load.read_file
    monkeypatch.setattr(_load, "read_file", lambda *asked: held.append(1) or most.append(len(held)) or read(*asked))
    monkeypatch.setattr(encode._update, "load_content", lambda *asked: held.pop() and _load.load_content(*asked))
    held: list[int] = []
    most: list[int] = []
    assert add_folder(store, folder, tiny, n_workers=4).added == 8
    assert most == [1] * 8
