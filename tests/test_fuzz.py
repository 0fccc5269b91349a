"""A few examples of every target of fuzz.py, which `make fuzz` runs for an hour."""

import pytest

from .fuzz import BREAKING, TARGETS, campaign, changed, np

MOST = {"pictures": 300, "importers": 300, "archives": 300, "catalogues": 12, "engines": 40, "requests": 40}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files of parts that were broken off
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.extra("web")) if n == "requests" else n for n in TARGETS]
)
def test_whatever_comes_in_is_answered_or_refused_in_a_line(name):
    counts = campaign(name, 120, seed=20, most=MOST[name])
    assert [kind for kind in counts if kind.startswith("fault")] == []
    assert counts.total() == MOST[name]
    assert len(counts) == 2 or name == "catalogues", "some are answered and some refused"


def test_what_fails_is_counted_as_a_fault_with_what_it_was(monkeypatch, tmp_path):
    monkeypatch.setitem(TARGETS, "broken", lambda *_: lambda _: int("no number"))
    counts = campaign("broken", 10, seed=1, most=3, keep=tmp_path / "kept")
    assert dict(counts) == {"fault: ValueError: invalid literal for int() with base 10: 'no number'": 3}
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["broken-1-0.txt"]


def test_what_is_changed_is_other_than_it_was_nearly_always():
    made = [changed(b"0123456789" * 20, np.random.default_rng(seed), [b"other"]) for seed in range(200)]
    assert sum(each != b"0123456789" * 20 for each in made) > 150
    assert any(token in each for each in made for token in BREAKING)
