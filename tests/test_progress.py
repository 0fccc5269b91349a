"""What a command shows of its progress: counts that are true, times that end, a line now and then for no terminal."""

import io
import re
import time
from contextlib import redirect_stderr

import pytest

from patchseek.cli import _progress
from patchseek.cli._log import QUIET
from patchseek.cli._progress import duration, facts, progress


class Terminal(io.StringIO):
    """A stderr that is one."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def loud(monkeypatch):
    """Progress is shown, 100 columns wide."""
    monkeypatch.delenv(QUIET)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "is_over", "text"),
    [
        (0, 0, 3, False, "3 s so far"),
        (0, 0, 3, True, "took 3 s"),
        (0, 20, 3, False, "0 of 20, 3 s so far"),
        (512, 9000, 26.7, False, "512 of 9,000, 19.2/s, 7 min 23 s to go"),
        (9000, 9000, 469, True, "9,000 of 9,000, 19.2/s, took 7 min 49 s"),
        (1500, 0, 10, False, "1,500, 150/s, 10 s so far"),
        (20, 20, 0, True, "20 of 20, took 0 s"),
    ],
)
def test_how_far_something_is_in_words(done, total, elapsed, is_over, text):
    assert facts(done, total, elapsed, is_over=is_over) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (599, "9 min 59 s"), (3599, "59 min"), (9660, "2 h 41 min")],
)
def test_times_in_words(seconds, text):
    assert duration(seconds) == text


def test_every_bar_says_what_is_done_and_ends_with_what_it_took(monkeypatch):
    monkeypatch.setattr(_progress, "_SHORT", 0.0)
    with redirect_stderr(Terminal()) as stderr, progress() as tell:
        tell(0, 0, "looking for pictures")
        for done in range(21):
            tell(done, 20, "encoding pictures")
        tell(0, 32, "measuring confidence")
        tell(30, 32, "measuring confidence")
    last = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stderr.getvalue()).splitlines()][-3:]
    assert re.fullmatch(r"looking for pictures \S+ took 0 s", last[0])
    assert re.fullmatch(r"encoding pictures    \S+ 20 of 20, [0-9,.]+/s, took 0 s", last[1])
    assert re.fullmatch(r"measuring confidence \S+ 30 of 32, [0-9,.]+/s, took 0 s", last[2])


def test_what_took_no_time_and_counts_nothing_leaves_no_bar_and_search_leaves_none():
    with redirect_stderr(Terminal()) as stderr, progress() as tell:
        tell(0, 0, "looking for pictures")
        tell(1, 1, "encoding pictures")
    assert stderr.getvalue().rstrip().rpartition("\r")[2].count("pictures") == 1
    with redirect_stderr(Terminal()) as stderr, progress(stays=False) as tell:
        tell(20, 20, "refining boxes")
    assert stderr.getvalue().endswith("\x1b[1A\x1b[2K"), "the cursor is where it was, and the line is empty"


def test_where_there_is_no_terminal_a_line_comes_now_and_then_also_while_nothing_is_heard(monkeypatch):
    monkeypatch.setattr(_progress, "LINE_SECONDS", 0.2)
    with redirect_stderr(io.StringIO()) as stream, progress() as tell:
        tell(0, 0, "building the index")
        while "so far" not in stream.getvalue():
            time.sleep(0.01)
        tell(3, 9, "encoding pictures")
        while "to go" not in stream.getvalue():
            time.sleep(0.01)
    lines = stream.getvalue().splitlines()
    assert re.fullmatch(r"building the index: \d s so far", lines[0])
    assert re.fullmatch(r"encoding pictures: 3 of 9, [0-9.]+/s, \d s to go", lines[-2])
    assert re.fullmatch(r"encoding pictures: 3 of 9, [0-9.]+/s, took \d s", lines[-1])


def test_what_is_soon_done_says_nothing_where_there_is_no_terminal():
    with redirect_stderr(io.StringIO()) as stderr, progress() as tell:
        for done in range(10):
            tell(done, 9, "encoding pictures")
    assert stderr.getvalue() == ""


def test_as_json_what_was_counted_has_a_line_however_short_it_was(monkeypatch):
    told = []
    monkeypatch.setattr(_progress, "logs_json", lambda: True)
    monkeypatch.setattr(_progress, "say", lambda text, **fields: told.append((text, fields)))
    with progress() as tell:
        tell(0, 0, "looking for pictures")
        tell(24, 24, "encoding pictures")
    ((text, fields),) = told
    assert text.startswith("encoding pictures: 24 of 24, ")
    assert fields.keys() == {"doing", "done", "total", "rate"}
    assert (fields["doing"], fields["done"], fields["total"]) == ("encoding pictures", 24, 24)


def test_who_wants_to_see_none_of_it_sees_none(monkeypatch):
    monkeypatch.setenv(QUIET, "1")
    with redirect_stderr(Terminal()) as stderr, progress() as tell:
        tell(1, 2, "encoding pictures")
    assert stderr.getvalue() == ""
