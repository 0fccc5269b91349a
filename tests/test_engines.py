"""Engine strings of every kind: none ends the process, hangs or takes all memory, and a right one ranks right.

What FAISS cannot build is found out in a process of its own; the truth about rankings is exact search.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from patchseek import Collection
from patchseek.errors import EngineError
from patchseek.indexes import open_index
from patchseek.indexes._faiss_child import BuildJob
from patchseek.indexes._faiss_recipe import FaissRecipe
from patchseek.store import Snapshot

from .conftest import wait_for
from .contract_engine import make_snapshot, unit

CRASHING = ["HNSW1", "HNSW0", "PQ16x0", "NSG0", "NSG2", "NSG5", "RR0,Flat", "LSQ0x8", "LSQ4x0", "PRQ2x0x4", "PLSQ0x2x4"]
CRASHING += ["IVF4_HNSW1,Flat", "IVF4(HNSW1),Flat", "PCA8,HNSW1", "PQ16,Refine(HNSW1)", "HNSW0_SQ8", "IVF4,PQ16x0"]
CRASHING += ["OPQ8_0,PQ8", "ZnLattice0x0_0", "IVF4,FlatPanorama0", "IVF0,Flat", "PCA0,Flat", "NSG300", "NSG290"]
HUNGRY = [
    "PCAR2147483647,HR,Flat",
    "ITQ99999999999,Flat",
    "PQ16x22",
    "PQ16x24",
    "RR99999999,Flat",
    "Pad100000000,Flat",
    "HNSW5000000",
    "IVF9999M,Flat",
    "LSQ4x20",
]
WRONG = ["", " ", "\t", ",", ";", "Flat,Flat", "PQ-1", "PQ16x-3", "PQ99999999999999999999", "IVF4", "IVF301,Flat"]
WRONG += ["HNSW1073741824", "HNSW2147483648", "IMI2x4,Flat", "IDMap,Flat", "Refine(Flat)", "IVF4((((Flat,Flat", "PQ7"]
WRONG += ["\uff30\uff31\uff18", "PQ²", "🦊", "Fl\nat", "Fl\0at", "Flat%s%n", "Flat" * 1000, "(" * 299, "SQ8_direct"]
WRONG += ["\udcff", "RCQ4x4", "Flat;nprobe=3", "IVF4,Flat;nprobe=0", "IVF4,Flat;nprobe=-1", "IVF4,Flat;nprobe=1e99"]
WRONG += ["IVF4,Flat;nprobe=x"]
WRONG += ["HNSW32;efSearch=0", "HNSW32;efSearch=-5", "HNSW32;efSearch=99999999999", "Flat;rerank=-1", "Flat;rerank=²"]
WRONG += ["PQ16,RFlat;k_factor_rf=1e18", "PQ16,RFlat;k_factor_rf=nan", "Flat;rerank=99999999999999999999", "Flat;x=1"]
RIGHT = ["Flat", "IVF8,Flat;nprobe=8", "SQ8", "SQfp16", "SQbf16", "HNSW32", "HNSW32,SQ8", "NSG32", "NSG32;metric=L2"]
RIGHT += ["PQ16", "PQ16x4fs", "PQ16np", "IVF4,PQ16x4fsr", "OPQ16_32,PQ16", "PCA48,Flat", "RR64,SQ8", "L2norm,Flat"]
RIGHT += ["LSH;metric=L2", "RaBitQ4", "IVF4,RaBitQ4", "RQ8x4", "LSQ8x4", "PRQ4x2x4", "PLSQ4x2x4", "PQ16,Refine(Flat)"]
RIGHT += ["IVF8_HNSW32,Flat", "IVF4(IVF2,Flat),Flat", "HNSW32,PQ16", "NSG32,PQ16", "PCA32,NSG16", " Flat ; rerank=9 "]
RIGHT += ["HNSW32_16+PQ16", "IVF4,FlatDedup", "IVF4,PQ16,Refine(SQfp16)", "HNSW2", "SQ4;rerank=400"]


@pytest.fixture(scope="module")
def snapshot():
    """300 features of 64 numbers in three shards."""
    return make_snapshot(100, 3, 64)


@pytest.mark.parametrize("engine", CRASHING + HUNGRY + WRONG)
def test_a_string_that_cannot_be_an_engine_is_an_error_of_one_line(engine, snapshot):
    with pytest.raises(EngineError) as caught:
        open_index(engine, snapshot)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("engine", RIGHT)
def test_a_string_that_can_be_one_finds_the_pictures_that_queries_were_taken_from(engine, snapshot, tmp_path):
    queries = np.ascontiguousarray(snapshot.features(np.array([3, 70, 99]))[:, 1])
    built = open_index(engine, snapshot, tmp_path).search(queries, 5)
    assert built.positions[:, 0].tolist() == [3, 70, 99]
    assert (np.diff(built.scores, axis=1) <= 0).all()
    read = open_index(engine, snapshot, tmp_path).search(queries, 5)
    assert read.positions.tolist() == built.positions.tolist()


def test_training_features_fewer_than_the_numbers_that_opq_rotates_are_refused():
    few = make_snapshot(10, 30, 1280)
    with pytest.raises(EngineError, match="300 features are too few to rotate 1280 numbers"):
        open_index("OPQ64,PQ64", few)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("HNSW1", r"\(SIGSEGV\)"),
        ("HNSW0", r"\(SIGABRT\): Faiss assertion|\(SIGSEGV\)$"),  # FAISS before 1.15 does not say why
        ("LSQ0x8", ""),
    ],
)
def test_what_nobody_knew_to_crash_ends_only_the_process_that_tries_it(engine, reason, snapshot, monkeypatch):
    monkeypatch.setattr(FaissRecipe, "check", lambda *_: None)
    told = f"FAISS cannot build '{engine}' from 300 features of 64 numbers: it crashes"
    with pytest.raises(EngineError, match=f"{told} (?:{reason})"):
        open_index(engine, snapshot)


def test_what_nobody_knew_to_hang_is_ended_after_some_computing(snapshot, monkeypatch):
    monkeypatch.setattr(FaissRecipe, "check", lambda *_: None)
    monkeypatch.setattr(BuildJob, "cpu_seconds", 2)
    with pytest.raises(EngineError, match="it takes more than 2 s of computing"):
        open_index("NSG0", snapshot)


def test_memory_is_limited_and_the_limit_is_told(snapshot):
    with pytest.raises(EngineError, match=r"it takes more than 1\.1 GB of memory \(MemoryError: std::bad_alloc\)"):
        open_index("PQ16x22", snapshot)


def test_our_words_come_first_and_then_those_of_faiss(snapshot):
    with pytest.raises(EngineError) as caught:
        open_index("PQ7", snapshot)
    assert str(caught.value) == (
        "FAISS cannot build 'PQ7' from 300 features of 64 numbers: "
        "The dimension of the vector (d) should be a multiple of the number of subquantizers (M)"
    )


def test_limits_grow_with_the_features():
    small = BuildJob("PQ16", 1280, False, "", n_training=300, n_rows=300, n_threads=1)
    large = BuildJob("PQ16", 1280, False, "", n_training=262_144, n_rows=30_000_000, n_threads=1)
    assert small.cpu_seconds < 300
    assert small.n_bytes < 1.3e9
    assert large.cpu_seconds > 24 * 3600
    assert large.n_bytes > 4 * 1280 * 30_000_000


def test_a_saved_index_starts_no_process_and_new_search_parameters_are_tried_once(snapshot, tmp_path, built):
    open_index("IVF8,Flat", snapshot, tmp_path)
    assert len(built) == 1
    open_index("IVF8,Flat", snapshot, tmp_path)
    assert len(built) == 1
    for _ in range(2):
        open_index("IVF8,Flat;nprobe=2", snapshot, tmp_path)
        assert [job.targets for job in built[1:]] == [()]
    with pytest.raises(EngineError, match="'speed' is no parameter of FAISS; there are nprobe, "):
        open_index("IVF8,Flat;speed=2", snapshot, tmp_path)
    assert len(list(tmp_path.glob("*.tmp"))) == 0


@pytest.mark.parametrize("engine", ["exact", "auto", " exact "])
def test_exact_search_starts_no_process(engine, snapshot, tmp_path, built):
    assert open_index(engine, snapshot, tmp_path).name == "exact"
    assert built == []


def test_a_graph_that_cannot_be_added_to_is_built_anew_for_new_shards(snapshot, tmp_path, built):
    first = Snapshot(snapshot.arrays[:2], snapshot.shards[:2], snapshot.ids[:50], snapshot.live[:50], 3, 64)
    open_index("NSG16", first, tmp_path)
    queries = np.ascontiguousarray(snapshot.features(np.array([3, 70, 99]))[:, 1])
    assert open_index("NSG16", snapshot, tmp_path).search(queries, 5).positions[:, 0].tolist() == [3, 70, 99]
    assert [job.saved is None for job in built] == [True, False, True]


def test_an_index_needs_no_folder_that_can_be_written_and_none_of_a_name_in_utf_8(snapshot, tmp_path):
    queries = unit(np.random.default_rng(1), 3, 64)
    expected = open_index("exact", snapshot).search(queries, 5).positions.tolist()
    (tmp_path / "file").write_text("no folder")
    assert open_index("Flat", snapshot, tmp_path / "file" / "indexes").search(queries, 5).positions.tolist() == expected
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    for _ in range(2):
        assert open_index("Flat", snapshot, odd).search(queries, 5).positions.tolist() == expected
    assert len(list(odd.glob("*.faiss"))) == 1


def test_a_choice_that_cannot_be_built_leaves_the_collection_as_it_was(tmp_path, make_folder, tiny):
    folder = make_folder(*(f"{i}.png" for i in range(12)))
    collection = Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    collection.add(folder)
    collection.use_index("SQ8")
    for engine in ("HNSW1", "PQ13x22", " "):
        with pytest.raises(EngineError):
            collection.use_index(engine)
        with pytest.raises(EngineError):
            collection.search(folder / "3.png", index=engine)
    assert collection.index == "SQ8"
    assert collection.search(folder / "3.png", refine=0)[0].image.path == "3.png"


PROGRAM = """
import sys
from patchseek.indexes import open_index
from tests.contract_engine import make_snapshot
open_index("OPQ64,PQ64", make_snapshot(100, 3, 64))
"""


def test_the_process_that_builds_ends_with_the_one_that_asked():
    asker = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[1])
    children = Path(f"/proc/{asker.pid}/task/{asker.pid}/children")
    try:
        wait_for(lambda: asker.poll() is not None or children.read_text().strip())
        builder = int(children.read_text())
    finally:
        asker.send_signal(signal.SIGKILL)
        asker.wait()
    wait_for(
        lambda: not Path(f"/proc/{builder}").exists() or "State:\tZ" in Path(f"/proc/{builder}/status").read_text()
    )
