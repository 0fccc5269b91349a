"""Which pictures may answer: folders, patterns, tags and days."""

import os
import shutil
from datetime import date, datetime

import pytest

import patchseek as ps
from patchseek.errors import QueryError
from patchseek.store import Choice, Writer

NAMES = ["a.png", "trips/1.png", "trips/2024/2.png", "trips/2024/3.jpg", "trips2/4.png", "[x]/5.png", "50% & _/6.png"]


@pytest.fixture
def collection(tmp_path, tiny, make_folder):
    """Seven pictures, changed on the first to the seventh of May 2024 at noon."""
    folder = make_folder(*NAMES)
    for day, name in enumerate(NAMES, 1):
        noon = datetime(2024, 5, day, 12).timestamp()
        os.utime(folder / name, (noon, noon))
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    collection.add(folder)
    return collection


def chosen(collection, **choice):
    ids = Choice(**choice).ids(collection.store).tolist()
    assert ids == sorted(ids)
    return {image.path for image in collection.store.images(ids)}


@pytest.mark.parametrize(
    ("under", "expected"),
    [
        ("trips", {"trips/1.png", "trips/2024/2.png", "trips/2024/3.jpg"}),
        ("./trips/", {"trips/1.png", "trips/2024/2.png", "trips/2024/3.jpg"}),
        ("trips/2024/2.png", {"trips/2024/2.png"}),
        ("*.jpg", {"trips/2024/3.jpg"}),
        ("trips*/[!1].png", {"trips/2024/2.png", "trips2/4.png"}),
        ("[x]", {"[x]/5.png"}),
        ("50% & _", {"50% & _/6.png"}),
        (".", set(NAMES)),
        (("a.png", "trips2"), {"a.png", "trips2/4.png"}),
        ((), set(NAMES)),
    ],
)
def test_a_folder_a_picture_or_a_pattern_names_what_is_there(collection, under, expected):
    assert chosen(collection, under=under) == expected


def test_a_full_path_counts_from_the_root_of_the_machine(collection, tmp_path):
    pictures = tmp_path / "pictures"
    assert chosen(collection, under=str(pictures / "trips2")) == {"trips2/4.png"}
    assert chosen(collection, under=str(pictures)) == set(NAMES)
    assert chosen(collection, under=str(tmp_path)) == set(NAMES)
    assert chosen(collection, under=f"{pictures}/trips/2024/*.png") == {"trips/2024/2.png"}
    with pytest.raises(QueryError, match="no picture of the collection matches"):
        chosen(collection, under=f"{pictures}2")


def test_the_home_folder_may_be_written_short(collection, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert chosen(collection, under="~/pictures/trips2") == {"trips2/4.png"}


@pytest.mark.parametrize("place", ["trip", "trips/1", "*.gif", "TRIPS", "'; DROP TABLE image; --"])
def test_a_place_without_pictures_is_an_error_that_names_it(collection, place):
    with pytest.raises(QueryError) as caught:
        chosen(collection, under=("a.png", place))
    assert repr(place) in str(caught.value)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ("2024-05-03", None, range(3, 8)),
        (None, "2024-05-03", range(1, 4)),
        ("2024-05-02", "2024-05-02", [2]),
        ("2024-05-02T12:00", "2024-05-05T12:00", [2, 3, 4]),
        ("2024-05-02T12:00:01", None, range(3, 8)),
        (date(2024, 5, 6), date(2024, 5, 6), [6]),
        (datetime(2024, 5, 6, 12), datetime(2024, 5, 7, 12), [6]),
        ("2025-01-01", None, []),
    ],
)
def test_days_are_whole_and_moments_are_exact(collection, since, until, days):
    assert chosen(collection, since=since, until=until) == {NAMES[day - 1] for day in days}


@pytest.mark.parametrize("moment", ["yesterday", "2024-13-01", "2024-02-30", ""])
def test_a_date_that_is_none_is_an_error(moment):
    with pytest.raises(QueryError, match="a date is written 2024-05-31"):
        Choice(since=moment)
    with pytest.raises(QueryError, match="since 2024-05-02 and until 2024-05-01"):
        Choice(since="2024-05-02", until="2024-05-01")


def test_tags_are_put_on_counted_and_taken_off(collection):
    assert collection.store.tags() == {}
    assert collection.tag("red", "trips", "a.png") == 4
    assert collection.tag("red", "trips") == 0
    assert collection.tag("summer at sea", "*.jpg") == 1
    assert collection.store.tags() == {"red": 4, "summer at sea": 1}
    assert chosen(collection, tags="summer at sea") == {"trips/2024/3.jpg"}
    assert chosen(collection, tags="red", under="*.png", since="2024-05-02") == {"trips/1.png", "trips/2024/2.png"}
    assert collection.tag("red", "trips/2024", remove=True) == 2
    assert chosen(collection, tags=("red", "summer at sea")) == {"a.png", "trips/1.png", "trips/2024/3.jpg"}
    with pytest.raises(QueryError, match="no picture has the tag 'blue'; there are red, summer at sea"):
        chosen(collection, tags="blue")


@pytest.mark.parametrize("name", ["", " red", "two\nlines", "x" * 101])
def test_a_tag_that_is_no_word_is_an_error(collection, name):
    with pytest.raises(QueryError, match="a tag is a word"):
        collection.tag(name, "*")
    assert collection.store.tags() == {}


def test_a_tag_goes_with_a_moved_file_through_compaction_and_backup(collection, tmp_path):
    collection.tag("kept", "a.png", "trips2")
    (tmp_path / "pictures/a.png").rename(tmp_path / "pictures/trips/b.png")
    collection.add(tmp_path / "pictures")
    collection.remove("trips2")
    collection.compact()
    assert chosen(collection, tags="kept") == {"trips/b.png"}
    assert collection.store.tags() == {"kept": 1}
    collection.back_up(tmp_path / "backup.tar")
    restored = ps.Collection.restore(tmp_path / "backup.tar", tmp_path / "again")
    assert restored.store.tags() == {"kept": 1}
    assert restored.verify() == collection.verify() == []


def test_two_indexed_folders_are_told_apart_by_full_paths(collection, tmp_path):
    shutil.copytree(tmp_path / "pictures", tmp_path / "copies")
    collection.add(tmp_path / "copies")
    assert len(Choice(under="trips2").ids(collection.store)) == 2
    (only,) = Choice(under=str(tmp_path / "copies/trips2")).ids(collection.store).tolist()
    assert collection.store.images([only])[0].file == tmp_path / "copies/trips2/4.png"


@pytest.mark.parametrize("index", ["exact", "Flat", "IVF4,Flat;nprobe=4"])
def test_a_search_answers_with_chosen_pictures_alone(collection, tmp_path, index):
    query = tmp_path / "pictures/a.png"
    every = [m.image.path for m in collection.search(query, top=None, refine=0, index=index)]
    assert every[0] == "a.png" and len(every) == 7
    there = [m.image.path for m in collection.search(query, top=None, refine=0, index=index, under="trips")]
    assert there == [path for path in every if path.startswith("trips/")]
    refined = collection.search(query, top=2, index=index, under="trips", expand=2, distinct=True, several=True)
    assert len(refined) == 2 and all(match.image.path.startswith("trips/") for match in refined)
    assert collection.search(query, since="2030-01-01", index=index) == []


def test_pictures_removed_by_folder_are_no_longer_meant(collection):
    assert collection.remove("trips/2024") == ["trips/2024/2.png", "trips/2024/3.jpg"]
    assert chosen(collection, under="trips") == {"trips/1.png"}
    with pytest.raises(QueryError, match=r"matches 'trips/2024'"):
        collection.remove("a.png", "trips/2024")
    assert len(collection) == 5


def test_pictures_of_a_url_are_chosen_by_it(collection):
    with Writer(collection.store) as writer, writer.store.catalogue.writing() as db:
        db.execute("UPDATE root SET path = 'https://example.org/pictures'")
    assert chosen(collection, under="https://example.org/pictures/trips2") == {"trips2/4.png"}
    assert chosen(collection, under="https://example.org") == set(NAMES)
