"""What may be said of an engine: every parameter is judged when it is chosen, and the engine is tried on what is there.

The truth of a trial is brute force.
"""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import Collection
from patchseek.cli import cli
from patchseek.compression import measure_engines
from patchseek.errors import EngineError
from patchseek.indexes import Hits, _trial, judge_parameters, open_index, try_engine
from patchseek.regions import Pyramid

from .conftest import blot
from .contract_engine import brute_force, make_snapshot
from .test_outgrown import blanks, scenes, snapshot_of

PG = "postgresql://nobody.invalid/db"
CLUSTERS = r"nprobe must be a whole number from 1 to 16 \(the clusters of IVF16\), found "
WRONG = [
    *(
        (f"IVF16,Flat;nprobe={n}", f"{CLUSTERS}'{n}'")
        for n in ("0", "-1", "17", "2.5", "1e1", "many", "0x10", "nan", "inf")
    ),
    ("IVF16,Flat;nprobe=", f"{CLUSTERS}''"),
    ("IVF16,Flat;nprobe=99999999999999999999", f"{CLUSTERS}'99999999999999999999'"),
    ("PCA8,IVF16,PQ8;nprobe=17", f"{CLUSTERS}'17'"),
    ("IVF2k,Flat;nprobe=2049", r"from 1 to 2,048 \(the clusters of IVF2048\), found '2049'"),
    ("IVF16,Flat;nprobe=2,nprobe=3", "nprobe is said twice, '2' and '3'"),
    ("IVF16,Flat;nprobe=2;nprobe=2", "nprobe is said twice"),
    ("IVF16,Flat;nprobe", "a parameter is written name=value, found 'nprobe'"),
    ("IVF16,Flat;=3", "a parameter is written name=value, found '=3'"),
    ("IVF16,Flat;NPROBE=3", "'NPROBE' is no parameter of FAISS; there are nprobe, max_codes, efSearch, "),
    (
        "IVF16,Flat;max_codes=-1",
        r"max_codes must be a whole number from 0 to 16,777,216 \(0 for no limit\), found '-1'",
    ),
    ("HNSW16;efSearch=0", "efSearch must be a whole number from 1 to 1,048,576, found '0'"),
    ("HNSW16;efSearch=-5", "efSearch must be a whole number from 1 to 1,048,576, found '-5'"),
    ("HNSW16;efSearch=999999999", "efSearch must be a whole number from 1 to 1,048,576, found '999999999'"),
    ("HNSW16;efConstruction=0", "efConstruction must be a whole number from 1 to 65,536, found '0'"),
    ("IVF16_HNSW8,Flat;quantizer_efSearch=0", "quantizer_efSearch must be a whole number from 1"),
    ("PQ8,RFlat;k_factor_rf=0", "k_factor_rf must be a number from 1 to 10,000, found '0'"),
    ("PQ8,RFlat;k_factor_rf=nan", "k_factor_rf must be a number from 1 to 10,000, found 'nan'"),
    ("IVF4,PQ8;ht=0", "ht must be a whole number from 1 to 65,536, found '0'"),
    ("Flat;rerank=-1", "rerank must be a whole number from 0 to 16,777,216, found '-1'"),
    ("Flat;rerank=1_0", "rerank must be a whole number from 0 to 16,777,216, found '1_0'"),
    ("Flat;rerank=4;rerank=5", "rerank is said twice, '4' and '5'"),
    ("Flat;metric=l1", "metric must be L2, or left out"),
    ("Flat;metric=L2;metric=L2", "metric is said twice"),
    ("milvus:a.db;type=IVF_FLAT;nlist=0", "nlist must be a whole number from 1 to 65,536, found '0'"),
    ("milvus:a.db;type=IVF_FLAT;nlist=65537", "nlist must be a whole number from 1 to 65,536, found '65537'"),
    ("milvus:a.db;type=IVF_FLAT;nlist=8;nprobe=9", r"from 1 to 8 \(the clusters of nlist\), found '9'"),
    ("milvus:a.db;type=IVF_PQ;nbits=17", "nbits must be a whole number from 1 to 16, found '17'"),
    ("milvus:a.db;type=IVF_PQ;m=0", "m must be a whole number from 1 to 32,768, found '0'"),
    ("milvus:a.db;type=HNSW;M=1", "M must be a whole number from 2 to 2,048, found '1'"),
    ("milvus:a.db;type=HNSW;efConstruction=0", "efConstruction must be a whole number from 1 to "),
    ("milvus:a.db;type=HNSW;ef=0", "ef must be a whole number from 1 to 1,048,576, found '0'"),
    ("milvus:a.db;type=HNSW;ef=8;ef=9", "ef is said twice"),
    ("milvus:a.db;type=DISKANN;search_list=-1", "search_list must be a whole number from 1 to 1,048,576, found '-1'"),
    ("milvus:a.db;type=SCANN;reorder_k=5", "'reorder_k' is no parameter of SCANN; there are rerank"),
    ("milvus:a.db;rerank=16385", r"rerank must be a whole number from 1 to 16,384 \(.*\), found '16385'"),
    (f"{PG};type=IVFFLAT;lists=0", "lists must be a whole number from 1 to 32,768, found '0'"),
    (f"{PG};type=IVFFLAT;lists=32769", "lists must be a whole number from 1 to 32,768, found '32769'"),
    (f"{PG};type=IVFFLAT;probes=0", "probes must be a whole number from 1 to 32,768, found '0'"),
    (f"{PG};type=IVFFLAT;probes=-1", "probes must be a whole number from 1 to 32,768, found '-1'"),
    (f"{PG};type=IVFFLAT;lists=8;probes=9", r"from 1 to 8 \(the clusters of lists\), found '9'"),
    (f"{PG};type=IVFFLAT;probes=2;probes=3", "probes is said twice, '2' and '3'"),
    (
        f"{PG};type=HNSW;m=1",
        r"m must be a whole number from 2 to 32 \(half of ef_construction, 64 unless said\), found '1'",
    ),
    (f"{PG};type=HNSW;m=101;ef_construction=1000", "m must be a whole number from 2 to 100, found '101'"),
    (f"{PG};type=HNSW;m=40", "m must be a whole number from 2 to 32 .*, found '40'"),
    (
        f"{PG};type=HNSW;m=40;ef_construction=79",
        r"ef_construction must be a whole number from 80 to 1,000 \(at least twice m\)",
    ),
    (f"{PG};type=HNSW;ef_construction=31", "ef_construction must be a whole number from 32 to 1,000 .*, found '31'"),
    (f"{PG};type=HNSW;ef=0", "ef must be a whole number from 1 to 1,000, found '0'"),
    (f"{PG};type=HNSW;ef=1001", "ef must be a whole number from 1 to 1,000, found '1001'"),
    (f"{PG};type=HNSW;iterative_scan=off", "'iterative_scan' is no parameter of PostgreSQL's HNSW; there are m, "),
    (f"{PG};type=HNSW;ef=" + "9" * 5000, "ef must be a whole number from 1 to 1,000, found '9999"),
]


@pytest.mark.parametrize(("engine", "reason"), WRONG, ids=lambda text: text[:60])
def test_a_parameter_out_of_its_range_is_one_line_that_names_it_and_the_range(engine, reason, tmp_path):
    for judge in (judge_parameters, lambda engine: open_index(engine, make_snapshot(), tmp_path / "indexes")):
        with pytest.raises(EngineError, match=reason) as caught:
            judge(engine)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    assert not (tmp_path / "indexes").exists()


RIGHT = ["exact", "auto", "IVF16,Flat;nprobe=16", "IVF16,Flat; nprobe = 3 ;", "PQ8,RFlat;k_factor_rf=1.5"]
RIGHT += ["Flat;rerank=0", "IVF4(IVF2,Flat),Flat;nprobe=4,quantizer_nprobe=2", "HNSW16;efSearch=1;efConstruction=1"]
RIGHT += [
    "milvus:a.db;type=IVF_FLAT;nlist=8;nprobe=8",
    f"{PG};type=HNSW",
    f"{PG};type=HNSW;m=32;ef_construction=64;ef=1000",
]


@pytest.mark.parametrize("engine", RIGHT)
def test_what_is_right_is_judged_right_without_opening_anything(engine):
    judge_parameters(engine)


def test_parts_that_do_not_divide_a_feature_are_told_with_those_that_do(tmp_path):
    with pytest.raises(EngineError, match=r"m must divide the 16 numbers of a feature \(1, 2, 4, 8, 16\), found '3'"):
        open_index(f"milvus:{tmp_path / 'a.db'};type=IVF_PQ;m=3", make_snapshot(), tmp_path)


def test_an_engine_chosen_before_ranges_were_judged_goes_on_where_it_worked(tmp_path, make_folder, tiny):
    folder = make_folder(*(f"{i}.png" for i in range(12)))
    collection = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    collection.add(folder)
    for engine in ("IVF4,Flat;nprobe=9", "IVF4,Flat;nprobe=2.5", "IVF4,Flat;nprobe=4;nprobe=4"):
        collection.store.catalogue.set("option.index", engine)
        assert collection.search(folder / "3.png", refine=0)[0].image.path == "3.png"
        with pytest.raises(EngineError):
            collection.search(folder / "3.png", index=engine)
    for engine in ("IVF4,Flat;nprobe=0", "HNSW16;efSearch=0"):
        collection.store.catalogue.set("option.index", engine)
        with pytest.raises(EngineError, match=r"found '0'; choose another engine with: patchseek use-index$"):
            collection.search(folder / "3.png")
        done = CliRunner().invoke(cli, ["info", "-c", str(collection.path)])
        assert done.exit_code == 0 and f"unusable       '{engine}': " in done.output


@pytest.mark.parametrize("engine", ["IVF16,Flat;nprobe=0", "HNSW16;efSearch=0", f"{PG};probes=0"])
def test_an_engine_is_judged_before_the_first_picture_is_read(engine, make_folder):
    folder = make_folder("a.png")
    done = CliRunner().invoke(cli, ["index", str(folder), "--index", engine])
    assert isinstance(done.exception, EngineError), done.output
    assert [path.name for path in folder.iterdir()] == ["a.png"]


# trials


def test_an_engine_that_loses_most_is_not_chosen_and_the_choice_stays(tmp_path, make_folder, tiny):
    folder = make_folder(*(f"{i}.png" for i in range(60)))
    collection = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    collection.add(folder)
    collection.use_index("SQ8")
    with pytest.raises(
        EngineError, match=r"^faiss IVF16,Flat;max_codes=1 is of no use here: only \d+% of 64 features of"
    ):
        collection.use_index("IVF16,Flat;max_codes=1")
    assert collection.index == "SQ8"


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_choice_that_was_tried_on_pages_that_are_alike_or_on_none_is_tried_again(tmp_path, tiny, caplog, is_empty):
    engine, folder = "PCA1,Flat", tmp_path / "pictures"  # one number a feature
    folder.mkdir()
    for i in range(10):
        Image.new("RGB", (64, 48), (250, 250, 250)).save(folder / f"page{i}.png")
    collection = Collection.open(tmp_path / "c", encoder=tiny, pyramid=Pyramid.up_to(1), points=False, create=True)
    collection.add(folder)
    if is_empty:
        collection.remove("*")
    collection.use_index(engine)
    assert collection.outgrown is None
    for i in range(60):
        blot(i).save(folder / f"{i}.png")
    collection.add(folder)
    for opened in (collection, Collection.open(collection.path, encoder=tiny)):
        opened.search(folder / "3.png", refine=0)
        assert re.fullmatch(r"only \d+% of 64 features .* find their own picture among the best 10", opened.outgrown)
        assert f"faiss {engine} no longer fits: only " in caplog.text
        assert opened.why_outgrown() == opened.outgrown
        caplog.clear()
    collection.use_index("SQ8")
    collection.search(folder / "3.png", refine=0)
    assert collection.outgrown is None and collection.why_outgrown() is None and caplog.text == ""


def test_a_choice_that_was_tried_is_not_tried_again_until_pictures_have_doubled(tmp_path, tiny, monkeypatch):
    tried, folder, really_try = [], tmp_path / "pictures", _trial.try_on_own

    def note_and_try(index, snapshot):
        tried.append(snapshot.n_live)
        return really_try(index, snapshot)

    monkeypatch.setattr(_trial, "try_on_own", note_and_try)
    collection = Collection.open(tmp_path / "c", encoder=tiny, pyramid=Pyramid.up_to(1), points=False, create=True)
    folder.mkdir()
    for n in (20, 40, 41, 60, 82, 83):
        for i in range(n):
            blot(i).save(folder / f"{i}.png")
        collection.add(folder)
        if n == 20:
            collection.use_index("SQ8")
        for opened in (collection, Collection.open(collection.path, encoder=tiny)):
            opened.search(folder / "3.png", refine=0)
    assert tried == [20, 41, 83]


@pytest.mark.parametrize("engine", ["PQ2x2", "IVF64,Flat;nprobe=1,max_codes=1"])
def test_an_engine_that_does_not_find_what_is_there_is_refused(engine):
    snapshot = snapshot_of(scenes(100))
    with pytest.raises(EngineError, match=r"is of no use here: .*; choose another engine"):
        try_engine(open_index(engine, snapshot), snapshot)


class OnlyItself:
    """Finds the picture of a feature and beside it the worst there are."""

    name, outgrown = "only itself", None

    def __init__(self, snapshot):
        self.snapshot = snapshot

    def search(self, queries, k):
        ranked = [[p for p, *_ in best] for best in brute_force(self.snapshot, queries, self.snapshot.n_live)]
        found = np.array([[best[0], *best[::-1][: k - 1]] for best in ranked])
        return Hits(found, np.zeros_like(found), np.zeros(found.shape, np.float32))


def test_one_that_finds_only_a_feature_s_own_picture_is_refused():
    snapshot = make_snapshot(n_images=100)
    with pytest.raises(EngineError, match=r"of the best 10 pictures that exact search finds it finds only 1\d%"):
        try_engine(OnlyItself(snapshot), snapshot)


@pytest.mark.parametrize("engine", ["PQ4", "IVF16,PQ8;nprobe=2", "HNSW4", "SQ4", "PQ16x4fs;rerank=100"])
def test_what_a_trial_says_is_what_brute_force_says(engine):
    snapshot = snapshot_of(scenes(100), removed=range(0, 100, 7))
    index = open_index(engine, snapshot)
    asked = []

    class Heard:
        name, outgrown = index.name, None

        def search(self, queries, k):
            asked.append(queries)
            return index.search(queries, k)

    trial = try_engine(Heard(), snapshot)
    found, truth = index.search(asked[0], 10).positions.tolist(), brute_force(snapshot, asked[0], 10)
    best = [[position for position, *_ in each] for each in truth]
    own = [each[0] for each in best]
    assert trial.n_queries == 64
    assert trial.first == pytest.approx(np.mean([f[0] == o for f, o in zip(found, own, strict=True)]), abs=0.03)
    shares = [len(set(f) & set(b)) / 10 for f, b in zip(found, best, strict=True)]
    assert np.mean(shares) - 1e-9 <= trial.recall <= np.mean(shares) + 0.15, "what is as good as the tenth counts"


@pytest.mark.parametrize("engine", ["SQ8", "PQ8", "IVF4,Flat", "HNSW16"])
def test_pictures_that_are_all_alike_are_no_fault_of_an_engine(engine):
    snapshot = snapshot_of(blanks(40))
    assert str(try_engine(open_index(engine, snapshot), snapshot)).endswith("recall@10 is 1.00 beside exact search")


def test_a_trial_on_features_that_are_no_numbers_says_what_to_do_about_them():
    features = scenes(20)
    features[:, ::2, 3] = np.nan
    snapshot = snapshot_of(features)
    with pytest.raises(EngineError, match="of 20 pictures at least: `patchseek verify` names them"):
        try_engine(OnlyItself(snapshot), snapshot)


def test_a_collection_without_pictures_needs_no_trial():
    snapshot = make_snapshot(n_images=5, removed=range(5))
    assert try_engine(open_index("Flat", snapshot), snapshot) is None


def test_what_compress_offers_is_never_refused():
    snapshot = snapshot_of(scenes(100))
    for measured in measure_engines(snapshot, 20):
        try_engine(open_index(measured.engine, snapshot), snapshot)
