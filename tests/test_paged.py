"""Documents in a collection: every page is a picture, found, opened again, followed when it changes."""

import json
import os
import shutil

import numpy as np
import pypdfium2
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import cli
from patchseek.draw.thumbnails import thumbnail
from patchseek.errors import ImageChanged
from patchseek.originals import open_original
from patchseek.regions import Pyramid
from patchseek.store import Choice, Settings, Store

from .conftest import blot

pytestmark = pytest.mark.extra("pdf")
PYRAMID = Pyramid.up_to(1)


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID)), tiny)


def tiles(seed, width=320, height=256):
    """Random tiles of 32 x 32 pixels, which JPEG keeps well."""
    return blot(seed, width // 4, height // 4).resize((width, height), Image.Resampling.NEAREST)


def document(file, *seeds):
    """A PDF whose pages are these tiles, at 150 dpi."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pages = [tiles(seed) for seed in seeds]
    pages[0].save(file, "PDF", resolution=150, save_all=True, append_images=pages[1:])
    return file


def paths(collection):
    return sorted(path for _, _, path in collection.store.paths())


def later(file, seconds):
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


def test_every_page_is_a_picture_of_its_own_that_is_found_and_opened_again(collection, tmp_path):
    file = document(tmp_path / "in" / "manual.pdf", 1, 2, 3)
    report = collection.add(file)
    assert (report.added, report.failed) == (len(pypdfium2.PdfDocument(file.read_bytes())), [])
    assert paths(collection) == ["manual.pdf", "manual.pdf#page=2", "manual.pdf#page=3"]
    best = collection.search(np.asarray(tiles(2)), top=3)[0]
    assert (best.image.path, best.image.page, best.image.width, best.image.height) == ("manual.pdf#page=2", 2, 320, 256)
    for pixels in (open_original(best.image).pixels, thumbnail(best.image)):
        assert np.abs(pixels.astype(int) - np.asarray(tiles(2))).mean() < 5
    assert collection.search(best.image.id, top=1)[0].image.id == best.image.id
    assert not collection.search(np.asarray(tiles(2)), top=3, refine=3)[0].changed


def test_documents_below_a_folder_are_entered_when_asked_and_only_new_pages_are_encoded(collection, tmp_path):
    folder = tmp_path / "in"
    document(folder / "manual.pdf", 1, 2)
    tiles(9).save(folder / "plain.png")
    assert dict(collection.add(folder).passed_over) == {".pdf": 1}
    assert collection.add(folder, inside=["pdf"]).added == 2
    assert collection.add(folder).unchanged == 3
    later(folder / "manual.pdf", 5)
    report = collection.add(folder)  # the same bytes
    assert (report.added, report.changed, report.unchanged) == (0, 0, 3)
    later(document(folder / "manual.pdf", 4, 5, 6), 10)
    report = collection.add(folder)
    assert (report.added, report.changed, report.unchanged) == (1, 2, 1)
    assert paths(collection) == ["manual.pdf", "manual.pdf#page=2", "manual.pdf#page=3", "plain.png"]
    shutil.move(folder / "manual.pdf", folder / "renamed.pdf")
    report = collection.add(folder)
    assert (report.added, report.moved) == (0, 3)
    assert paths(collection)[-3:] == ["renamed.pdf", "renamed.pdf#page=2", "renamed.pdf#page=3"]


def test_a_page_of_a_document_that_is_another_now_is_not_shown_as_what_was_found(collection, tmp_path):
    file = document(tmp_path / "in" / "manual.pdf", 1, 2)
    collection.add(file)
    image = collection.search(np.asarray(tiles(2)), top=1)[0].image
    later(document(file, 3, 4), 5)
    with pytest.raises(ImageChanged):
        open_original(image)


def test_what_is_no_document_is_one_failure_and_its_neighbours_are_unharmed(collection, tmp_path):
    folder = tmp_path / "in"
    document(folder / "good.pdf", 1, 2)
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (folder / "empty.pdf").touch()
    tiles(9).save(folder / "plain.png")
    report = collection.add(folder, inside=["pdf"])
    assert (report.added, sorted(failure.path for failure in report.failed)) == (3, ["bad.pdf", "empty.pdf"])
    again = collection.add(folder)
    assert (again.added, again.unchanged, len(again.failed)) == (0, 3, 2)


def test_a_search_takes_a_document_or_a_page_as_a_place(collection, tmp_path):
    folder = tmp_path / "in"
    document(folder / "sub" / "manual.pdf", 1, 2, 3)
    document(folder / "other.pdf", 4)
    collection.add(folder, inside=["pdf"])

    def among(place):
        return sorted(image.path for image in collection.store.images(Choice(under=[place]).ids(collection.store)))

    assert len(among("sub/manual.pdf")) == 3
    assert among("sub/manual.pdf#page=2") == ["sub/manual.pdf#page=2"]
    assert among("*.pdf")[:1] == ["other.pdf"]


def test_results_have_their_boxes_in_points_beside_pixels(tmp_path):
    document(tmp_path / "in" / "manual.pdf", 1, 2)
    tiles(2).save(tmp_path / "query.png")
    run = CliRunner()
    made = run.invoke(cli, ["index", str(tmp_path / "in"), "--inside", "pdf", "--no-points"])
    assert made.exit_code == 0, made.output
    where = ["-c", str(tmp_path / "in"), "--refine", "0", "--top", "1", "--query", "whole", "--json"]
    found = run.invoke(
        cli, ["search", str(tmp_path / "query.png"), *[w for w in where if w not in ("--query", "whole")]]
    )
    (result,) = json.loads(found.stdout)["results"]
    assert result["image"] == "manual.pdf#page=2"
    assert result["box_points"] == pytest.approx([value * 72 / 150 for value in result["box"]], abs=0.01)
