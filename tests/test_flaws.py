"""Features that are no numbers: refused where they are made, found where earlier versions let them in.

Encoders answer wrongly for red pictures here, and rightly for all others.
"""

import hashlib
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.answers import Searched, SearchOptions, answer
from patchseek.cli import cli
from patchseek.encode import add_folder
from patchseek.encoders import Cells, flaw, flawed, open_encoder
from patchseek.errors import (
    DatasetError,
    EncoderError,
    EngineError,
    PatchseekError,
    QueryError,
    StoreDamaged,
    StoreError,
)
from patchseek.evaluate import read_queries
from patchseek.indexes import open_index
from patchseek.metrics import make_ranking
from patchseek.queries import read_query
from patchseek.regions import Pyramid
from patchseek.rerank import Refiner
from patchseek.search import Query, encode_query, encode_words, join
from patchseek.server._batching import BatchingEncoder
from patchseek.store import Settings, Store, Writer

from .conftest import TinyEncoder, blot
from .contract_engine import make_snapshot, unit
from .test_distributed_sources import add_here, finish_one_shard

PYRAMID = Pyramid.up_to(1)
ON_TORCH = pytest.param("exact;device=cpu", marks=pytest.mark.extra("timm"))
WRONG = {
    "NaN": np.nan,
    "infinity": np.inf,
    "-infinity": -np.inf,
    "nothing but zeros": 0.0,
    "numbers beyond float16": 70_000.0,  # a number as float32, none as the float16 that is kept
    "zeros in float16": 1e-9,
}
each_wrong = pytest.mark.parametrize("kind", WRONG)


def words_of(kind):
    return {"-infinity": "infinity", "zeros in float16": "nothing but zeros"}.get(kind, kind)


class Broken(TinyEncoder):
    """Answers with one number for red patches."""

    def __init__(self, value=np.nan):
        super().__init__()
        self.value = value

    def encode(self, patches):
        features = super().encode(patches)
        features[(patches == (255, 0, 0)).all(axis=(1, 2, 3))] = self.value
        return features


def red(path, size=(64, 48)):
    Image.new("RGB", size, "red").save(path)
    return path


@pytest.fixture
def folder(make_folder):
    """Nine pictures, the fifth of them red."""
    folder = make_folder(*(f"{i}.png" for i in range(9)))
    red(folder / "4.png")
    return folder


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, PYRAMID)), tiny)


def names(collection):
    return {path for _, _, path in collection.store.paths()}


def spoil(store, *paths, value=np.nan):
    """Make the features of some pictures what earlier versions kept of a broken encoder: whole shards by their hash."""
    with sqlite3.connect(store.catalogue.path) as db:
        for path in paths:
            query = "SELECT file, slot FROM image JOIN part USING (shard) WHERE path = ? AND kind = 'regions'"
            file, slot = db.execute(query, (path,)).fetchone()
            features = np.load(store.folder / file)
            features[slot] = value
            np.save(store.folder / file, features)
            sha256 = hashlib.sha256((store.folder / file).read_bytes()).hexdigest()
            db.execute("UPDATE part SET sha256 = ? WHERE file = ?", (sha256, file))


# ---- what a feature is


@each_wrong
def test_what_is_no_number_or_nothing_is_no_feature(kind):
    features = unit(np.random.default_rng(1), 4, 6)
    features[2] = WRONG[kind]
    assert flawed(features).tolist() == [False, False, True, False]
    assert flaw(features) == f"{words_of(kind)} in 1 of 4 features"
    assert flaw(features[2:3]) == words_of(kind)
    assert flaw(features[:2]) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_spoils_a_feature(value):
    features = unit(np.random.default_rng(1), 3, 5).astype(np.float16)
    features[1, 4] = value
    assert flawed(features).tolist() == [False, True, False]


def test_small_and_negative_numbers_and_both_zeros_are_what_they_are():
    smallest = np.float16(6e-8)
    features = np.array([[0, -0.0, 0], [0, 0, smallest], [-0.0, -smallest, 0], [-1, -65504, -2], [65504, 0, 0]])
    assert flawed(features).tolist() == [True, False, False, False, False]
    assert flawed(np.empty((0, 3))).tolist() == []


# ---- indexing


@each_wrong
def test_a_picture_without_features_fails_alone_and_says_which_encoder_it_was(collection, folder, kind):
    report = add_folder(collection.store, folder, Broken(WRONG[kind]))
    assert [(failure.path, failure.reason) for failure in report.failed] == [
        ("4.png", f"the encoder tiny answers with {words_of(kind)} in 5 of 5 features")
    ]
    assert report.added == 8
    assert names(collection) == {f"{i}.png" for i in range(9) if i != 4}
    assert collection.verify() == []
    for name in sorted(names(collection)):
        assert collection.search(folder / name, refine=0)[0].image.path == name


def test_it_is_tried_again_without_being_asked_for_since_another_way_of_computing_may_do(collection, folder):
    broken = add_folder(collection.store, folder, Broken())
    assert (broken.added, len(broken.failed)) == (8, 1)
    again = add_folder(collection.store, folder, Broken())
    assert (again.added, again.unchanged, len(again.failed)) == (0, 8, 1)
    mended = add_folder(collection.store, folder, TinyEncoder())
    assert (mended.added, mended.unchanged, mended.failed) == (1, 8, [])
    assert collection.store.failures() == []


def test_one_patch_without_a_feature_is_enough(collection, make_folder):
    folder = make_folder("whole.png")
    picture = blot(3)
    picture.paste("red", (0, 0, 40, 30))
    picture.save(folder / "corner.png")
    report = add_folder(collection.store, folder, Broken())
    assert [f.reason for f in report.failed] == ["the encoder tiny answers with NaN in 1 of 5 features"]


def test_what_a_file_showed_before_is_no_longer_found_when_what_it_shows_now_has_no_features(collection, folder):
    blot(77).save(folder / "4.png")
    add_folder(collection.store, folder, TinyEncoder())
    red(folder / "4.png")
    report = add_folder(collection.store, folder, Broken())
    assert [failure.path for failure in report.failed] == ["4.png"]
    assert "4.png" not in names(collection)


def test_a_file_that_cannot_be_read_for_a_while_is_still_found(collection, folder, monkeypatch):
    add_folder(collection.store, folder, TinyEncoder())
    (folder / "4.png").chmod(0)
    from patchseek.encode import _load

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_load, "open_regular", forbidden)
    report = add_folder(collection.store, folder, TinyEncoder(), check_content=True)
    assert (len(report.failed), "4.png" in names(collection)) == (9, True)


def test_a_page_without_features_fails_and_the_others_are_found(collection, tmp_path):
    (tmp_path / "scans").mkdir()
    pages = [blot(1), Image.new("RGB", (64, 48), "red"), blot(2)]
    pages[0].save(tmp_path / "scans" / "a.tif", save_all=True, append_images=pages[1:])
    report = add_folder(collection.store, tmp_path / "scans", Broken())
    assert ([f.path for f in report.failed], names(collection)) == (["a.tif#2"], {"a.tif", "a.tif#3"})
    mended = add_folder(collection.store, tmp_path / "scans", TinyEncoder())
    assert (mended.added, mended.failed) == (1, [])


@pytest.mark.parametrize("colour", ["black", "white", "red", (127, 127, 127)])
@pytest.mark.parametrize("name", ["tiny", "embedded"])
def test_a_picture_of_one_colour_is_a_picture(tmp_path, name, colour):
    (tmp_path / "plain").mkdir()
    Image.new("RGB", (64, 48), colour).save(tmp_path / "plain" / "a.png")
    encoder = TinyEncoder() if name == "tiny" else open_encoder("embedded", precision="f32")
    opened = Collection.open(tmp_path / "collection", encoder=encoder, pyramid=PYRAMID, points=False, create=True)
    report = opened.add(tmp_path / "plain")
    assert (report.added, report.failed, opened.verify()) == (1, [], [])
    assert opened.search(tmp_path / "plain" / "a.png")[0].likeness == pytest.approx(1, abs=2e-3)


class Wrong(TinyEncoder):
    """Answers as it is told to."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def encode(self, patches):
        return self.change(super().encode(patches))


SHAPES = {
    "a row too few": lambda features: features[1:],
    "a row too many": lambda features: np.concatenate([features, features[:1]]),
    "another width": lambda features: features[:, :12],
    "no rows": lambda features: features.reshape(-1),
    "texts": lambda features: features.astype(str),
    "complex numbers": lambda features: features.astype(np.complex64),
}


@pytest.mark.parametrize("change", SHAPES.values(), ids=SHAPES)
def test_an_encoder_that_answers_in_another_shape_is_an_error_of_one_line_and_shifts_no_row(collection, folder, change):
    with pytest.raises(EncoderError, match=r"the encoder tiny answers with .* asked for \(7, 13\) numbers") as caught:
        add_folder(collection.store, folder, Wrong(change))
    assert "\n" not in str(caught.value)
    assert names(collection) == set()
    with pytest.raises(EncoderError, match=r"asked for \(1, 13\)"):
        encode_query(read_query(folder / "1.png"), Wrong(change))
    feature = unit(np.random.default_rng(0), 13)
    with pytest.raises(EncoderError, match=r"asked for \(2, 13\)"):
        Refiner(Query(feature), Wrong(change)).score(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(EncoderError, match=r"asked for \(3, 13\)"):
        BatchingEncoder(Wrong(change)).encode(np.zeros((3, 8, 8, 3), np.uint8))


def test_numbers_of_another_kind_are_numbers(collection, folder):
    assert add_folder(collection.store, folder, Wrong(lambda features: features.astype(np.float64))).failed == []


class Dense(Broken):
    """Gives all regions from one pass; `n` of them."""

    n = 5

    regions = property(lambda self: self)

    def encode_regions(self, pictures, boxes):
        assert boxes.shape == (5, 4)
        return np.stack([self.encode(pictures)] * self.n, axis=1)


def test_a_dense_encoder_is_held_to_the_same(tmp_path, folder):
    opened = Collection.open(tmp_path / "dense", encoder=Dense(), pyramid=PYRAMID, create=True)
    report = opened.add(folder)
    assert (report.added, [failure.path for failure in report.failed]) == (8, ["4.png"])
    opened.encoder.n = 4
    with pytest.raises(EncoderError, match=r"answers with \(1, 4, 13\) float32, asked for \(1, 5, 13\)"):
        opened.add(folder)


def test_a_worker_of_a_cluster_refuses_them_too(collection, folder, monkeypatch):
    from . import test_distributed_sources

    monkeypatch.setattr(test_distributed_sources, "TinyEncoder", Broken)
    report = add_here(collection, folder)
    assert (report.added, [failure.path for failure in report.failed]) == (8, ["4.png"])
    monkeypatch.setattr(test_distributed_sources, "TinyEncoder", TinyEncoder)
    again = add_here(collection, folder)
    assert (again.added, again.failed, len(collection)) == (1, [], 9)


def test_a_staged_shard_of_an_earlier_version_is_encoded_again(collection, folder, monkeypatch):
    monkeypatch.setattr("patchseek.encode._extractors.flaw", lambda _: None)  # as it was
    monkeypatch.setattr("tests.test_distributed_sources.TinyEncoder", Broken)
    (folder / "0.png").write_bytes((folder / "4.png").read_bytes())
    finish_one_shard(collection, folder)
    monkeypatch.undo()
    assert add_here(collection, folder).added == 9
    assert collection.verify() == []


def test_the_last_step_of_indexing_takes_in_no_such_features(collection, folder, tiny, tmp_path):
    add_folder(collection.store, folder, tiny)
    snapshot, known = collection.store.snapshot(), collection.store.images([1])[0]
    from patchseek.store import FileState, NewEntry

    new = NewEntry("new.png", FileState(1, 1), "aa", 64, 48)
    features = snapshot.features(np.array([0])).astype(np.float16)
    features[0, 3, 2] = np.nan
    np.save(tmp_path / "shard.npy", features)
    sha256 = hashlib.sha256((tmp_path / "shard.npy").read_bytes()).hexdigest()
    with Writer(collection.store) as writer:
        with pytest.raises(StoreError, match=r"new\.png: NaN or infinity in its features; nothing was added"):
            writer.commit(known.root, [new], features)
        with pytest.raises(StoreDamaged, match="1 of 1 pictures with features that are no numbers"):
            writer.adopt(known.root, [new], tmp_path / "shard.npy", sha256)
    assert len(collection) == 9
    assert collection.verify() == []


# ---- queries


@each_wrong
def test_a_query_without_a_feature_is_an_error_of_one_line(collection, folder, kind):
    add_folder(collection.store, folder, TinyEncoder())
    broken = Collection(collection.store, Broken(WRONG[kind]))
    with pytest.raises(QueryError) as caught:
        broken.search(folder / "4.png")
    assert str(caught.value) == f"the encoder tiny answers the query with {words_of(kind)}: nothing is like that"
    with pytest.raises(QueryError, match="nothing is like that"):
        broken.search([folder / "1.png", folder / "4.png"])
    with pytest.raises(QueryError, match="nothing is like that"):
        broken.search(folder / "1.png", exclude=folder / "4.png")
    assert broken.search(folder / "1.png", refine=0)[0].image.path == "1.png"


class Talking(Broken):
    words = property(lambda self: self)

    def encode_text(self, texts):
        return np.full((len(texts), 13), self.value, np.float32)


def test_words_without_a_feature_are_an_error_too():
    with pytest.raises(QueryError, match="answers the query with NaN"):
        encode_words("a cup", Talking())


def test_queries_that_cancel_each_other_are_an_error():
    one = unit(np.random.default_rng(0), 13)
    for wanted, unwanted in (
        ([Query(one), Query(-one)], []),
        ([Query(one)], [Query(2 * one)]),
        ([Query(one), Query(one * np.nan)], []),
    ):
        with pytest.raises(QueryError, match="cancel each other out"):
            join(wanted, unwanted)


@pytest.mark.parametrize("engine", ["exact", ON_TORCH, "Flat"])
@pytest.mark.parametrize("n_queries", [1, 30])
@each_wrong
def test_engines_are_not_asked_for_what_is_no_number(engine, n_queries, kind):
    snapshot = make_snapshot()
    queries = unit(np.random.default_rng(0), n_queries, 16)
    queries[-1] = WRONG[kind]
    with pytest.raises(QueryError, match="a query must be of numbers that are not all zero"):
        open_index(engine, snapshot).search(queries, 3)


def test_a_query_of_a_benchmark_is_named(folder):
    from types import SimpleNamespace

    entry = SimpleNamespace(id="q7", image=folder / "4.png", box=None)
    with pytest.raises(DatasetError, match="mine: query q7: the encoder tiny answers the query with NaN"):
        read_queries(SimpleNamespace(name="mine", queries=[entry]), Broken())


# ---- refinement


class Celled(Broken):
    """Shows cells that are its four quarters' colours; window and map are the same."""

    window, power = 16, None
    cells = property(lambda self: self)

    def __init__(self, value=np.nan, spoiled=()):
        super().__init__(value)
        self.spoiled = spoiled

    def encode_cells(self, patches):
        means = patches.reshape(-1, 2, 4, 2, 4, 3).mean(axis=(2, 4)) - 127.5
        cells = (means / np.maximum(np.linalg.norm(means, axis=-1, keepdims=True), 1e-6)).astype(np.float32)
        coarse, fine = cells.copy(), cells.copy()
        for part in self.spoiled:
            {"coarse": coarse, "fine": fine}[part][(patches == (255, 0, 0)).all(axis=(1, 2, 3))] = self.value
        features = super().encode(patches) if not self.spoiled else TinyEncoder.encode(self, patches)
        return features, Cells(coarse, fine)

    def encode_map(self, windows):
        means = windows.reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4)) - 127.5
        maps = (means / np.maximum(np.linalg.norm(means, axis=-1, keepdims=True), 1e-6)).astype(np.float32)
        maps[(windows == (255, 0, 0)).all(axis=(1, 2, 3))] = self.value
        return maps


@pytest.mark.parametrize("spoiled", [(), ("coarse",), ("fine",)], ids=["feature", "coarse", "fine"])
def test_a_picture_that_looks_like_nothing_more_closely_keeps_its_box_and_hurts_no_other(
    collection, folder, spoiled, caplog
):
    add_folder(collection.store, folder, TinyEncoder())
    encoder = Celled(spoiled=spoiled)
    snapshot = collection.store.snapshot()
    searched = Searched(open_index("exact", snapshot), snapshot, collection.store, encoder)
    query = encode_query(read_query(folder / "1.png"), encoder)
    matches = answer(query, SearchOptions(refine=9), searched)
    assert len(matches) == 9
    assert all(np.isfinite(match.score) for match in matches)
    assert matches[0].image.path == "1.png"
    plain = {m.image.path: m.box for m in answer(query, SearchOptions(refine=0), searched)}
    assert {m.image.path: m.box for m in matches}["4.png"] == plain["4.png"]
    assert "the encoder tiny has no numbers for 1 picture looked at more closely" in caplog.text
    several = answer(query, SearchOptions(several=True), searched)
    assert {m.image.path: m.boxes for m in several}["4.png"] == ()


@pytest.mark.parametrize("part", ["coarse", "fine"])
def test_a_query_whose_cells_are_no_numbers_is_an_error(folder, part):
    with pytest.raises(QueryError, match="answers the query with cells that are no numbers"):
        encode_query(read_query(folder / "4.png"), Celled(spoiled=(part,)))


def test_cells_of_zeros_show_nothing_and_are_no_error(folder):
    query = encode_query(read_query(folder / "4.png"), Celled(0.0, ("coarse", "fine")))
    assert np.isfinite(query.feature).all()


def test_what_strangers_score_is_measured_without_them(tmp_path, make_folder):
    folder = make_folder(*(f"{i}.png" for i in range(30)))
    for i in range(3):
        picture = blot(i)
        picture.paste("red", (0, 0, 32, 24))
        picture.save(folder / f"{i}.png")
    opened = Collection.open(tmp_path / "collection", encoder=TinyEncoder(), pyramid=PYRAMID, points=False, create=True)
    add_folder(opened.store, folder, TinyEncoder())
    opened._encoder = Broken()
    opened.refresh_background()
    assert opened.background is not None


# ---- what earlier versions let in


def test_verify_names_the_pictures_and_repair_takes_out_them_alone(collection, folder):
    collection.add(folder)
    collection.tag("kept", "3.png")
    before = {path: number for number, _, path in collection.store.paths()}
    spoil(collection.store, "2.png")
    spoil(collection.store, "7.png", value=0)
    assert collection.verify() == [
        f"{folder}/2.png: NaN in 5 of 5 features of the encoder tiny, so it is never found",
        f"{folder}/7.png: nothing but zeros in 5 of 5 features of the encoder tiny, so it is never found",
    ]
    assert collection.repair() == 2
    assert collection.verify() == []
    assert {path: number for number, _, path in collection.store.paths()} == {
        path: number for path, number in before.items() if path not in ("2.png", "7.png")
    }
    assert [m.image.path for m in collection.search(folder / "3.png", tags="kept", refine=0)] == ["3.png"]
    report = collection.add(folder)
    assert (report.added, report.unchanged) == (2, 7)
    assert collection.search(folder / "2.png", refine=0)[0].image.path == "2.png"


def test_a_backup_of_such_a_collection_is_restored_and_not_called_sound(collection, folder, tmp_path):
    collection.add(folder)
    spoil(collection.store, "2.png")
    collection.back_up(tmp_path / "b.tar")
    done = CliRunner().invoke(cli, ["restore", str(tmp_path / "b.tar"), str(tmp_path / "again")])
    assert done.exit_code == 3
    assert done.stdout == f"{tmp_path}/again: as it was, with 1 problem, 9 pictures of {folder}\n"
    assert done.stderr.endswith(f": patchseek verify --repair -c {tmp_path}/again\n")
    assert Collection.open(tmp_path / "again").verify() == collection.verify() != []


def test_a_shard_of_nothing_else_goes_as_a_whole_and_so_does_what_was_set_aside(collection, folder):
    collection.add(folder)
    (folder / "0.png").rename(folder.parent / "0.png")
    collection.add(folder)
    spoil(collection.store, *(f"{i}.png" for i in range(9)))
    assert len(collection.verify()) == 9
    assert collection.repair() == 8
    assert (collection.store.list_shards(), collection.store.n_aside()) == ([], 0)
    assert list(collection.store.folder.iterdir()) == []
    (folder.parent / "0.png").rename(folder / "0.png")
    assert collection.add(folder).added == 9


def test_what_was_removed_is_no_problem(collection, folder):
    collection.add(folder)
    spoil(collection.store, "2.png")
    collection.remove("2.png")
    assert collection.verify() == []
    assert collection.search(folder / "3.png", refine=0)[0].image.path == "3.png"


ENGINES = ["exact", ON_TORCH, "Flat", "SQfp16", "IVF4,Flat", "PQ4x4", "PQ4x4;rerank=300"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_queries", [1, 30])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0])
def test_no_engine_takes_them_in(engine, n_queries, value):
    snapshot = make_snapshot(removed=[3])
    snapshot.arrays[1][2, 4] = value
    queries = unit(np.random.default_rng(0), n_queries, 16)
    with pytest.raises(EngineError, match=r"of 1 picture at least: `patchseek verify` names them"):
        open_index(engine, snapshot).search(queries, 3)
    removed = replace(snapshot, live=snapshot.live.copy())
    removed.live[len(snapshot.arrays[0]) + 2] = False
    hits = open_index(engine, removed).search(queries, 3)
    assert np.isfinite(hits.scores).all()
    assert len(snapshot.arrays[0]) + 2 not in hits.positions


def test_what_is_added_to_an_index_is_looked_at_and_what_it_holds_is_not_again(tmp_path, monkeypatch):
    snapshot = make_snapshot()
    first = replace(
        snapshot, arrays=snapshot.arrays[:1], shards=snapshot.shards[:1], ids=snapshot.ids[:18], live=snapshot.live[:18]
    )
    open_index("Flat", first, tmp_path)
    looked = []
    monkeypatch.setattr("patchseek.indexes._sound.flawed", lambda block: looked.append(len(block)) or flawed(block))
    snapshot.arrays[2][0, 0] = np.nan
    with pytest.raises(EngineError, match="`patchseek verify` names them"):
        open_index("Flat", snapshot, tmp_path)
    assert looked == [len(array) for array in snapshot.arrays[1:]]


def test_an_index_that_answers_with_what_is_no_number_is_an_error():
    snapshot = make_snapshot()
    index = open_index("Flat", snapshot)

    class Answering:
        ntotal = index._index.ntotal

        def search(self, queries, depth):
            assert depth >= len(queries)
            return np.full((1, 3), np.nan, np.float32), np.arange(3)[None]

    index._index = Answering()
    with pytest.raises(EngineError, match="scores that are no numbers"):
        index.search(unit(np.random.default_rng(0), 1, 16), 1)


def test_an_old_collection_says_what_to_do_when_it_is_searched(collection, folder):
    collection.add(folder)
    spoil(collection.store, "2.png")
    with pytest.raises(PatchseekError, match="`patchseek verify` names them"):
        collection.search(folder / "3.png")


def test_indexing_goes_on_beside_them_and_says_so(tmp_path, make_folder, caplog):
    folder = make_folder(*(f"{i}.png" for i in range(20)))
    opened = Collection.open(tmp_path / "collection", encoder=TinyEncoder(), pyramid=PYRAMID, points=False, create=True)
    opened.add(folder)
    spoil(opened.store, "2.png")
    for i in range(20, 40):
        blot(i).save(folder / f"{i}.png")
    assert opened.add(folder).added == 20
    assert "features that are no numbers, of 1 picture at least: `patchseek verify` names them" in caplog.text


# ---- scores


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (np.nan, "not a number, found nan"),
        (np.inf, "infinite, found inf"),
        (-np.inf, "infinite"),
        (None, "not a number, found None"),
        ("0.5", "not a number, found '0.5'"),
    ],
)
def test_a_score_that_is_no_number_is_not_ranked(score, words):
    with pytest.raises(PatchseekError, match=f"the score of b is {words}"):
        make_ranking([("a", 3.0, None), ("b", score, None)], {"a": None})
