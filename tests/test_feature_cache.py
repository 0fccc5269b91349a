"""The features that `eval` keeps: whatever is in the cache, what is ranked is what is asked for now."""

import io
import json
import os
import tarfile

import pytest
from PIL import Image

from patchseek import Collection
from patchseek import evaluate as ev
from patchseek.datasets import DistractorTar, open_dataset
from patchseek.errors import DatasetError, StoreError, StoreLocked, StoreMismatch

from .conftest import TinyEncoder, blot


class Counting(TinyEncoder):
    """Counts what it encodes."""

    def __init__(self, name="tiny", runs_on="numpy"):
        super().__init__(name)
        self.runs_on, self.n = runs_on, 0

    def encode(self, patches):
        self.n += len(patches)
        return super().encode(patches)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for i in range(5):
        blot(i).save(folder / f"{i}.png")
        rows.append({"id": f"g{i}", "image": f"{i}.png", "instance": None, "bbox": None})
    rows[0] |= {"instance": ["o"], "bbox": [[0, 0, 32, 24]]}
    blot(0).crop((0, 0, 32, 24)).save(folder / "q.png")
    (folder / "gallery.json").write_text(json.dumps(rows))
    (folder / "query.json").write_text(json.dumps([{"id": "q", "image": "q.png", "instance": "o", "bbox": None}]))
    return open_dataset(folder)


def pack(path, seeds):
    """A tar of pictures 0.png, 1.png ..., not compressed, so that as many of them are as long; None: no picture."""
    with tarfile.open(path, "w") as tar:
        for i, seed in enumerate(seeds):
            content = io.BytesIO()
            blot(seed).save(content, "PNG", compress_level=0) if seed is not None else content.write(b"no picture")
            member = tarfile.TarInfo(f"{i}.png")
            member.size = content.tell()
            content.seek(0)
            tar.addfile(member, content)
    return path


def ask(data, cache, tars=(), keep=None, encoder=None, engine="exact"):
    """Query q's answers: [id, score, box], best first."""
    encoder, settings = encoder or TinyEncoder(), ev.EvalSettings(level=1, engine=engine)
    gallery = ev.encode_gallery(data, encoder, settings.pyramid, cache, distractors=tars, keep=keep)
    queries = ev.encode_queries(data, encoder)
    opened = ev.open_engine(gallery, settings, gallery.store.path / "indexes")
    results = ev.run_benchmark(data, gallery, queries, opened, settings)
    assert results["dataset"]["n_gallery"] == len(results["results"]["q"])
    return results["results"]["q"]


def ids(ranked):
    return sorted(name for name, *_ in ranked)


def names(tar, *keys):
    return sorted([*(f"g{i}" for i in range(5)), *(f"{tar}/{key}" for key in keys)])


@pytest.mark.parametrize("engine", ["exact", "PQ1x2", "Flat"])
def test_what_was_encoded_without_a_filter_is_not_ranked_under_one(data, tmp_path, engine):
    tar = pack(tmp_path / "t.tar", range(50, 58))
    for keep, keys in ((None, "01234567"), ({"1", "6"}, "16"), ({"1", "2"}, "12"), (set(), ""), (None, "01234567")):
        found = ask(data, tmp_path / "f", [tar], keep, engine=engine)
        assert ids(found) == names("t.tar", *keys)
        fresh = ask(data, tmp_path / f"fresh{keys}", [tar], keep, engine=engine)
        assert [name for name, *_ in found] == [name for name, *_ in fresh]
        assert [score for _, score, _ in found] == pytest.approx([score for _, score, _ in fresh], abs=2e-6)


@pytest.mark.parametrize("engine", ["exact", "PQ1x2", "IVF4,PQ13x1;nprobe=4"])
def test_a_trained_engine_does_not_depend_on_what_was_asked_for_before(data, tmp_path, engine):
    one, two = pack(tmp_path / "one.tar", range(50, 66)), pack(tmp_path / "two.tar", range(70, 80))
    asked = [
        ([two], None),
        ([one], {"9", "4", "12"}),
        ([one, two], None),
        ([two, one], None),
        ([two, one], {"1", "12"}),
    ]
    for n, (tars, keep) in enumerate(asked):
        found = ask(data, tmp_path / "f", tars, keep, engine=engine)
        assert found == ask(data, tmp_path / f"fresh{n}", tars, keep, engine=engine)


def test_what_another_filter_left_is_used_again(data, tmp_path):
    tar, encoder = pack(tmp_path / "t.tar", range(50, 58)), Counting()
    ask(data, tmp_path / "f", [tar], None, encoder)
    encoder.n = 0
    ask(data, tmp_path / "f", [tar], {"3"}, encoder)
    assert encoder.n == 1, "the query alone"


def test_without_its_tar_a_distractor_is_not_ranked(data, tmp_path):
    one, two = pack(tmp_path / "one.tar", [50, 51]), pack(tmp_path / "two.tar", [60])
    encoder = Counting()
    both = ask(data, tmp_path / "f", [one, two], encoder=encoder)
    encoder.n = 0
    assert ask(data, tmp_path / "f", [two, one], encoder=encoder) == both, "in whatever order"
    assert ids(ask(data, tmp_path / "f", [two], encoder=encoder)) == names("two.tar", "0")
    assert ids(ask(data, tmp_path / "f", encoder=encoder)) == names("")
    assert encoder.n == 3, "three queries"


@pytest.mark.parametrize("change", ["replaced", "changed within"])
def test_another_tar_of_the_same_name_size_and_times_is_encoded_anew(data, tmp_path, change):
    tar = pack(tmp_path / "t.tar", [50, 51, 52])
    ask(data, tmp_path / "f", [tar])
    before = tar.stat()
    if change == "replaced":
        pack(tmp_path / "new.tar", [50, 0, 52]).replace(tar)
    else:
        content = pack(tmp_path / "new.tar", [50, 0, 52]).read_bytes()
        with tar.open("r+b") as file:
            file.write(content)
    os.utime(tar, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tar.stat().st_size == before.st_size
    found = ask(data, tmp_path / "f", [tar])
    assert found == ask(data, tmp_path / "fresh", [tar])
    assert {found[0][0], found[1][0]} == {"g0", "t.tar/1"}, "picture 0 is in the tar now"


def test_a_picture_of_a_tar_that_is_none_any_more_is_not_ranked_and_comes_back(data, tmp_path):
    tar = pack(tmp_path / "t.tar", [50, 51])
    whole = ask(data, tmp_path / "f", [tar])
    pack(tar, [50, None])
    assert ids(ask(data, tmp_path / "f", [tar])) == names("t.tar", "0")
    pack(tar, [50, 51])
    assert ask(data, tmp_path / "f", [tar]) == whole


def test_a_gallery_picture_that_changes_is_encoded_anew(data, tmp_path):
    ask(data, tmp_path / "f")
    blot(0).save(tmp_path / "set" / "3.png")
    assert ask(data, tmp_path / "f") == ask(data, tmp_path / "fresh")


def test_a_run_that_broke_off_goes_on(data, tmp_path):
    tar, encoder = pack(tmp_path / "t.tar", range(50, 56)), Counting()
    whole = tar.read_bytes()
    tar.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"t\.tar: cannot be read as a tar"):
        ask(data, tmp_path / "f", [tar], encoder=encoder)
    assert encoder.n >= 5 * 5
    tar.write_bytes(whole)
    found = ask(data, tmp_path / "f", [tar], encoder=encoder)
    assert encoder.n == (5 + 6) * 5 + 1
    assert found == ask(data, tmp_path / "fresh", [tar])


def test_tars_of_one_name_in_two_folders_are_two(data, tmp_path, monkeypatch):
    for i, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        pack(tmp_path / folder / "t.tar", [50 + i])
    found = []
    for folder in ("a", "b"):
        monkeypatch.chdir(tmp_path / folder)
        found.append(ask(data, tmp_path / "f", [type(tmp_path)("t.tar")]))
        assert ids(found[-1]) == names("t.tar", "0")
    assert found[1] == ask(data, tmp_path / "fresh", [tmp_path / "b" / "t.tar"]) != found[0]


def test_tars_in_the_folder_of_the_pictures_are_encoded_once(data, tmp_path):
    tar, encoder = pack(tmp_path / "set" / "t.tar", [50, 51]), Counting()
    for n in ((5 + 2) * 5 + 1, (5 + 2) * 5 + 2):
        assert ids(ask(data, tmp_path / "f", [tar], encoder=encoder)) == names("t.tar", "0", "1")
        assert encoder.n == n


def test_another_encoder_another_precision_and_another_pyramid_are_kept_apart(data, tmp_path):
    encoders = [Counting(), Counting("other"), Counting(runs_on="numpy f16")]
    for encoder in encoders:
        ask(data, tmp_path / "f", encoder=encoder)
        assert encoder.n == 5 * 5 + 1
    ev.encode_gallery(data, encoders[0], ev.EvalSettings(level=1, follows_shape=False).pyramid, tmp_path / "f")
    ev.encode_gallery(data, encoders[0], ev.EvalSettings(level=1, overlap=0.5).pyramid, tmp_path / "f")
    assert encoders[0].n == 5 * 5 + 1 + 5 * 5 + 5 * 10
    assert len(list((tmp_path / "f").iterdir())) == 5


def test_what_somebody_else_put_into_the_cache_is_not_ranked(data, tmp_path, tiny, make_folder):
    before = ask(data, tmp_path / "f")
    Collection.open(next((tmp_path / "f").iterdir()), encoder=tiny).add(make_folder("x.png", "y.png"))
    assert ask(data, tmp_path / "f") == before


def test_a_second_run_into_the_same_cache_is_told_so_and_the_first_goes_on(data, tmp_path, monkeypatch):
    tar, caught = pack(tmp_path / "t.tar", [50, 51]), []
    plain = DistractorTar.pictures

    def meanwhile(shard, keep=None):
        monkeypatch.setattr(DistractorTar, "pictures", plain)
        with pytest.raises(
            StoreLocked, match=r"process \d+ is writing to this collection; wait for it or stop it"
        ) as e:
            ask(data, tmp_path / "f")
        caught.append(e)
        return plain(shard, keep)

    monkeypatch.setattr(DistractorTar, "pictures", meanwhile)
    assert ids(ask(data, tmp_path / "f", [tar])) == names("t.tar", "0", "1")
    assert caught


def test_a_collection_is_no_cache_and_another_ones_folder_is_refused(data, tmp_path, tiny, make_folder):
    Collection.open(tmp_path / "c", encoder=tiny, create=True).add(make_folder("x.png"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=r"c: this is a collection, not a cache of features; name another folder"):
        ask(data, tmp_path / "c")
    assert sorted(tmp_path.rglob("*")) == before
    ask(data, tmp_path / "f")
    (name,) = (tmp_path / "f").iterdir()
    ask(data, tmp_path / "g", encoder=TinyEncoder("other"))
    (other,) = (tmp_path / "g").iterdir()
    name.rename(tmp_path / "g" / "away")
    other.rename(name)
    with pytest.raises(StoreMismatch, match=r"not what this cache made .encoder: 'other' here, 'tiny' asked for"):
        ask(data, tmp_path / "f")


def test_a_cache_that_cannot_be_one_is_a_line(data, tmp_path):
    (tmp_path / "f").write_text("a file")
    with pytest.raises(StoreError, match="cannot keep features here"):
        ask(data, tmp_path / "f")


def test_pictures_of_the_tar_are_no_copies_of_their_former_selves(data, tmp_path):
    tar = pack(tmp_path / "t.tar", [50])
    ask(data, tmp_path / "f", [tar])
    with tarfile.open(tar, "w") as opened:
        opened.add(tmp_path / "set" / "q.png", "0.png")
    encoder, pyramid = TinyEncoder(), ev.EvalSettings(level=1).pyramid
    gallery = ev.encode_gallery(data, encoder, pyramid, tmp_path / "f", distractors=[tar])
    assert gallery.copies == {"q": ["t.tar/0"]}
    with Image.open(tmp_path / "set" / "q.png") as picture:
        assert gallery.sizes[max(gallery.sizes)] == picture.size
