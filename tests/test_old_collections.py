"""Collections that earlier code made open, answer, and go on. Each is a tar of six pictures and what was made of them.

`2026-11-23` was made by the code of the day on which there first were collections, `0.1.0` by what is to be that
version: by TinyEncoder, with a pyramid up to level 1; the latter has tagged what is in `sub`.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from patchseek import Collection, read
from patchseek.patches import cut
from patchseek.store import catalogue_problem
from patchseek.store._tables import FORMAT

from .conftest import TinyEncoder, blot

COLLECTIONS = Path(__file__).parent / "collections"
NAMES = ("0.png", "1.png", "2.png", "3.png", "sub/4.png", "sub/5.png")


@pytest.fixture(params=["2026-11-23", "0.1.0"])
def pictures(request, tmp_path):
    """The folder of its pictures."""
    with tarfile.open(COLLECTIONS / f"{request.param}.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "pictures"


@pytest.fixture
def collection(pictures):
    return Collection.open(pictures / ".patchseek", encoder=TinyEncoder())


def test_it_opens_whole_and_answers(collection, pictures):
    assert catalogue_problem(collection.path) is None
    assert collection.verify() == []
    tiny, snapshot = TinyEncoder(), collection.store.snapshot()
    for i, name in enumerate(NAMES):
        best = collection.search(blot(i), top=1)[0]
        assert (best.image.path, best.is_refined) == (name, True)
        own = tiny.encode(cut(read(pictures / name), collection.store.settings.pyramid, tiny.feed))
        stored = snapshot.features(np.flatnonzero(snapshot.ids == best.image.id))[0]
        assert ((stored * own).sum(axis=1) > 0.999).all()  # patches were cut a little otherwise at first


def test_it_goes_on(collection, pictures):
    report = collection.add(pictures)
    assert (report.added, report.unchanged, report.changed, report.removed) == (0, 6, 0, 0)
    assert [failure.path for failure in report.failed] == ["broken.png"]
    blot(7).save(pictures / "7.png")
    (pictures / "0.png").rename(pictures / "sub" / "0.png")
    report = collection.add(pictures)
    assert (report.added, report.moved, report.unchanged) == (1, 1, 5)
    assert collection.search(blot(7), top=1)[0].image.path == "7.png"
    assert collection.tag("new", "7.png") == 1
    assert collection.remove("1.png") == ["1.png"]
    collection.compact()
    again = Collection.open(collection.path, encoder=TinyEncoder())
    assert (len(again), again.verify()) == (6, [])


def test_it_can_be_backed_up(collection, tmp_path):
    collection.back_up(tmp_path / "copy.tar")
    restored = Collection.restore(tmp_path / "copy.tar", tmp_path / "copy")
    assert (len(restored), restored.verify()) == (6, [])


@pytest.mark.parametrize("pictures", ["0.1.0"], indirect=True)
def test_what_was_tagged_then_is_tagged(collection):
    assert collection.store.tags() == {"old": 2}
    assert {match.image.path for match in collection.search(blot(0), tags=["old"])} == {"sub/4.png", "sub/5.png"}


def test_a_newer_format_is_refused_in_one_line(collection):
    with pytest.raises(Exception, match=f"format {FORMAT + 1} is newer than this patchseek reads") as refused:
        collection.store.catalogue.set("format", str(FORMAT + 1))
        Collection.open(collection.path, encoder=TinyEncoder())
    assert "\n" not in str(refused.value)
