"""What holds for Milvus Lite and for a server alike, against brute force. A class is given `place`, a `milvus:URI`."""

import dataclasses
from contextlib import suppress

import numpy as np
import pytest
from pymilvus import MilvusClient, MilvusException

from patchseek.errors import EngineError, QueryError
from patchseek.indexes import Held, _milvus, _milvus_rows, compare, open_index, ping
from patchseek.store import Snapshot

from .contract_engine import FaithfulContract, assert_brute_force, first_shards, make_snapshot, unit


def check(engine, snapshot, cache, k=7, among=None):
    queries = unit(np.random.default_rng(1), 3, snapshot.dim)
    index = open_index(engine, snapshot, cache)
    hits = index.search(queries, k, among)
    chosen = snapshot if among is None else dataclasses.replace(snapshot, live=snapshot.live & among)
    assert_brute_force(hits, chosen, queries, k)
    return index


@pytest.fixture
def sent(monkeypatch):
    """Rows sent to Milvus, message by message."""
    messages = []
    upsert = MilvusClient.upsert

    def counted(self, collection, rows, **more):
        messages.append(len(rows))
        return upsert(self, collection, rows, **more)

    monkeypatch.setattr(MilvusClient, "upsert", counted)
    return messages


def rows_of(client, name, n=2):
    """The first rows of n pictures from 110 on, as they were sent."""
    fields = ["row", "image", "region", "shard", "feature"]
    found = client.query(name, filter=f"image >= 110 and image < {110 + n}", output_fields=fields)
    return [{key: row[key] for key in fields} for row in found]


def drop_index(client, name):
    client.release_collection(name)
    client.drop_index(name, "feature")


def exchange(client, name):
    """Each of two pictures gets the features of the other."""
    rows = sorted(rows_of(client, name), key=lambda row: row["row"])
    client.upsert(name, [row | {"feature": rows[n - 5]["feature"]} for n, row in enumerate(rows)])


FAULTS = {
    "dropped": lambda client, name: client.drop_collection(name),
    "emptied": lambda client, name: client.delete(name, filter="row >= 0"),
    "let go of": lambda client, name: client.release_collection(name),
    "without its index": drop_index,
    "pictures deleted": lambda client, name: client.delete(name, filter="image in [100, 117, 118, 159]"),
    "one row deleted": lambda client, name: client.delete(name, filter="image == 131 and region == 4"),
    "features exchanged": exchange,
    "others beside them": lambda client, name: client.upsert(
        name, [row | {"row": row["row"] + 10_000, "image": row["image"] + 2000} for row in rows_of(client, name)]
    ),
    "others under its shards": lambda client, name: client.upsert(
        name, [row | {"row": row["row"] + 10_000} for row in rows_of(client, name)]
    ),
}


class MilvusContract(FaithfulContract):
    """Inherited by a test class, which gives the fixture `place`."""

    @pytest.fixture
    def engine(self, place, monkeypatch):
        monkeypatch.setattr(_milvus, "_STRETCHES", 3)  # so that a choice is cut into more than Milvus is told
        return place

    def test_a_second_opening_sends_nothing_and_growth_sends_the_new_shard(self, place, tmp_path, sent):
        snapshot = make_snapshot()  # shards of 18, 12 and 30 pictures of 5 regions
        check(place, first_shards(snapshot, 2), tmp_path)
        assert sum(sent) == 30 * 5
        check(place, snapshot, tmp_path)
        check(place, snapshot, tmp_path)
        assert sum(sent) == 60 * 5

    def test_pictures_removed_later_are_no_longer_found_and_nothing_is_sent_for_them(self, place, tmp_path, sent):
        check(place, make_snapshot(), tmp_path)
        check(place, make_snapshot(removed=range(10, 50)), tmp_path)
        assert sum(sent) == 60 * 5

    def test_a_load_that_broke_off_goes_on_where_it_stopped(self, place, tmp_path, sent, monkeypatch):
        monkeypatch.setattr(_milvus_rows, "BATCH_BYTES", 4 * 4 * 16 * 5)  # four pictures a message
        send, calls = _milvus_rows.MilvusRows._send, []

        def dies(self, *batch):
            calls.append(batch)
            if len(calls) == 7:
                raise OSError("the cable was pulled")
            send(self, *batch)

        monkeypatch.setattr(_milvus_rows.MilvusRows, "_send", dies)
        with pytest.raises(EngineError, match="the cable was pulled; nothing is lost"):
            open_index(place, make_snapshot(), tmp_path)
        n_before = sum(sent)
        assert n_before == (18 + 4) * 5
        # some of what had arrived is removed before the next try
        check(place, make_snapshot(removed=[0, 20, 21]), tmp_path)
        assert sum(sent) == n_before + (60 - 22) * 5

    def test_after_compaction_the_rows_of_the_old_shards_are_gone(self, place, tmp_path):
        snapshot = make_snapshot(removed=range(0, 60, 2))
        check(place, snapshot, tmp_path)
        kept = np.flatnonzero(snapshot.live)
        features = snapshot.features(kept).astype(np.float16)
        compacted = Snapshot([features], ("new",), snapshot.ids[kept], np.ones(30, bool), 5, 16)
        check(place, compacted, tmp_path)

    def test_a_collection_of_another_owner_or_dimension_under_the_same_name_is_left_alone(self, place, tmp_path):
        name = f"{place};name=pets_{tmp_path.name.replace('-', '_')}"
        check(name, make_snapshot(), tmp_path / "a")
        with pytest.raises(EngineError, match="another owner"):
            open_index(name, make_snapshot(), tmp_path / "b")
        with pytest.raises(EngineError, match=r"D=16 R=5; ours: .* D=8 R=5"):
            open_index(name, make_snapshot(dim=8), tmp_path / "a")
        check(name, make_snapshot(), tmp_path / "a")

    def test_deeper_than_milvus_goes_the_store_is_searched(self, place, tmp_path, monkeypatch):
        monkeypatch.setattr(_milvus, "LIMIT", 256)  # Milvus's own is 16384
        snapshot = make_snapshot(n_images=100, n_regions=30)
        query = unit(np.random.default_rng(5), 1, 16)
        for array in snapshot.arrays:
            array[: len(array) // 2] = query[0]
        hits = open_index(place, snapshot, tmp_path).search(query, 100)
        assert sorted(hits.positions[0].tolist()) == list(range(100))

    def test_a_name_of_ones_own_serves_every_level(self, place, tmp_path):
        name = f"{place};name=own_{tmp_path.name.replace('-', '_')}"
        check(name, make_snapshot(), tmp_path)
        check(name, make_snapshot().first_regions(3), tmp_path)

    def test_rows_that_a_snapshot_of_yesterday_does_not_know_do_not_count(self, place, tmp_path):
        snapshot = make_snapshot()
        query = unit(np.random.default_rng(5), 1, 16)
        snapshot.arrays[2][:] = query[0]  # 150 rows of 30 new pictures are the best
        yesterday = first_shards(snapshot, 2)
        index = open_index(place, yesterday, tmp_path)
        open_index(place, snapshot, tmp_path)
        assert sorted(index.search(query, 30).positions[0].tolist()) == list(range(30))

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
    def test_what_becomes_of_its_rows_is_mended_by_the_next_search(self, place, tmp_path, fault, is_open):
        snapshot, queries = make_snapshot(removed=[5]), unit(np.random.default_rng(1), 3, 16)
        index = open_index(place, snapshot, tmp_path)
        client, name = MilvusClient(place.removeprefix("milvus:")), index._collection
        assert compare(place, snapshot, tmp_path, every=True) == Held(59, 0, 0)
        FAULTS[fault](client, name)
        with suppress(MilvusException):  # which waits until everybody sees it
            client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")
        if fault != "let go of" and not (is_open and fault.startswith("others")):
            n = {"pictures deleted": 4, "one row deleted": 1, "features exchanged": 2}.get(fault, 59)
            n = 0 if fault in ("without its index", "others beside them", "others under its shards") else n
            with suppress(EngineError):  # without an index it cannot say
                assert compare(place, snapshot, tmp_path, every=True) == Held(59, n, n)
        if not is_open:
            index = open_index(place, snapshot, tmp_path)
        assert_brute_force(index.search(queries, 1), snapshot, queries, 1)
        assert_brute_force(index.search(queries, 500), snapshot, queries, 500)
        assert compare(place, snapshot, tmp_path, every=True) == Held(59, 0, 0)

    def test_what_was_never_sent_is_not_lost(self, place, tmp_path):
        snapshot = make_snapshot()
        assert compare(place, snapshot, tmp_path) == Held(60, 60, 0)
        assert list(tmp_path.glob("*owner")) == []
        open_index(place, first_shards(snapshot, 2), tmp_path)
        assert compare(place, snapshot, tmp_path) == Held(60, 30, 0)

    def test_a_ping_asks_for_no_rows(self, place):
        ping(place, 2)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0])
    def test_features_that_are_no_numbers_are_not_sent(self, place, tmp_path, sent, value):
        snapshot = make_snapshot()
        snapshot.arrays[1][2, 4] = value
        with pytest.raises(EngineError, match=r"of 1 picture at least: `patchseek verify` names them"):
            open_index(place, snapshot, tmp_path)
        assert sum(sent) == 5 * len(snapshot.arrays[0])
        query = unit(np.random.default_rng(0), 1, 16)
        with pytest.raises(QueryError, match="not all zero"):
            open_index(place, first_shards(snapshot, 1), tmp_path).search(query * np.float32(value), 3)
