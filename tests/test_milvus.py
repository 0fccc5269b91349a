"""Milvus Lite, the embedded one, and what needs no Milvus at all."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from patchseek.errors import EngineError
from patchseek.indexes import as_kept, open_index
from patchseek.indexes._milvus import _stretches
from patchseek.indexes._milvus_recipe import really_built
from patchseek.indexes._owner import owner_of

from .contract_engine import make_snapshot, unit
from .contract_milvus import MilvusContract, check, sent  # noqa: F401  a fixture

pytestmark = pytest.mark.extra("milvus")


@pytest.fixture
def place(tmp_path):
    return f"milvus:{tmp_path / 'rows.db'}"


class TestLite(MilvusContract):
    @pytest.mark.parametrize("kind", ["IVF_PQ", "IVF_RABITQ", "SCANN", "DISKANN"])
    def test_lite_is_not_believed_when_it_says_that_it_builds_an_index(self, place, tmp_path, kind):
        with pytest.raises(EngineError, match=rf"milvus_lite.* does not really build {kind}; it offers FLAT$"):
            open_index(f"{place};type={kind}", make_snapshot(), tmp_path)

    def test_the_name_says_what_is_really_used(self, place, tmp_path):
        assert open_index(place, make_snapshot(), tmp_path).name.startswith("milvus milvus_lite-3")
        assert open_index(place, make_snapshot(), tmp_path).name.endswith(" FLAT")


def test_lite_leaves_out_the_best_where_whole_groups_are_asked_for(place, tmp_path):
    """Why its groups are not believed either: with strict_group_size the best picture is not in the answer."""
    index = open_index(place, make_snapshot(), tmp_path)
    query = unit(np.random.default_rng(5), 3, 16)[1]
    wish = {"limit": 6, "group_by_field": "image", "group_size": 2, "strict_group_size": True, "anns_field": "feature"}
    client, name = MilvusClient(place.removeprefix("milvus:")), index._collection
    hits = client.search(name, data=[query], search_params={"metric_type": "IP"}, output_fields=["image"], **wish)[0]
    best = 100 + int(index.search(query[None], 1).positions[0, 0])
    assert best not in [hit["entity"]["image"] for hit in hits]


SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from patchseek.errors import EngineError
from patchseek.indexes import open_index
from tests.contract_engine import make_snapshot
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    open_index(sys.argv[1], make_snapshot(n_images=400, n_regions=30), Path(sys.argv[2]))
except EngineError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_of_one_line_and_the_next_load_goes_on(place, tmp_path):
    command = [sys.executable, "-c", SMALL_DISK, place, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1 and "File too large; nothing is lost" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    check(place, make_snapshot(n_images=400, n_regions=30), tmp_path)


@pytest.mark.parametrize("version", ["v2.2.16", "1.1"])
def test_a_server_that_is_too_old_is_an_error(version):
    with pytest.raises(EngineError, match="is too old"):
        really_built("FLAT", version)


def test_a_server_that_is_down_is_an_error_of_one_line(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(EngineError, match=f"Milvus at http://127.0.0.1:{port}: ") as caught:
        open_index(f"milvus:http://127.0.0.1:{port}", make_snapshot(), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("milvus:", "PATCHSEEK_MILVUS_TOKEN"),
        ("milvus:http://root:secret@host:19530", "PATCHSEEK_MILVUS_TOKEN"),
        ("milvus:./rows", "must end in .db"),
        ("milvus:a.db;rerank=many", r"rerank must be a whole number from 1 to 16,384 \(.*\), found 'many'"),
        ("milvus:a.db;nprobe=0;type=IVF_FLAT", "nprobe must be a whole number from 1 to 65,536, found '0'"),
        ("milvus:a.db;nprobe=-3;type=IVF_FLAT", "nprobe must be a whole number from 1 to 65,536, found '-3'"),
        ("milvus:a.db;speed=9", "'speed' is no parameter of FLAT; there are rerank"),
        ("milvus:a.db;nlist=5", "'nlist' is no parameter of FLAT"),
        ("milvus:a.db;type=HNSW;nlist=5", "'nlist' is no parameter of HNSW; there are M, efConstruction, ef, rerank"),
        ("milvus:a.db;rerank=5;rerank=6", "rerank is said twice"),
        ("milvus:a.db;name=my pets", "a name is made of letters"),
        ("milvus:a.db;name=", "a name is made of letters"),
    ],
)
def test_a_string_that_says_nothing_sensible_is_an_error_of_one_line(engine, reason):
    with pytest.raises(EngineError, match=reason) as caught:
        open_index(engine, make_snapshot())
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_relative_file_is_kept_as_an_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_kept("milvus:./a.db;rerank=4") == f"milvus:{tmp_path}/a.db;rerank=4"
    assert as_kept("milvus:http://host:19530") == "milvus:http://host:19530"
    assert as_kept("IVF4,Flat;nprobe=4") == "IVF4,Flat;nprobe=4"


def test_a_copy_of_a_collection_that_grows_on_its_own_does_not_disturb_the_first(place, tmp_path):
    (tmp_path / "a").mkdir()
    first, other = make_snapshot(seed=0), make_snapshot(seed=1)
    index = open_index(place, first, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    open_index(place, other, tmp_path / "b")
    query = first.features(np.array([3]))[0, :1]
    assert index.search(query, 1).positions.tolist() == [[3]]


def test_two_processes_that_are_the_first_at_once_draw_one_owner(tmp_path, monkeypatch):
    drawn, write = [], Path.write_text

    def slowly(path, text, **options):  # another one comes between
        write(path, text, **options)
        if not drawn:
            drawn.append("")
            drawn[0] = owner_of(make_snapshot(), tmp_path / "c", "milvus")

    monkeypatch.setattr(Path, "write_text", slowly)
    assert owner_of(make_snapshot(), tmp_path / "c", "milvus") == drawn[0]


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(place, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be written"):
        open_index(place, make_snapshot(), tmp_path / "file" / "indexes")


def test_a_choice_becomes_few_stretches_that_hold_it():
    assert _stretches(np.array([5])) == "(image >= 5 and image <= 5)"
    assert _stretches(np.array([1, 2, 3, 9])) == "(image >= 1 and image <= 3) or (image >= 9 and image <= 9)"
    odd = np.arange(1, 2001, 2)
    odd[500:] += 100
    parts = _stretches(odd).split(" or ")
    assert len(parts) == 64
    assert any(part.endswith("image <= 999)") for part in parts)  # the widest gap is never bridged
