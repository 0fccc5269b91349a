"""What is left out of folders, URLs, tars and lists: the same as of a folder without a cluster, and remembered too."""

import tarfile
from functools import partial

import pytest

from patchseek import Collection
from patchseek._progress import unheard
from patchseek.distributed import _work, add_source
from patchseek.distributed._driver import Driver
from patchseek.distributed._sources import open_sources
from patchseek.distributed._staging import Staging
from patchseek.errors import PatchseekError, QueryError
from patchseek.store import Choice, Settings, Store, Writer, all_exclusions, exclusions

from .conftest import TinyEncoder
from .test_distributed import PYRAMID

NAMES = ["Fotos [alt]/a.png", "Fotos a/b.png", "image[1].png", "image1.png", "raw/c.png", "sub/raw/d.png"]
KINDS = ["folder", pytest.param("url", marks=pytest.mark.extra("ray")), "tar", "list"]


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())


@pytest.fixture
def source(request, make_folder, tmp_path):
    """The pictures of NAMES as a source of the kind asked for."""
    folder = make_folder(*NAMES)
    if request.param == "tar":
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            for name in NAMES:
                tar.add(folder / name, name)
        return str(tmp_path / "x.tar")
    if request.param == "list":
        (folder / "list.csv").write_text("path\n" + "".join(f'"{name}"\n' for name in NAMES))
        return str(folder / "list.csv")
    return f"file://{folder}" if request.param == "url" else str(folder)


def add(collection, source, exclude=None, shard_images=4):
    """What `add_source` does, with one worker in this very process instead of a cluster."""
    store = collection.store
    sources = open_sources(source, exclude=exclude, remembered=partial(exclusions, store))
    with Writer(store) as writer:
        shards = Staging.open(str(collection.path / "staging"), store.settings)
        driver = Driver(writer, shards, sources, shard_images=shard_images, retry=False, on_progress=unheard)
        driver.has_work()
        worker = _work.ShardWorker(TinyEncoder, store.settings, shards, driver.gone(), 1)
        while (work := driver.next_work()) is not None:
            driver.take(worker(work))
        return driver.finish()


def names(collection):
    """Those of NAMES that the collection has, however it writes them."""
    paths = [path for _, _, path in collection.store.paths()]
    found = {name for name in NAMES if any(path == name or path.endswith((f"/{name}", f"!{name}")) for path in paths)}
    assert len(found) == len(paths)
    return found


@pytest.mark.parametrize("source", KINDS, indirect=True)
@pytest.mark.parametrize(
    ("exclude", "gone"),
    [
        (["Fotos [alt]"], {"Fotos [alt]/a.png"}),
        (["image[1].png"], {"image[1].png"}),
        (["./raw"], {"raw/c.png"}),
        (["raw/"], {"raw/c.png", "sub/raw/d.png"}),
        (["**/raw/**"], {"raw/c.png", "sub/raw/d.png"}),
        (["image?.png", "*/*.png"], {"image1.png", "Fotos [alt]/a.png", "Fotos a/b.png", "raw/c.png"}),
        (["raw/*", "!raw/c.png"], set()),
    ],
)
def test_every_kind_of_source_leaves_out_the_same(collection, source, exclude, gone):
    assert add(collection, source, exclude).unmatched == {}
    assert names(collection) == set(NAMES) - gone


@pytest.mark.parametrize("source", KINDS, indirect=True)
def test_every_kind_of_source_remembers_and_names_what_matched_nothing(collection, source):
    assert add(collection, source, ["RAW", "Fotos [alt]"]).unmatched == {"RAW": "raw"}
    assert add(collection, source).unchanged == 5
    (said,) = all_exclusions(collection.store).values()
    of_tar = ["/x.tar/**/RAW", r"/x.tar/**/Fotos \[alt\]"]  # part of its folder
    assert said == (of_tar if source.endswith(".tar") else ["RAW", "Fotos [alt]"])
    assert add(collection, source, []).added == 1
    assert add(collection, source).unchanged == 6


@pytest.mark.parametrize("source", KINDS, indirect=True)
def test_pictures_of_every_kind_of_source_are_meant_by_their_names(collection, source):
    add(collection, source)
    for name in ("image[1].png", "Fotos [alt]/", "sub/raw/d.png", "sub"):
        assert len(Choice(under=name).ids(collection.store)) == 1, name
    for place in (source.removesuffix("/list.csv") + "/image[1].png", source):
        n = 1 if place.endswith(".png") else 6
        assert len(Choice(under=place).ids(collection.store)) == n, place
    assert len(Choice(under="**/raw/*.png").ids(collection.store)) == 2
    with pytest.raises(QueryError, match="matches"):
        Choice(under="raw/d.png").ids(collection.store)


def test_an_exclusion_that_matches_in_one_of_several_tars_is_not_in_vain(collection, make_folder, tmp_path):
    folder = make_folder("a.png", "b.png", "c.png")
    for tar, members in (("x-0.tar", ["a.png", "b.png"]), ("x-1.tar", ["c.png"])):
        with tarfile.open(tmp_path / tar, "w") as opened:
            for name in members:
                opened.add(folder / name, name)
    report = add(collection, str(tmp_path / "x-{0..1}.tar"), ["b.png", "d.png"])
    assert (report.added, report.unmatched.keys()) == (2, {"d.png"})


def test_a_damaged_tar_keeps_what_stands_before_the_damage_and_is_not_left_out(collection, make_folder, tmp_path):
    folder = make_folder("a.png", "b.png", "c.png")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("a.png", "b.png", "c.png"):
            tar.add(folder / name, name)
    with tarfile.open(tmp_path / "x.tar") as tar:
        offset = tar.getmember("c.png").offset
    content = bytearray((tmp_path / "x.tar").read_bytes())
    content[offset + 10] ^= 0xFF
    (tmp_path / "x.tar").write_bytes(content)
    (failure,) = add(collection, str(tmp_path / "x.tar"), ["a.png"], shard_images=1).failed
    assert (failure.path, failure.passing) == ("x.tar", True)
    assert [path for _, _, path in collection.store.paths()] == ["x.tar!b.png"]


@pytest.mark.extra("ray")
def test_a_source_of_which_nothing_is_left_is_an_error(collection, make_folder):
    folder = make_folder("a.png")
    (folder / "list.csv").write_text("path\na.png\n")
    for source in (folder / "list.csv", f"file://{folder}", folder):
        with pytest.raises(PatchseekError, match="no pictures"):
            add(collection, str(source), ["*.png"])


def test_what_a_run_without_a_cluster_remembers_holds_on_one(collection, make_folder):
    """Nothing is left to encode, so that no cluster is started."""
    folder = make_folder("a.png", "b.png")
    collection.add(folder, exclude=["b.png"])
    assert add_source(collection, folder).unchanged == 1
    assert [path for _, _, path in collection.store.paths()] == ["a.png"]
    collection.add(folder, exclude=[])
    assert add_source(collection, folder, exclude=["b.png"]).removed == 1
    assert collection.add(folder).unchanged == 1


@pytest.mark.parametrize("name", ["x{0..1}.tar", "x#1.tar", "x?.tar", "[x].tar", "x*.tar"])
def test_a_tar_of_an_odd_name_is_that_tar(collection, make_folder, tmp_path, name):
    folder = make_folder("a.png", "b.png")
    for tar, member in ((name, "a.png"), ("x0.tar", "b.png"), ("x1.tar", "b.png"), ("xy.tar", "b.png")):
        with tarfile.open(tmp_path / tar, "w") as opened:
            opened.add(folder / member, member)
    assert add(collection, str(tmp_path / name)).added == 1
    assert [path for _, _, path in collection.store.paths()] == [f"{name}!a.png"]


@pytest.mark.parametrize("name", ["holiday.tar", "holiday.csv", "holiday.tar.gz"])
def test_a_folder_that_is_called_like_a_file_is_a_folder(collection, make_folder, name):
    folder = make_folder("a.png", "sub/b.png", folder=name)
    assert add(collection, str(folder)).added == 2
    for place in (str(folder / "sub"), "sub", f"{folder}/*/*.png"):
        (only,) = Choice(under=place).ids(collection.store).tolist()
        assert collection.store.images([only])[0].path == "sub/b.png"


def test_a_full_path_is_told_from_its_own_folder_alone(collection, make_folder):
    one, two = make_folder("[a]/1.png", folder="one"), make_folder("[a]/1.png", "a/2.png", folder="two")
    for folder in (one, two):
        add(collection, str(folder))
    for place in (f"{one}/[a]", f"{one}/[[]a]/*", f"{one}/*"):
        (only,) = Choice(under=place).ids(collection.store).tolist()
        assert collection.store.images([only])[0].file == one / "[a]/1.png"
    with pytest.raises(QueryError):
        Choice(under=f"{one}/a").ids(collection.store)
