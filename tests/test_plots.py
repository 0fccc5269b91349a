"""Figures, break-downs and the page: the numbers behind them by hand, the files by opening them."""

import sys
from html.parser import HTMLParser
from math import inf, nan, sqrt

import numpy as np
import pytest
from PIL import Image

from patchseek.breakdowns import box_facts, rows, split
from patchseek.draw import ANSWER, RIGHT, WHITE, contact_sheet
from patchseek.draw.pages import Entry, judged_tile, write_page
from patchseek.draw.plots import by_bins, mean_precisions, metrics_by_level, precision_recall
from patchseek.errors import BoxError, MissingExtra, PatchseekError
from patchseek.metrics import Ranking

HOSTILE = "<script>alert('a')</script>\"&\n\u202e\udcff#?%{0}$\\frac$"


def ranking(ids, positives, overlaps=None):
    """Every positive's true box is known; no predicted boxes unless overlaps are given."""
    overlaps = np.full(len(ids), nan) if overlaps is None else np.array(overlaps, float)
    return Ranking(tuple(ids), overlaps, frozenset(positives), frozenset(positives))


def check_figure(path):
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (1008, 648))
        assert len(set(picture.convert("RGB").resize((100, 60)).tobytes())) > 10


def test_interpolated_precision_is_the_best_of_all_ranks_that_reach_the_recall():
    line = mean_precisions([ranking("axbc", "abpq")])  # + - + -, 4 relevant
    assert line.shape == (101,)
    assert line[:26].tolist() == [1] * 26
    assert line[26:51] == pytest.approx(2 / 3)
    assert (line[51:] == 0).all()
    assert mean_precisions([ranking("xayb", "ab")])[[0, 100]] == pytest.approx(1 / 2)


def test_every_step_of_the_recall_axis_belongs_to_the_hit_that_reaches_it():
    ids = [name for i in range(10) for name in ([f"x{i}"] if i in (3, 7) else []) + [f"p{i}"]]
    line = mean_precisions([ranking(ids, [f"p{i}" for i in range(10)])])
    assert (line[:31] == 1).all()  # three hits of ten reach 0.3
    assert line[31:71] == pytest.approx(7 / 8)
    assert line[71:] == pytest.approx(10 / 12)


def test_the_line_of_several_queries_is_their_mean():
    line = mean_precisions([ranking("ab", "a"), ranking("ab", "b"), ranking("a", "b")])
    assert line == pytest.approx((1 + 1 / 2 + 0) / 3)


@pytest.mark.parametrize("rankings", [[], [ranking("a", "")]])
def test_a_line_of_nothing_is_refused(rankings):
    with pytest.raises(PatchseekError, match="at least one"):
        mean_precisions(rankings)


def test_facts_are_those_of_the_largest_box():
    facts = box_facts(
        {"corner": [(0, 0, 10, 10), (50, 0, 50, 50)], "middle": [(45, 20, 10, 10)], "lapping": [(-50, 0, 60, 100)]},
        {"corner": (100, 100), "middle": (100, 50), "lapping": (100, 100)},
    )
    assert facts["size"] == {"corner": 0.25, "middle": 0.02, "lapping": 0.1}
    assert facts["centre distance"] == pytest.approx({"corner": 0.5, "middle": 0, "lapping": 45 / (50 * sqrt(2))})


def test_pictures_of_unknown_boxes_have_no_facts_and_those_of_unknown_size_are_an_error():
    assert box_facts({"a": None, "b": []}, {}) == {"size": {}, "centre distance": {}}
    with pytest.raises(PatchseekError, match="a has boxes, but its width"):
        box_facts({"a": [(0, 0, 1, 1)]}, {})
    with pytest.raises(BoxError, match="outside"):
        box_facts({"a": [(20, 0, 5, 5)]}, {"a": (10, 10)})


def test_bins_are_quartiles_of_the_values_and_their_rows_follow_by_hand():
    first = ranking("axbc", "abc", [0.5, nan, 0.3, 0.9])
    second = ranking("xd", "d", [nan, 0.4])
    third = ranking("xye", "ef", [nan, nan, nan])
    values = [{"a": 1, "b": 2, "c": 3}, {"d": 4}, {"e": 5, "f": 6}]
    bins = split([first, second, third], values)  # at 2.25, 3.5 and 4.75, so from 3, 4 and 5
    assert [(low, high) for _, low, high, _ in bins] == [(-inf, 3), (3, 4), (4, 5), (5, inf)]
    # a x b, then x c, then x d, then x y e without f
    assert rows(bins) == [
        row("below 3", 1, 2, (1 + 2 / 3) / 2, 1 / 2),
        row("3 to 4", 1, 1, 1 / 2, 1 / 2),
        row("4 to 5", 1, 1, 1 / 2, 1 / 2),
        row("from 5", 1, 2, (1 / 3 + 0) / 2, 0),
    ]


def row(label, n_queries, n_positives, mean_ap, loc):
    means = {"mAP": pytest.approx(mean_ap), "LocScore(gate, 0.4)": pytest.approx(loc)}
    return {"label": label, "n_queries": n_queries, "n_positives": n_positives} | means


def test_queries_are_averaged_over_those_with_positives_in_the_bin():
    found = rows(split([ranking("abc", "abc"), ranking("xa", "a")], [{"a": 1, "b": 2, "c": 3}, {"a": 1}], 2))
    assert found == [row("below 2", 2, 2, 3 / 4, 0), row("from 2", 1, 2, 1, 0)]


def test_quartiles_that_coincide_are_one_cut_and_equal_values_one_bin():
    assert [b.label for b in split([ranking("abcd", "abcd")], [{"a": 1, "b": 1, "c": 1, "d": 2}])] == [
        "below 2",
        "from 2",
    ]
    assert [b.label for b in split([ranking("ab", "ab")], [{"a": 0.5, "b": 0.5}])] == ["all"]


def test_loc_score_is_left_out_where_a_box_is_unknown():
    unboxed = Ranking(("a",), np.array([nan]), frozenset("a"), frozenset())
    assert rows(split([unboxed], [{"a": 1}])) == [{"label": "all", "n_queries": 1, "n_positives": 1, "mAP": 1}]


@pytest.mark.parametrize(
    ("rankings", "values"),
    [([], []), ([ranking("a", "a")], [{}]), ([ranking("a", "ab")], [{"a": 1}]), ([ranking("a", "a")], [{"a": nan}])],
)
def test_positives_without_values_cannot_be_sorted(rankings, values):
    with pytest.raises(PatchseekError, match="value"):
        split(rankings, values)


@pytest.mark.extra("plots")
def test_figures_are_png_files_of_one_size_whatever_their_labels(tmp_path):
    levels = {f"L{n}": {"mAP": 0.2 * n, "LocScore(gate, 0.4)": 0.1 * n} for n in range(4)}
    precision_recall({HOSTILE: [ranking("axb", "ab")], "_b": [ranking("xa", "a")]}, tmp_path / "recall.png")
    metrics_by_level(levels | {HOSTILE: levels["L3"]}, tmp_path / "level.png")
    by_bins(HOSTILE, [HOSTILE, "b"], [0.5, 1], [nan, 0.1], [10, 12], tmp_path / "bins.png")
    for path in tmp_path.iterdir():
        check_figure(path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.extra("plots")
def test_the_same_figure_is_the_same_file_and_needs_no_pyplot(tmp_path):
    for name in "ab":
        metrics_by_level({"L0": {"mAP": 0.5}}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.extra("plots")
def test_figures_refuse_what_does_not_fit_and_name_what_is_missing(tmp_path, monkeypatch):
    with pytest.raises(PatchseekError, match="at least one level"):
        metrics_by_level({}, tmp_path / "a.png")
    with pytest.raises(PatchseekError, match=r"\[1, 2\]"):
        by_bins("size", ["a"], [1, 1], [1], [1], tmp_path / "a.png")
    with pytest.raises(PatchseekError, match="No such file"):
        metrics_by_level({"L0": {"mAP": 0.5}}, tmp_path / "absent" / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"the extra 'plots' with: pip install 'matplotlib>=3"):
        metrics_by_level({"L0": {"mAP": 0.5}}, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("box", "true", "colour"),
    [
        ((0.1, 0.1, 0.5, 0.9), [(0.6, 0, 0.7, 0.1), (0.1, 0.1, 0.9, 0.9)], RIGHT),  # half of the second
        ((0.1, 0.1, 0.42, 0.9), [(0.1, 0.1, 0.9, 0.9)], RIGHT),  # 0.4 on paper
        ((0.1, 0.1, 0.41, 0.9), [(0.1, 0.1, 0.9, 0.9)], ANSWER),
        ((0.1, 0.1, 0.5, 0.9), None, ANSWER),
    ],
)
def test_a_predicted_box_is_green_only_where_it_is_right(box, true, colour):
    tile = judged_tile(np.full((90, 120, 3), 99, np.uint8), "a", box, true, 0.5)
    sheet = contact_sheet(None, [tile])
    other = ANSWER if colour == RIGHT else RIGHT
    assert (sheet == colour).all(axis=2).any() and not (sheet == other).all(axis=2).any()


def test_true_boxes_are_drawn_thin_and_white_also_where_nothing_was_predicted():
    tile = judged_tile(np.full((180, 240, 3), 99, np.uint8), "a", None, [(0.25, 0.25, 0.75, 0.75)])
    sheet = contact_sheet(None, [tile])
    row_of_pixels = (sheet[16 + 90, 16:256] == WHITE).all(axis=1)
    assert np.flatnonzero(row_of_pixels).tolist() == [60, 179]


class Seen(HTMLParser):
    """The tags, links and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text = set(), [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_a_page_escapes_every_name_and_links_only_inside_its_folder(tmp_path):
    name = 'javascript:a<"#?%.png'
    path = write_page(tmp_path, HOSTILE, [Entry(HOSTILE, tmp_path / "sheets" / name, 0.5, 0.25), Entry("b", "b.png")])
    page = Seen()
    page.feed(path.read_text(encoding="utf-8"))
    assert path == tmp_path / "index.html" and "script" not in page.tags
    assert page.text.count("<script>alert('a')</script>\"&???#?%{0}$\\frac$") == 3
    assert page.links == ["sheets/javascript%3Aa%3C%22%23%3F%25.png"] * 2 + ["b.png"] * 2
    assert "AP 50.0 %, LocScore 25.0 %" in page.text and page.text.count("AP ") == 1


def test_a_page_refuses_a_sheet_from_outside_and_a_folder_that_is_not_there(tmp_path):
    for sheet in ("../a.png", "/a.png"):
        with pytest.raises(PatchseekError, match="must lie in the page's folder"):
            write_page(tmp_path, "a", [Entry("q", sheet)])
    with pytest.raises(PatchseekError, match="could not be written"):
        write_page(tmp_path / "absent", "a", [])
