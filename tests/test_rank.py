"""The one ranking: steps made by hand over candidates made by hand, and one more step in a real search."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import patchseek as ps
from patchseek import answers
from patchseek.confidence import Background
from patchseek.images import Picture
from patchseek.lays import Lay
from patchseek.rank import Candidate, Refinement, closer_looks, rank
from patchseek.rank._refinement import _starts
from patchseek.regions import Pyramid
from patchseek.search import Query, encode_query

from .conftest import blot

QUERY = Query(np.array([1, 0], np.float32))
CORNER = (0.5, 0.5, 1.0, 1.0)


def candidate(name, score, position=0):
    return Candidate(name, (64, 48), position, 0, score, (0, 0, 1, 1), score, {"likeness": score})


@dataclass
class Shelf:
    """A view of candidates that stand there already, which notes what is wanted of it."""

    candidates: list
    pictures: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    snapshot = None

    def find(self, _, n):
        self.asked.append(n)
        return self.candidates

    def regions_of(self, _):
        return Pyramid().boxes

    def open(self, candidate, _):
        self.asked.append(candidate.picture)
        return self.pictures.get(candidate.picture)


@dataclass(frozen=True)
class Scores:
    """A step that knows the score of each picture; one that it does not know it leaves out."""

    n: int
    scores: dict

    def look(self, _, __, candidates):
        return [
            replace(
                each,
                score=self.scores[each.picture],
                box=CORNER,
                evidence={**each.evidence, "points": 10 * self.scores[each.picture]},
            )
            for each in candidates
            if each.picture in self.scores
        ]


def names(candidates):
    return "".join(each.picture for each in candidates)


def shelf(letters="abcdef"):
    return Shelf([candidate(letter, 0.9 - 0.1 * i, i) for i, letter in enumerate(letters)])


def test_without_steps_it_is_what_the_view_finds():
    view = shelf()
    assert rank(QUERY, view, [], 3) == view.candidates
    assert view.asked == [3]


def test_as_many_are_wanted_as_the_step_that_goes_deepest_looks_at():
    view = shelf()
    rank(QUERY, view, [Scores(5, {}), Scores(2, {})], 3)
    rank(QUERY, view, [Scores(5, {}), Scores(2, {})], 7)
    assert view.asked == [5, 7]


def test_those_looked_at_stand_above_the_others_whatever_their_scores_and_equal_ones_as_before():
    found = rank(QUERY, shelf(), [Scores(4, {"a": 0.1, "b": 0.2, "c": 0.1, "d": 0.2})], 6)
    assert names(found) == "bdacef"
    assert [each.looks for each in found] == [1, 1, 1, 1, 0, 0]
    assert [each.score for each in found] == pytest.approx([0.2, 0.2, 0.1, 0.1, 0.5, 0.4])


def test_a_step_takes_its_first_from_the_order_of_the_step_before():
    first, second = Scores(5, {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}), Scores(2, {"d": 8, "e": 7})
    found = rank(QUERY, shelf(), [first, second], 1)
    assert names(found) == "decbaf"
    assert [each.looks for each in found] == [2, 2, 1, 1, 1, 0]


def test_whom_a_step_leaves_out_is_out_and_nobody_moves_into_its_place():
    found = rank(QUERY, shelf(), [Scores(4, {"b": 1, "c": 2})], 1)
    assert names(found) == "cbef"
    assert [each.looks for each in found] == [1, 1, 0, 0]


def test_refinement_starts_from_the_boxes_of_the_step_before_and_keeps_its_evidence(tiny):
    view = shelf("abc")
    pixels = np.asarray(blot(3, 64, 48))
    view.pictures = {letter: Picture(pixels, 64, 48) for letter in "abc"}
    query = encode_query(view.pictures["a"], tiny, CORNER)
    by_points = Scores(3, {"a": 0.1, "b": 0.5, "c": 0.6})
    refined = rank(query, view, [by_points, Refinement(2, tiny)], 1)
    assert sorted(view.asked[1:]) == ["b", "c"], "no other picture is opened"
    assert names(refined) == "cba"
    for each in refined[:2]:
        assert each.box == CORNER, "the query's own: nothing fits better"
        before = by_points.scores[each.picture]
        assert each.score == pytest.approx(0.18 * before + 0.82, abs=1e-5), "what was known before counts a little"
        colour = pytest.approx(1, abs=0.01)
        assert each.evidence == {"points": 10 * before, "fitting": each.finer.evidence, "colour": colour}
    assert refined[2].evidence == {"likeness": pytest.approx(0.9), "points": 1}
    assert refined[2].finer is None


@dataclass(frozen=True)
class Laid:
    """A step that says where the query lies."""

    laid: np.ndarray
    n: int = 3

    def look(self, query, view, candidates):  # noqa: ARG002
        return [replace(each, map=self.laid) for each in candidates]


def test_refinement_starts_from_the_map_of_the_step_before(tiny):
    """A picture that shows the query upside down: seen so by a map alone, by a box it is something else."""
    view, shown = shelf("b"), np.asarray(blot(3, 64, 48))
    query = encode_query(Picture(shown, 64, 48), tiny)
    view.pictures = {"b": Picture(np.ascontiguousarray(shown[::-1, ::-1]), 64, 48)}
    upside_down = np.array([[-1.0, 0.0, 1.0], [0.0, -1.0, 1.0]])
    (by_box,) = rank(query, view, [Refinement(1, tiny)], 1)
    (by_map,) = rank(query, view, [Laid(upside_down), Refinement(1, tiny)], 1)
    assert by_map.finer.likeness > by_box.finer.likeness + 0.1
    assert by_map.finer.outline == ((1, 1), (0, 1), (0, 0), (1, 0))


TURNED_30 = np.array([[0.3, 0.2, 0.1], [-0.17, 0.35, 0.4]])
"""The query's upper edge falls by 23 degrees in a picture of 64 x 48."""
TURNED_5 = np.array([[0.3, 0.0, 0.1], [0.03, 0.3, 0.4]])


@pytest.mark.parametrize(
    ("changes", "maps"),
    [
        ({}, [[[1, 0, 0], [0, 1, 0]]]),
        ({"box": CORNER}, [[[0.5, 0, 0.5], [0, 0.5, 0.5]], [[1, 0, 0], [0, 1, 0]]]),
        ({"map": TURNED_30}, [TURNED_30, [[1, 0, 0], [0, 1, 0]]]),
        ({"map": TURNED_5, "box": CORNER}, [[[0.5, 0, 0.5], [0, 0.5, 0.5]], [[1, 0, 0], [0, 1, 0]]]),
        ({"lay": Lay(180)}, [[[1, 0, 0], [0, 1, 0]], [[-1, 0, 1], [0, -1, 1]]]),
    ],
    ids=["its region", "another box", "a turned map", "a map that hardly turns", "a region that is like it turned"],
)
def test_what_points_say_is_tried_first_and_what_patches_say_beside_it(changes, maps):
    tried = _starts(replace(candidate("a", 0.9), **changes), shelf())
    np.testing.assert_allclose(tried, maps, atol=1e-12)


def test_a_picture_that_cannot_be_opened_keeps_its_box_and_falls_as_the_others_do(tiny):
    view = shelf("abc")
    view.pictures = {"b": Picture(np.asarray(blot(3, 64, 48)), 64, 48)}
    found = {
        each.picture: each for each in rank(encode_query(view.pictures["b"], tiny), view, [Refinement(3, tiny)], 1)
    }
    share = found["b"].score / 0.8
    assert found["b"].score == pytest.approx(0.18 * 0.8 + 0.82, abs=1e-5)
    assert found["a"].score == pytest.approx(0.9 * share)
    assert found["a"].box == (0, 0, 1, 1)
    assert found["a"].evidence == {"likeness": pytest.approx(0.9)}
    assert [each.looks for each in found.values()] == [1, 1, 1]


def test_no_number_of_pictures_is_no_step(tiny):
    assert closer_looks(tiny, 0) == []
    assert [step.n for step in closer_looks(tiny, 20)] == [20]


@pytest.fixture
def collection(tmp_path, make_folder, tiny):
    opened = ps.Collection.open(tmp_path / "collection", encoder=tiny, create=True)
    opened.add(make_folder(*(f"{i:02}.png" for i in range(12))))
    return opened


@dataclass(frozen=True)
class Reversed:
    """A step that turns the order around, and is sure."""

    n: int

    def look(self, _, __, candidates):
        return [
            replace(each, score=float(i), box=CORNER, evidence={**each.evidence, "points": 9.0})
            for i, each in enumerate(candidates, 1)
        ]


def test_one_more_step_fits_into_a_search(collection, tiny, tmp_path, monkeypatch):
    query = tmp_path / "pictures" / "05.png"
    plain = [match.image.path for match in collection.search(query, top=None, refine=0, depth=0)]
    usual = answers.closer_looks
    monkeypatch.setattr(answers, "closer_looks", lambda _, n, **more: usual(tiny, n, **more) if n else [Reversed(8)])
    kinds = {kind: value for kind, value in collection.background.kinds.items() if kind != "points"}
    monkeypatch.setattr(ps.Collection, "background", Background(kinds, 12))
    matches = collection.search(query, top=None, refine=3, depth=0)
    found = [match.image.path for match in matches]
    assert set(found[:3]) == {plain[7], plain[6], plain[5]}, "refined are the first of the new order"
    assert found[3:8] == plain[4::-1]
    assert found[8:] == plain[8:]
    assert {match.box for match in matches[3:8]} == {CORNER}
    scores = [match.score for match in matches]
    assert scores == sorted(scores, reverse=True)
    monkeypatch.setattr(ps.Collection, "background", Background({**kinds, "points": (0.0, 1.0)}, 12))
    surer = collection.search(query, top=None, refine=3, depth=0)
    assert all(a.confidence > b.confidence for a, b in zip(surer[:8], matches[:8], strict=True))
    assert [match.confidence for match in surer[8:]] == [match.confidence for match in matches[8:]]


def normal(z):
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def test_evidence_of_any_kind_is_judged_and_of_several_kinds_together():
    background = Background({"likeness": (0.5, 0.1), "points": (4.0, 2.0)}, 100)
    assert background.confidence({"likeness": 0.6}) == pytest.approx(normal(1))
    assert background.confidence({"points": 10.0}) == pytest.approx(normal(3))
    assert background.confidence({"likeness": 0.6, "points": 10.0}) == pytest.approx(normal(2)), "their mean"
    assert background.confidence({"likeness": 0.4, "points": 6.0}) == pytest.approx(0.5)
    assert background.confidence({"likeness": 0.6, "cells": 1.0}) == pytest.approx(normal(1))
    assert background.confidence({"cells": 1.0}) is None


def test_what_an_earlier_version_wrote_of_strangers_is_still_read_and_it_can_read_ours():
    text = '{"likeness": [0.7, 0.1], "fitting": [1.1, 0.2], "n_images": 12, "passes_over_copies": true}'
    background = Background.from_json(text)
    assert background == Background({"likeness": (0.7, 0.1), "fitting": (1.1, 0.2)}, 12)
    assert background.to_json() == text
    assert not background.is_of(12, has_points=False), (
        "its strangers were refined otherwise: they are to be measured anew"
    )
    with_colours = text.replace('"n_images"', '"colour": [0.2, 0.1], "n_images"')
    assert Background.from_json(with_colours).is_of(12, has_points=False)
    assert not Background.from_json(with_colours).is_of(12, has_points=True), "points were not measured"
    assert not Background.from_json(with_colours.replace("true", "false")).is_of(12, has_points=False)
    more = Background({"likeness": (0.7, 0.1), "fitting": (1.1, 0.2), "points": (4.0, 2.0)}, 12)
    assert Background.from_json(more.to_json()) == more
