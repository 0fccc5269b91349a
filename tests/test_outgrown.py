"""Engines that were trained on other pictures than they search: trained anew, or it is said. Truth is brute force."""

import dataclasses
import json
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek import evaluate as ev
from patchseek.cli import cli
from patchseek.encode import add_folder
from patchseek.indexes import Refit, _faiss, _faiss_saved, _outgrown, open_index, why_outgrown
from patchseek.store import FileState, NewEntry, Snapshot, Writer, hash_file

from .conftest import blot

DIM, REGIONS = 64, 30
TRAINING = ["PQ16", "IVF8,PQ16", "IVF8,Flat;nprobe=1", "OPQ16,PQ16", "SQ8", "SQ4", "PCA16,Flat", "HNSW16,PQ16"]
TRAINING += ["PQ16x4fs", "PQ16x4fs;rerank=100", "IVF4,PQ16x4fsr;nprobe=4", "PQ16,RFlat", "RaBitQ4", "IVF4,RaBitQ4"]
TRAINING += ["RQ4x4", "LSHt;metric=L2", "PCA16,ITQ16,LSH;metric=L2", "IVF4(IVF2,Flat),Flat;nprobe=1", "PCA32,IVF4,SQ6"]


def blanks(n, seed=0):
    """Pages (n, R, D) that hardly differ."""
    rng = np.random.default_rng(seed)
    page = np.random.default_rng(99).normal(size=DIM)
    pages = page / np.linalg.norm(page) + 0.004 * rng.normal(size=(n, REGIONS, DIM))
    return (pages / np.linalg.norm(pages, axis=-1, keepdims=True)).astype(np.float16)


def scenes(n, seed=1):
    """Pictures (n, R, D) that differ in eight ways, and a little in every other."""
    rng, ways = np.random.default_rng(seed), np.random.default_rng(98).normal(size=(8, DIM))
    pictures = rng.normal(size=(n, REGIONS, 8)) @ ways + 0.5 * rng.normal(size=(n, REGIONS, DIM))
    return (pictures / np.linalg.norm(pictures, axis=-1, keepdims=True)).astype(np.float16)


def snapshot_of(*arrays, removed=()):
    n = sum(map(len, arrays))
    live = np.ones(n, bool)
    live[list(removed)] = False
    shards = tuple(f"{i}-{float(np.float64(a).sum())}" for i, a in enumerate(arrays))
    return Snapshot(list(arrays), shards, np.arange(n) + 1, live, REGIONS, DIM)


def recall(index, snapshot, seed=3, n=40):
    """Share of brute force's best ten pictures that an engine finds, for scenes nobody has seen."""
    queries = scenes(n, seed)[:, 0].astype(np.float32)
    features = np.concatenate([np.asarray(a, np.float32) for a in snapshot.arrays])
    scores = np.einsum("prd,qd->qpr", features, queries).max(axis=2)
    scores[:, ~snapshot.live] = -np.inf
    best, found = np.argsort(-scores, axis=1)[:, :10], index.search(queries, 10).positions
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(best.tolist(), found.tolist(), strict=True)]))


@pytest.mark.parametrize("engine", TRAINING)
def test_an_engine_trained_on_ten_blank_pages_finds_later_pictures_as_a_fresh_one_does(engine, tmp_path):
    open_index(engine, snapshot_of(blanks(10)), tmp_path / "old")
    grown = snapshot_of(blanks(10), scenes(60))
    index, fresh = open_index(engine, grown, tmp_path / "old"), open_index(engine, grown, tmp_path / "fresh")
    assert recall(index, grown) == pytest.approx(recall(fresh, grown), abs=0.02)
    assert index.outgrown is None


def test_without_training_anew_it_would_find_a_fraction_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(_outgrown, "SOON_BYTES", 0)
    open_index("IVF8,PQ16", snapshot_of(blanks(10)), tmp_path / "old")
    grown = snapshot_of(blanks(10), scenes(60))
    index, fresh = open_index("IVF8,PQ16", grown, tmp_path / "old"), open_index("IVF8,PQ16", grown)
    assert recall(index, grown) < 0.75 * recall(fresh, grown)
    assert index.outgrown == "it was trained on 300 features and now holds 2,100"
    again = open_index("IVF8,PQ16", grown, tmp_path / "old")
    assert again.outgrown == index.outgrown == why_outgrown("IVF8,PQ16", grown, tmp_path / "old")
    mended = open_index("IVF8,PQ16", grown, tmp_path / "old", refit=Refit.WHERE_OUTGROWN)
    assert mended.outgrown is None is why_outgrown("IVF8,PQ16", grown, tmp_path / "old")
    assert recall(mended, grown) == pytest.approx(recall(fresh, grown), abs=0.02)


def test_an_engine_that_took_long_to_train_is_not_trained_during_a_search(tmp_path, built):
    open_index("PQ16", snapshot_of(blanks(10)), tmp_path)
    manifest = next(tmp_path.glob("*.json"))
    said = json.loads(manifest.read_text())
    said["trained"]["seconds"] = 61
    manifest.write_text(json.dumps(said))
    assert open_index("PQ16", snapshot_of(blanks(10), scenes(60)), tmp_path).outgrown
    assert [job.saved is None for job in built] == [True, False]


@pytest.mark.parametrize("n_blank", [30, 100, 300])
def test_a_few_newcomers_unlike_all_that_was_trained_on_are_noticed(n_blank, tmp_path):
    old = snapshot_of(blanks(n_blank))
    open_index("PQ16", old, tmp_path)
    reason = why_outgrown("PQ16", snapshot_of(blanks(n_blank), scenes(10)), tmp_path)
    assert reason is not None and reason.startswith("the error of its codes is ")


def test_newcomers_like_those_trained_on_are_added_and_nothing_is_trained(tmp_path, built):
    parts = [scenes(60, seed) for seed in range(10, 13)]
    first, second, third = (snapshot_of(*parts[: i + 1]) for i in range(3))
    for snapshot in (first, second, third, third):
        index = open_index("IVF4,PQ8x4;nprobe=4", snapshot, tmp_path)
        assert index.outgrown is None
    assert [job.saved is None for job in built] == [True, False, False]
    assert [job.n_rows for job in built] == [1800, 3600, 5400]
    assert why_outgrown("IVF4,PQ8x4;nprobe=4", third, tmp_path) is None


def test_one_rebuild_is_enough_for_a_mixed_collection(tmp_path, built):
    parts = [blanks(100), scenes(40), *(scenes(2, seed) for seed in range(10, 14))]
    for i in range(len(parts)):
        open_index("PQ8x4", snapshot_of(*parts[: i + 1]), tmp_path)
    assert [job.saved is None for job in built] == [True, False, True, *[False] * 4]


def test_too_few_to_train_with_is_told_by_the_number_alone(tmp_path):
    few, grown = snapshot_of(scenes(12)), snapshot_of(scenes(12), scenes(60, 5))
    open_index("IVF64,Flat;nprobe=8", few, tmp_path)
    reason = why_outgrown("IVF64,Flat;nprobe=8", grown, tmp_path)
    assert reason == "it was trained on 360 features and now holds 2,160"


@pytest.mark.parametrize("engine", ["Flat", "HNSW16", "SQfp16"])
def test_what_is_not_trained_is_never_outgrown(engine, tmp_path, built):
    grown = snapshot_of(blanks(10), scenes(60))
    open_index(engine, snapshot_of(blanks(10)), tmp_path)
    assert why_outgrown(engine, grown, tmp_path) is None
    assert open_index(engine, grown, tmp_path, refit=Refit.WHERE_CHANGED).outgrown is None
    assert [job.saved is None for job in built] == [True, False]


def test_once_most_of_what_it_was_trained_on_is_removed_it_is_trained_on_what_is_left(tmp_path, built):
    arrays = blanks(300), scenes(60)
    open_index("PQ8", snapshot_of(*arrays), tmp_path)
    left = snapshot_of(*arrays, removed=range(300))
    index = open_index("PQ8", left, tmp_path)
    only = snapshot_of(scenes(60))
    assert [job.saved is None for job in built] == [True, False, True], "judged, and then built"
    assert recall(index, left) == pytest.approx(recall(open_index("PQ8", only), only), abs=0.05)
    built.clear()
    assert open_index("PQ8", left, tmp_path).outgrown is None
    assert built == [], "what was found out is noted"


def test_when_nothing_that_it_was_trained_on_is_left_it_is_trained_anew(tmp_path):
    open_index("SQ8", snapshot_of(blanks(10)), tmp_path)
    left = snapshot_of(blanks(10), scenes(60), removed=range(10))
    assert why_outgrown("SQ8", left, tmp_path) == "no picture that it was trained on is left"
    assert recall(open_index("SQ8", left, tmp_path), left) > 0.9


def test_an_index_that_does_not_say_what_it_was_trained_on_is_held_against_its_first_shard(tmp_path):
    parts = blanks(100), scenes(30)
    for n in (1, 2):
        open_index("PQ16", snapshot_of(*parts[:n]), tmp_path, refit=Refit.WHERE_SOON_DONE)
    _as_of_an_earlier_version(tmp_path)
    assert why_outgrown("PQ16", snapshot_of(*parts), tmp_path) is None
    shutil.rmtree(tmp_path)
    open_index("PQ16", snapshot_of(parts[0]), tmp_path)
    _as_of_an_earlier_version(tmp_path)
    assert "codes" in str(why_outgrown("PQ16", snapshot_of(*parts), tmp_path))


def _as_of_an_earlier_version(folder):
    manifest = next(folder.glob("*.json"))
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({key: said[key] for key in ("factory", "shards", "sha256", "tried")}))


def test_in_a_collection_that_cannot_be_written_every_opening_finds_it_out_again(tmp_path, monkeypatch):
    open_index("PQ16", snapshot_of(blanks(10)), tmp_path)
    monkeypatch.setattr(_outgrown, "SOON_BYTES", 0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(_faiss, "_places", lambda *_: nullcontext([tmp_path / "elsewhere" / "index.faiss"]))
    monkeypatch.setattr(_faiss_saved, "_write", _refuse)
    for _ in range(2):
        assert open_index("PQ16", snapshot_of(blanks(10), scenes(60)), tmp_path).outgrown


def _refuse(*_):
    raise PermissionError("read-only file system")


def test_training_that_changes_what_is_built_is_part_of_an_index_s_name(tmp_path, built):
    snapshot = snapshot_of(scenes(20))
    for engine in ("HNSW16", "HNSW16;efConstruction=200", "HNSW16;efSearch=64", "HNSW16;efConstruction=200"):
        open_index(engine, snapshot, tmp_path)
    assert [(job.saved is None, job.parameters) for job in built] == [
        (True, ""),
        (True, "efConstruction=200"),
        (False, "efSearch=64"),
    ]


# a collection, from its edges


def page(path, seed):
    """An almost white picture."""
    pixels = 255 - np.random.default_rng(seed).integers(0, 4, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def library(tmp_path, tiny):
    """Ten almost white pages under SQ8, which was trained on them, and then 30 coloured pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(10):
        page(folder / f"page{i}.png", i)
    collection = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    collection.add(folder)
    collection.use_index("SQ8")
    for i in range(30):
        blot(i).save(folder / f"{i}.png")
    add_folder(collection.store, folder, tiny)
    return collection, folder


def first(collection, folder):
    """Share of the coloured pictures that find themselves first."""
    found = [collection.search(folder / f"{i}.png", refine=0, top=1)[0].image.path for i in range(30)]
    return np.mean([path == f"{i}.png" for i, path in enumerate(found)])


def info(collection):
    done = CliRunner().invoke(cli, ["info", "-c", str(collection.path)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_search_trains_a_small_collection_s_engine_anew(library, built, caplog):
    caplog.set_level("INFO", "patchseek")
    collection, folder = library
    for _ in range(2):
        assert "outgrown       the error of its codes is " in info(collection)
    assert built == [built[0]] and "building" not in caplog.text, "looked at once, and noted"
    assert first(collection, folder) == 1
    assert "the index SQ8 no longer fits: the error of its codes is " in caplog.text
    assert collection.outgrown is None
    assert "outgrown" not in info(collection)


def test_where_that_takes_long_every_search_says_what_to_do_and_that_mends_it(library, monkeypatch, caplog):
    monkeypatch.setattr(_outgrown, "SOON_BYTES", 0)
    collection, folder = library
    command = f"patchseek use-index SQ8 -c {collection.path}"
    for opened in (collection, Collection(collection.store, collection.encoder)):
        for _ in range(2):
            caplog.clear()
            opened.search(folder / "3.png", refine=0)
            assert "faiss SQ8 no longer fits: the error of its codes is " in caplog.text
            assert caplog.text.rstrip().endswith(f"it finds less than it could until it is built anew: {command}")
    assert first(collection, folder) < 1
    assert f"; mend it with: {command}\n" in info(collection)
    collection.use_index("SQ8")
    caplog.clear()
    assert first(collection, folder) == 1
    assert caplog.text == "" and "outgrown" not in info(collection)


def test_use_index_of_the_same_engine_builds_it_anew_where_pictures_have_come_or_gone(library, built):
    collection, folder = library
    collection.use_index("SQ8")
    assert [job.saved for job in built] == [None]
    collection.use_index("SQ8")
    assert len(built) == 1, "nothing has changed"
    blot(99).save(folder / "new.png")
    add_folder(collection.store, folder, collection.encoder)
    collection.use_index("SQ8")
    collection.remove("3.png")
    collection.use_index("SQ8")
    assert [job.saved for job in built] == [None] * 3


def test_pictures_adopted_from_elsewhere_are_judged_like_others(library, tmp_path, built):
    collection, folder = library
    collection.search(folder / "3.png")
    built.clear()
    features = np.zeros((60, 30, 13), np.float16)
    features[..., 12] = -1
    np.save(tmp_path / "shard.npy", features)
    pictures = [NewEntry(f"far{i}.png", FileState(1, i, None), f"{i:064x}", 64, 48) for i in range(60)]
    with Writer(collection.store) as writer:
        writer.adopt("s3://far", pictures, tmp_path / "shard.npy", hash_file(tmp_path / "shard.npy"))
    collection.search(folder / "3.png")
    assert [job.saved is None for job in built] == [False, True], "added to, found not to fit, and built"


def test_compacting_trains_on_what_is_kept(library, built):
    collection, folder = library
    collection.search(folder / "3.png")
    collection.remove("page*.png")
    collection.compact()
    built.clear()
    assert first(collection, folder) == 1
    assert [(job.saved, job.n_rows) for job in built] == [(None, 30 * 30)]


def test_a_look_costs_little_beside_adding(library):
    collection, _ = library
    snapshot = collection.store.snapshot()
    sample = _outgrown.sample(snapshot, np.arange(snapshot.n_positions), None)
    assert len(sample) <= 2 * _outgrown.SAMPLE
    many = dataclasses.replace(snapshot, arrays=[np.zeros((900, 30, 13), np.float16)], ids=np.arange(900))
    assert len(_outgrown.sample(many, np.arange(900), None)) == _outgrown.SAMPLE


def test_a_benchmark_s_engine_is_trained_on_the_very_gallery(tmp_path, built):
    parts = [scenes(60, seed) for seed in (10, 11)]
    for n in (1, 2, 2):
        gallery = ev.Gallery(None, snapshot_of(*parts[:n]), {}, {})
        ev.open_engine(gallery, ev.EvalSettings(engine="PQ8x4"), tmp_path)
    assert [(job.saved, job.n_training) for job in built] == [(None, 1800), (None, 3600)]
