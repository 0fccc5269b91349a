"""What `patchseek index` says and exits with when disks are gone, folders move, and files are passed over."""

import json
import os
import re

import pytest
from PIL import Image

from .commands import run
from .conftest import blot
from .test_pages import scan


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Five small pictures and a scan of two pages, indexed once, the collection beside them."""
    home = tmp_path_factory.mktemp("home")
    for name in ("0.png", "1.png", "disk/2.png", "disk/3.png", "disk/4.png"):
        path = home / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blot(int(path.stem), 160, 120).save(path)
    scan(home / "pictures" / "scan.tif", 20, 21)
    for name in ("a.cr2", "b.cr2", "c.mp4", "README"):
        (home / "pictures" / name).write_bytes(b"")
    (home / "pictures" / "link.png").symlink_to(home / "pictures" / "0.png")
    done = index(home, "pictures")
    assert (
        "passed over: 2 .cr2, 1 .mp4 (--inside video), 1 without suffix, 1 links (--follow-symlinks)\n" in done.stderr
    )
    assert "7 added, 0 unchanged, 0 changed, 0 moved, 0 removed, 0 failed; " in done.stderr
    return home


def index(home, folder, *options, code=0):
    return run(home, "index", folder, "-c", "collection", *options, code=code)


def about(home):
    return json.loads(run(home, "info", "-c", "collection", "--json").stdout)


def test_a_disk_that_is_not_there_is_said_loudly_and_its_pictures_stay(home):
    run(home, "tag", "far", "disk", "-c", "collection")
    (home / "pictures" / "disk").rename(home / "away")
    (home / "pictures" / "disk").mkdir()
    done = index(home, "pictures", "--report", "run.json", code=3)
    lost = home / "pictures" / "disk"
    line = f"MISSING: 3 of 3 files known in {lost} are not there: is a disk not mounted? They stay in the collection"
    assert [text for text in done.stderr.splitlines() if text.startswith(line)] == [
        f"{line}; to drop them: patchseek index {lost} --prune"
    ]
    assert "0 added, 4 unchanged, 0 changed, 0 moved, 0 removed, 0 failed, 3 missing\n" in done.stderr
    report = json.loads((home / "run.json").read_text())
    assert (report["missing"], report["failed"], report["removed"]) == (3, 0, 0)
    assert report["missing_from"] == [{"folder": str(lost), "missing": 3, "known": 3}]
    assert report["passed_over"] == {".cr2": 2, ".mp4": 1, "no suffix": 1, "links": 1}
    assert (about(home)["images"], about(home)["tags"]) == (7, {"far": 3})
    lost.rmdir()
    (home / "away").rename(lost)
    assert "0 added, 7 unchanged" in index(home, "pictures").stderr


def test_an_empty_or_missing_folder_is_one_line_and_an_error(home):
    (home / "pictures").rename(home / "away")
    for what in ("no such folder now", "no pictures found below this folder"):
        done = index(home, "pictures", code=1)
        assert done.stderr == (
            f"patchseek: error: {home / 'pictures'}: {what}, 6 known: is a disk not mounted? "
            "They stay in the collection; drop them with --prune\n"
        )
        (home / "pictures").mkdir(exist_ok=True)
    (home / "pictures").rmdir()
    (home / "away").rename(home / "pictures")


def test_a_folder_of_nothing_but_archives_and_films_says_how_to_go_into_them(tmp_path):
    (tmp_path / "Films").mkdir()
    for name in ("a.mp4", "b.mkv", "c.zip", "notes.txt"):
        (tmp_path / "Films" / name).touch()
    said = run(tmp_path, "index", "Films", code=1).stderr
    why = "1 file that --inside zip goes into; 2 files that --inside video goes into"
    assert said == f"patchseek: error: Films: no pictures found below this folder ({why})\n"


def test_what_is_gone_is_set_aside_and_comes_back(home):
    (home / "pictures" / "0.png").rename(home / "0.png")
    done = index(home, "pictures")
    assert "set aside: 1 picture, for 30 days in case their files come back\n" in done.stderr
    assert "0 added, 6 unchanged, 0 changed, 0 moved, 1 removed, 0 failed\n" in done.stderr
    assert (about(home)["images"], about(home)["set_aside"]) == (6, 1)
    (home / "0.png").rename(home / "pictures" / "0.png")
    lines = [
        json.loads(line)
        for line in run(home, "--log-json", "index", "pictures", "-c", "collection").stderr.splitlines()
    ]
    counts = next(line for line in lines if "unchanged" in line)
    assert (counts["returned"], counts["added"], counts["unchanged"], counts["missing"]) == (1, 0, 6, 0)
    assert next(line for line in lines if "passed_over" in line)["passed_over"][".cr2"] == 2


def test_a_library_that_moved_is_not_encoded_again(home):
    (home / "pictures").rename(home / "moved")
    assert "0 added, 0 unchanged, 0 changed, 7 moved, 0 removed" in index(home, "moved").stderr
    assert about(home)["folders"] == [str(home / "moved")]
    (home / "moved").rename(home / "pictures")
    assert "0 added, 0 unchanged, 0 changed, 7 moved, 0 removed" in index(home, "pictures").stderr
    assert "0 added, 3 unchanged, 0 changed" in index(home, "pictures/disk").stderr
    assert about(home)["folders"] == [str(home / "pictures")]


def test_an_edit_behind_the_back_of_size_and_date_is_found_by_reading_all(home):
    file = home / "pictures" / "edit.bmp"
    blot(70, 160, 120).save(file)
    index(home, "pictures")
    before = file.stat()
    blot(71, 160, 120).save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "0 added, 7 unchanged, 1 changed" in index(home, "pictures", "--check-content").stderr
    file.unlink()
    index(home, "pictures")


def test_a_page_of_a_scan_is_found_saved_and_searched_under(home):
    blot(21).save(home / "query.png")
    done = run(home, "search", "query.png", "-c", "collection", "--json", "--under", "scan.tif", "--save", "found.png")
    results = json.loads(done.stdout)["results"]
    assert [result["image"] for result in results] == ["scan.tif#2", "scan.tif"]
    with Image.open(home / "found.png") as sheet:
        assert sheet.width > 500


def test_pruning_drops_what_is_missed(home):
    (home / "pictures" / "disk").rename(home / "away")
    (home / "pictures" / "disk").mkdir()
    assert "3 removed" in index(home, "pictures", "--prune").stderr
    assert (about(home)["images"], about(home)["set_aside"]) == (4, 0)
    done = index(home, "pictures")
    assert "set aside" not in done.stderr


def test_what_a_cut_file_lacks_is_said_once(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.effect_noise((320, 240), 60).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "pictures" / "cut.jpg").write_bytes(content[: len(content) * 4 // 5])
    (tmp_path / "pictures" / "end.jpg").write_bytes(content[:-2])
    done = index(tmp_path, "pictures", "--report", "run.json")
    said = [line for line in done.stderr.splitlines() if line.startswith("damaged: ")]
    assert len(said) == 1
    found = re.fullmatch(r"damaged: cut\.jpg: its last (\d+) of 240 rows are missing", said[0])
    assert abs(int(found[1]) - 240 // 5) <= 16
    damaged = json.loads((tmp_path / "run.json").read_text())["damaged"]
    assert damaged == [{"image": "cut.jpg", "missing": said[0].removeprefix("damaged: cut.jpg: ")}]
    assert "2 added" in done.stderr
    assert "damaged" not in index(tmp_path, "pictures").stderr
