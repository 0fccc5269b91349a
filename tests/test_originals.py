"""Pictures that are no longer what was indexed: no box of old pixels is said of new ones."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import patchseek as ps
from patchseek.errors import ImageChanged, ImageError
from patchseek.originals import has_changed, open_original
from patchseek.records import match_record

from .commands import run
from .conftest import blot


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures of 64 x 48, of tiles of 8 x 8; and a tall one."""
    for i in range(12):
        path = tmp_path / "pictures" / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        blot(i).save(path)
    return tmp_path / "pictures"


@pytest.fixture
def collection(folder, tiny):
    opened = ps.Collection.open(folder / ".patchseek", encoder=tiny, points=False, create=True)
    opened.add(folder)
    return opened


def rewrite(path, picture):
    """Save another picture, at another second."""
    picture.save(path)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 2_000_000_000))


def found(collection, name, **options):
    """The match of 05.png, asked for with a quarter of what it was."""
    matches = collection.search(blot(5).crop((32, 24, 64, 48)), top=12, **options)
    return next(match for match in matches if match.image.path == name), matches


@pytest.mark.parametrize("edit", [lambda p: p.transpose(Image.Transpose.ROTATE_90), lambda p: p.crop((8, 8, 56, 40))])
@pytest.mark.parametrize("options", [{}, {"refine": 0}, {"several": True}])
def test_what_was_turned_or_cropped_is_said_to_have_changed_and_keeps_the_old_box(collection, folder, edit, options):
    rewrite(folder / "05.png", edit(blot(5)))
    match, matches = found(collection, "05.png", **options)
    assert match.changed
    assert [m.image.path for m in matches if m.changed] == ["05.png"]
    assert match.box == (0.5, 0.5, 1, 1), "the region that the old pixels gave"
    assert (match.image.width, match.image.height) == (64, 48)
    assert match_record(1, match)["changed"] is True
    assert match_record(1, match)["box"] == [32, 24, 32, 24]
    assert match.boxes == ()
    assert "changed" not in match_record(1, matches[-1])


def test_it_stays_where_it_stood_among_those_that_are_refined(collection, folder):
    assert found(collection, "05.png")[1][0].image.path == "05.png"
    rewrite(folder / "05.png", blot(99))
    match, matches = found(collection, "05.png")
    assert matches[0] is match
    assert [m.score for m in matches] == sorted((m.score for m in matches), reverse=True)


def test_new_pixels_are_found_after_the_next_run(collection, folder):
    rewrite(folder / "05.png", blot(5).transpose(Image.Transpose.ROTATE_180))
    assert found(collection, "05.png")[0].changed
    assert collection.add(folder).changed == 1
    turned = blot(5).crop((32, 24, 64, 48)).transpose(Image.Transpose.ROTATE_180)
    first = collection.search(turned, refine=0)[0]
    assert (first.image.path, first.box, first.changed) == ("05.png", (0, 0, 0.5, 0.5), False)


def test_a_copy_of_a_library_with_other_dates_has_not_changed(collection, folder):
    for path in folder.glob("*.png"):
        os.utime(path, ns=(0, 86_400_000_000_000))
    match, matches = found(collection, "05.png")
    assert not any(m.changed for m in matches)
    assert match.score > 0.99


def test_the_same_date_and_size_do_not_hide_a_turned_picture(collection, folder):
    status = (folder / "05.png").stat()
    turned = blot(5).transpose(Image.Transpose.ROTATE_90)
    for level in range(10):  # of compression: until the size is the same, or the rest is filled
        turned.save(folder / "05.png", compress_level=level)
        if (folder / "05.png").stat().st_size <= status.st_size:
            break
    with (folder / "05.png").open("ab") as file:
        file.write(b"\0" * (status.st_size - file.tell()))
    os.utime(folder / "05.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    image = found(collection, "05.png")[0].image
    assert (folder / "05.png").stat().st_size == status.st_size
    with pytest.raises(ImageChanged, match="changed since it was indexed; index again"):
        open_original(image)


def test_gone_is_not_changed(collection, folder):
    image = found(collection, "05.png")[0].image
    (folder / "05.png").unlink()
    assert not has_changed(image)
    with pytest.raises(ImageError, match="no such file") as caught:
        open_original(image)
    assert not isinstance(caught.value, ImageChanged)
    assert not found(collection, "05.png")[0].changed


def test_what_never_was_a_file_has_not_changed(tmp_path, tiny, folder):
    from patchseek.encode import add_stream

    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    add_stream(collection.store, folder, [("05.png", (folder / "05.png").read_bytes())], tiny)
    assert not found(collection, "05.png")[0].changed


def test_a_changed_picture_is_no_query(collection, folder):
    image = found(collection, "05.png")[0].image
    rewrite(folder / "05.png", blot(99))
    with pytest.raises(ImageChanged):
        collection.search(image.id, box=(32, 24, 32, 24))


def test_confidence_is_not_measured_by_what_has_changed(collection, folder):
    before = collection.background
    for i in (2, 7):
        rewrite(folder / f"{i:02}.png", Image.fromarray(np.full((48, 64, 3), 127, np.uint8)))
    from patchseek.confidence import measure_background
    from patchseek.indexes import open_index

    snapshot = collection.store.snapshot()
    now = measure_background(open_index("exact", snapshot), snapshot, collection.store, collection.encoder)
    assert now.kinds["likeness"] == pytest.approx(before.kinds["likeness"], abs=0.15)


def test_the_command_line_says_it_once_and_draws_no_box(tmp_path, folder):
    run(tmp_path, "index", "pictures")
    for name in ("05.png", "06.png"):
        rewrite(folder / name, blot(5).transpose(Image.Transpose.ROTATE_90))
    blot(5).save(tmp_path / "query.png")
    asked = ("search", "query.png", "-c", "pictures", "--top", "all")
    done = run(tmp_path, *asked, "--json", "--save", "found.png")
    changed = [r["image"] for r in json.loads(done.stdout)["results"] if r.get("changed")]
    assert sorted(changed) == ["05.png", "06.png"]
    said = [line for line in done.stderr.splitlines() if "changed" in line]
    assert len(said) == 1
    assert "run: patchseek index FOLDER" in said[0]
    run(tmp_path, "index", "pictures")
    assert "changed since" not in run(tmp_path, *asked).stderr


def test_a_pipe_in_the_place_of_a_picture_is_not_waited_for(collection, folder):
    image = found(collection, "05.png")[0].image
    (folder / "05.png").unlink()
    os.mkfifo(folder / "05.png")
    with pytest.raises(ImageError):
        open_original(image)
    assert len(found(collection, "05.png")[1]) == 12
    shutil.rmtree(folder)
