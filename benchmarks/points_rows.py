"""Rows of figures from ranked lists, for points.py: by way, by size of the object, by texture of the query, in shares.

Knows no collection and opens no picture. A ranked list is that of a results file: [gallery id, score, x y w h], best
first. All figures are fractions.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import inf, isnan
from typing import Any

import numpy as np

from patchseek import evaluate as ev
from patchseek.boxes import iou
from patchseek.breakdowns import LOC_SCORE, SIZE, box_facts
from patchseek.datasets import Dataset
from patchseek.metrics import (
    Ranking,
    average_precision,
    in_bin,
    loc_score,
    mean_over_queries,
    pooled_overlaps,
    share_located,
)

Ranked = Mapping[str, list[list[Any]]]
"""Query id -> its ranked list."""
FITS = "IoU@0.5 of right ones among 20"
SIZES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, inf)
"""Ends of the bins of sizes, shares of the picture that the object's box takes."""
THIRDS = ("plain", "middling", "rich")


def rankings(ranked: Ranked, data: Dataset) -> list[Ranking]:
    """Each query's list against the truth, in the set's order."""
    return ev.rankings({"dataset": {"data_hash": data.data_hash}, "results": ranked}, data)


def recall(ranking: Ranking, k: int) -> float:
    """The share of a query's positives that are among the first k: `+ - +`, 4 relevant, is 1/4 at k = 2."""
    return float(ranking.relevant[:k].sum() / ranking.n_relevant)


def first(ranking: Ranking, k: int) -> Ranking:
    """The first k of a list, those after them not returned."""
    scores = None if ranking.scores is None else ranking.scores[:k]
    return Ranking(ranking.ids[:k], ranking.overlaps[:k], ranking.positives, ranking.boxed, scores)


def row(judged: Sequence[Ranking]) -> dict[str, float]:
    """The figures of some queries, none where there are none."""
    if not judged:
        return {"queries": 0}
    return {
        "queries": len(judged),
        "positives": sum(ranking.n_relevant for ranking in judged),
        "mAP": round(mean_over_queries(judged, average_precision), 4),
        LOC_SCORE: round(mean_over_queries(judged, lambda r: loc_score(r, "gate", (0.4,))), 4),
        "recall@20": round(mean_over_queries(judged, lambda r: recall(r, 20)), 4),
        "recall@50": round(mean_over_queries(judged, lambda r: recall(r, 50)), 4),
        FITS: round(share_located([first(ranking, 20) for ranking in judged]), 4),
    }


def by_size(judged: Sequence[Ranking], data: Dataset, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """A row for each bin of SIZES that holds a positive. sizes: gallery id -> width, height in pixels."""
    shares = [box_facts(data.positives(query), sizes)[SIZE] for query in data.counted]
    rows = {}
    for low, high in pairwise(SIZES):
        if inside := in_bin(judged, shares, low, high):
            rows[f"{100 * low:g} % and more" if high == inf else f"{100 * low:g} to {100 * high:g} %"] = row(inside)
    return rows


def by_texture(judged: Sequence[Ranking], textures: Sequence[float]) -> dict[str, Any]:
    """A row for each third of the queries, by what points_pictures.texture says of each, lowest first."""
    parts = np.array_split(np.argsort(textures, kind="stable"), len(THIRDS))
    rows = {}
    for label, part in zip(THIRDS, parts, strict=True):
        if len(part):
            ends = {"texture from": textures[part[0]], "to": textures[part[-1]]}
            rows[label] = {name: round(float(end), 4) for name, end in ends.items()} | row([judged[i] for i in part])
    return rows


def of_upright(rows: Mapping[str, dict[str, float]], upright: str = "upright") -> dict[str, dict[str, float]]:
    """The rows, each with the share of the upright row's mAP that it reaches."""
    whole = rows[upright]["mAP"]
    return {name: own | {"of the upright mAP": round(own["mAP"] / whole, 4)} for name, own in rows.items()}


def answered(pairs: Sequence[tuple[str, Sequence[float], str, Sequence[float]]]) -> dict[str, float]:
    """How often a first answer is right, and how its box fits. pairs: (answer, its box, truth, true box), x y w h.

    "mean IoU" counts a wrong picture as 0; that "of right ones" leaves it out, and is 0 where none is right.
    """
    right = [name == truth for name, _, truth, _ in pairs]
    fits = [float(iou([_corners(box)], [_corners(true)])[0, 0]) for _, box, _, true in pairs]
    counted = np.where(right, fits, 0.0)
    found = {"first answer right": np.mean(right), "mean IoU": counted.mean()}
    found["mean IoU of right ones"] = counted.sum() / max(sum(right), 1)
    return {name: round(float(value), 4) for name, value in found.items()}


def check(ranked: Ranked, data: Dataset, scorer: Any, folder: str) -> None:
    """Let the sets' own scorer judge the same lists. Raises AssertionError where it says something else.

    It knows mAP, and of returned lists how many right pictures there are and how many boxes fit, to three places: so it
    is given the whole lists, and the first 20 of each. Queries that were not asked count as 0 in its mAP.
    """
    judged = rankings(ranked, data)
    cut = {
        query.id: [entry for entry in ranked[query.id] if entry[0] not in data.ignored(query)][:20]
        for query in data.counted
    }
    whole, top = scorer.score(folder, dict(ranked))["all"], scorer.score(folder, cut)["all"]
    of_asked = whole["queries"] / len(judged)
    ours = row(judged)
    assert abs(ours["mAP"] - whole["mAP"] * of_asked) <= 1e-4 * (1 + of_asked), (ours["mAP"], whole)
    n_right = len(pooled_overlaps([first(ranking, 20) for ranking in judged]))
    assert n_right == top["loc_pairs"], (n_right, top)
    assert abs(ours[FITS] - top["IoU50"]) <= 6e-4 or (isnan(ours[FITS]) and isnan(top["IoU50"])), (ours, top)


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, w, h = box
    return x, y, x + w, y + h
