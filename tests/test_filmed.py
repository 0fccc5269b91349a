"""Films in a collection: frames are pictures, found by what they show, opened again at their time."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import cli
from patchseek.cli._table import _clock
from patchseek.originals import has_changed, open_original
from patchseek.regions import Pyramid
from patchseek.sources import split_page
from patchseek.store import Settings, Store

from .conftest import blot
from .test_films import RATE, cut_off, film

pytestmark = pytest.mark.extra("video")
PYRAMID = Pyramid.up_to(1)


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID)), tiny)


def scene(seed):
    """A picture of large tiles, which every codec keeps well."""
    return np.asarray(blot(seed, 20, 12).resize((160, 96), 0))


def shots(file, *seeds, seconds=3.0):
    """A film of still shots, one of each scene."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return film(file, [scene(seed) for seed in seeds for _ in range(round(seconds * RATE))])


def moments(collection):
    """Seconds of the frames that the collection has of tape.mp4, rising."""
    return sorted((split_page(path)[1] - 1) / 1000 for _, _, path in collection.store.paths() if "tape.mp4" in path)


def test_each_shot_is_found_at_a_time_at_which_it_is_shown(collection, tmp_path):
    report = collection.add(shots(tmp_path / "in" / "tape.mp4", 1, 2, 3))
    assert report.failed == []
    assert report.added == len(moments(collection)) >= 3
    for n, seed in enumerate((1, 2, 3)):
        best = collection.search(scene(seed), top=1)[0].image
        seconds = (best.page - 1) / 1000
        assert best.path == ("tape.mp4" if seconds == 0 else f"tape.mp4#t={seconds:g}")
        assert 3 * n <= seconds < 3 * (n + 1)
        assert np.abs(open_original(best).pixels.astype(int) - scene(seed)).mean() < 12


def test_a_film_is_encoded_once_and_known_when_it_is_touched_or_moved(collection, tmp_path):
    file = shots(tmp_path / "in" / "tape.mp4", 1, 2)
    collection.add(file.parent, inside=["video"])
    n = len(collection)
    assert collection.add(file.parent).unchanged == n
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    image = collection.store.images([1])[0]
    assert not has_changed(image)
    report = collection.add(file.parent)
    assert (report.added, report.changed, len(collection)) == (0, 0, n)
    file.rename(file.with_name("other.mp4"))
    report = collection.add(file.parent)
    assert (report.added, report.moved, len(collection)) == (0, n, n)


def test_a_film_that_is_another_now_is_gone_through_anew(collection, tmp_path):
    file = shots(tmp_path / "in" / "tape.mp4", 1, 2, 3)
    collection.add(file)
    shots(file, 4, 5)
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    collection.add(file)
    assert max(moments(collection)) < 6
    best = collection.search(scene(5), top=1)[0].image
    assert np.abs(open_original(best).pixels.astype(int) - scene(5)).mean() < 12


def test_what_is_no_film_is_one_failure_and_its_neighbours_are_unharmed(collection, tmp_path):
    folder = tmp_path / "in"
    shots(folder / "tape.mp4", 1)
    (folder / "bad.mp4").write_bytes(b"no film")
    cut_off(shots(folder / "cut.mp4", 1, 2), 0.3)
    (folder / "empty.mkv").touch()
    report = collection.add(folder, inside=["video"])
    assert report.added >= 1
    assert {failure.path for failure in report.failed} | report.damaged.keys() == {"bad.mp4", "empty.mkv", "cut.mp4"}
    again = collection.add(folder)
    assert (again.added, again.changed, len(again.failed)) == (0, 0, len(report.failed))


def test_a_film_answers_once_with_its_best_frame_and_the_times_at_which_the_object_is_seen(collection, tmp_path):
    folder = tmp_path / "in"
    shots(folder / "tape.mp4", 1, 2, 1, 3)  # the first scene again from second 6 on
    shots(folder / "other.mp4", 4, 5)
    collection.add(folder, inside=["video"])
    found = collection.search(scene(1), top=9)
    assert sorted(match.image.stored.file.name for match in found) == ["other.mp4", "tape.mp4"]
    best = found[0]
    assert best.image.stored.file.name == "tape.mp4"
    assert [(0 <= a <= b < 3, 6 <= a <= b < 9) for a, b in best.ranges] == [(True, False), (False, True)]
    assert best in [replace(frame, frames=best.frames, ranges=best.ranges) for frame in best.frames]
    assert all(frame.ranges == () for frame in best.frames)
    one_by_one = collection.search(scene(1), top=99, frames=True)
    assert len(one_by_one) == len(collection)
    assert all(match.frames == () for match in one_by_one)
    many = list(collection.search_many([scene(1)], top=9, refine=0, depth=0))
    assert many[0][0].ranges == collection.search(scene(1), top=9, refine=0, depth=0)[0].ranges


def test_the_command_line_says_when_it_is_seen(tmp_path):
    shots(tmp_path / "in" / "tape.mp4", 1, 2)
    Image.fromarray(scene(2)).save(tmp_path / "query.png")
    run = CliRunner()
    assert run.invoke(cli, ["index", str(tmp_path / "in"), "--inside", "video", "--no-points"]).exit_code == 0
    search = ["search", str(tmp_path / "query.png"), "-c", str(tmp_path / "in"), "--refine", "0", "--json"]
    (result,) = json.loads(run.invoke(cli, search).stdout)["results"]
    ((begin, end),) = result["ranges"]
    assert 3 <= begin <= end < 6
    assert [frame["box"] for frame in result["frames"]]
    every = json.loads(run.invoke(cli, [*search, "--frames"]).stdout)["results"]
    assert len(every) == len(Store.open(tmp_path / "in" / ".patchseek"))
    assert [_clock(seconds) for seconds in (0, 61.99, 3723.5)] == ["00:00:00", "00:01:01", "01:02:03"]


def test_where_sound_begins_before_the_pictures_the_first_frame_is_one_picture(collection, tmp_path):
    (tmp_path / "in").mkdir()
    pictures = [scene(1)] * 50
    film(tmp_path / "in" / "tape.mp4", pictures, times=[400 + 40 * i for i in range(50)], sound=2.4)
    report = collection.add(tmp_path / "in" / "tape.mp4")
    assert (report.added, report.failed, moments(collection)) == (1, [], [0.0])
    assert np.abs(open_original(collection.store.images([1])[0]).pixels.astype(int) - scene(1)).mean() < 12


def test_when_an_object_is_seen_does_not_depend_on_how_many_frames_are_opened_at_first(collection, tmp_path):
    collection.add(shots(tmp_path / "in" / "tape.mp4", 1, 2, 1, 3, 1, 4, 1))
    all_opened = collection.search(scene(1), top=1, refine=99)[0]
    assert [(6 * n <= a <= b < 6 * n + 3) for n, (a, b) in enumerate(all_opened.ranges)] == [True] * 4
    first_opened = collection.search(scene(1), top=1, refine=1)[0]
    assert first_opened.ranges == all_opened.ranges
    assert all(frame.is_refined for frame in first_opened.frames)


def test_no_more_frames_are_opened_where_the_object_is_not_seen(collection, tmp_path):
    collection.add(shots(tmp_path / "in" / "tape.mp4", *range(1, 9)))
    opened = []
    collection.search(scene(1), top=1, refine=1, on_progress=lambda _, total, doing: opened.append((doing, total)))
    n_frames = max(total for doing, total in opened if doing == "refining boxes")
    assert n_frames < len(collection)
