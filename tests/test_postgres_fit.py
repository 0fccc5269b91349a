"""PostgreSQL's IVFFLAT: its clusters are those of the pictures of now, or it is said. Truth is brute force."""

import pytest

from patchseek.indexes import Refit, _outgrown, open_index, try_engine

from .test_outgrown import blanks, recall, scenes, snapshot_of
from .test_postgres import FORCED, server, started  # noqa: F401  fixtures

pytestmark = pytest.mark.extra("postgres")


@pytest.fixture
def clusters(server, tmp_path):  # noqa: F811
    """Opens IVFFLAT over a snapshot; it looks into one of eight clusters."""
    engine = f"{server.url}&{FORCED};type=IVFFLAT;lists=8;probes=1"
    return lambda snapshot, **how: open_index(engine, snapshot, tmp_path, **how)


def comments(server):  # noqa: F811
    """What stands beside each index of clusters: of which pictures it was built."""
    query = "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relname LIKE '%ivfflat%' ORDER BY oid DESC"
    return [comment for (comment,) in server.run(query)]


@pytest.mark.parametrize("n_blank", [10, 100])
def test_clusters_of_blank_pages_are_found_anew_once_other_pictures_have_come(clusters, n_blank, tmp_path):
    clusters(snapshot_of(blanks(n_blank)))
    grown = snapshot_of(blanks(n_blank), scenes(60))
    index = clusters(grown)
    assert index.outgrown is None
    fresh = open_index("IVF8,Flat;nprobe=1", grown, tmp_path / "fresh")
    assert recall(index, grown) > recall(fresh, grown) - 0.1


def test_where_that_takes_long_it_is_said_and_mended_when_asked(clusters, server, monkeypatch):  # noqa: F811
    monkeypatch.setattr(_outgrown, "SOON_BYTES", 0)
    clusters(snapshot_of(blanks(100)))
    before, grown = comments(server)[0], snapshot_of(blanks(100), scenes(60))
    for _ in range(2):
        assert str(clusters(grown).outgrown).startswith("the error of its distance to what it was trained on is 0.")
    assert comments(server)[0] == before
    assert clusters(grown, refit=Refit.WHERE_OUTGROWN).outgrown is None
    assert clusters(grown).outgrown is None
    assert comments(server)[0] != before


def test_pictures_like_those_before_change_no_cluster_and_asking_does(clusters, server):  # noqa: F811
    parts = scenes(60), scenes(30, 5)
    clusters(snapshot_of(parts[0]))
    before = comments(server)[0]
    assert clusters(snapshot_of(*parts)).outgrown is None
    assert comments(server)[0] == before
    clusters(snapshot_of(*parts), refit=Refit.WHERE_CHANGED)
    after = comments(server)[0]
    clusters(snapshot_of(*parts), refit=Refit.WHERE_CHANGED)
    assert before != after == comments(server)[0]


def test_clusters_of_pictures_that_are_gone_are_found_anew(clusters, server):  # noqa: F811
    arrays = blanks(100), scenes(60)
    clusters(snapshot_of(*arrays))
    before = comments(server)[0]
    left = snapshot_of(*arrays, removed=range(100))
    assert clusters(left).outgrown is None
    assert comments(server)[0] != before


def test_an_index_that_says_nothing_of_its_pictures_is_built_anew_once(clusters, server):  # noqa: F811
    snapshot = snapshot_of(scenes(60))
    clusters(snapshot)
    names = server.run("SELECT relname FROM pg_class WHERE relname LIKE '%ivfflat%'")
    for (name,) in names:
        server.run(f"COMMENT ON INDEX {name} IS NULL")
    clusters(snapshot)
    assert "n_live" in comments(server)[0]


@pytest.mark.parametrize("kind", ["", "type=HNSW", "type=IVFFLAT"])
def test_a_database_is_tried_like_any_engine(server, tmp_path, kind):  # noqa: F811
    snapshot = snapshot_of(scenes(60))
    trial = try_engine(open_index(f"{server.url}&{FORCED};{kind}", snapshot, tmp_path), snapshot)
    assert trial.first > 0.9 and trial.recall > 0.8
