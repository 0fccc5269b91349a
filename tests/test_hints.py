"""What is said once to whoever sits at a terminal."""

import io
from contextlib import redirect_stderr

import pytest

from patchseek.cli._hints import Stopwatch, hint_at_refine
from patchseek.cli._log import QUIET

from .test_progress import Terminal


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.delenv(QUIET)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def said(*arguments, stream=None):
    with redirect_stderr(stream or Terminal()) as stderr:
        hint_at_refine(*arguments)
    return stderr.getvalue()


def test_a_slow_search_is_told_once_how_it_could_be_quicker():
    assert said(1.9, 1.5, 20) == "", "it was quick"
    assert said(9.0, 0.9, 20) == "", "something else was slow"
    assert said(3.0, 2.0, 20, stream=io.StringIO()) == "", "nobody reads it"
    first = said(3.0, 2.0, 20)
    assert first == (
        "hint: 2 s of 3 s went into the boxes of the first pictures: --refine 5 opens fewer pictures, --refine 0 none\n"
    )
    assert said(3.0, 2.0, 20) == "", "it was said"


def test_of_few_pictures_only_none_is_fewer():
    assert said(3.0, 2.0, 5).endswith(": --refine 0 opens none\n")


def test_where_it_cannot_be_noted_nothing_is_said(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/nowhere")
    assert said(3.0, 2.0, 20) == ""


def test_the_stopwatch_takes_the_time_of_refining_and_passes_all_of_it_on(monkeypatch):
    now, heard = [10.0], []
    monkeypatch.setattr("patchseek.cli._hints.time.monotonic", lambda: now[0])
    watch = Stopwatch(lambda *told: heard.append(told))
    for told, seconds in (
        ((0, 0, "encoding the query"), 1),
        ((0, 20, "refining boxes"), 2),
        ((20, 20, "refining boxes"), 4),
    ):
        watch(*told)
        now[0] += seconds
    assert watch.refining == 2.0
    assert heard[-1] == (20, 20, "refining boxes")
