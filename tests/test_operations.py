"""What an operator types: real processes over a collection of eight pictures."""

import json
import shutil

import pytest

from .conftest import blot
from .test_cli import run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Eight pictures, indexed once, and one file that is none."""
    home = tmp_path_factory.mktemp("home")
    (home / "pictures").mkdir()
    for i in range(8):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    (home / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    run(home, "index", "pictures", code=3)
    return home


def first(home, collection):
    done = run(home, "search", str(home / "pictures" / "3.png"), "-c", collection, "--json", "--top", "1")
    return json.loads(done.stdout)["results"][0]


def test_a_backup_is_restored_elsewhere_and_searched(home):
    assert run(home, "backup", "copy.tar", "-c", "pictures").stdout.startswith("copy.tar: 0.")
    done = run(home, "restore", "copy.tar", "again")
    assert done.stdout == f"again: sound, 8 pictures of {home / 'pictures'}\n"
    assert first(home, "again") == first(home, "pictures")
    assert "sound, 8 pictures" in run(home, "verify", "-c", "again").stdout
    assert "0 added, 8 unchanged" in run(home, "index", "pictures", "-c", "again", code=3).stderr
    assert "already there" in run(home, "backup", "copy.tar", "-c", "pictures", code=1).stderr
    assert "already there" in run(home, "restore", "copy.tar", "again", code=1).stderr


def test_the_engine_is_changed_where_the_pictures_are_gone(home):
    shutil.copytree(home / "pictures" / ".patchseek", home / "alone")
    done = run(home, "use-index", "SQ8", "-c", "alone")
    n_bytes = next((home / "alone" / "indexes").glob("*.faiss")).stat().st_size
    assert f"alone: faiss SQ8, {n_bytes / 1e6:.1f} MB, ready after" in done.stdout
    assert json.loads(run(home, "info", "-c", "alone", "--json").stdout)["index"] == "SQ8"
    assert first(home, "alone")["image"] == "3.png"
    assert "cannot build" in run(home, "use-index", "PQ7", "-c", "alone", code=1).stderr
    assert json.loads(run(home, "info", "-c", "alone", "--json").stdout)["index"] == "SQ8"
    assert "alone: exact, no bytes of its own" in run(home, "use-index", "exact", "-c", "alone").stdout
