"""Where is a search good, and where not? Sorts positives by the size and place of their boxes. Opens no pictures."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import hypot, inf
from typing import Any, NamedTuple

import numpy as np

from .datasets import Box, clamp
from .errors import PatchseekError
from .metrics import Ranking, average_precision, in_bin, loc_score, mean_over_queries

SIZE, CENTRE_DISTANCE = "size", "centre distance"
"""The facts of `box_facts`."""
LOC_SCORE = "LocScore(gate, 0.4)"
# as metrics.summary calls it


class Bin(NamedTuple):
    """The positives of low <= value < high."""

    label: str
    # the two ends, for a person
    low: float
    # -inf in the first bin
    high: float
    # inf in the last bin
    rankings: list[Ranking]
    # each query with these positives only; queries without any are left out


def box_facts(
    positives: Mapping[str, Sequence[Box] | None], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, float]]:
    """Fact -> picture -> number in [0, 1], about the largest true box (x y w h in pixels) of each picture.

    size: its area as a share of the picture's. centre distance: how far its centre lies from that of the picture, as a
    share of half the diagonal: 0 in the middle, near 1 in a corner. Of a box that laps over the picture the part inside
    counts. sizes: picture -> width, height. Pictures whose boxes are unknown are left out: score `only` the others.
    A box 50,0,50,50 of 100 x 100: 0.25, and hypot(25, -25) / hypot(50, 50) = 0.5.
    Raises PatchseekError for a picture of unknown size, BoxError for a box outside its picture.
    """
    facts: dict[str, dict[str, float]] = {SIZE: {}, CENTRE_DISTANCE: {}}
    for name, boxes in positives.items():
        if not boxes:
            continue
        if name not in sizes:
            raise PatchseekError(f"{name} has boxes, but its width and height are unknown")
        width, height = sizes[name]
        x, y, w, h = max((clamp(box, width, height, name) for box in boxes), key=lambda box: box[2] * box[3])
        facts[SIZE][name] = w * h / (width * height)
        away = hypot(x + w / 2 - width / 2, y + h / 2 - height / 2)
        facts[CENTRE_DISTANCE][name] = away / hypot(width / 2, height / 2)
    return facts


def split(rankings: Sequence[Ranking], values: Sequence[Mapping[str, float]], n: int = 4) -> list[Bin]:
    """Rankings in n bins, lowest values first, cut at the quantiles of the values of all positives of all queries.

    values: for each ranking, positive -> number. A picture that is right for two queries counts twice. Quantiles that
    coincide are one cut, so there may be fewer bins; none is empty. Values 1 2 3 4 5 are cut at 2, 3 and 4 (the data
    point at or above each quantile). Raises PatchseekError for no positives, or a value unknown or not finite.
    """
    known: list[float] = []
    for ranking, value in zip(rankings, values, strict=True):
        known += [value[name] for name in ranking.positives & value.keys()]
    if not known or not np.isfinite(known).all():
        raise PatchseekError(f"bins need finite values of some positives, found {len(known)} values")
    quantiles = np.quantile(known, np.arange(1, n) / n, method="higher")
    cuts = sorted({float(cut) for cut in quantiles if cut > min(known)})
    ends = zip((-inf, *cuts), (*cuts, inf), strict=True)
    return [Bin(_label(low, high), low, high, in_bin(rankings, values, low, high)) for low, high in ends]


def rows(bins: Sequence[Bin]) -> list[dict[str, Any]]:
    """A dict for each bin: label, n_queries, n_positives, mAP and LocScore(gate, 0.4), as fractions.

    As in metrics.summary, LocScore is left out where the true box of any positive is unknown.
    """
    found: list[dict[str, Any]] = []
    for label, _, _, rankings in bins:
        row: dict[str, Any] = {
            "label": label,
            "n_queries": len(rankings),
            "n_positives": sum(ranking.n_relevant for ranking in rankings),
            "mAP": mean_over_queries(rankings, average_precision),
        }
        if all(ranking.boxed == ranking.positives for ranking in rankings):
            row[LOC_SCORE] = mean_over_queries(rankings, partial(loc_score, definition="gate", thresholds=(0.4,)))
        found.append(row)
    return found


def _label(low: float, high: float) -> str:
    if low == -inf:
        return "all" if high == inf else f"below {high:.3g}"
    return f"from {low:.3g}" if high == inf else f"{low:.3g} to {high:.3g}"
