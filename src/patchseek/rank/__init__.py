"""One ranking, of `search` and of all that measures it: what an index finds, and steps that look at it more closely.

A view finds and opens pictures: those of a collection, or those of a benchmark. A step makes of the first candidates
new ones: another score, a finer box, evidence of another kind. No step knows which others there are.
"""

from collections.abc import Sequence
from dataclasses import replace

from .._progress import OnProgress, unheard
from ..encoders import Encoder
from ..rerank import OnStep, Recipe, go_on
from ..search import Query
from ._candidates import LIKENESS as LIKENESS
from ._candidates import Candidate as Candidate
from ._candidates import Step as Step
from ._candidates import T as T
from ._candidates import View as View
from ._laid import best_lays as best_lays
from ._refinement import COLOUR as COLOUR
from ._refinement import FITTING as FITTING
from ._refinement import REFINING as REFINING
from ._refinement import Refinement as Refinement
from ._refinement import evidence_of as evidence_of
from ._second_look import POINTS as POINTS
from ._second_look import SecondLook as SecondLook
from ._stored import StoreView as StoreView

DEPTH = 500
"""Pictures whose points are looked at, unless told otherwise."""


def closer_looks(
    encoder: Encoder,
    n_refined: int,
    recipe: Recipe | None = None,
    *,
    depth: int = 0,
    copies: int = 1,
    on_step: OnStep = go_on,
    on_progress: OnProgress = unheard,
) -> list[SecondLook | Refinement]:
    """The steps of a search, in order, of `eval` as well: one for each number that is not 0.

    depth: pictures whose points are looked at, for so many copies each; n_refined: those that are opened.
    """
    steps: list[SecondLook | Refinement] = [SecondLook(depth, on_step, copies, on_progress)] if depth else []
    if n_refined:
        steps.append(Refinement(n_refined, encoder, recipe, on_step, on_progress))
    return steps


def rank(query: Query, view: View[T], steps: Sequence[Step[T]], n: int) -> list[Candidate[T]]:
    """The pictures that answer a query, best first: as many as the view has, n of them at least.

    Each step in turn looks at the first so many. Those that it looked at stand above all others from then on, by their
    new scores; where these are equal, in the order before. Raises QueryError for a feature of another D or n < 1.
    """
    return look_closer(query, view, steps, view.find(query, max([n, *(step.n for step in steps)])))


def look_closer(
    query: Query, view: View[T], steps: Sequence[Step[T]], ranked: Sequence[Candidate[T]]
) -> list[Candidate[T]]:
    """The candidates after further steps, see `rank`."""
    candidates = list(ranked)
    for step in steps:
        first = sorted(step.look(query, view, candidates[: step.n]), key=lambda candidate: -candidate.score)
        candidates = [replace(each, looks=each.looks + 1) for each in first] + candidates[step.n :]
    return candidates
