"""Pictures in zips and tars: indexed, found, opened again and followed as files of a folder are, without a cluster."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import INSIDE, cli
from patchseek.draw.thumbnails import thumbnail
from patchseek.encode import find_pictures
from patchseek.errors import ImageChanged, ImageError, MissingExtra, PatchseekError
from patchseek.originals import has_changed, open_original
from patchseek.regions import Pyramid
from patchseek.sources import KINDS as ALL_KINDS
from patchseek.sources import open_archive, page_path, split_member, split_page, stored
from patchseek.sources._gzips import Gunzipped
from patchseek.store import Choice, Settings, Store, Writer

from .conftest import blot

PYRAMID = Pyramid.up_to(1)
KINDS = ["box.zip", "box.tar", "box.tar.gz", "box.tgz"]
NAMES = ["a.png", "2024/b.png", "2024/summer/c.png"]


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID)), tiny)


def png(seed):
    content = io.BytesIO()
    blot(seed).save(content, "PNG")
    return content.getvalue()


def pack(file, members):
    """An archive of a kind that its name says, of these members' bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return file
    with tarfile.open(file, "w" if file.suffix == ".tar" else "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def some():
    return {name: png(i) for i, name in enumerate(NAMES)}


def paths(collection):
    return sorted(path for _, _, path in collection.store.paths())


def vectors(store):
    """The features of every picture, by path, as bytes."""
    snapshot = store.snapshot()
    images = store.images(snapshot.ids.tolist())
    features = snapshot.features(np.arange(len(snapshot.ids)))
    return {image.path: rows.tobytes() for image, rows in zip(images, features, strict=True)}


def touch(file, seconds):
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


# ---- indexing


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_the_features_of_its_files_in_a_folder(collection, tmp_path, tiny, kind):
    archive = pack(tmp_path / "in" / kind, some())
    for name, content in some().items():
        file = tmp_path / "out" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    report = collection.add(archive)
    assert (report.added, report.failed) == (3, [])
    assert paths(collection) == sorted(f"{kind}!{name}" for name in NAMES)
    other = Collection(Store.create(tmp_path / "other", Settings(tiny.identity, PYRAMID)), tiny)
    other.add(tmp_path / "out")
    mine = {path.rpartition("!")[2]: features for path, features in vectors(collection.store).items()}
    assert mine == vectors(other.store)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_in_an_archive_is_found_refined_drawn_and_asked_by_its_number(collection, tmp_path, kind):
    collection.add(pack(tmp_path / "in" / kind, some()))
    best = collection.search(png(1), top=3)[0]
    assert best.image.path == f"{kind}!2024/b.png"
    assert best.image.file == tmp_path / "in" / kind
    assert np.array_equal(open_original(best.image).pixels, np.array(blot(1)))
    assert np.array_equal(thumbnail(best.image), np.array(blot(1)))
    assert collection.search(best.image.id, top=1)[0].image.id == best.image.id
    refined = collection.search(png(1), top=3, refine=3)[0]
    assert refined.image.path == best.image.path and not refined.changed


def test_a_member_of_a_zip_without_a_name_is_passed_over(collection, tmp_path):
    file = pack(tmp_path / "box.zip", {"a.png": png(0), "b.png": png(1)})
    file.write_bytes(file.read_bytes().replace(b"b.png", b"\0.png"))
    report = collection.add(file)
    assert (report.added, report.failed) == (1, [])


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_new_in_an_archive_is_encoded(collection, tmp_path, kind):
    archive = pack(tmp_path / "in" / kind, some())
    collection.add(archive)
    assert collection.add(archive).unchanged == 3
    touch(pack(archive, some() | {"2024/b.png": png(7), "d.png": png(8)}), 5)
    report = collection.add(archive)
    assert (report.added, report.changed, report.unchanged) == (1, 1, 2)
    touch(pack(archive, {"d.png": png(8), "e.png": png(0)}), 10)
    report = collection.add(archive)
    assert (report.added, report.moved, report.removed) == (0, 1, 2)  # a.png is called e.png now
    assert paths(collection) == [f"{kind}!d.png", f"{kind}!e.png"]


def test_archives_below_a_folder_are_entered_when_asked_and_from_then_on(collection, tmp_path):
    folder = tmp_path / "in"
    pack(folder / "sub" / "box.zip", some())
    pack(folder / "other.tar", {"t.png": png(9)})
    (folder / "plain.png").write_bytes(png(5))
    report = collection.add(folder)
    assert (report.added, dict(report.passed_over)) == (1, {".zip": 1, ".tar": 1})
    assert collection.add(folder, inside=["zip"]).added == 3
    pack(folder / "later.zip", {"l.png": png(10)})
    report = collection.add(folder)
    assert (report.added, report.unchanged, dict(report.passed_over)) == (1, 4, {".tar": 1})
    report = collection.add(folder, inside=[])  # forgets; what is known stays known
    pack(folder / "last.zip", {"m.png": png(11)})
    assert collection.add(folder).unchanged == 5
    assert "last.zip!m.png" not in paths(collection)


def test_an_archive_that_was_indexed_alone_is_part_of_its_folder(collection, tmp_path):
    archive = pack(tmp_path / "in" / "sub" / "box.zip", some())
    collection.add(archive)
    (tmp_path / "in" / "plain.png").write_bytes(png(5))
    report = collection.add(tmp_path / "in")
    assert (report.added, report.unchanged, report.removed) == (1, 3, 0)
    assert paths(collection)[0] == "plain.png" and paths(collection)[1].startswith("sub/box.zip!")
    assert collection.add(archive).unchanged == 3


def test_an_archive_that_is_gone_is_set_aside_and_comes_back(collection, tmp_path):
    folder = tmp_path / "in"
    archive = pack(folder / "box.zip", some() | {f"{i}.png": png(20 + i) for i in range(2)})
    for i in range(9):
        (folder / f"plain{i}.png").write_bytes(png(40 + i))
    collection.add(folder, inside=["zip"])
    archive.rename(tmp_path / "box.zip")
    assert collection.add(folder).removed == 5
    (tmp_path / "box.zip").rename(archive)
    assert collection.add(folder, inside=["zip"]).returned == 5


def test_a_folder_that_was_packed_is_known_by_its_bytes(collection, tmp_path):
    folder = tmp_path / "in"
    for name, content in some().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "stays.png").write_bytes(png(30))
    collection.add(folder)
    pack(folder / "box.zip", some())
    for name in NAMES:
        (folder / name).unlink()
    report = collection.add(folder, inside=["zip"])
    assert (report.added, report.moved) == (0, 3)


def test_exclusions_see_an_archive_as_a_folder(collection, tmp_path):
    folder = tmp_path / "in"
    pack(folder / "box.zip", some())
    report = collection.add(folder, inside=["zip"], exclude=["box.zip/2024/summer", "b.*"])
    assert paths(collection) == ["box.zip!a.png"]
    assert (report.passed_over["excluded"], report.unmatched) == (2, {})
    assert collection.add(folder / "box.zip").unchanged == 1  # remembered, whichever way it is named
    collection.add(folder, exclude=[])
    assert len(collection) == 3
    report = collection.add(folder / "box.zip", exclude=["2024"])
    assert paths(collection) == ["box.zip!a.png"]


def test_pages_of_a_tiff_in_an_archive_are_pictures(collection, tmp_path):
    content = io.BytesIO()
    blot(1).save(content, "TIFF", save_all=True, append_images=[blot(2), blot(3)])
    collection.add(pack(tmp_path / "in" / "box.zip", {"scan.tif": content.getvalue()}))
    assert paths(collection) == ["box.zip!scan.tif", "box.zip!scan.tif#2", "box.zip!scan.tif#3"]
    best = collection.search(png(3), top=1)[0].image
    assert (best.path, best.page) == ("box.zip!scan.tif#3", 3)
    assert np.array_equal(open_original(best).pixels, np.array(blot(3)))


def test_a_search_among_places_takes_an_archive_as_a_folder(collection, tmp_path):
    folder = tmp_path / "in"
    pack(folder / "sub" / "box.zip", some())
    (folder / "plain.png").write_bytes(png(5))
    collection.add(folder, inside=["zip"])

    def among(*places):
        found = collection.store.images(Choice(under=list(places)).ids(collection.store).tolist())
        return sorted(image.path for image in found)

    inside = [f"sub/box.zip!{name}" for name in sorted(NAMES)]
    for place in ("sub", "sub/box.zip", "sub/box.zip/", str(folder / "sub" / "box.zip")):
        assert among(place) == inside
    assert among("sub/box.zip/2024") == among("sub/box.zip!2024") == inside[:2]
    assert among("sub/box.zip!a.png") == among("sub/box.zip/a.png") == ["sub/box.zip!a.png"]
    assert among("*.png", "!sub/box.zip/2024") == ["plain.png", "sub/box.zip!a.png"]


# ---- opened again


def test_a_member_that_holds_other_bytes_now_is_not_shown_as_what_was_found(collection, tmp_path):
    archive = pack(tmp_path / "in" / "box.zip", some())
    collection.add(archive)
    image = next(image for image in collection.store.images([1, 2, 3]) if image.path.endswith("a.png"))
    touch(archive, 5)
    assert not has_changed(image)  # dates alone say nothing
    touch(pack(archive, some() | {"a.png": png(9)}), 10)
    assert has_changed(image)
    with pytest.raises(ImageChanged):
        open_original(image)
    archive.unlink()
    with pytest.raises(ImageError):
        open_original(image)


def test_a_tar_is_gone_through_once_and_read_where_its_pictures_lie(tmp_path, monkeypatch, collection):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("patchseek.sources._archives._LEAST_KEPT", 2)
    archive = pack(tmp_path / "in" / "box.tar", some())
    collection.add(archive)
    monkeypatch.setattr("patchseek.sources._archives._open", OrderedDict())
    monkeypatch.setattr("patchseek.sources._archives.scan_tar", None)  # a second scan would fail
    (image,) = [i for i in collection.store.images([1, 2, 3]) if i.path.endswith("b.png")]
    assert np.array_equal(open_original(image).pixels, np.array(blot(1)))
    assert collection.add(archive).unchanged == 3


def test_a_packed_file_is_read_from_anywhere(tmp_path):
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 30, 5_000_000, np.uint8).tobytes()
    file = tmp_path / "x.gz"
    file.write_bytes(gzip.compress(plain[:3_000_000]) + gzip.compress(plain[3_000_000:]) + bytes(100))
    with Gunzipped(partial(file.open, "rb")) as opened:
        for start in (0, 4_999_000, 10, 3_000_000, 2_999_990, 1_500_000, 4_000_000, 1):
            opened.seek(start)
            part = b""
            while len(part) < 1000 and (more := opened.read(1000 - len(part))):
                part += more
            assert part == plain[start : start + 1000]
        assert opened.seek(0, os.SEEK_END) == len(plain)
        assert opened.read(1) == b""


@pytest.mark.parametrize("before", ["", "./"])
def test_old_collections_of_tars_go_on(collection, tmp_path, before):
    """What a cluster indexed had the tar itself as its root, and paths below the tar's name, as the tar has them."""
    archive = pack(tmp_path / "in" / "box.tar", {before + name: content for name, content in some().items()})
    collection.add(archive)
    store = collection.store
    with Writer(store), store.catalogue.writing() as db:
        db.execute("UPDATE root SET path = ?", (str(archive),))
        db.execute("UPDATE image SET path = replace(path, '!', ?)", (f"/{before}",))
    assert paths(collection) == sorted(f"box.tar/{before}{name}" for name in NAMES)
    image = collection.search(png(1), top=1)[0].image
    assert np.array_equal(open_original(image).pixels, np.array(blot(1)))
    report = collection.add(archive)
    assert (report.added, report.unchanged) == (0, 3)
    assert paths(collection) == sorted(f"box.tar!{name}" for name in NAMES)
    assert collection.search(png(1), top=1)[0].image.id == image.id


# ---- what an archive may be


def test_names_that_lead_out_links_and_locked_members_are_listed_with_their_reason(collection, tmp_path):
    archive = tmp_path / "in" / "box.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as opened:
        for name in ("../out.png", "/abs.png", "C:/drive.png", "good.png", "win\\dows.png"):
            opened.writestr(name, png(len(name)))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
        opened.writestr("locked.png", png(3))
        opened.writestr("notes.txt", b"x")
    content = bytearray(archive.read_bytes())
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"locked.png"))
    content[at + 8] |= 1  # the flag of a password, in the directory
    archive.write_bytes(content)
    report = collection.add(archive)
    reasons = {failure.path: failure.reason for failure in report.failed}
    assert paths(collection) == ["box.zip!good.png", "box.zip!win/dows.png"]
    assert reasons == {
        "box.zip!../out.png": "the name leads out of the archive",
        "box.zip!/abs.png": "the name leads out of the archive",
        "box.zip!C:/drive.png": "the name leads out of the archive",
        "box.zip!locked.png": "locked with a password",
    }
    assert dict(report.passed_over) == {"links": 1, ".txt": 1}


def test_a_bomb_is_not_unpacked(collection, tmp_path):
    archive = tmp_path / "in" / "box.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("bomb.png", bytes(40 << 20))
        opened.writestr("good.png", png(1))
    (failure,) = collection.add(archive).failed
    assert failure.path == "box.zip!bomb.png"
    assert "which no picture is" in failure.reason


def test_of_several_members_of_one_name_the_last_counts(collection, tmp_path):
    archive = tmp_path / "in" / "box.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as opened, pytest.warns(UserWarning, match="Duplicate name"):
        opened.writestr("a.png", png(1))
        opened.writestr("a.png", png(2))
    report = collection.add(archive)
    assert (report.added, report.passed_over["repeated"]) == (1, 1)
    assert np.array_equal(open_original(collection.store.images([1])[0]).pixels, np.array(blot(2)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_archive_is_one_line(collection, tmp_path, kind):
    file = tmp_path / "in" / kind
    file.parent.mkdir()
    for content in (b"", b"no archive at all", png(1)):
        file.write_bytes(content)
        with pytest.raises(PatchseekError) as caught:
            collection.add(file)
        assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert len(collection) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_damage_costs_what_it_hits_and_nothing_that_is_known(collection, tmp_path, kind):
    members = {f"{i}.png": png(i) for i in range(9)}
    archive = pack(tmp_path / "in" / kind, members)
    whole = archive.read_bytes()
    (tmp_path / "in" / "plain.png").write_bytes(png(50))
    collection.add(tmp_path / "in", inside=["zip", "tar"])
    assert len(collection) == 10
    archive.write_bytes(whole[: len(whole) // 2 + 100])  # not where a member ends: such a tar is only shorter
    touch(archive, 5)
    report = collection.add(tmp_path / "in")
    assert len(collection) == 10 and report.removed == 0
    assert any(failure.path.startswith(kind) for failure in report.failed)
    archive.write_bytes(whole)
    touch(archive, 10)
    report = collection.add(tmp_path / "in")
    assert (len(collection), report.failed) == (10, [])


def test_a_flipped_byte_fails_one_member_and_is_never_a_wrong_picture(collection, tmp_path):
    archive = pack(tmp_path / "in" / "box.zip", some())
    content = bytearray(archive.read_bytes())
    content[content.index(b"IDAT") if b"IDAT" in content else 100] ^= 0xFF
    archive.write_bytes(content)
    report = collection.add(archive)
    assert (report.added, len(report.failed)) == (2, 1)


@pytest.mark.parametrize("kind", ["box.zip", "box.tar", "box.tar.gz"])
def test_a_truncated_archive_never_raises_anything_else(tmp_path, kind):
    whole = pack(tmp_path / kind, some()).read_bytes()
    for n in range(0, len(whole), max(len(whole) // 60, 1)):
        file = tmp_path / f"{n}-{kind}"
        file.write_bytes(whole[:n])
        try:
            archive = open_archive(file)
            for member in archive.listing().pictures:
                archive.read(member.name)
        except PatchseekError as error:
            assert "\n" not in str(error)


def test_a_file_named_as_a_member_is_refused(collection, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "box.zip!a.png").write_bytes(png(1))
    (folder / "wow!.png").write_bytes(png(2))
    (folder / "x.zip!y").mkdir()
    (folder / "x.zip!y" / "c.png").write_bytes(png(3))
    report = collection.add(folder)
    assert paths(collection) == ["wow!.png"]
    assert {failure.path for failure in report.failed} == {"box.zip!a.png", "x.zip!y/"}


@pytest.mark.parametrize("name", ["manual.pdf", "tape.mp4"])
def test_without_its_extra_a_file_is_one_failure_that_passes_and_its_neighbours_are_unharmed(
    collection, tmp_path, monkeypatch, name
):
    def missing(*_, **__):
        raise MissingExtra("a library", "pdf")

    folder = tmp_path / "in"
    pack(folder / "box.zip", some())
    (folder / name).write_bytes(b"whatever it holds")
    monkeypatch.setattr("patchseek.sources._documents.count_pages", missing)
    monkeypatch.setattr("patchseek.sources._films.pick", missing)
    report = collection.add(folder, inside=["zip", "pdf", "video"])
    (failure,) = report.failed
    assert (report.added, failure.path, failure.passing) == (3, name, True)
    assert "a library is not installed" in failure.reason


# ---- paths


@pytest.mark.parametrize(
    ("path", "file", "member", "page"),
    [
        ("a.jpg", "a.jpg", None, 1),
        ("sub/box.zip!2024/a.jpg", "sub/box.zip", "2024/a.jpg", 1),
        ("box.tar.gz!a!b.jpg", "box.tar.gz", "a!b.jpg", 1),
        ("BOX.ZIP!a.jpg", "BOX.ZIP", "a.jpg", 1),
        ("a.zip!b.zip!c.jpg", "a.zip", "b.zip!c.jpg", 1),
        ("wow!/a.zip", "wow!/a.zip", None, 1),
        ("box.zip!/a.jpg", "box.zip!/a.jpg", None, 1),
        ("box.zip!scan.tif#3", "box.zip", "scan.tif", 3),
        ("scan.tif#page=3", "scan.tif", None, 3),
        ("manual.pdf#page=12", "manual.pdf", None, 12),
        ("tape.mp4#t=61.48", "tape.mp4", None, 61_481),
        ("tape.mp4", "tape.mp4", None, 1),
        ("tape.mp4#t=0.5", "tape.mp4", None, 501),
        ("a.jpg#3", "a.jpg#3", None, 1),
        ("tape.mp4#t=x", "tape.mp4#t=x", None, 1),
    ],
)
def test_what_a_path_says(path, file, member, page):
    whole, found = split_page(path)
    assert (*split_member(whole), found) == (file, member, page)
    assert page_path(whole, found) == path.replace("tif#page=", "tif#")
    place = stored(Path("/data"), path)
    assert (place.file, place.member, place.page) == (Path("/data", file), member, page)


# ---- the command line


def test_the_kinds_that_the_help_names_are_those_there_are():
    assert set(INSIDE) == set(ALL_KINDS)


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_index_takes_several_sources_of_several_kinds(tmp_path):
    first = pack(tmp_path / "one" / "box.zip", some())
    (tmp_path / "two").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "two" / "red.png")
    pack(tmp_path / "two" / "inner.tar", {"t.png": png(9)})
    result = run("index", first, tmp_path / "two", "--inside", "all", "-c", tmp_path / "c")
    assert result.exit_code == 0, result.output
    assert "5 added" in result.stderr
    assert sorted(p for _, _, p in Store.open(tmp_path / "c").paths())[-2:] == ["inner.tar!t.png", "red.png"]


def test_what_could_be_gone_into_is_said_in_the_summary(tmp_path):
    pack(tmp_path / "in" / "box.zip", some())
    (tmp_path / "in" / "plain.png").write_bytes(png(1))
    result = run("index", tmp_path / "in")
    assert "passed over: 1 .zip (--inside zip)" in result.stderr


def test_pictures_are_looked_for_in_an_archive_without_a_collection(tmp_path):
    archive = pack(tmp_path / "box.zip", some())
    assert sorted(find_pictures(archive, [], hidden=False, follow_symlinks=False).files) == sorted(NAMES)
    with pytest.raises(PatchseekError, match="no pictures found in this archive"):
        find_pictures(pack(tmp_path / "none.zip", {"a.txt": b""}), [], hidden=False, follow_symlinks=False)


def test_what_is_said_of_a_folder_is_refused_where_it_means_nothing(tmp_path, tiny, make_folder):
    folder = make_folder("a.png")
    collection = Collection.open(tmp_path / "c", encoder=tiny, create=True)
    with pytest.raises(PatchseekError, match="inside 'pdfs': there are zip, tar, "):
        collection.add(folder, inside=["pdfs"])
    (tmp_path / "list.txt").write_text(f"{folder / 'a.png'}\n")
    for single in (tmp_path / "list.txt", folder / "a.png"):
        with pytest.raises(PatchseekError, match="inside is for folders"):
            collection.add(single, inside=["zip"])
    assert len(collection) == 0
