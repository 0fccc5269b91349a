"""What a tar holds, with and without a cluster, beside what GNU tar and webdataset make of it."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek import evaluate as ev
from patchseek.cli._benchmarks import evaluate_command
from patchseek.cli._encoder import EncoderChoice
from patchseek.datasets import iter_shard, open_shards, read_keys, webdataset_key
from patchseek.distributed import check_source
from patchseek.encode import add_folder, find_pictures
from patchseek.errors import DatasetError, PatchseekError
from patchseek.images import EXTENSIONS
from patchseek.sources import _archives
from patchseek.store import Settings, Store

from .conftest import TinyEncoder, blot
from .test_distributed import PYRAMID
from .test_distributed_sources import add_here
from .test_evaluate import dataset as dataset
from .test_evaluate import run


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())


def picture(seed, kind="PNG"):
    content = io.BytesIO()
    blot(seed).save(content, kind)
    return content.getvalue()


def write_tar(path, *members, **options):
    """A tar of (name, content), where content is bytes, or the fields of a header that has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            else:
                for field, value in content.items():
                    setattr(entry, field, value)
                tar.addfile(entry)
    return path


def hard(target):
    return {"type": tarfile.LNKTYPE, "linkname": target}


def soft(target):
    return {"type": tarfile.SYMTYPE, "linkname": target}


def held(collection):
    """Name in its tar -> SHA-256 of each picture that the collection has."""
    ids = collection.store.snapshot().ids[collection.store.snapshot().live].tolist()
    return {image.path.partition("!")[2]: image.sha256 for image in collection.store.images(ids)}


def hashed(**contents):
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


DOTTED = {
    "IMG 2024.05.31.jpg": "JPEG",
    "IMG 2024.06.01.jpg": "JPEG",
    "plan.v2.tif": "TIFF",
    "a.gif": "GIF",
    "b.PNG": "PNG",
    "0001.left.webp": "WEBP",
}


def dotted_tar(path):
    pictures = [(name, picture(i, kind)) for i, (name, kind) in enumerate(DOTTED.items())]
    return write_tar(path, *pictures, ("0001.json", b"{}"), ("b.txt", b"b"), ("README", b"x"), ("c.txt", b""))


# ---- which members are pictures


def test_the_last_suffix_decides_and_what_is_passed_over_is_counted(collection, tmp_path):
    report = add_here(collection, dotted_tar(tmp_path / "x.tar"))
    assert (report.added, report.failed) == (6, [])
    assert set(held(collection)) == set(DOTTED)
    assert report.passed_over == {".json": 1, ".txt": 2, "no suffix": 1}
    assert add_here(collection, tmp_path / "x.tar").passed_over == report.passed_over


def test_every_suffix_of_a_folder_is_one_of_a_tar(tmp_path):
    names = [f"{i}.b{suffix}" for i, suffix in enumerate(sorted(EXTENSIONS))]
    for name in names:
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(b"x")
    tar = write_tar(tmp_path / "x.tar", *((name.upper(), b"x") for name in names))
    assert sorted(key for key, _ in iter_shard(tar)) == sorted(f"x.tar/{name.upper()}" for name in names)
    assert set(find_pictures(tmp_path / "folder", (), hidden=False, follow_symlinks=False).files) == set(names)


def test_the_key_is_webdatasets_which_ends_at_the_first_dot():
    import re

    theirs = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")  # webdataset.tariterators.base_plus_ext
    for name in ("a.jpg", "IMG 2024.05.31.jpg", "sub.d/0001.left.png", "./a.b.c", "/x/y.tar.gz"):
        assert webdataset_key(name) == theirs.match(name)[1]


def test_pictures_of_one_key_are_kept_and_named_apart(tmp_path):
    names = ["a.jpg", "b.jpg", "b.png", "c.left.jpg", "c.right.jpg", "c.jpg", "d.jpg.png", "sub.d/e.jpg"]
    tar = write_tar(tmp_path / "x.tar", *((name, name.encode()) for name in names))
    assert list(iter_shard(tar)) == [
        ("x.tar/a", b"a.jpg"),
        ("x.tar/b.jpg", b"b.jpg"),
        ("x.tar/b.png", b"b.png"),
        ("x.tar/c.left.jpg", b"c.left.jpg"),
        ("x.tar/c.right.jpg", b"c.right.jpg"),
        ("x.tar/c", b"c.jpg"),
        ("x.tar/d.jpg.png", b"d.jpg.png"),
        ("x.tar/sub.d/e", b"sub.d/e.jpg"),
    ]
    for keep, n in (({"c"}, 3), ({"c.left.jpg"}, 1), ({"b"}, 2), ({"b.png"}, 1), ({"sub.d/e"}, 1), ({"IMG"}, 0)):
        assert len(list(iter_shard(tar, keep))) == n, keep


def test_a_list_of_keys_may_have_a_mark_comments_and_ids(tmp_path):
    (tmp_path / "keys.txt").write_bytes(
        b"\xef\xbb\xbf# mine\r\none\r\n\r\n# not two\r\n  three \r\nX.TAR/four\r\nx.tar/five\r\none\r\n"
    )
    keys = read_keys(tmp_path / "keys.txt")
    assert (len(keys), [name in keys for name in ("one", "three", "four", "five", "two")]) == (4, [True] * 4 + [False])
    (tmp_path / "keys.txt").write_bytes("one\n".encode("utf-16"))
    with pytest.raises(DatasetError, match="is UTF-16; save it as UTF-8"):
        read_keys(tmp_path / "keys.txt")


def test_hidden_names_and_symbolic_links_are_passed_over_as_in_a_folder(collection, tmp_path):
    one = picture(1)
    members = [("a.png", one), ("._a.png", b"\0\5\26\7"), ("sub/l.png", soft("../a.png")), ("m.png", soft("sub/l.png"))]
    tar = write_tar(tmp_path / "x.tar", *members, ("n.png", soft("/a.png")), ("album.png", {"type": tarfile.DIRTYPE}))
    report = add_here(collection, tar)
    assert (report.added, report.failed, report.passed_over) == (1, [], {"hidden": 1, "links": 3})
    report = add_here(collection, tar, opening={"follow_symlinks": True, "hidden": True})
    assert held(collection) == hashed(**{"a.png": one, "sub/l.png": one, "m.png": one})
    assert {failure.path: failure.reason for failure in report.failed} == {
        "x.tar!n.png": "a link to '/a.png', which is no file in the tar",
        "x.tar!._a.png": "not a picture in a format that is read here",
    }


def test_hidden_folders_and_those_that_systems_make_are_passed_over_as_in_a_folder(collection, tmp_path, make_folder):
    names = ("a.png", ".thumbs/b.png", "sub/.cache/c/d.png", "@eaDir/e.png", "sub/__MACOSX/f.png")
    folder = make_folder(*names)
    tar = write_tar(tmp_path / "x.tar", *((f"./{name}", (folder / name).read_bytes()) for name in names))
    for hidden, n in ((False, 1), (True, 3)):
        found = find_pictures(folder, (), hidden=hidden, follow_symlinks=False)
        report = add_here(collection, tar, opening={"hidden": hidden})
        assert set(found.files) == set(held(collection))
        assert report.passed_over == {"hidden": 5 - n}


# ---- names


def test_of_a_repeated_name_the_last_counts_as_when_gnu_tar_unpacks(collection, tmp_path):
    first, last, dotted, other = (picture(i) for i in range(4))
    tar = write_tar(
        tmp_path / "x.tar",
        ("a.png", first),
        ("b.png", other),
        ("./c.png", first),
        ("a.png", last),
        ("c.png", dotted),
        ("d.png", first),
        ("d.png", soft("a.png")),
    )
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", tar, "-C", tmp_path / "unpacked"], check=True)
    truth = {file.name: file.read_bytes() for file in (tmp_path / "unpacked").iterdir() if not file.is_symlink()}
    report = add_here(collection, tar)
    assert held(collection) == hashed(**{"a.png": truth["a.png"], "b.png": truth["b.png"], "c.png": truth["c.png"]})
    assert (report.added, report.failed, report.passed_over) == (3, [], {"repeated": 3, "links": 1})
    assert dict(iter_shard(tar)) == {"x.tar/b": other, "x.tar/a": last, "x.tar/./c": dotted}


def test_a_pattern_means_tars_of_one_name_in_several_folders(collection, tmp_path):
    for folder in ("Fotos [1]/a", "Fotos [1]/b", "Fotos [1]/b/c"):
        write_tar(tmp_path / folder / "x.tar", ("1.png", picture(ord(folder[-1]))))
    assert add_here(collection, tmp_path / "Fotos [1]" / "*" / "x.tar").added == 2
    assert {root.name for root in collection.store.roots()} == {"a", "b"}


@pytest.mark.parametrize("options", [["-g", "seen"], ["-g", "seen", "--format=oldgnu"], ["-g", "seen", "--format=pax"]])
def test_names_in_a_backup_of_gnu_tar_are_those_that_it_lists_itself(collection, tmp_path, make_folder, options):
    make_folder("a.png", "sub/b.png", f"{'sub/' * 40}c.png")
    subprocess.run(["tar", *options, "-cf", "x.tar", "pictures"], cwd=tmp_path, check=True)
    listed = subprocess.run(["tar", "-tf", "x.tar"], cwd=tmp_path, check=True, capture_output=True, text=True)
    add_here(collection, tmp_path / "x.tar")
    assert set(held(collection)) == {name for name in listed.stdout.split() if name.endswith(".png")}


def test_hard_links_are_the_files_that_they_lead_to_as_when_gnu_tar_packs_and_unpacks(collection, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture(1))
    (folder / "b.blob").write_bytes(picture(2))
    os.link(folder / "a.png", folder / "z.png")
    os.link(folder / "b.blob", folder / "y.png")
    (folder / ("long " * 40 + ".png")).write_bytes(picture(3))
    for kind in ("gnu", "pax", "posix"):
        subprocess.run(
            ["tar", f"--format={kind}", "--sort=name", "-cf", f"{kind}.tar", "pictures"], cwd=tmp_path, check=True
        )
        truth = {f"pictures/{f.name}": f.read_bytes() for f in folder.iterdir() if f.suffix == ".png"}
        assert len(truth) == 4
        fresh = Collection(Store.create(tmp_path / kind, Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())
        assert add_here(fresh, tmp_path / f"{kind}.tar").failed == []
        assert held(fresh) == hashed(**truth)
        assert sorted(content for _, content in iter_shard(tmp_path / f"{kind}.tar")) == sorted(truth.values())
    lost = write_tar(tmp_path / "lost.tar", ("l.png", hard("nowhere.png")), ("a.png", picture(1)))
    (failure,) = add_here(collection, lost).failed
    assert failure.reason == "a link to 'nowhere.png', which is no file before it in the tar"


def test_a_name_that_is_no_text_is_one_failure_and_the_rest_is_indexed(collection, tmp_path, tiny):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture(1))
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(picture(2))
    subprocess.run(["tar", "-cf", "x.tar", "-C", "pictures", "."], cwd=tmp_path, check=True)
    plain = add_folder(Store.create(tmp_path / "plain", Settings(tiny.identity, PYRAMID)), folder, tiny)
    report = add_here(collection, tmp_path / "x.tar")
    (ours,), (theirs,) = report.failed, plain.failed
    assert (report.added, ours.reason) == (1, theirs.reason)
    assert (ours.path, theirs.path) == (r"x.tar!'./caf\udce9.png'", r"'caf\udce9.png'")
    skipped = []
    assert [name for name, _ in iter_shard(tmp_path / "x.tar", on_skip=lambda *said: skipped.append(said))] == [
        "x.tar/./a"
    ]
    assert skipped == [(r"'./caf\udce9.png'", theirs.reason)]


def test_odd_names_are_names(collection, tmp_path):
    names = [
        "é.png",
        "e\u0301.png",
        "É.png",
        "A.png",
        "a.png",
        "new\nline.png",
        "../up.png",
        "/root.png",
        "x y.png",
        "a#2.png",
    ]
    pictures = {name: picture(i) for i, name in enumerate(names)}
    tar = write_tar(tmp_path / "x.tar", *pictures.items())
    with tarfile.open(tar, "a", format=tarfile.PAX_FORMAT) as opened:
        entry = tarfile.TarInfo("zero")
        entry.pax_headers = {"path": "zero\0byte.png"}
        opened.addfile(entry)
    report = add_here(collection, tar)
    led_out = [pictures.pop(name) for name in ("../up.png", "/root.png")]
    assert held(collection) == hashed(**pictures)
    assert [(f.path, f.reason) for f in report.failed] == [
        ("x.tar!../up.png", "the name leads out of the archive"),
        ("x.tar!/root.png", "the name leads out of the archive"),
        ("x.tar!zero\0byte.png", "the name holds a zero byte; rename it"),
    ]
    assert set(led_out) <= {content for _, content in iter_shard(tar)}  # of a data set, nothing is unpacked
    assert {name.partition("/")[2] for name, _ in iter_shard(tar)} == {name.removesuffix(".png") for name in names}


def test_empty_and_sparse_members_are_failures(collection, tmp_path):
    with (tmp_path / "s.png").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(picture(1))
    (tmp_path / "e.png").touch()
    (tmp_path / "a.png").write_bytes(picture(2))
    subprocess.run(["tar", "-S", "-cf", "x.tar", "s.png", "e.png", "a.png"], cwd=tmp_path, check=True)
    report = add_here(collection, tmp_path / "x.tar")
    assert report.added == 1
    reasons = {failure.path: failure.reason for failure in report.failed}
    assert reasons["x.tar!s.png"] == "a file with holes, which is not read from a tar"
    assert "empty" in reasons["x.tar!e.png"]


# ---- whole tars


def test_a_tar_that_is_cut_short_is_one_failure_and_the_tars_after_it_are_read(collection, tmp_path):
    for i in range(3):
        write_tar(tmp_path / f"x-{i}.tar", *((f"{i}{j}.png", picture(10 * i + j)) for j in range(3)))
    cut = tmp_path / "x-1.tar"
    with tarfile.open(cut) as tar:
        end = tar.getmember("12.png").offset_data + 20
    os.truncate(cut, end)
    report = add_here(collection, tmp_path / "x-{0..2}.tar")
    assert report.added == 8
    assert [(failure.path, failure.reason) for failure in report.failed] == [
        ("x-1.tar", "cannot be read to its end (it is cut short within '12.png')")
    ]
    os.truncate(cut, 100)
    report = add_here(collection, tmp_path / "x-{0..2}.tar")
    assert (report.unchanged, report.removed, [failure.path for failure in report.failed]) == (6, 0, ["x-1.tar"])
    assert len(collection) == 8, "what stood in the rest of it is not known to be gone"
    with pytest.raises(PatchseekError, match=r"x-1\.tar: cannot be read as a tar \("):
        add_here(collection, cut)


def test_a_folder_called_like_a_tar_among_tars_is_one_failure(collection, tmp_path):
    write_tar(tmp_path / "x-0.tar", ("a.png", picture(1)))
    (tmp_path / "x-1.tar").mkdir()
    report = add_here(collection, tmp_path / "x-*.tar")
    assert (report.added, [(f.path, f.reason) for f in report.failed]) == (1, [("x-1.tar", "is a directory")])
    with pytest.raises(DatasetError, match=r"x-1\.tar: cannot be read as a tar \(is a directory\)"):
        open_shards([tmp_path / "x-1.tar"])


@pytest.mark.parametrize(("mode", "suffix"), [("gz", ".gz"), ("bz2", ".bz2"), ("xz", ".xz"), ("gz", ""), ("bz2", "")])
def test_a_packed_tar_says_that_it_is_to_be_unpacked(tmp_path, mode, suffix):
    path = tmp_path / f"x.tar{suffix}"
    with tarfile.open(path, f"w:{mode}") as tar:
        tar.addfile(tarfile.TarInfo("a.png"))
    attempts = [lambda: list(iter_shard(path)), lambda: open_shards([path])]
    for attempt in attempts if mode == "gz" else [lambda: check_source(path), *attempts]:
        with pytest.raises(PatchseekError, match=r"x\.tar.*packed.*unpack it to a plain \.tar") as caught:
            attempt()
            raise AssertionError
        assert "\n" not in str(caught.value)


def test_one_tar_under_several_names_is_one(collection, tmp_path):
    tar = write_tar(tmp_path / "b.tar", ("a.png", picture(1)))
    (tmp_path / "a.tar").symlink_to("b.tar")
    (tmp_path / "link").symlink_to(tmp_path)
    report = add_here(collection, tar)
    assert report.added == 1
    for again, n in ((tmp_path / "a.tar", 0), (tmp_path / "link" / "b.tar", 0), (tmp_path / "*.tar", 1)):
        report = add_here(collection, again)
        assert (report.added, report.unchanged, report.passed_over["repeated"]) == (0, 1, n)
    assert collection.store.roots() == [tar.parent]
    os.link(tar, tmp_path / "hard.tar")
    shards = open_shards([tar, tmp_path / "a.tar", tmp_path / "link" / "b.tar", tmp_path / "hard.tar"])
    assert [(shard.path, shard.name, shard.n_given) for shard in shards] == [(tar, "b.tar", 4)]


def test_a_picture_whose_tar_was_written_anew_meanwhile_is_not_taken_for_another(collection, tmp_path, monkeypatch):
    tar = write_tar(tmp_path / "x.tar", ("a.png", picture(1)), ("b.png", picture(2)))
    read = _archives._read

    def late(*asked):
        write_tar(tar, ("b.png", picture(2)), ("a.png", picture(1)))
        return read(*asked)

    monkeypatch.setattr(_archives, "_read", late)
    report = add_here(collection, tar)
    assert (report.added, {failure.reason for failure in report.failed}) == (0, {"changed while it was read"})
    monkeypatch.undo()
    assert add_here(collection, tar).added == 2


def test_a_tar_replaced_by_one_of_the_same_size_and_date_is_noticed(collection, tmp_path):
    one, two = (np.full((8, 8, 3), n, np.uint8) for n in (1, 2))
    for pixels, path in ((one, tmp_path / "x.tar"), (two, tmp_path / "y.tar")):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "BMP")
        write_tar(path, ("a.bmp", content.getvalue()))
    add_here(collection, tmp_path / "x.tar")
    times = (tmp_path / "x.tar").stat()
    shutil.copyfile(tmp_path / "y.tar", tmp_path / "x.tar")
    os.utime(tmp_path / "x.tar", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert add_here(collection, tmp_path / "x.tar").changed == 1


# ---- eval


def test_distractors_are_all_that_a_tar_holds(dataset, tiny, tmp_path):
    gallery, *_, results = run(dataset, tiny, tmp_path, distractors=[dotted_tar(tmp_path / "x.tar")])
    assert results["dataset"]["n_distractors"] == 8 + 6
    names = {name for name, *_ in results["results"]["q0"]}
    assert {f"x.tar/{name}" for name in ("IMG 2024.05.31.jpg", "plan.v2.tif", "a", "b", "0001.left.webp")} <= names
    assert gallery.shards[0].passed_over == {".json": 1, ".txt": 2, "no suffix": 1}


def test_a_repeated_distractor_is_ranked_once_as_its_last_version(dataset, tiny, tmp_path):
    right = (tmp_path / "set" / "0.png").read_bytes()
    tar = write_tar(tmp_path / "x.tar", ("a.png", right), ("b.png", picture(50)), ("a.png", picture(51)))
    results = run(dataset, tiny, tmp_path, distractors=[tar])[-1]
    ranked = results["results"]["q0"]
    assert sorted(name for name, *_ in ranked if name.startswith("x.tar")) == ["x.tar/a", "x.tar/b"]
    assert sum(score == ranked[0][1] for _, score, _ in ranked) == 1, (
        "the first version, a copy of the right one, is gone"
    )


def test_tars_of_one_name_are_told_apart_by_their_folders(dataset, tiny, tmp_path):
    tars = [tmp_path / name for name in ("p/a/x.tar", "q/a/x.tar", "a/y.tar", "q/b/z.tar", "r/z.tar")]
    for i, tar in enumerate(tars):
        write_tar(tar, ("k.png", picture(60 + i)))
    results = run(dataset, tiny, tmp_path, distractors=tars)[-1]
    names = sorted(name for name, *_ in results["results"]["q0"] if ".tar/" in name)
    assert names == ["b/z.tar/k", "p/a/x.tar/k", "q/a/x.tar/k", "r/z.tar/k", "y.tar/k"]
    assert ev.score(results, dataset)["metrics"]["top-1"] == 1
    alone = run(dataset, tiny, tmp_path / "alone", distractors=tars[:1])[-1]
    assert "x.tar/k" in {name for name, *_ in alone["results"]["q0"]}, "where nothing clashes, ids stay as they were"


def test_a_bad_tar_is_an_error_before_anything_is_encoded(dataset, tiny, tmp_path):
    good = write_tar(tmp_path / "good.tar", ("k.png", picture(60)))
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 500)
    for bad in ("bad.tar", "none.tar", "set"):
        with pytest.raises(DatasetError, match=f"{bad}: cannot be read as a tar"):
            ev.encode_gallery(
                dataset, tiny, ev.EvalSettings(level=1).pyramid, tmp_path / "c", distractors=[good, tmp_path / bad]
            )
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("dataset")
def test_eval_says_what_of_the_tars_is_no_distractor(tmp_path, monkeypatch):
    tars = [tmp_path / name for name in ("a/x.tar", "b/x.tar")]
    dotted_tar(tars[0])
    write_tar(tars[1], ("k.png", picture(60)), ("k.png", b"none"), ("l.png", soft("k.png")))
    monkeypatch.setattr(EncoderChoice, "open", lambda _: TinyEncoder())
    given = [word for tar in (*tars, tars[1]) for word in ("--distractors", str(tar))]
    places = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "features")]
    for _ in range(2):
        told = [str(tmp_path / "set"), "--level", "1", *given, *places]
        lines = CliRunner().invoke(evaluate_command, told, catch_exceptions=False).stderr.splitlines()
        assert "failed: b/x.tar/k: not a picture in a format that is read here" in lines
        said = "2 .txt, 1 .json, 1 without suffix, 2 repeated (of one name the last counts), 1 links"
        assert f"distractors passed over: {said}" in lines
        assert "note: several tars are called x.tar; the ids of this one begin with b/x.tar" in lines
