"""How scores and confidences stand in one list: neither rises down the list. Knows no picture."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from ..rank import Candidate, T


def in_order(ranked: Sequence[Candidate[T]]) -> list[Candidate[T]]:
    """The candidates, best first, with scores that never rise: those that fewer steps looked at are moved below."""
    listed: list[Candidate[T]] = []
    for _, alike in groupby(ranked, key=lambda candidate: candidate.looks):
        part = list(alike)
        listed += _lowered(part, listed[-1].score) if listed else part
    return listed


def _lowered(candidates: list[Candidate[T]], least: float) -> list[Candidate[T]]:
    """The candidates, best first, with scores none of which is above `least`."""
    best = candidates[0].score
    if best > least and least <= 0:  # no factor brings them there
        return [replace(each, score=each.score - (best - least)) for each in candidates]
    scale = scale_below([least], [best])
    return candidates if scale == 1 else [replace(each, score=each.score * scale) for each in candidates]


def scale_below(refined: Sequence[float], plain: Sequence[float]) -> float:
    """The factor that puts plain scores below refined ones, so that both can stand in one list; 1 where they do."""
    if not refined or not plain or max(plain) <= min(refined):
        return 1.0
    return max(min(refined), 0.0) / max(plain)


def not_rising(values: Sequence[float]) -> list[float]:
    """The values that never rise and come nearest to those given, by the sum of squares.

    Isotonic regression by pooling what stands the wrong way round (Ayer et al. 1955): a find that is called surer than
    those above it, and these, are all called as sure as they are in the mean.
    """
    pools: list[tuple[float, int]] = []
    for value in values:
        total, n = value, 1
        while pools and pools[-1][0] * n < total * pools[-1][1]:
            before, m = pools.pop()
            total, n = total + before, n + m
        pools.append((total, n))
    return [total / n for total, n in pools for _ in range(n)]
