"""Files of any date, and dates of any age."""

import os
import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

import patchseek as ps
from patchseek.errors import QueryError
from patchseek.store import Choice, Failure, FileState, NewEntry, Writer

NOON = {  # of the first of July; seconds since 1970, as `date --utc +%s` says
    1: -62_119_915_200,
    1600: -11_660_328_000,
    1901: -2_161_771_200,
    1969: -15_854_400,
    2024: 1_719_835_200,
    2263: 9_261_864_000,
    2400: 13_585_233_600,
    9999: 253_386_446_400,
    30_000: 884_557_108_800,
}
"""Not all of them can be said in a date, and few disks have them all."""


@pytest.fixture
def collection(tmp_path, tiny, make_folder):
    """One picture a year of NOON, its file's name."""
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    collection.add(make_folder("x.png"))
    with Writer(collection.store) as writer:
        writer.remove([1])
        features = collection.store.snapshot().arrays[0][:1].repeat(len(NOON), axis=0)
        states = {year: FileState(100, seconds * 10**9 + 123_456_789) for year, seconds in NOON.items()}
        pictures = [NewEntry(f"{year}.png", state, f"{year:064}", 64, 48) for year, state in states.items()]
        failures = [Failure(f"{year}.jpg", state, "broken") for year, state in states.items()]
        writer.commit(tmp_path / "pictures", pictures, features, failures)
    return collection


def years(collection, **choice):
    images = collection.store.images(Choice(**choice).ids(collection.store).tolist())
    return [int(image.path.removesuffix(".png")) for image in images]


def test_a_state_is_the_same_after_it_was_stored(collection, tmp_path):
    known = collection.store.known(tmp_path / "pictures")
    failures = {failure.path: failure.state for failure in collection.store.failures()}
    for year, seconds in NOON.items():
        state = FileState(100, seconds * 10**9 + 123_456_789)
        assert known[f"{year}.png"].state == failures[f"{year}.jpg"] == state
        assert abs(state.mtime_ns / 10**9 - seconds) < 1, "and near to what it was"
        assert known[f"{year}.png"].state != FileState(100, (seconds + 3600) * 10**9)


@pytest.mark.parametrize("year", [year for year in NOON if 1 < year < 9999])
def test_each_is_found_in_its_own_year_before_the_next_and_after_the_last(collection, year):
    every = list(NOON)
    i = every.index(year)
    assert years(collection, since=f"{year:04}-01-01", until=f"{year:04}-12-31") == [year]
    assert years(collection, since=f"{year:04}-07-03") == every[i + 1 :]
    assert years(collection, until=f"{year:04}-06-29") == every[:i]
    assert years(
        collection, since=datetime(year, 7, 1, 11, tzinfo=UTC), until=datetime(year, 7, 1, 13, tzinfo=UTC)
    ) == [year]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"until": "9999-12-31"}, [year for year in NOON if year <= 9999]),
        ({"until": date.max}, [year for year in NOON if year <= 9999]),
        ({"until": "9999-12-31T23:59:59.999999"}, [year for year in NOON if year <= 9999]),
        ({"until": "9999-12-31T23:59:59-14:00"}, [year for year in NOON if year <= 9999]),
        ({"since": "9999-12-31"}, [30_000]),
        ({"since": datetime.max}, [30_000]),
        ({"since": "0001-01-01"}, list(NOON)),
        ({"since": date.min}, list(NOON)),
        ({"since": datetime.min}, list(NOON)),
        ({"since": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}, list(NOON)),
        ({"since": "0001-01-01T00:00+14:00"}, list(NOON)),
        ({"until": "0001-01-01"}, []),
        ({"until": "0001-01-01T00:00:00-14:00"}, []),
        ({"since": "0001-01-01", "until": "9999-12-31"}, [year for year in NOON if year <= 9999]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Anchorage"])
def test_the_ends_of_the_calendar_are_dates_like_all_others(collection, choice, expected, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert years(collection, **choice) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "moment",
    [
        "2024-13-45",
        "10000-01-01",
        "-0001-01-01",
        "0000-01-01",
        "soon",
        "2024-05-31T25:00",
        2024,
        1.5,
        [],
        b"2024-05-31",
    ],
)
def test_what_is_no_date_is_an_error_of_one_line(collection, tmp_path, moment):
    for choice in ({"since": moment}, {"until": moment}):
        with pytest.raises(QueryError, match="a date is written 2024-05-31") as caught:
            collection.search(tmp_path / "pictures" / "x.png", **choice)
        assert "\n" not in str(caught.value)


def test_a_file_of_the_year_2400_is_indexed_once(tmp_path, tiny, make_folder):
    folder = make_folder("a.png", "b.png")
    os.utime(folder / "a.png", ns=(NOON[2400] * 10**9 + 123_456_789,) * 2)  # a disk may make less of it
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    assert collection.add(folder).added == 2
    assert collection.add(folder).unchanged == 2
    assert len(collection.search(folder / "b.png", since="1970-01-01", until="9999-12-31", refine=0)) == 2
    collection.back_up(tmp_path / "backup.tar")
    restored = ps.Collection.restore(tmp_path / "backup.tar", tmp_path / "again")
    assert restored.store.known(folder) == collection.store.known(folder)
