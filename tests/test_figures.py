"""Whether docs quote what benchmarks kept: figures in sentences and tables, right, stale and badly named ones."""

import json

import figures
import pytest

KEPT = {
    "seconds": {"first": 0.2849, "all": 1.5},
    "share": 0.8449,
    "big": 1217494,
    "cost": -2.345,
    "flag": True,
    "sets": {"one": {"ways": {"grid": {"mAP": 0.6693, "sizes": [0.0, 0.357]}, "it, all: the default": {"mAP": 0.7}}}},
}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    (tmp_path / "avx2").mkdir()
    (tmp_path / "avx2" / "page.json").write_text(json.dumps(KEPT))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    figures.kept.cache_clear()
    yield tmp_path
    figures.kept.cache_clear()


def problems(text: str) -> list[str | None]:
    return [problem for _, problem in figures.check(text)]


@pytest.mark.parametrize(
    ("shown", "keys"),
    [
        ("0.28 s", "seconds > first"),
        ("0.285 s", "seconds > first"),
        ("285 ms", "seconds > first * 1000"),
        ("84 %", "share * 100"),
        ("84.5 %", "share * 100"),
        ("1,217,494", "big"),
        ("1.5x", "seconds > all"),
        ("\u22122.3 points", "cost"),
        ("0.36", "sets > one > ways > grid > sizes > 1"),
    ],
)
def test_a_number_in_a_sentence_is_the_one_kept_rounded_as_it_is_shown(shown, keys):
    assert problems(f"Of 3 runs {shown}<!-- = avx2/page: {keys} --> and 7 more.") == [None]


@pytest.mark.parametrize(
    ("shown", "keys", "said"),
    [
        ("0.29", "seconds > first", "0.29 is quoted, and 0.2849 was kept"),
        ("0.2", "seconds > first", "0.2 is quoted"),
        ("0.5", "seconds > last", "keeps nothing under"),
        ("0.5", "seconds > first > more", "keeps nothing under"),
        ("0.5", "sets > one > ways > grid > sizes > 2", "keeps nothing under"),
        ("0.5", "seconds", "keeps no number under"),
        ("1", "flag", "keeps no number under"),
        ("some", "seconds > first", "'some' has not 1 numbers"),
    ],
)
def test_any_other_number_is_named_with_what_was_kept(shown, keys, said):
    (problem,) = problems(f"{shown}<!-- = avx2/page: {keys} -->")
    assert problem and said in problem


def test_several_figures_of_a_line_are_each_the_number_before_their_comment():
    line = "0.28<!-- = avx2/page: seconds > first --> to 1.5<!-- = avx2/page: seconds > all --> s"
    assert problems(line) == [None, None]
    assert [bool(problem) for problem in problems(line.replace("1.5", "1.6"))] == [False, True]


def test_a_benchmark_that_kept_nothing_is_named():
    (problem,) = problems("1<!-- = avx2/nothing: a -->")
    assert problem and "avx2/nothing.json" in problem


TABLE = """<!-- figures avx2/page: sets > one > ways > {row} | mAP | sizes > 0 / sizes > 1 | - -->
| way | mAP | sizes | |
|---|---|---|---|
| grid | 0.669 | 0.00 / 0.36 | 8 words |

| another | table |
"""


def test_a_table_is_checked_cell_by_cell():
    assert list(figures.check(TABLE)) == [(4, None), (4, None)]
    assert [bool(each) for each in problems(TABLE.replace("0.36", "0.37"))] == [False, True]
    assert [bool(each) for each in problems(TABLE.replace("0.00 / ", ""))] == [False, True]
    assert all(problems(TABLE.replace("| grid", "| grids")))


def test_stars_and_backticks_are_no_part_of_a_row_and_commas_and_colons_are():
    head = "<!-- figures avx2/page: sets > one > ways > {row} | mAP -->\n|a|b|\n|---|---|\n"
    assert problems(f"{head}| **it, `all`: the default** | **0.70** |\n| none | |") == [None]


def test_rows_of_another_length_and_tables_that_are_not_there_are_named():
    assert [bool(each) for each in problems(TABLE.replace("| 8 words |", "| 8 words | more |"))] == [True, False, False]
    assert problems("<!-- figures avx2/page: a > {row} | b -->\nNo table.") == ["no table follows"]


def test_the_script_names_file_and_line_and_fails(results, capsys):
    (results / "docs").mkdir()
    (results / "README.md").write_text("0.28<!-- = avx2/page: seconds > first -->")
    assert figures.main() == 0 and capsys.readouterr().out == "1 figures are those that were measured\n"
    (results / "docs" / "a.md").write_text("\n0.3<!-- = avx2/page: seconds > all -->")
    assert figures.main() == 1
    printed, told = capsys.readouterr()
    assert printed == "1 of 2 are wrong\n" and told.startswith("docs/a.md:2: 0.3 is quoted")
