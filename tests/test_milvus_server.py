"""The contract of Milvus over a real server, which runs as an ordinary process in an environment of its own.

`make test-milvus` makes that and runs this file, which `make test` does not. Two such servers cannot run at once on a
machine.
"""

import socket
import subprocess
import threading
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from patchseek.errors import EngineError
from patchseek.indexes import _milvus, _milvus_rows, open_index, ping

from .conftest import wait_for
from .contract_engine import assert_brute_force, make_snapshot, unit
from .contract_milvus import MilvusContract, check, sent  # noqa: F401  a fixture

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-milvus" / "bin" / "python"
pytestmark = [pytest.mark.extra("milvus"), pytest.mark.server]


def start(folder):
    """A server with its data in folder; its process and its address."""
    assert PYTHON.exists(), f"{PYTHON} is missing; make it with: make .venv-milvus/.ready"
    command = [PYTHON, ROOT / "tools/milvus_server.py", folder]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in process.stdout:
        if line.startswith("http"):
            return process, line.strip()
    raise AssertionError(f"no server: exit code {process.wait()}")


def test_a_server_that_dies_in_mid_load_is_an_error_of_one_line_and_the_next_load_goes_on(tmp_path, monkeypatch):
    """It and the next stand before all others, which share one server: a second one would not start."""
    monkeypatch.setattr(_milvus_rows, "BATCH_BYTES", 4 * 4 * 16 * 5)  # four pictures a message
    process, address = start(tmp_path / "data")
    send, calls = _milvus_rows.MilvusRows._send, []

    def stops(self, *batch):
        calls.append(batch)
        if len(calls) == 7:
            process.communicate()
        send(self, *batch)

    monkeypatch.setattr(_milvus_rows.MilvusRows, "_send", stops)
    with process, monkeypatch.context() as hasty, pytest.raises(EngineError, match="nothing is lost") as caught:
        hasty.setattr(_milvus_rows, "TIMEOUT", 5)
        open_index(f"milvus:{address}", make_snapshot(), tmp_path / "cache")
    assert "\n" not in str(caught.value)
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", int(address.rsplit(":", 1)[1]))) != 0
    again, address = start(tmp_path / "data")
    with again:
        calls += [None] * 7
        check(f"milvus:{address}", make_snapshot(), tmp_path / "cache")
        assert len(calls) - 14 < 16  # messages for 60 pictures are 16; those that had arrived are not sent again
        again.communicate()


class Relay:
    """An address that stays while the server behind it comes back elsewhere: its own port is not free at once."""

    def __init__(self):
        self.port = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):  # closed by the test
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.port))
                except OSError:
                    client.close()
                    continue
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, target):
        with suppress(OSError):
            while some := source.recv(1 << 16):
                target.sendall(some)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self):
        self._listener.close()


def test_an_open_index_goes_on_when_its_server_is_back_with_its_rows_or_without(tmp_path, monkeypatch):
    monkeypatch.setattr(_milvus, "_TIMEOUT", 5)
    snapshot, queries = make_snapshot(), unit(np.random.default_rng(1), 3, 16)
    with closing(Relay()) as relay:
        place, index = f"milvus:{relay.address}", None
        for folder in (tmp_path / "data", tmp_path / "data", tmp_path / "other"):
            process, address = start(folder)
            relay.port = int(address.rpartition(":")[2])
            with process:
                ping(place, 60)
                index = index or open_index(place, snapshot, tmp_path / "cache")
                assert_brute_force(index.search(queries, 7), snapshot, queries, 7)
                process.communicate()
            with pytest.raises(EngineError, match=f"Milvus at {relay.address}: ") as caught:
                index.search(queries, 7)
            assert "\n" not in str(caught.value)
            with pytest.raises(EngineError, match="no answer within 2 s"):
                ping(place, 2)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    process, address = start(tmp_path_factory.mktemp("milvus"))
    with process:
        yield address
        process.communicate()  # the end of its input ends it


@pytest.fixture
def place(server):
    return f"milvus:{server}"


def test_what_a_server_really_builds_is_said_and_answers_as_brute_force_does(place, tmp_path, sent):  # noqa: F811
    snapshot = make_snapshot(removed=[3])
    for kind in ("FLAT", "IVF_PQ;nlist=8;nprobe=8;rerank=400", "HNSW;M=8;ef=400"):
        engine = f"{place};type={kind}"
        index = check(engine, snapshot, tmp_path)
        assert index.name == f"milvus v2.3.5-lite {kind.partition(';')[0]}"
    assert sum(sent) == 59 * 5  # another type takes the place of an index without sending a row


def test_only_sealed_rows_are_searched_through_the_index_asked_for(place, tmp_path):
    """Scores tell: product quantization estimates them, and the interim index of rows just loaded does not."""
    snapshot = make_snapshot(n_images=300)  # 1,500 rows; segments below 1,024 get no index
    engine = f"{place};type=IVF_PQ;m=4;nlist=8;nprobe=8"
    query = unit(np.random.default_rng(5), 1, 16)
    exact = open_index("exact", snapshot).search(query, 5).scores
    index = open_index(engine, snapshot, tmp_path)
    assert index.search(query, 5).scores == pytest.approx(exact, abs=1e-5)
    index._client.flush(index._collection)
    wait_for(lambda: any(part.index_name for part in index._client.list_loaded_segments(index._collection)))
    assert np.abs(index.search(query, 5).scores - exact).max() > 1e-3
    check(f"{engine};rerank=1500", snapshot, tmp_path)


@pytest.mark.parametrize("kind", ["IVF_RABITQ", "DISKANN", "Nonsense"])
def test_a_type_that_this_version_has_not_is_an_error_that_names_those_it_has(place, tmp_path, kind):
    with pytest.raises(EngineError, match=f"{kind}; it offers FLAT, IVF_FLAT, IVF_PQ, HNSW$"):
        open_index(f"{place};type={kind}", make_snapshot(), tmp_path)


def test_the_server_ignores_the_wish_to_group(server, place, tmp_path):
    """Why we group ourselves: ten rows are asked for, one a picture, and one picture gives five."""
    snapshot = make_snapshot()
    query = unit(np.random.default_rng(5), 1, 16)
    snapshot.arrays[0][3] = query[0]
    open_index(f"{place};name=grouped", snapshot, tmp_path)
    wish = {"limit": 10, "group_by_field": "image", "output_fields": ["image"], "anns_field": "feature"}
    hits = MilvusClient(server).search("grouped_5", data=[query[0]], search_params={"metric_type": "IP"}, **wish)
    assert [hit["entity"]["image"] for hit in hits[0]][:5] == [103] * 5


class TestServer(MilvusContract):
    """As Lite."""

    @pytest.mark.parametrize(
        ("first", "then"),
        [("IVF_FLAT;nlist=4", "IVF_FLAT;nlist=8"), ("HNSW;M=8", "HNSW;M=16"), ("HNSW;M=8", "HNSW;M=8;ef=100")],
    )
    def test_other_parameters_rebuild_the_index_and_those_of_a_search_do_not(
        self, place, tmp_path, first, then, monkeypatch
    ):
        snapshot, built = make_snapshot(), []
        create = MilvusClient.create_index
        monkeypatch.setattr(MilvusClient, "create_index", lambda *a, **b: built.append(1) or create(*a, **b))
        index = open_index(f"{place};type={first}", snapshot, tmp_path)
        open_index(f"{place};type={then}", snapshot, tmp_path)
        assert len(built) == (1 if "ef=" in then else 2)
        found = MilvusClient(place.removeprefix("milvus:")).describe_index(index._collection, "feature")
        key, value = then.split(";")[1].split("=")
        assert str(found[key]) == value
