"""How often films are looked at: said once, remembered for the source, changed by going through its films again."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek._progress import unheard
from patchseek.cli import cli
from patchseek.cli._numbers import seconds_of
from patchseek.distributed import _work
from patchseek.distributed._driver import Driver
from patchseek.distributed._sources import open_sources
from patchseek.distributed._staging import Staging
from patchseek.errors import PatchseekError
from patchseek.regions import Pyramid
from patchseek.sources import _films as films
from patchseek.sources import interval_of, say_interval, split_page
from patchseek.store import Settings, Store, Writer, all_intervals, intervals

from . import commands
from .conftest import TinyEncoder, blot
from .test_films import film, pan, still

pytestmark = pytest.mark.extra("video")


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, Pyramid.up_to(1))), tiny)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One shot of eight seconds that moves all the time, with a key frame every half second."""
    return film(tmp_path_factory.mktemp("made") / "tape.mp4", pan("coffee", 8), g="12")


@pytest.fixture
def folder(tmp_path, made):
    (tmp_path / "in").mkdir()
    shutil.copy(made, tmp_path / "in" / "tape.mp4")
    return tmp_path / "in"


@pytest.fixture
def looks(monkeypatch):
    """The films that are gone through, and how often each is looked at."""
    gone_through = []
    pick = films.pick

    def noted(file, *, every):
        gone_through.append((file.name, every))
        return pick(file, every=every)

    monkeypatch.setattr(films, "pick", noted)
    return gone_through


def moments(collection, name="tape.mp4"):
    paths = [path for _, _, path in collection.store.paths()]
    return sorted((split_page(path)[1] - 1) / 1000 for path in paths if split_page(path)[0].endswith(name))


def numbers(collection):
    return {path: number for number, _, path in collection.store.paths()}


def run(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)])


def test_the_smaller_the_interval_the_more_frames(collection, folder):
    n = {}
    for every in (4, 2, 0.5):
        collection.add(folder, inside=["video"], every=every)
        n[every] = len(moments(collection))
        apart = np.diff(moments(collection))
        assert (apart >= 0.9 * every).all()
    assert 2 <= n[4] < n[2] < n[0.5]


def test_however_long_it_is_each_shot_has_a_frame(tmp_path):
    shots = [picture for name in ("coffee", "rocket", "astronaut", "chelsea") for picture in still(name, 0.8)]
    path = film(tmp_path / "a.mp4", shots, g="10")
    for every in (2, 60, 3600):
        assert [int(ms / 800) for ms in films.pick(path, every=every).times] == [0, 1, 2, 3]


def test_it_is_remembered_until_something_else_is_said_or_it_is_forgotten(collection, folder, looks):
    collection.add(folder, inside=["video"], every=0.5)
    n = len(moments(collection))
    shutil.copy(folder / "tape.mp4", folder / "new.mp4")
    with (folder / "new.mp4").open("ab") as file:  # other bytes, the same film
        file.write(b"\0" * 8)
    collection.add(folder)
    assert looks == [("tape.mp4", 0.5), ("new.mp4", 0.5)]
    assert len(moments(collection)) == len(moments(collection, "new.mp4")) == n
    assert all_intervals(collection.store) == {str(folder): {"": 0.5}}
    collection.add(folder, every=0)
    assert all_intervals(collection.store) == {}
    assert sorted(looks[2:]) == [("new.mp4", 2.0), ("tape.mp4", 2.0)]


def test_what_is_known_is_gone_through_only_where_the_interval_or_the_bytes_are_others(collection, folder, looks):
    collection.add(folder, inside=["video"])
    for every in (None, 2.0, 0, None):
        assert collection.add(folder, every=every).added == 0
    assert len(looks) == 1
    before = {
        image.path: image.id for image in collection.store.images([number for number, _, _ in collection.store.paths()])
    }
    report = collection.add(folder, every=0.5)
    assert len(looks) == 2
    assert report.added == len(moments(collection)) - report.unchanged > 0
    after = {
        image.path: image.id for image in collection.store.images([number for number, _, _ in collection.store.paths()])
    }
    assert all(after[path] == before[path] for path in after.keys() & before.keys())  # with their tags
    collection.add(folder)
    assert len(looks) == 2


def test_a_changed_mind_leaves_exactly_the_frames_of_now(collection, folder, tmp_path, tiny):
    collection.add(folder, inside=["video"], every=0.5)
    collection.add(folder, every=3)
    other = Collection(Store.create(tmp_path / "other", Settings(tiny.identity, Pyramid.up_to(1))), tiny)
    other.add(folder, inside=["video"], every=3)
    assert moments(collection) == moments(other)
    assert collection.store.n_aside() == 0
    (folder / "tape.mp4").rename(folder / "moved.mp4")
    report = collection.add(folder)
    assert (report.added, report.moved, moments(collection, "moved.mp4")) == (0, len(collection), moments(other))


def test_a_run_that_ends_before_it_comes_to_a_film_leaves_it_to_the_next(collection, folder, monkeypatch):
    collection.add(folder, inside=["video"])
    n = len(moments(collection))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(films, "pick", interrupted)
        collection.add(folder, every=0.5)
    assert len(moments(collection)) == n
    collection.add(folder)
    assert len(moments(collection)) > n


def test_a_collection_that_was_made_before_goes_on_as_it_was(collection, folder, looks):
    collection.add(folder, inside=["video"])
    with collection.store.catalogue.writing() as db:
        db.execute("DELETE FROM setting WHERE key = 'option.every'")
    assert intervals(collection.store, folder) == {}
    collection.add(folder)
    assert looks == [("tape.mp4", 2.0)]
    collection.add(folder, every=1)
    assert looks[1:] == [("tape.mp4", 1)]


def test_what_was_said_of_a_folder_or_film_inside_holds_there(collection, folder, looks):
    (folder / "sub").mkdir()
    for i, name in enumerate(("sub/b.mp4", "c.mp4"), 1):
        (folder / name).write_bytes((folder / "tape.mp4").read_bytes() + b"\0" * 8 * i)
    collection.add(folder, inside=["video"], every=4)
    collection.add(folder / "sub", every=1)
    collection.add(folder / "c.mp4", every=0.5)
    collection.add(folder)
    assert sorted(looks[:3]) == [("b.mp4", 4), ("c.mp4", 4), ("tape.mp4", 4)]
    assert looks[3:] == [("b.mp4", 1), ("c.mp4", 0.5)]
    assert all_intervals(collection.store) == {str(folder): {"": 4, "sub/": 1, "c.mp4": 0.5}}
    collection.add(folder, every=1)  # of all
    assert sorted(looks[5:]) == [("c.mp4", 1), ("tape.mp4", 1)]


def test_a_folder_that_becomes_part_of_another_keeps_what_was_said_of_it(collection, folder, looks):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    shutil.copy(folder / "tape.mp4", folder / "a" / "a.mp4")
    (folder / "b" / "b.mp4").write_bytes((folder / "tape.mp4").read_bytes() + b"\0" * 8)
    (folder / "tape.mp4").unlink()
    collection.add(folder / "a", inside=["video"], every=1)
    collection.add(folder / "b", inside=["video"])
    collection.add(folder, every=4)
    assert all_intervals(collection.store) == {str(folder): {"": 4}}
    assert sorted(looks[2:]) == [("a.mp4", 4), ("b.mp4", 4)]
    collection.add(folder / "a", every=1)
    collection.add(folder)
    assert looks[4:] == [("a.mp4", 1)]


def test_of_a_folder_that_has_moved_holds_what_is_said_now_or_else_what_was(collection, folder, looks, tmp_path):
    collection.add(folder, inside=["video"], every=4)
    folder.rename(tmp_path / "there")
    report = collection.add(tmp_path / "there", inside=["video"])
    assert (report.added, all_intervals(collection.store)) == (0, {str(tmp_path / "there"): {"": 4}})
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    collection.add(tmp_path / "elsewhere", inside=["video"], every=1)
    assert all_intervals(collection.store) == {str(tmp_path / "elsewhere"): {"": 1}}
    assert looks[-1] == ("tape.mp4", 1)


def test_films_that_a_list_names_are_looked_at_as_often_as_was_said_of_the_list(collection, folder, looks):
    (folder / "list.txt").write_text("tape.mp4\n")
    collection.add(folder / "list.txt", every=1)
    collection.add(folder / "list.txt", every=4)
    assert looks == [("tape.mp4", 1), ("tape.mp4", 4)]


def on_a_cluster(collection, source, every=None):
    """What `add_source` does, with one worker in this very process instead of a cluster."""
    store = collection.store
    with Writer(store) as writer:
        shards = Staging.open(str(collection.path / "staging"), store.settings)
        sources = open_sources(str(source), inside=["video"], every=every, may_be_empty=True)
        driver = Driver(writer, shards, sources, shard_images=4, retry=False, on_progress=unheard)
        driver.has_work()
        worker = _work.ShardWorker(TinyEncoder, store.settings, shards, driver.gone(), 1)
        while (work := driver.next_work()) is not None:
            driver.take(worker(work))
        return driver.finish()


def test_a_cluster_looks_at_films_as_often(collection, folder, tmp_path, tiny):
    other = Collection(Store.create(tmp_path / "other", Settings(tiny.identity, Pyramid.up_to(1))), tiny)
    for every in (0.5, 4, None):
        on_a_cluster(collection, folder, every)
        other.add(folder, inside=["video"], every=every)
        assert moments(collection) == moments(other)
    assert all_intervals(collection.store) == all_intervals(other.store) == {str(folder): {"": 4}}
    (folder / "list.csv").write_text("path\ntape.mp4\n")
    on_a_cluster(collection, folder / "list.csv", 1)
    assert intervals(collection.store, folder / "list.csv") == {"": 1}
    for source in ("s3://bucket/films", folder / "x.tar"):
        with pytest.raises(PatchseekError, match="every is for films, and for folders and lists of some"):
            on_a_cluster(collection, source, 1)


@pytest.mark.parametrize("every", [0.09, 3601, -1, float("nan"), float("inf")])
def test_intervals_that_no_film_can_be_looked_at_in_are_refused(collection, folder, every):
    with pytest.raises(PatchseekError, match=r"every 0\.1 s to every 3600 s"):
        collection.add(folder, every=every)
    assert len(collection) == 0


def test_a_picture_is_not_looked_at_every_so_often(collection, folder):
    blot(1).save(folder / "a.png")
    with pytest.raises(PatchseekError, match="every is for films"):
        collection.add(folder / "a.png", every=1)
    result = run("index", folder / "a.png", "--every", "1s", "-c", collection.path)
    assert result.exit_code != 0
    assert "--every is for these" in str(result.exception)


@pytest.mark.parametrize("every", ["0", "0.05", "2h", "61m", "5x", "-1", "1e3", "nan", "1 0", "s"])
def test_the_command_line_refuses_them_in_one_line(folder, every):
    said = commands.run(folder.parent, "index", str(folder), "--every", every, code=2).stderr
    assert f"error: --every {every!r}: " in said
    assert said.count("\n") == 1
    assert not (folder / ".patchseek").exists()


def test_the_command_line_takes_times_and_info_tells_them(folder):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "a.png")
    index = ["index", folder, "--no-points"]
    assert run(*index, "--inside", "video", "--every", "0.5s").exit_code == 0
    n = len(Store.open(folder / ".patchseek"))
    assert json.loads(run("info", "-c", folder, "--json").stdout)["every"] == {str(folder): {"": 0.5}}
    assert f"every          0.5 s (in {folder})" in run("info", "-c", folder).stdout
    assert run(*index, "--every", "").exit_code == 0
    assert len(Store.open(folder / ".patchseek")) < n
    assert json.loads(run("info", "-c", folder, "--json").stdout)["every"] == {}
    assert [seconds_of(text) for text in ("5", "5s", "0.5s", "1m", "1.5m", "1h")] == [5, 5, 0.5, 60, 90, 3600]


def test_the_nearest_that_was_said_holds():
    said = {"": 4.0, "a/": 1.0, "a/b/": 0.5, "a/b.mp4": 3.0}
    paths = ("x.mp4", "a/x.mp4", "a/b/x.mp4", "a/b.mp4", "a/b.mp4x.mp4", "ab/x.mp4")
    assert [interval_of(said, path) for path in paths] == [4, 1, 0.5, 3, 1, 4]
    assert interval_of({}, "x.mp4") == 2
    assert say_interval(said, "a/", 9) == {"": 4, "a/": 9}
    assert say_interval(said, "a/", 0) == {"": 4}
    assert say_interval(said, "", 9) == {"": 9}
    assert say_interval(said, "a/b/", 0) == {"": 4, "a/": 1, "a/b.mp4": 3}
