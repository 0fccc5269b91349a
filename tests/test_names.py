"""Odd names, exclusions and what a collection remembers of them: on real folders, with real files."""

import unicodedata

import pytest

import patchseek as ps
from patchseek.encode import ENCODING, find_pictures
from patchseek.errors import PatchseekError, QueryError
from patchseek.store import Choice, Writer, all_exclusions

COMPOSED, DECOMPOSED = "K\u00e4se", "Ka\u0308se"
assert unicodedata.normalize("NFD", COMPOSED) == DECOMPOSED


@pytest.fixture
def collection(tmp_path, tiny):
    return ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)


def paths(collection):
    return {path for _, _, path in collection.store.paths()}


def meant(collection, *places):
    return {image.path for image in collection.store.images(Choice(under=places).ids(collection.store).tolist())}


ODD = ["image[1].jpg", "image1.jpg", "Fotos [alt]/a.png", "Fotos a/a.png", "b*/c.png", "bb/c.png", "!d.png", "d.png"]
ODD += ["#e.png", " f.png", "f.png", "g \\h.png", "what?.png", "~i.png", "new\nline.png", "deep/image[1].jpg"]


@pytest.mark.parametrize("name", ODD)
def test_each_picture_is_removed_tagged_and_found_by_its_very_name(collection, make_folder, name):
    collection.add(make_folder(*ODD))
    assert meant(collection, name) == {name}
    assert collection.tag("red", name) == 1
    assert collection.remove(name) == [name]
    assert paths(collection) == set(ODD) - {name}


@pytest.mark.parametrize(
    ("folder", "inside"), [("Fotos [alt]", "Fotos [alt]/a.png"), ("b*", "b*/c.png"), ("b*/", "b*/c.png")]
)
def test_each_folder_is_meant_by_its_very_name(collection, make_folder, folder, inside):
    pictures = make_folder(*ODD)
    collection.add(pictures, exclude=folder)
    assert paths(collection) == set(ODD) - {inside}
    collection.add(pictures, exclude=())
    assert meant(collection, folder) == meant(collection, str(pictures / folder)) == {inside}
    assert collection.remove(folder) == [inside]


@pytest.mark.parametrize("name", ODD)
def test_each_name_is_excluded_at_every_depth_and_nothing_else_is(collection, make_folder, name):
    collection.add(make_folder(*ODD), exclude=[name])
    gone = {path for path in ODD if path == name or path.endswith(f"/{name}")}
    assert paths(collection) == set(ODD) - gone


def test_a_name_that_is_nowhere_is_a_pattern(collection, make_folder):
    collection.add(make_folder("image1.jpg", "image2.jpg", "Fotos a/a.png", "Fotos b/a.png"))
    assert collection.remove("image[1].jpg") == ["image1.jpg"]
    assert meant(collection, "Fotos [alt]") == {"Fotos a/a.png"}


@pytest.mark.parametrize(
    "way", ["neu", "neu/", "./neu", "**/neu/**", "/neu", "ABSOLUTE", "ABSOLUTE/", "neu/**", "x/../neu"]
)
def test_a_folder_is_excluded_in_whatever_way_it_is_written(collection, make_folder, way):
    folder = make_folder("neu/a.png", "neu/deep/b.png", "c.png")
    report = collection.add(folder, exclude=[way.replace("ABSOLUTE", str(folder / "neu"))])
    assert paths(collection) == {"c.png"}
    assert report.unmatched == {}


def test_a_full_path_is_told_from_a_folder_that_is_given_without_one(collection, make_folder, tmp_path, monkeypatch):
    folder = make_folder("neu/a.png", "c.png")
    monkeypatch.chdir(tmp_path)
    collection.add("pictures", exclude=[str(folder / "neu")])
    assert paths(collection) == {"c.png"}


def test_a_folder_behind_a_link_is_excluded_by_its_full_path_too(collection, make_folder, tmp_path):
    folder = make_folder("neu/a.png", "c.png")
    (tmp_path / "link").symlink_to(folder)
    collection.add(tmp_path / "link", exclude=[str(folder / "neu")])
    assert paths(collection) == {"c.png"}
    collection.add(folder, exclude=[str(tmp_path / "link" / "c.png")])
    assert paths(collection) == {"neu/a.png"}


@pytest.mark.parametrize(("said", "near"), [("NEU", "neu"), ("neus", "neu"), ("C.PNG", "c.png"), ("nowhere", None)])
def test_an_exclusion_that_matches_nothing_is_named(collection, make_folder, said, near):
    assert collection.add(make_folder("neu/a.png", "c.png"), exclude=[said]).unmatched == {said: near}
    assert paths(collection) == {"neu/a.png", "c.png"}


def test_what_is_there_but_would_not_be_indexed_is_not_excluded_in_vain(collection, make_folder):
    folder = make_folder("a.png", ".hidden/b.png", "@eaDir/c.png")
    (folder / "notes.txt").touch()
    (folder / ".hidden" / "deep").mkdir()
    used = [".hidden", "notes.txt", "@eaDir", ".hidden/deep", "@eaDir/c.png"]
    assert collection.add(folder, exclude=used).unmatched == {}


def test_an_exception_takes_back_what_an_exclusion_before_it_leaves_out(collection, make_folder):
    collection.add(make_folder("a.tif", "keep.tif", "b.png"), exclude=["*.tif", "!keep.tif"])
    assert paths(collection) == {"keep.tif", "b.png"}
    assert meant(collection, "*", "!*.png") == {"keep.tif"}
    with pytest.raises(QueryError, match=r"'!\*\.gif'"):
        meant(collection, "*", "!*.gif")


@pytest.mark.parametrize("there", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("asked", [COMPOSED, DECOMPOSED])
def test_letters_may_be_composed_or_not_in_places_tags_and_exclusions(collection, make_folder, there, asked):
    folder = make_folder(f"{there}/{there}.png", "other.png")
    file = f"{there}/{there}.png"
    collection.add(folder, exclude=[f"{asked}.png"])
    assert paths(collection) == {"other.png"}
    collection.add(folder, exclude=())
    assert paths(collection) == {file, "other.png"}, "as the disk has it"
    for place in (asked, f"{asked}/", f"{asked}/{asked}.png", f"{asked}.png", str(folder / asked), f"{asked[:-2]}*"):
        assert meant(collection, place) == {file}
    assert collection.tag(there, ".") == 2
    assert collection.tag(asked, ".") == 0
    assert len(Choice(tags=asked).ids(collection.store)) == 2
    assert collection.tag(asked, asked, remove=True) == 1
    assert list(collection.store.tags().values()) == [1]


def test_names_that_differ_in_composition_alone_are_meant_together(collection, make_folder):
    collection.add(make_folder(f"{COMPOSED}/a.png", f"{DECOMPOSED}/b.png", "c.png"))
    assert meant(collection, COMPOSED) == meant(collection, DECOMPOSED) == paths(collection) - {"c.png"}


def test_a_tag_that_is_there_in_both_ways_from_before_is_one(collection, make_folder):
    collection.add(make_folder("a.png", "b.png"))
    with Writer(collection.store) as writer:
        writer.tag(COMPOSED, [1])
        writer.tag(DECOMPOSED, [2])
    assert len(Choice(tags=COMPOSED).ids(collection.store)) == 2
    assert collection.tag(DECOMPOSED, ".", remove=True) == 2
    assert collection.store.tags() == {}


@pytest.mark.parametrize(
    ("place", "near"),
    [("A.PNG", "a.png"), ("a.pgn", "a.png"), ("trip/1.png", "trips/1.png"), ("Trips", "trips"), ("trips/2.PNG", None)],
)
def test_a_place_that_means_nothing_is_an_error_that_names_what_may_have_been_meant(
    collection, make_folder, place, near
):
    collection.add(make_folder("a.png", "trips/1.png"))
    with pytest.raises(QueryError) as caught:
        meant(collection, place)
    hint = f"; did you mean {near!r}?" if near else ""
    assert near is None or str(caught.value) == f"no picture of the collection matches {place!r}{hint}"
    for change in (collection.remove, lambda name: collection.tag("x", name)):
        with pytest.raises(QueryError, match="no picture of the collection matches"):
            change(place)
    assert len(paths(collection)) == 2


@pytest.mark.parametrize("place", ["\0", "/\0", "\udcff", "~nobody*", "[z-a]", "[", "\\", "!", "!x", "x" * 5000])
def test_a_text_that_can_be_no_name_is_the_same_error(collection, make_folder, place):
    collection.add(make_folder("a.png"))
    with pytest.raises(QueryError, match="no picture of the collection matches") as caught:
        meant(collection, place)
    assert "\n" not in str(caught.value)


def test_an_empty_text_never_takes_out_everything(collection, make_folder):
    collection.add(make_folder("a.png"))
    with pytest.raises(QueryError, match="an empty text"):
        collection.remove("")
    with pytest.raises(QueryError, match="an empty text"):
        collection.tag("x", "a.png", "")
    assert collection.remove() == []
    assert len(collection) == 1


def test_a_star_stays_within_a_name_and_two_go_through_folders(collection, make_folder):
    collection.add(make_folder("raw/a.png", "raw/deep/b.png", "deep/raw/c.png"))
    assert meant(collection, "raw/*.png") == {"raw/a.png"}
    assert meant(collection, "raw/**/*.png") == {"raw/a.png", "raw/deep/b.png"}
    assert meant(collection, "**/raw/*.png") == {"raw/a.png", "deep/raw/c.png"}
    assert meant(collection, "b.png") == {"raw/deep/b.png"}
    assert meant(collection, "/raw") == {"raw/a.png", "raw/deep/b.png"}


# ---- remembered


def test_exclusions_are_remembered_until_others_are_given(collection, make_folder):
    folder = make_folder("a.png", "raw/b.png", "c.tif")
    collection.add(folder, exclude=["raw", "*.tif"])
    assert all_exclusions(collection.store) == {str(folder): ["raw", "*.tif"]}
    assert collection.add(folder).added == 0
    assert paths(collection) == {"a.png"}
    collection.add(folder, exclude=["raw"])
    assert paths(collection) == {"a.png", "c.tif"}
    collection.add(folder, exclude=[])
    assert collection.add(folder).unchanged == 3
    assert all_exclusions(collection.store) == {}


def test_a_remembered_name_stays_a_name_when_nothing_bears_it_any_more(collection, make_folder):
    folder = make_folder("image[1].jpg", "image1.jpg", "Fotos [alt]/a.png", "Fotos a/a.png")
    collection.add(folder, exclude=["image[1].jpg", str(folder / "Fotos [alt]")])
    (folder / "image[1].jpg").unlink()
    (folder / "Fotos [alt]").rename(folder / "old")
    report = collection.add(folder)
    assert paths(collection) == {"image1.jpg", "Fotos a/a.png", "old/a.png"}
    assert report.unmatched == {}, "what was said then may well be gone"


def test_each_folder_has_exclusions_of_its_own(collection, make_folder):
    one, two = make_folder("a.png", "b.png", folder="one"), make_folder("a.png", "b.png", folder="two")
    collection.add(one, exclude="a.png")
    collection.add(two, exclude="b.png")
    collection.add(one)
    collection.add(two)
    assert [(root.name, path) for _, root, path in collection.store.paths()] == [("one", "b.png"), ("two", "a.png")]
    assert all_exclusions(collection.store) == {str(one): ["a.png"], str(two): ["b.png"]}


def test_exclusions_go_along_when_the_collection_moves_and_into_a_backup(tmp_path, tiny, make_folder):
    folder = make_folder("a.png", "raw/b.png")
    collection = ps.Collection.open(folder / ".patchseek", encoder=tiny, points=False, create=True)
    collection.add(folder, exclude=[str(folder / "raw")])
    collection.back_up(tmp_path / "backup.tar")
    folder.rename(tmp_path / "moved")
    moved = ps.Collection.open(tmp_path / "moved", encoder=tiny)
    assert moved.add(tmp_path / "moved").unchanged == 1
    assert paths(moved) == {"a.png"}
    restored = ps.Collection.restore(tmp_path / "backup.tar", tmp_path / "again", pictures=tmp_path / "moved")
    assert ps.Collection.open(restored.path, encoder=tiny).add(tmp_path / "moved").unchanged == 1


def test_an_interrupted_run_remembers_what_it_was_told(collection, make_folder):
    folder = make_folder("a.png", "b.png", "raw/c.png")

    def interrupt(_done, _total, doing):
        if doing == ENCODING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collection.add(folder, exclude=["raw"], on_progress=interrupt)
    collection.add(folder)
    assert paths(collection) == {"a.png", "b.png"}


def test_exclusions_that_leave_nothing_are_an_error_and_not_remembered(collection, make_folder):
    folder = make_folder("a.png")
    with pytest.raises(PatchseekError, match="no pictures found"):
        collection.add(folder, exclude=["*"])
    assert collection.add(folder).added == 1


def test_the_number_of_a_folder_that_is_forgotten_does_not_bring_its_exclusions_to_another(collection, make_folder):
    collection.add(make_folder("a.png", folder="one"))
    collection.add(make_folder("a.png", "b.png", folder="two"), exclude=["a.png"])
    with collection.store.catalogue.writing() as db:
        db.execute("DELETE FROM image WHERE root = 2")
        db.execute("DELETE FROM root WHERE id = 2")
    three = make_folder("a.png", folder="three")
    assert collection.add(three).added == collection.add(three).unchanged == 1


def test_a_scan_without_a_collection_says_what_it_left_out(make_folder):
    found = find_pictures(make_folder("a.png", "[b]/c.png"), ["[b]", "[c]"], hidden=False, follow_symlinks=False)
    assert (list(found.files), found.exclusions) == (["a.png"], {"[b]": "\\[b\\]", "[c]": "[c]"})
    assert found.unmatched == {"[c]": None}
